"""The plots of the page as PNG files, for documents: the same points, drawn by matplotlib."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")  # no display is needed

import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from bench.web.figures import Plot

COLUMNS = 3
DPI = 100


def png(plots: Sequence[Plot]) -> bytes:
    """Some plots, at least one, side by side in rows of three."""
    columns = min(len(plots), COLUMNS)
    rows = math.ceil(len(plots) / columns)
    size = (14, 0.45 * len(plots[0]["rows"]) + 1.2) if plots[0]["kind"] == "grid" else (5.6 * columns, 4.4 * rows)
    figure, panels = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for panel, plot in zip(panels.flat, plots, strict=False):
        KINDS[plot["kind"]](panel, plot)
        panel.set_title(plot["title"], fontsize=9)
    for panel in panels.flat[len(plots) :]:
        panel.set_visible(False)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    plt.close(figure)
    return buffer.getvalue()


def _lines(panel: Axes, plot: Plot) -> None:
    names = list(dict.fromkeys(series.get("look", series["name"]) for series in plot["series"]))
    colours = {name: plt.get_cmap("tab20")(at % 20) for at, name in enumerate(names)}
    for series in plot["series"]:
        look: dict[str, Any] = {"color": colours[series.get("look", series["name"])], "label": series["name"]}
        look |= {"linestyle": "" if series.get("joined") is False else "-" if series["own"] else "--"}
        marked = "" if "look" in series else "o"
        xs, ys, _ = zip(*series["points"], strict=True)
        panel.plot(xs, ys, marker=marked, markersize=4, linewidth=2 if series["own"] else 1, **look)
    for axis, letter in ((panel.set_xscale, "x"), (panel.set_yscale, "y")):
        axis("log" if letter in plot["log"] else "linear")
    panel.set_xlabel(plot["x"])
    panel.set_ylabel(plot["y"])
    panel.grid(visible=True, which="both", alpha=0.25)
    panel.legend(fontsize=7, frameon=False)


def _bars(panel: Axes, plot: Plot) -> None:
    names, values = zip(*plot["bars"], strict=True)
    bars = panel.bar(names, values, color=["black" if name.startswith("vdb") else "tab:blue" for name in names])
    panel.bar_label(bars, fmt="%.3g", fontsize=7)
    panel.set_yscale("log" if "y" in plot["log"] else "linear")
    panel.set_ylabel(plot["y"])
    panel.tick_params(axis="x", rotation=40, labelsize=8)


def _grid(panel: Axes, plot: Plot) -> None:
    values = [[math.nan if value is None else value for value in row["values"]] for row in plot["rows"]]
    panel.imshow(values, cmap="RdYlGn", vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(plot["rows"]):
        for x, (value, chosen) in enumerate(zip(row["values"], row["chosen"], strict=True)):
            ringed = {"boxstyle": "round", "facecolor": "none", "linewidth": 3 * chosen} if chosen else None
            panel.text(x, y, "" if value is None else f"{value:.2f}", ha="center", va="center", bbox=ringed, fontsize=8)
    panel.set_xticks(range(len(plot["columns"])), plot["columns"])
    panel.set_yticks(range(len(plot["rows"])), [row["name"] for row in plot["rows"]], fontsize=8)


KINDS = {"lines": _lines, "bars": _bars, "grid": _grid}
