"""What the page draws, as data: plots of filtered and unfiltered results, of peers by themselves, and of growth.

A plot is a dict that page.js reads: its kind, title and axes, and points that have been worked out here. A plot
without points is not made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.filtered import summary
from bench.filtered.summary import AUTO, FLOOR
from bench.filtered.tables import setting, title
from bench.metrics import SweepPoint, pareto_front

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Plot = dict[str, Any]
LEAST_RECALL = 0.7  # what finds less is not shown
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
    if kind not in made:
        raise ValueError(f"a result of kind {kind!r} cannot be drawn; expected one of {', '.join(made)}")
    return [plot for plot in made[kind](result) if plot is not None]


def filtered(result: dict[str, Any]) -> Iterator[Plot | None]:
    """Recall against speed in every cell, speed against selectivity, what the planner chose, build and memory."""
    for cell in summary.cells(result):
        yield _lines(
            f"{title(cell)}: {result['cells'][cell]['share']:.2%} of the rows pass",
            ("recall", "queries a second", "y"),
            [_front(name, points) for name, points in summary.methods(result, cell).items()],
            floor=FLOOR,
        )
    for part, words in PARTS.items():
        yield _lines(
            f"Speed at recall {FLOOR} against selectivity, {words}",
            ("share of the rows that pass", "queries a second", "xy"),
            [_by_share(result, name, part) for name in summary.method_names(result)],
        )
    yield choices(result)
    for measure, words in (("build_s", "Build, seconds"), ("memory_bytes", "Index and vectors, bytes")):
        yield _bars(words, words, [(name, peer[measure]) for name, peer in result["builds"].items()])


def unfiltered(result: dict[str, Any]) -> Iterator[Plot | None]:
    """Recall against speed, build time and memory of a workload without predicates."""
    series = []
    for name, peer in result["peers"].items():
        points = [(p["recall"], float(np.median(p["single_qps"])), f"effort {p['effort']}") for p in peer["sweep"]]
        series.append(_pareto(name, points))
    yield _lines("One query a call, no predicate", ("recall", "queries a second", "y"), series, floor=FLOOR)
    for measure, words in (("build_s", "Build, seconds"), ("memory_bytes", "Index and vectors, bytes")):
        yield _bars(words, words, [(name, peer[measure]) for name, peer in result["peers"].items()])


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
        words, unit = SIZES.get(measure, (measure.replace("query_s", "A query,"), "seconds"))
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
                "name": f"{title(compared.cell)[:30]} {compared.share:.2%}",
                "values": [round(best.qps / max(known), 3) if best else None for best in bests],
                "chosen": [done.get(name.removeprefix("vdb "), 0) / max(sum(done.values()), 1) for name in plans] + [0],
            }
        )
    if not rows:
        return None
    columns = [name.removeprefix("vdb ") for name in (*plans, AUTO)]
    words = f"Speed at recall {FLOOR} beside the fastest plan (1), the row set known; a ring: what the planner chose"
    return {"kind": "grid", "title": words, "columns": columns, "rows": rows, "log": "", "y": ""}


def verdict(result: dict[str, Any]) -> list[str]:
    """Whether a method is best everywhere: in how many cells vdb's planner is first, and how far behind elsewhere."""
    compared = summary.comparisons(result)
    others = {c.peer.method for c in compared if c.peer} | {c.peer_text.method for c in compared if c.peer_text}
    lines = [f"Without vdb, {len(others)} methods are first somewhere: {', '.join(sorted(others))}."] if others else []
    ratios: dict[str, list[tuple[float, str]]] = {
        "row set known, beside the peers": [(c.peer_ratio, _rival(c.cell, c.peer)) for c in compared if c.peer_ratio],
        "from the text, beside the peers": [
            (c.peer_text_ratio, _rival(c.cell, c.peer_text)) for c in compared if c.peer_text_ratio
        ],
        "beside its own best forced plan": [
            (c.forced_ratio, _rival(c.cell, c.forced)) for c in compared if c.forced_ratio
        ],
    }
    for words, found in ratios.items():
        if found:
            behind = [f"{rival} by {1 / ratio:.2f}" for ratio, rival in sorted(found) if ratio < 1]
            mean = summary.geometric_mean(ratio for ratio, _ in found)
            first = len(found) - len(behind)
            lines.append(
                f"The planner is first in {first} of {len(found)} cells at recall {FLOOR}, {words} (geometric mean of "
                f"the ratios {mean:.2f}){'; behind ' + ', '.join(behind) if behind else ''}."
            )
    return lines


def _rival(cell: str, best: summary.Best | None) -> str:
    return f"{best.method if best else ''} in {cell}"


def _front(name: str, points: list[dict[str, Any]]) -> Plot | None:
    measured = [
        (p["recall"], summary.speed(p, "core") or summary.speed(p, "text"), setting(p))
        for p in points
        if not p["refused"]
    ]
    return _pareto(name, measured)


def _pareto(name: str, points: list[tuple[float, float, str]]) -> Plot | None:
    shown = pareto_front([SweepPoint(recall, qps) for recall, qps, _ in points if recall >= LEAST_RECALL and qps])
    words = {(recall, qps): what for recall, qps, what in points}
    return _series(name, [(p.recall, p.qps, words[p.recall, p.qps]) for p in shown])


def _by_share(result: dict[str, Any], name: str, part: summary.Part) -> Plot | None:
    points = []
    for cell in summary.cells(result):
        point = summary.fastest(summary.methods(result, cell).get(name, []), FLOOR, part)
        if point:
            points.append((result["cells"][cell]["share"], summary.speed(point, part), title(cell)))
    return _series(name, sorted(points), joined=False)


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
    return {"kind": "lines", "title": words, "x": x, "y": y, "log": log, "series": kept} | more if kept else None


def _bars(words: str, unit: str, bars: Iterable[tuple[str, float]]) -> Plot | None:
    kept = [(name, value) for name, value in bars if value > 0]
    return {"kind": "bars", "title": words, "y": unit, "log": "y", "bars": kept} if kept else None
