"use strict";
// Draws the plots that the page brings along as data: lines, bars and grids, each an SVG element in its section.

const SVG = "http://www.w3.org/2000/svg";
const SIZE = { width: 640, height: 420, left: 66, right: 14, top: 14, bottom: 46 };
const COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22",
  "#7f7f7f", "#393b79", "#637939", "#8c6d31", "#843c39", "#7b4173", "#3182bd", "#e6550d", "#31a354"];
const looks = new Map(); // a series has the same colour in every plot

function element(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

function html(parent, name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

function colour(name) {
  if (name === "vdb auto" || name === "vdb") return "#000";
  if (!looks.has(name)) looks.set(name, COLOURS[looks.size % COLOURS.length]);
  return looks.get(name);
}

function shortly(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e9) return +(value / 1e9).toPrecision(3) + "G";
  if (size >= 1e6) return +(value / 1e6).toPrecision(3) + "M";
  if (size >= 1e4) return +(value / 1e3).toPrecision(3) + "k";
  if (size < 1e-3) return value.toExponential(0);
  return String(+value.toPrecision(4));
}

// A scale maps values to pixels and knows its ticks.
function scale(values, logarithmic, from, to) {
  let low = Math.min(...values), high = Math.max(...values);
  if (logarithmic) {
    low = Math.log10(low); high = Math.log10(high);
  }
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  low -= margin; high += margin;
  const at = (value) => from + (((logarithmic ? Math.log10(value) : value) - low) / (high - low)) * (to - from);
  return { at, ticks: logarithmic ? decades(low, high) : steps(low, high) };
}

function decades(low, high) {
  const parts = high - low < 2 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
    for (const part of parts) {
      const value = part * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) found.push(value);
    }
  }
  return found.length > 1 ? found : steps(10 ** low, 10 ** high);
}

