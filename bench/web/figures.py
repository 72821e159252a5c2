"""What the page draws, as data: plots of filtered and unfiltered results, of peers by themselves, and of growth.

A plot is a dict that page.js reads: its kind, title and axes, and points that have been worked out here. A plot
without points is not made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.filtered import summary
from bench.filtered.summary import AUTO, FLOOR
from bench.filtered.tables import setting, share, title
from bench.metrics import SweepPoint, pareto_front

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Plot = dict[str, Any]
LEAST_RECALL = 0.7  # what finds less is not shown
LEAST_SPAN = 10  # of the shares that pass, between the largest and the least: closer ones make no plot
FEW_CELLS = 4  # so many get bars of their own
SHARE = "share of the rows that pass"
UNITS = {"recall": "recall", SHARE: "share", "seconds": "seconds", "bytes": "bytes"}  # of axes, as page.js knows them
PARTS: dict[summary.Part, str] = {"core": "row set known", "text": "from the text of the predicate"}
SIZES = {
    "build_s": ("Build", "seconds"),
    "build_peak_bytes": ("Most resident while building, the input included", "bytes"),
    "index_bytes": ("Index and vectors by the peer's own count", "bytes"),
    "query_peak_bytes": ("Most resident while searching", "bytes"),
}


def of(result: dict[str, Any]) -> list[Plot]:
    """Every plot of a result, whatever its kind."""
    kind = result["workload"].get("kind", "unfiltered")
    made: dict[str, Any] = {"filtered": filtered, "solo": solo, "scaling": scaling, "unfiltered": unfiltered}
    made["large"] = lambda _: ()  # one table says it
    if kind not in made:
        raise ValueError(f"a result of kind {kind!r} cannot be drawn; expected one of {', '.join(made)}")
    return [plot for plot in made[kind](result) if plot is not None]


def sheets(result: dict[str, Any]) -> dict[str, list[Plot]]:
    """The plots that make one picture, by the end of its file's name."""
    if result["workload"].get("kind") != "filtered":
        return {"plots": found} if (found := of(result)) else {}
    parts = {
        "recall": fronts(result),
        "speed": at_floor(result),
        "selectivity": selectivity(result),
        "choices": [choices(result)],
    }
    made = {name: [plot for plot in plots if plot is not None] for name, plots in parts.items()}
    return {name: plots for name, plots in made.items() if plots}


def filtered(result: dict[str, Any]) -> Iterator[Plot | None]:
    """Recall against speed in every cell, speed against selectivity, what the planner chose, build and memory."""
    yield from fronts(result)
    yield from at_floor(result)
    yield from selectivity(result)
    yield choices(result)
    yield from _weights(result["builds"])


def fronts(result: dict[str, Any]) -> Iterator[Plot | None]:
    """Recall against speed in every cell, a line for each method."""
    for cell in summary.cells(result):
        found = summary.methods(result, cell)
        yield _lines(
            f"{title(cell)}; {share(result, cell)} of the rows pass",
            ("recall", "queries a second", "y"),
            [_front(name, points, hidden=_hidden(name, found)) for name, points in found.items()],
            floor=FLOOR,
        )


def at_floor(result: dict[str, Any]) -> Iterator[Plot | None]:
    """Where there are few cells: the speed of each method at the floor, the fastest first; of vdb the planner's."""
    cells = summary.cells(result)
    for cell in cells if len(cells) <= FEW_CELLS else ():
        found = summary.methods(result, cell)
        for part, words in PARTS.items():
            bests = [summary.best(found, [name], FLOOR, part) for name in found if name == AUTO or not _is_plan(name)]
            speeds = sorted(((best.method, best.qps) for best in bests if best), key=lambda pair: -pair[1])
            yield _bars(f"{title(cell)}: queries a second at recall {FLOOR}, {words}", "queries a second", speeds)


def selectivity(result: dict[str, Any]) -> Iterator[Plot | None]:
    """Speed at the floor against the share that passes: random filters joined by lines, the others as marks."""
    shares = [result["cells"][cell]["share"] for cell in summary.cells(result)]
    if max(shares, default=1) < LEAST_SPAN * min(shares, default=1):
        return
    names = summary.method_names(result)
    for part, words in PARTS.items():
        yield _lines(
            f"Speed at recall {FLOOR} against selectivity, {words}; random filters are joined by lines",
            (SHARE, "queries a second", "xy"),
            [each for name in names for each in _by_share(result, name, part, hidden=_hidden(name, names))],
            wide=True,
        )


def _is_plan(name: str) -> bool:
    """Whether a method is a plan of vdb that was forced."""
    return summary.is_own(name) and name != AUTO


def _hidden(name: str, names: Iterable[str]) -> bool:
    """Forced plans wait for a click where there are peers to see."""
    return _is_plan(name) and not all(map(summary.is_own, names))


def _weights(peers: dict[str, dict[str, Any]]) -> Iterator[Plot | None]:
    yield _bars("Build", "seconds", [(name, peer["build_s"]) for name, peer in peers.items()])
    yield _bars(SIZES["index_bytes"][0], "bytes", [(name, peer["memory_bytes"]) for name, peer in peers.items()])


