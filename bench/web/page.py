"""The page: verdicts, plots, tables and the commands that made them, of any number of results, in one HTML file."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bench import report
from bench.filtered import summary, tables
from bench.web import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "filtered": "python bench/run.py {name}",
    "unfiltered": "python bench/run.py {name}",
    "solo": "python bench/solo.py {name}",
    "scaling": "python bench/scale.py {name}",
    "large": "python bench/ivf_memory.py --data {data[name]} --rows {data[rows]} --type {index[type]} --limit-mb "
    "{index[limit_mb]} --folder DIR --out bench/results/{name}.json",
}
TITLES = {
    "filtered": "Filtered search",
    "unfiltered": "Search without a predicate",
    "solo": "Each peer in a process of its own",
    "scaling": "Growth with the rows",
    "large": "Rows on disk, memory bounded",
}
# Before anything else: what a test, and a reader without a console, can see.
WATCH = """
addEventListener("error", (event) => {
  document.documentElement.dataset.errors = (document.documentElement.dataset.errors || "") + event.message + "; ";
});
"""


def page(results: Sequence[dict[str, Any]]) -> str:
    """The whole page. ValueError where a result is of no kind that can be drawn."""
    plots: list[figures.Plot] = []
    body = ["<h1>vdb and its peers</h1>", _contents(results)]
    for at, result in enumerate(results):
        place = f"plots{at}"
        drawn = figures.of(result)
        plots += [plot | {"place": place} for plot in drawn]
        body += [f'<h2 id="part{at}">{escape(_title(result))}</h2>', *_about(result)]
        if kind_of(result) == "filtered":
            body += ["<h3>Is one method the best everywhere?</h3>", "<ul>"]
            body += [*(f"<li>{escape(line)}</li>" for line in summary.verdict(result)), "</ul>"]
        first, *others = _tables(result)
        body += [first, f'<div class="plots" id="{place}"></div>', *others, *_left_out(result)]
    script = files("bench.web").joinpath("page.js").read_text(encoding="utf-8")
    style = files("bench.web").joinpath("page.css").read_text(encoding="utf-8")
    brought = json.dumps(plots, allow_nan=False).replace("</", "<\\/")
    head = f'<meta charset="utf-8"><title>vdb and its peers</title><style>{style}</style><script>{WATCH}</script>'
    data = f'<script type="application/json" id="plots">{brought}</script>'
    begin = ["<!doctype html>", f'<html lang="en"><head>{head}</head><body>']
    return "\n".join([*begin, *body, data, f"<script>{script}</script>", "</body></html>", ""])


def kind_of(result: dict[str, Any]) -> str:
    """filtered, solo, scaling or unfiltered."""
    return str(result["workload"].get("kind", "unfiltered"))


def _title(result: dict[str, Any]) -> str:
    return f"{TITLES.get(kind_of(result), kind_of(result))}: {result['workload']['name']}"


def _contents(results: Sequence[dict[str, Any]]) -> str:
    links = (f'<a href="#part{at}">{escape(_title(result))}</a>' for at, result in enumerate(results))
    return f"<nav>{' '.join(links)}</nav>"


def _about(result: dict[str, Any]) -> list[str]:
    """What was measured, on what, by which command."""
    plan, machine = result["workload"], result["machine"]
    data, search = plan["data"], plan["search"]
    rows = "" if kind_of(result) == "scaling" else f"{data['rows']:,} rows, "
    index = ", ".join(f"{key}={value}" for key, value in plan["index"].items())
    what = f"{data['name']}: {rows}{data['queries']:,} queries, k={search['k']}, {index}"
    libraries = ", ".join(f"{name} {version}" for name, version in machine.get("libraries", {}).items())
    where = ", ".join(str(machine[key]) for key in ("processor", "system") if key in machine)
    cores = f"{machine.get('cores', '?')} cores{_memory(machine)}"
    lines = [f"{what}; {search['repetitions']} repetitions.", f"{where}, {cores}. {libraries}"]
    command = COMMANDS[kind_of(result)].format(name=plan["name"], data=data, index=plan["index"])
    return [*(f"<p>{escape(line)}</p>" for line in lines), f"<pre>{escape(command)}</pre>"]


def _memory(machine: dict[str, Any]) -> str:
    """What Linux says in kB, in GB."""
    kilobytes, _, unit = str(machine.get("memory", "")).partition(" ")
    return f", {int(kilobytes) / 1e6:.1f} GB of memory" if unit == "kB" else ""


def _tables(result: dict[str, Any]) -> list[str]:
    """Every table of a result, the first of them open; of a filtered one those of bench/filtered/tables.py."""
    if kind_of(result) == "filtered":
        found = list(tables.sections(result))
    else:
        found = [(words, _markdown_rows(table)) for words, table in _markdown_tables(report.text(result))]
    return [
        f"<details{'' if at else ' open'}><summary>{escape(words)}</summary>{_table(rows)}</details>"
        for at, (words, rows) in enumerate(found)
    ]


def _markdown_tables(text: str) -> list[tuple[str, list[str]]]:
    """The runs of lines that are rows of a table, each with the line of words before it."""
    runs: list[tuple[str, list[str]]] = []
    words, inside = "", False
    for line in text.splitlines():
        if not line.startswith("|"):
            words, inside = line or words, False
        elif inside:
            runs[-1][1].append(line)
        else:
            runs.append((words, [line]))
            inside = True
    return runs


def _markdown_rows(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|-")]


def _left_out(result: dict[str, Any]) -> list[str]:
    """Peers that were skipped, and why."""
    reasons = list(result.get("skipped", {}).values())
    if not reasons:
        return []
    return ["<h3>Left out</h3>", "<ul>", *(f"<li>{escape(str(reason))}</li>" for reason in reasons), "</ul>"]


def _table(rows: Sequence[Sequence[str]]) -> str:
    heading = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    lines = [f"<tr>{heading}</tr>"]
    for row in rows[1:]:
        cells = (f"<td{' class=short' if cell.endswith(' !') else ''}>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"