function steps(low, high) {
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((part) => part * power).find((each) => each >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(+value.toPrecision(12));
  return found;
}

function frame(section, plot, x, y) {
  const { width, height, left, right, top, bottom } = SIZE;
  const svg = element(section, "svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img" });
  element(svg, "title", {}, plot.title);
  for (const tick of y.ticks) {
    element(svg, "line", { class: "rule", x1: left, x2: width - right, y1: y.at(tick), y2: y.at(tick) });
    element(svg, "text", { class: "tick", x: left - 6, y: y.at(tick) + 4, "text-anchor": "end" }, shortly(tick));
  }
  for (const tick of x ? x.ticks : []) {
    element(svg, "line", { class: "rule", x1: x.at(tick), x2: x.at(tick), y1: top, y2: height - bottom });
    element(svg, "text", { class: "tick", x: x.at(tick), y: height - bottom + 16, "text-anchor": "middle" },
      shortly(tick));
  }
  element(svg, "text", { class: "label", x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" },
    plot.x || "");
  element(svg, "text", { class: "label", transform: `translate(14 ${(top + height - bottom) / 2}) rotate(-90)`,
    "text-anchor": "middle" }, plot.y);
  return svg;
}

function lines(section, plot) {
  const { width, height, left, right, top, bottom } = SIZE;
  const points = plot.series.flatMap((series) => series.points);
  const x = scale(points.map((point) => point[0]), plot.log.includes("x"), left, width - right);
  const y = scale(points.map((point) => point[1]), plot.log.includes("y"), height - bottom, top);
  const svg = frame(section, plot, x, y);
  if (plot.floor && x.at(plot.floor) > left && x.at(plot.floor) < width - right) {
    element(svg, "line", { class: "floor", x1: x.at(plot.floor), x2: x.at(plot.floor), y1: top, y2: height - bottom });
  }
  const legend = html(section, "p", "legend");
  for (const series of plot.series) {
    const group = element(svg, "g", { class: "series", stroke: colour(series.look || series.name) });
    const style = { class: "line", "stroke-width": series.own ? 2.4 : 1.2, fill: "none" };
    if (!series.own) style["stroke-dasharray"] = "5 3";
    if (series.joined !== false && series.points.length > 1) {
      const path = series.points.map((point) => `${x.at(point[0]).toFixed(1)} ${y.at(point[1]).toFixed(1)}`);
      element(group, "path", { ...style, d: `M${path.join("L")}` });
    }
    for (const [px, py, words] of series.points) {
      const mark = element(group, "circle", { class: "mark", cx: x.at(px).toFixed(1), cy: y.at(py).toFixed(1), r: 3.2,
        fill: colour(series.look || series.name) });
      element(mark, "title", {}, `${series.name}: ${shortly(px)}, ${shortly(py)}${words ? ` (${words})` : ""}`);
    }
    const entry = html(legend, "button", series.own ? "own" : "", series.name);
    entry.style.color = colour(series.look || series.name);
    entry.addEventListener("click", () => {
      group.classList.toggle("hidden");
      entry.classList.toggle("off");
    });
  }
}

function bars(section, plot) {
  const { width, height, left, right, top, bottom } = SIZE;
  const y = scale([...plot.bars.map((bar) => bar[1]), ...(plot.log.includes("y") ? [] : [0])],
    plot.log.includes("y"), height - bottom, top);
  const svg = frame(section, plot, null, y);
  const room = (width - left - right) / plot.bars.length;
  plot.bars.forEach(([name, value], index) => {
    const from = left + index * room + 0.15 * room, above = y.at(value);
    const bar = element(svg, "rect", { class: "mark", x: from.toFixed(1), y: above.toFixed(1),
      width: (0.7 * room).toFixed(1), height: Math.max(height - bottom - above, 1).toFixed(1), fill: colour(name) });
    element(bar, "title", {}, `${name}: ${shortly(value)}`);
    element(svg, "text", { class: "tick", x: from + 0.35 * room, y: above - 4, "text-anchor": "middle" },
      shortly(value));
    element(svg, "text", { class: "tick", transform: `translate(${from + 0.35 * room} ${height - bottom + 12}) rotate(-25)`,
      "text-anchor": "end" }, name);
  });
}

// Rows against columns: how good each is, from 0 to 1, and a ring of the size of what was chosen.
function grid(section, plot) {
  const cell = { width: 74, height: 30 }, left = 210, top = 26;
  const width = left + plot.columns.length * cell.width + 10, height = top + plot.rows.length * cell.height + 10;
  const svg = element(section, "svg", { class: "plot wide", viewBox: `0 0 ${width} ${height}`, role: "img" });
  element(svg, "title", {}, plot.title);
  plot.columns.forEach((name, column) => {
    element(svg, "text", { class: "tick", x: left + (column + 0.5) * cell.width, y: 16, "text-anchor": "middle" }, name);
  });
  plot.rows.forEach(({ name, values, chosen }, row) => {
    element(svg, "text", { class: "tick", x: left - 8, y: top + (row + 0.65) * cell.height, "text-anchor": "end" }, name);
    values.forEach((value, column) => {
      const x = left + column * cell.width, y = top + row * cell.height;
      if (value !== null) {
        const box = element(svg, "rect", { class: "mark", x, y, width: cell.width - 2, height: cell.height - 2,
          fill: `hsl(${120 * value} 60% ${88 - 30 * value}%)` });
        element(box, "title", {}, `${name}, ${plot.columns[column]}: ${shortly(value)} of the fastest`);
        element(svg, "text", { class: "tick", x: x + 8, y: y + 19 }, value.toFixed(2));
      }
      if (chosen[column] > 0) {
        const ring = element(svg, "circle", { class: "chosen", cx: x + cell.width - 18, cy: y + cell.height / 2 - 1,
          r: 2 + 8 * chosen[column] });
        element(ring, "title", {}, `chosen for ${(100 * chosen[column]).toFixed(0)} % of the questions`);
      }
    });
  });
}

const KINDS = { lines, bars, grid };
const plots = JSON.parse(document.getElementById("plots").textContent);
for (const plot of plots) {
  const section = html(document.getElementById(plot.place), "figure", plot.kind === "grid" ? "wide" : "");
  html(section, "figcaption", "", plot.title);
  KINDS[plot.kind](section, plot);
}
document.documentElement.dataset.drawn = String(plots.length);
