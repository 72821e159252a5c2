"""A filtered result as one HTML page that needs nothing else: tables, and the plots as data URIs."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any

from bench.filtered import tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1rem; color: #222 }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
th { border-bottom: 2px solid #888 }
td.short { color: #b00020; font-weight: 600 }
img { max-width: 100% }
"""


def page(result: dict[str, Any], plots: Mapping[str, bytes]) -> str:
    """The whole page; `plots` are PNG files by name."""
    name = escape(result["workload"]["name"])
    body = [f"<h1>{name}</h1>", *(f"<p>{escape(line)}</p>" for line in tables.heading(result))]
    for plot, image in plots.items():
        uri = base64.b64encode(image).decode("ascii")
        body.append(f'<p><img alt="{escape(plot)}" src="data:image/png;base64,{uri}"></p>')
    for title, table in tables.sections(result):
        body += [f"<h2>{escape(title)}</h2>", *_table(table)]
    left_out = tables.skipped(result)
    if left_out:
        body += ["<h2>Left out</h2>", "<ul>", *(f"<li>{escape(line)}</li>" for line in left_out), "</ul>"]
    body.append(
        "<p>A ratio or time marked ! falls short of what is asked for; (0.93) is the best recall of a method that"
    )
    body.append("does not reach the floor; * was cut at the time a setting may take.</p>")
    head = f'<meta charset="utf-8"><title>{name}</title><style>{STYLE}</style>'
    return "\n".join(["<!doctype html>", f'<html lang="en"><head>{head}</head><body>', *body, "</body></html>", ""])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    heading = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    lines = ["<table>", f"<tr>{heading}</tr>"]
    for row in rows[1:]:
        cells = (f"<td{' class=short' if cell.endswith(' !') else ''}>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return [*lines, "</table>"]
