"""The plots of the page as PNG files, for documents: the same points, drawn by matplotlib."""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")  # no display is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.web.figures import Plot

COLUMNS = 3
DPI = 110
LEGEND_INCHES = 0.55
TITLE_CHARACTERS = 60  # of a line, where panels stand side by side
RECALLS = (0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
PERFECT = 4e-4  # what recall 1 is drawn as missing
OWN = ("vdb", "vdb auto")


def png(plots: Sequence[Plot]) -> bytes:
    """Some plots, at least one, side by side in rows of three; lines share a legend, but for those that are fitted."""
    columns = 1 if "wide" in plots[0] else min(len(plots), COLUMNS)
    rows = math.ceil(len(plots) / columns)
    figure, panels = plt.subplots(rows, columns, figsize=_inches(plots, rows, columns), squeeze=False)
    names = dict.fromkeys(_look(series) for plot in plots for series in plot.get("series", ()) if _is_shown(series))
    colours = {name: "black" if name in OWN else plt.get_cmap("tab10")(at % 10) for at, name in enumerate(names)}
    fitted = any("look" in series for plot in plots for series in plot.get("series", ()))
    for panel, plot in zip(panels.flat, plots, strict=False):
        KINDS[plot["kind"]](panel, plot, colours)
        panel.set_title(plot["title"] if columns == 1 else textwrap.fill(plot["title"], TITLE_CHARACTERS), fontsize=10)
        if fitted:
            panel.legend(fontsize=8, frameon=False)
    for panel in panels.flat[len(plots) :]:
        panel.set_visible(False)
    shared = bool(names) and not fitted
    if shared:
        _legend(figure, colours, plots)
    height = float(figure.get_size_inches()[1])
    figure.tight_layout(rect=(0, LEGEND_INCHES / height if shared else 0, 1, 1))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    plt.close(figure)
    return buffer.getvalue()


def _inches(plots: Sequence[Plot], rows: int, columns: int) -> tuple[float, float]:
    if plots[0]["kind"] == "grid":
        return 14, 0.45 * len(plots[0]["rows"]) + 1.2
    if plots[0]["kind"] == "bars":
        return 5.6 * columns, (0.3 * max(len(plot.get("bars", ())) for plot in plots) + 0.9) * rows
    return (13, 5.2 * rows + LEGEND_INCHES) if columns == 1 and rows > 1 else (5.6 * columns, 4.2 * rows + 0.6)


def _look(series: Plot) -> str:
    return str(series.get("look", series["name"]))


def _is_shown(series: Plot) -> bool:
    return not series.get("hidden")


def _lines(panel: Axes, plot: Plot, colours: dict[str, Any]) -> None:
    for series in filter(_is_shown, plot["series"]):
        apart = series.get("joined") is False
        line = "" if apart else "-" if series["own"] else "--"
        marked = "" if "look" in series else "o"
        width = 2.2 if series["own"] else 1.2
        look: dict[str, Any] = {
            "color": colours[_look(series)],
            "linestyle": line,
            "marker": marked,
            "linewidth": width,
        }
        xs, ys, _ = zip(*series["points"], strict=True)
        faint = 0.45 if apart and "wide" in plot else 1
        panel.plot(xs, ys, label=series["name"], markersize=4, alpha=faint, zorder=3 if series["own"] else 2, **look)
    for name in plot["log"]:
        (panel.set_xscale if name == "x" else panel.set_yscale)("log")
    for axis, unit in zip((panel.xaxis, panel.yaxis), plot["units"], strict=True):
        if unit in FORMATS:
            axis.set_major_formatter(FuncFormatter(lambda value, _, unit=unit: FORMATS[unit](value)))
    if plot["units"][0] == "recall":
        panel.set_xscale("function", functions=(_bent, _straight))
        panel.set_xlim(RECALLS[0] - 0.02, _straight(-math.log10(PERFECT) + 0.1))
        panel.set_xticks(RECALLS, [f"{recall:g}" for recall in RECALLS])
        panel.xaxis.set_minor_locator(NullLocator())
    if "floor" in plot:
        panel.axvline(plot["floor"], color="grey", linewidth=0.8, linestyle=":")
    panel.set_xlabel(plot["x"])
    panel.set_ylabel(plot["y"])
    panel.grid(visible=True, which="both", alpha=0.25)


def _bent(recall: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Recall by the logarithm of what is missing; 1 has a place too."""
    missing = 1 - np.asarray(recall, np.float64)
    return np.where(missing > PERFECT, -np.log10(np.maximum(missing, PERFECT)), -np.log10(PERFECT) + PERFECT - missing)


def _straight(bent: npt.ArrayLike) -> npt.NDArray[np.float64]:
    value, most = np.asarray(bent, np.float64), -math.log10(PERFECT)
    return np.where(value < most, 1 - 10 ** -np.minimum(value, most), 1 - PERFECT + (value - most))


def _legend(figure: Figure, colours: dict[str, Any], plots: Sequence[Plot]) -> None:
    own = {_look(series) for plot in plots for series in plot.get("series", ()) if series["own"]}
    looks = {name: {"color": colour, "linestyle": "-" if name in own else "--"} for name, colour in colours.items()}
    lines = [Line2D([], [], label=name, marker="o", markersize=4, **look) for name, look in looks.items()]
    figure.legend(handles=lines, loc="lower center", ncol=math.ceil(len(lines) / 2), fontsize=9, frameon=False)


def _bars(panel: Axes, plot: Plot, _: dict[str, Any]) -> None:
    names, values = zip(*plot["bars"], strict=True)
    bars = panel.barh(names, values, color=["black" if name.startswith("vdb") else "tab:blue" for name in names])
    shown = FORMATS.get(plot["units"][1], "{:,.0f}".format)
    panel.bar_label(bars, labels=[shown(value) for value in values], fontsize=8, padding=3)
    panel.invert_yaxis()
    panel.set_xlim(0, 1.18 * max(values))
    panel.set_xticks([])
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    panel.tick_params(axis="y", length=0, labelsize=9)


def _grid(panel: Axes, plot: Plot, _: dict[str, Any]) -> None:
    values = [[math.nan if value is None else value for value in row["values"]] for row in plot["rows"]]
    panel.imshow(values, cmap="RdYlGn", vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(plot["rows"]):
        for x, (value, chosen) in enumerate(zip(row["values"], row["chosen"], strict=True)):
            ringed = {"boxstyle": "round", "facecolor": "none", "linewidth": 3 * chosen} if chosen else None
            panel.text(x, y, "" if value is None else f"{value:.2f}", ha="center", va="center", bbox=ringed, fontsize=8)
    panel.set_xticks(range(len(plot["columns"])), plot["columns"])
    panel.set_yticks(range(len(plot["rows"])), [row["name"] for row in plot["rows"]], fontsize=8)


def _bytes(value: float) -> str:
    power, letter = next(((p, x) for p, x in ((1e9, "GB"), (1e6, "MB")) if value >= p), (1e3, "kB"))
    return f"{value / power:.3g} {letter}"


def _seconds(value: float) -> str:
    power, unit = next(((p, x) for p, x in ((1, "s"), (1e-3, "ms")) if value >= p), (1e-6, "us"))
    return f"{value / power:.3g} {unit}"


FORMATS: dict[str, Callable[[float], str]] = {
    "bytes": _bytes,
    "seconds": _seconds,
    "share": lambda value: f"{100 * value:.3g} %",
}
KINDS = {"lines": _lines, "bars": _bars, "grid": _grid}
