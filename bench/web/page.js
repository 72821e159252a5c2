"use strict";
// Draws the plots that the page brings along as data: lines, bars and grids, each an SVG element in its section.

const SVG = "http://www.w3.org/2000/svg";
const NARROW = { width: 460, height: 330, left: 58, right: 12, top: 12, bottom: 44 };
const WIDE = { width: 1240, height: 460, left: 62, right: 14, top: 14, bottom: 46 };
const COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#a0705f", "#e377c2", "#17becf", "#a9a91c",
  "#7f7f7f", "#5a5fc0", "#7d9c3f", "#b98f3e", "#b25a5b", "#a3619b", "#5aa0d8", "#f08a4b", "#4fc27a"];
const RECALLS = [0.7, 0.8, 0.9, 0.95, 0.99, 0.999];
const PERFECT = 4e-4; // what recall 1 is drawn as missing
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
  if (name === "vdb auto" || name === "vdb") return "var(--auto)";
  if (!looks.has(name)) looks.set(name, COLOURS[looks.size % COLOURS.length]);
  return looks.get(name);
}

function shortly(value, unit) {
  const rounded = (number) => String(+number.toPrecision(3));
  if (unit === "recall") return String(+value.toPrecision(4));
  if (unit === "share") return `${rounded(100 * value)} %`;
  if (value === 0) return "0";
  if (unit === "seconds") {
    if (value >= 1) return `${rounded(value)} s`;
    return value >= 1e-3 ? `${rounded(1e3 * value)} ms` : `${rounded(1e6 * value)} us`;
  }
  for (const [power, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value < power || (letter === "k" && unit !== "bytes" && value < 1e4)) continue;
    return unit === "bytes" ? `${rounded(value / power)} ${letter}B` : rounded(value / power) + letter;
  }
  return rounded(value);
}

// A scale maps values to pixels and knows its ticks; `kind` is linear, log, or recall: by the logarithm of what is missing.
function scale(values, kind, from, to) {
  const bend = { linear: (v) => v, log: Math.log10, recall: (v) => -Math.log10(Math.max(1 - v, PERFECT)) }[kind];
  let low = Math.min(...values.map(bend)), high = Math.max(...values.map(bend));
  if (kind === "recall") { low = Math.min(low, bend(RECALLS[0])); high = bend(1); }
  const margin = (high - low || Math.abs(high) || 1) * (kind === "recall" ? 0.03 : 0.06);
  low -= margin; high += margin;
  const at = (value) => from + ((bend(value) - low) / (high - low)) * (to - from);
  if (kind === "recall") return { at, ticks: [...RECALLS, 1] };
  return { at, ticks: kind === "log" ? decades(low, high) : steps(low, high) };
}

