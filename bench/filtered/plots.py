"""The plots of a filtered result, drawn by matplotlib: recall against speed, and speed against selectivity."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")  # no display is needed

import matplotlib.pyplot as plt

from bench.filtered import summary
from bench.filtered.summary import AUTO, FLOOR
from bench.filtered.tables import title
from bench.metrics import SweepPoint, pareto_front

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
LEAST_RECALL = 0.7  # what finds less is not shown
DPI = 110
Style = dict[str, Any]


def styles(result: dict[str, Any]) -> dict[str, Style]:
    """A colour and a mark for each method, the same in every plot: vdb's in full lines, the peers' dashed."""
    palette, marks = plt.get_cmap("tab20"), "osD^v<>PX*hp"
    found = {}
    for at, name in enumerate(summary.method_names(result)):
        own = summary.is_own(name)
        found[name] = {
            "color": "black" if name == AUTO else palette(at % palette.N),
            "marker": marks[at % len(marks)],
            "linestyle": "-" if own else "--",
            "linewidth": 2.2 if name == AUTO else 1.2,
            "markersize": 4,
            "zorder": 3 if own else 2,
        }
    return found


def recall_against_speed(result: dict[str, Any]) -> Figure:
    """A panel for each cell, a line for each method, the row set known; of peers that read the text, from the text."""
    shown = summary.cells(result)
    figure, panels = plt.subplots(
        math.ceil(len(shown) / COLUMNS), COLUMNS, figsize=(16, 4.2 * math.ceil(len(shown) / COLUMNS)), squeeze=False
    )
    looks = styles(result)
    for panel, cell in zip(panels.flat, shown, strict=False):
        _recall_panel(panel, summary.methods(result, cell), looks)
        panel.set_title(f"{title(cell)} (passing {result['cells'][cell]['share']:.2%})", fontsize=10)
    for panel in panels.flat[len(shown) :]:
        panel.set_visible(False)
    _legend(figure, looks)
    figure.suptitle(
        f"{result['workload']['name']}: recall@{result['workload']['search']['k']} against queries a second"
    )
    figure.tight_layout(rect=(0, 0.05, 1, 0.98))
    return figure


def _recall_panel(panel: Axes, found: dict[str, list[dict[str, Any]]], looks: dict[str, Style]) -> None:
    for name, points in found.items():
        measured = [SweepPoint(p["recall"], summary.speed(p, "core") or summary.speed(p, "text")) for p in points]
        front = [point for point in pareto_front(measured) if point.recall >= LEAST_RECALL]
        panel.plot([p.recall for p in front], [p.qps for p in front], **looks[name])
    panel.set_yscale("log")
    panel.axvline(FLOOR, color="grey", linewidth=0.8, linestyle=":")
    panel.set_xlabel("recall")
    panel.set_ylabel("queries a second")
    panel.grid(visible=True, which="both", alpha=0.25)


def speed_against_selectivity(result: dict[str, Any]) -> Figure:
    """The speed of every method at the floor over the share that passes: random filters as lines, others as marks."""
    figure, panels = plt.subplots(1, 2, figsize=(16, 7), sharey=True)
    looks = styles(result)
    parts: dict[summary.Part, str] = {"core": "row set known", "text": "from the predicate's text"}
    for panel, (part, what) in zip(panels, parts.items(), strict=True):
        for name, look in looks.items():
            lines, marks = _by_share(result, name, part)
            panel.plot([s for s, _ in lines], [q for _, q in lines], **look)
            panel.plot([s for s, _ in marks], [q for _, q in marks], **(look | {"linestyle": "", "alpha": 0.6}))
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(f"at recall {FLOOR}, {what}; random filters joined by lines", fontsize=10)
        panel.set_xlabel("share of the rows that pass")
        panel.grid(visible=True, which="both", alpha=0.25)
    panels[0].set_ylabel("queries a second")
    _legend(figure, looks)
    figure.suptitle(f"{result['workload']['name']}: queries a second against selectivity")
    figure.tight_layout(rect=(0, 0.1, 1, 0.97))
    return figure


def _by_share(result: dict[str, Any], name: str, part: summary.Part) -> tuple[list[tuple[float, float]], ...]:
    """(share, speed) of the random cells, by share, and of the others."""
    random: list[tuple[float, float]] = []
    others: list[tuple[float, float]] = []
    for cell in summary.cells(result):
        point = summary.fastest(summary.methods(result, cell).get(name, []), FLOOR, part)
        if point:
            pair = (result["cells"][cell]["share"], summary.speed(point, part))
            (random if cell.startswith("random_") else others).append(pair)
    return sorted(random), others


def _legend(figure: Figure, looks: dict[str, Style]) -> None:
    lines = [plt.Line2D([], [], label=name, **look) for name, look in looks.items()]
    figure.legend(handles=lines, loc="lower center", ncol=9, fontsize=9, frameon=False)


PLOTS: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "recall": recall_against_speed,
    "selectivity": speed_against_selectivity,
}


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    plt.close(figure)
    return buffer.getvalue()