def unfiltered(result: dict[str, Any]) -> Iterator[Plot | None]:
    """Recall against speed, build time and memory of a workload without predicates."""
    series = []
    for name, peer in result["peers"].items():
        points = [(p["recall"], float(np.median(p["single_qps"])), f"effort {p['effort']}") for p in peer["sweep"]]
        series.append(_pareto(name, points))
    yield _lines("One query a call, no predicate", ("recall", "queries a second", "y"), series, floor=FLOOR)
    yield from _weights(result["peers"])


def solo(result: dict[str, Any]) -> Iterator[Plot | None]:
    """What each peer takes in a process of its own."""
    for measure, (words, unit) in SIZES.items():
        yield _bars(words, unit, [(name, peer[measure]) for name, peer in result["peers"].items()])


def scaling(result: dict[str, Any]) -> Iterator[Plot | None]:
    """Every measure against the rows, with the line of least squares and its exponent."""
    measures = {measure: None for found in result["peers"].values() for measure in found}
    for measure in measures:
        series = []
        for peer, found in result["peers"].items():
            values = sorted((int(rows), value) for rows, value in found.get(measure, {}).items())
            series.append(_series(peer, [(rows, value, "") for rows, value in values], joined=False))
            series.append(_fitted(peer, values))
        words, unit = SIZES.get(
            measure, (f"A query from the text, {title(measure.removeprefix('query_s '))}", "seconds")
        )
        yield _lines(f"{words}, against the rows", ("rows", unit, "xy"), series)


def choices(result: dict[str, Any]) -> Plot | None:
    """A row a cell, by selectivity: how each plan of vdb does beside its fastest, and which the planner chose."""
    plans = [name for name in summary.method_names(result) if summary.is_own(name) and name != AUTO]
    rows = []
    for compared in sorted(summary.comparisons(result), key=lambda each: each.share):
        found = summary.methods(result, compared.cell)
        bests = [summary.best(found, [name], FLOOR, "core") for name in (*plans, AUTO)]
        known = [best.qps for best in bests if best]
        if not known:
            continue
        default = next((point for point in found.get(AUTO, []) if not point["effort"]), None)
        done = default["done"] if default else {}
        rows.append(
            {
                "name": f"{title(compared.cell)}; {share(result, compared.cell)}",
                "values": [round(best.qps / max(known), 3) if best else None for best in bests],
                "chosen": [done.get(name.removeprefix("vdb "), 0) / max(sum(done.values()), 1) for name in plans] + [0],
            }
        )
    if not rows:
        return None
    columns = [name.removeprefix("vdb ") for name in (*plans, AUTO)]
    words = f"Speed at recall {FLOOR} beside the fastest plan (1), the row set known; a ring: what the planner chose"
    return {"kind": "grid", "title": words, "columns": columns, "rows": rows, "wide": True}


def _front(name: str, points: list[dict[str, Any]], *, hidden: bool) -> Plot | None:
    measured = [
        (p["recall"], summary.speed(p, "core") or summary.speed(p, "text"), setting(p))
        for p in points
        if not p["refused"]
    ]
    return _pareto(name, measured, hidden=hidden)


def _pareto(name: str, points: list[tuple[float, float, str]], *, hidden: bool = False) -> Plot | None:
    shown = pareto_front([SweepPoint(recall, qps) for recall, qps, _ in points if recall >= LEAST_RECALL and qps])
    words = {(recall, qps): what for recall, qps, what in points}
    return _series(name, [(p.recall, p.qps, words[p.recall, p.qps]) for p in shown], hidden=hidden)


def _by_share(result: dict[str, Any], name: str, part: summary.Part, *, hidden: bool) -> list[Plot | None]:
    joined: list[tuple[float, float, str]] = []
    apart: list[tuple[float, float, str]] = []
    for cell in summary.cells(result):
        point = summary.fastest(summary.methods(result, cell).get(name, []), FLOOR, part)
        if point:
            place = joined if cell.startswith("random_") else apart
            place.append((result["cells"][cell]["share"], summary.speed(point, part), title(cell)))
    return [_series(name, sorted(joined), hidden=hidden), _series(name, apart, joined=False, hidden=hidden)]


def _fitted(peer: str, values: list[tuple[int, float]]) -> Plot | None:
    if len(values) < 2:
        return None
    slope, start = np.polyfit(np.log([rows for rows, _ in values]), np.log([value for _, value in values]), 1)
    ends = (values[0][0], values[-1][0])
    points = [(rows, float(np.exp(start + slope * np.log(rows))), "") for rows in ends]
    return _series(f"{peer}: rows^{slope:.2f}", points, look=peer)


def _series(name: str, points: Iterable[tuple[float, float, str]], **more: Any) -> Plot | None:
    kept = [point for point in points if np.isfinite(point[:2]).all()]
    return {"name": name, "own": name.startswith("vdb"), "points": kept} | more if kept else None


def _lines(words: str, axes: tuple[str, str, str], series: Iterable[Plot | None], **more: Any) -> Plot | None:
    kept = [each for each in series if each]
    x, y, log = axes
    axes_of = {"x": x, "y": y, "log": log, "units": [UNITS.get(x, ""), UNITS.get(y, "")]}
    return {"kind": "lines", "title": words, "series": kept} | axes_of | more if kept else None


def _bars(words: str, unit: str, bars: Iterable[tuple[str, float]]) -> Plot | None:
    kept = [(name, value) for name, value in bars if value > 0]
    return {"kind": "bars", "title": words, "units": ["", UNITS.get(unit, "")], "bars": kept} if kept else None