function decades(low, high) {
  const parts = high - low < 2.5 ? [1, 2, 5] : [1];
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

function frame(section, plot, size, x, y) {
  const { width, height, left, right, top, bottom } = size;
  const svg = element(section, "svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img" });
  element(svg, "title", {}, plot.title);
  for (const tick of y.ticks) {
    element(svg, "line", { class: "rule", x1: left, x2: width - right, y1: y.at(tick), y2: y.at(tick) });
    element(svg, "text", { class: "tick", x: left - 6, y: y.at(tick) + 4, "text-anchor": "end" },
      shortly(tick, plot.units[1]));
  }
  for (const tick of x.ticks) {
    element(svg, "line", { class: "rule", x1: x.at(tick), x2: x.at(tick), y1: top, y2: height - bottom });
    element(svg, "text", { class: "tick", x: x.at(tick), y: height - bottom + 16, "text-anchor": "middle" },
      shortly(tick, plot.units[0]));
  }
  element(svg, "text", { class: "label", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, plot.x);
  element(svg, "text", { class: "label", transform: `translate(13 ${(top + height - bottom) / 2}) rotate(-90)`,
    "text-anchor": "middle" }, plot.y);
  return svg;
}

function lines(section, plot) {
  const size = plot.wide ? WIDE : NARROW, { width, height, left, right, top, bottom } = size;
  const points = plot.series.flatMap((series) => series.points);
  const across = plot.units[0] === "recall" ? "recall" : plot.log.includes("x") ? "log" : "linear";
  const x = scale(points.map((point) => point[0]), across, left, width - right);
  const y = scale(points.map((point) => point[1]), plot.log.includes("y") ? "log" : "linear", height - bottom, top);
  const svg = frame(section, plot, size, x, y);
  if (plot.floor) {
    element(svg, "line", { class: "floor", x1: x.at(plot.floor), x2: x.at(plot.floor), y1: top, y2: height - bottom });
  }
  const legend = html(section, "p", "legend");
  const entries = new Map(); // a name may have several series
  for (const series of plot.series) {
    const name = series.look || series.name, faint = series.joined === false && plot.wide;
    const group = element(svg, "g", { class: faint ? "series faint" : "series", stroke: colour(name) });
    const style = { class: "line", "stroke-width": series.own ? 2.4 : 1.3, fill: "none" };
    if (!series.own) style["stroke-dasharray"] = "5 3";
    if (series.joined !== false && series.points.length > 1) {
      const path = series.points.map((point) => `${x.at(point[0]).toFixed(1)} ${y.at(point[1]).toFixed(1)}`);
      element(group, "path", { ...style, d: `M${path.join("L")}` });
    }
    for (const [px, py, words] of series.points) {
      const mark = element(group, "circle", { class: "mark", cx: x.at(px).toFixed(1), cy: y.at(py).toFixed(1),
        r: series.own ? 3.6 : 3, fill: colour(name) });
      const what = `${shortly(px, plot.units[0])}, ${shortly(py, plot.units[1])}${words ? ` (${words})` : ""}`;
      element(mark, "title", {}, `${series.name}: ${what}`);
    }
    if (!entries.has(series.name)) {
      const entry = html(legend, "button", series.own ? "own" : "", series.name);
      entry.style.color = colour(name);
      entries.set(series.name, { entry, groups: [] });
      entry.addEventListener("click", () => toggle(entries.get(series.name)));
    }
    entries.get(series.name).groups.push(group);
    if (series.hidden && entries.get(series.name).groups.length === 1) toggle(entries.get(series.name));
    else if (series.hidden) group.classList.add("hidden");
  }
  if (plot.series.some((series) => series.hidden)) html(legend, "span", "hint", "(click a name to show or hide it)");
}

function toggle({ entry, groups }) {
  entry.classList.toggle("off");
  for (const group of groups) group.classList.toggle("hidden");
}

// One bar a line, from zero, its figure at its end: lengths compare.
function bars(section, plot) {
  const line = 24, left = 128, right = 70, width = NARROW.width, height = plot.bars.length * line + 8;
  const svg = element(section, "svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img" });
  element(svg, "title", {}, plot.title);
  const most = Math.max(...plot.bars.map((bar) => bar[1]));
  plot.bars.forEach(([name, value], index) => {
    const y = 4 + index * line, long = Math.max((value / most) * (width - left - right), 1);
    element(svg, "text", { class: "tick", x: left - 6, y: y + 15, "text-anchor": "end" }, name);
    const bar = element(svg, "rect", { class: "mark", x: left, y: y + 2, width: long.toFixed(1), height: line - 6,
      fill: colour(name) });
    element(bar, "title", {}, `${name}: ${shortly(value, plot.units[1])}`);
    element(svg, "text", { class: "label", x: (left + long + 6).toFixed(1), y: y + 15 }, shortly(value, plot.units[1]));
  });
}

// Rows against columns: how good each is, from 0 to 1, and a ring of the size of what was chosen.
function grid(section, plot) {
  const cell = { width: 92, height: 30 }, left = 330, top = 26;
  const width = left + plot.columns.length * cell.width + 10, height = top + plot.rows.length * cell.height + 10;
  const svg = element(section, "svg", { class: "plot wide", viewBox: `0 0 ${width} ${height}`, role: "img" });
  element(svg, "title", {}, plot.title);
  plot.columns.forEach((name, column) => {
    element(svg, "text", { class: "label", x: left + (column + 0.5) * cell.width, y: 16, "text-anchor": "middle" }, name);
  });
  plot.rows.forEach(({ name, values, chosen }, row) => {
    element(svg, "text", { class: "tick", x: left - 8, y: top + (row + 0.65) * cell.height, "text-anchor": "end" }, name);
    values.forEach((value, column) => {
      const x = left + column * cell.width, y = top + row * cell.height;
      if (value !== null) {
        const box = element(svg, "rect", { class: "mark", x, y, width: cell.width - 2, height: cell.height - 2,
          fill: `hsl(${120 * value} 60% ${88 - 30 * value}%)` });
        element(box, "title", {}, `${name}, ${plot.columns[column]}: ${shortly(value)} of the fastest`);
        element(svg, "text", { class: "value", x: x + 8, y: y + 19 }, value.toFixed(2));
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
  const section = html(document.getElementById(plot.place), "figure", plot.wide ? "wide" : "");
  html(section, "figcaption", "", plot.title);
  KINDS[plot.kind](section, plot);
}
document.documentElement.dataset.drawn = String(plots.length);
