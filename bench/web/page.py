"""The page: verdicts, plots, tables and the commands that made them, of any number of results, in one HTML file."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bench import report
from bench.filtered import tables
from bench.web import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "filtered": "python bench/run.py {name}",
    "unfiltered": "python bench/run.py {name}",
    "solo": "python bench/solo.py {name}",
    "scaling": "python bench/scale.py {name}",
}
TITLES = {
    "filtered": "Filtered search",
    "unfiltered": "Search without a predicate",
    "solo": "Each peer in a process of its own",
    "scaling": "Growth with the rows",
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
            body += ["<ul>", *(f"<li>{escape(line)}</li>" for line in figures.verdict(result)), "</ul>"]
        body += [f'<div class="plots" id="{place}"></div>', *_tables(result), *_left_out(result)]
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
    where = ", ".join(str(machine[key]) for key in ("processor", "memory", "system") if key in machine)
    lines = [
        f"{what}; {search['repetitions']} repetitions.",
        f"{where}, {machine.get('cores', '?')} cores. {libraries}",
    ]
    command = COMMANDS[kind_of(result)].format(name=plan["name"])
    return [*(f"<p>{escape(line)}</p>" for line in lines), f"<pre>{escape(command)}</pre>"]


def _tables(result: dict[str, Any]) -> list[str]:
    """Every table of a result; of a filtered one those of bench/filtered/tables.py."""
    if kind_of(result) == "filtered":
        found = list(tables.sections(result))
    else:
        found = [("Figures", _markdown_rows(table)) for table in _markdown_tables(report.text(result))]
    return [f"<details><summary>{escape(words)}</summary>{_table(rows)}</details>" for words, rows in found]


def _markdown_tables(text: str) -> list[list[str]]:
    """The runs of lines that are rows of a table."""
    runs: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            runs[-1].append(line)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


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
