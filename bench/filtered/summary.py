"""What a result file comes to: the best setting of every method in every cell, and the ratios that matter.

A time is of the `core`, the row set being known, or of the `text`, the whole search from the predicate's text on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Part = Literal["core", "text"]
AUTO, SCAN = "vdb auto", "vdb scan"
FLOOR = 0.95  # of recall, for the comparisons
# What the comparisons ask for.
FORCED_RATIO, PEER_RATIO, PEER_MEAN = 0.95, 1.3, 3.0
TEXT_RATIO, TEXT_OVER_US = 1.3, 150.0
WORST_SCAN, WORST_MEDIAN = 1.3, 2.0


def speed(point: dict[str, Any], part: Part) -> float:
    """Queries a second: the median of the repetitions; 0 where the part was not measured."""
    return float(np.median(point[part]["qps"])) if point[part] else 0.0


def fastest(points: Iterable[dict[str, Any]], floor: float, part: Part) -> dict[str, Any] | None:
    """The fastest setting that reaches a recall, if one does, of those measured most often: one pass may be lucky.

    A setting that refused a question does not count.
    """
    reaching = [p for p in points if p["recall"] >= floor and not p["refused"] and p[part]]
    most = max((len(p[part]["qps"]) for p in reaching), default=0)
    return max((p for p in reaching if len(p[part]["qps"]) == most), key=lambda point: speed(point, part), default=None)


def methods(result: dict[str, Any], cell: str) -> dict[str, list[dict[str, Any]]]:
    """The points of every method that was measured in a cell."""
    peers = result["cells"].get(cell, {}).get("peers", {})
    return {name: kept["points"] for peer in peers.values() for name, kept in peer.items() if kept["points"]}


def method_names(result: dict[str, Any]) -> list[str]:
    """Every method measured in some cell, those of vdb first, in the order of the workload."""
    names = {name: None for cell in cells(result) for name in methods(result, cell)}
    return sorted(names, key=lambda name: not is_own(name))


def cells(result: dict[str, Any]) -> list[str]:
    """The cells that were measured, in the order of the workload."""
    return [cell for cell in result["workload"]["search"]["cells"] if cell in result["cells"]]


def is_own(method: str) -> bool:
    """Whether a method is a strategy of vdb."""
    return method.startswith("vdb ")


@dataclass(frozen=True)
class Best:
    """The fastest of several methods at a floor."""

    method: str
    point: dict[str, Any]
    qps: float


def best(found: dict[str, list[dict[str, Any]]], names: Sequence[str], floor: float, part: Part) -> Best | None:
    """The fastest of the named methods that reach the floor."""
    reached = [(name, point) for name in names if (point := fastest(found.get(name, []), floor, part))]
    each = [Best(name, point, speed(point, part)) for name, point in reached]
    return max(each, key=lambda one: one.qps, default=None)


@dataclass(frozen=True)
class Comparison:
    """vdb's own choice in one cell beside its best forced plan and the best peer, by both times, at a floor."""

    cell: str
    share: float
    auto: Best | None
    forced: Best | None
    peer: Best | None
    auto_text: Best | None
    peer_text: Best | None

    @property
    def forced_ratio(self) -> float | None:
        """Speed of the planner's choice beside the best forced plan."""
        return ratio(self.auto, self.forced)

    @property
    def peer_ratio(self) -> float | None:
        """Speed beside the best peer, the row set being known to both."""
        return ratio(self.auto, self.peer)

    @property
    def peer_text_ratio(self) -> float | None:
        """Speed beside the best peer, both from the text on."""
        return ratio(self.auto_text, self.peer_text)


def ratio(one: Best | None, other: Best | None) -> float | None:
    """How many times as fast one is, where both are known."""
    return one.qps / other.qps if one and other else None


def comparisons(result: dict[str, Any], floor: float = FLOOR) -> list[Comparison]:
    """One for each cell. A peer that only reads text is compared by the text."""
    compared = []
    for cell in cells(result):
        found = methods(result, cell)
        forced = [name for name in found if is_own(name) and name != AUTO]
        others = [name for name in found if not is_own(name)]
        compared.append(
            Comparison(
                cell,
                result["cells"][cell]["share"],
                best(found, [AUTO], floor, "core"),
                best(found, forced, floor, "core"),
                best(found, others, floor, "core"),
                best(found, [AUTO], floor, "text"),
                best(found, others, floor, "text"),
            )
        )
    return compared


def geometric_mean(values: Iterable[float | None]) -> float | None:
    """Of the values that are known."""
    known = [value for value in values if value is not None]
    return float(np.exp(np.mean(np.log(known)))) if known else None


@dataclass(frozen=True)
class Latency:
    """Times of the planner's choice in a cell at a floor, in microseconds, and the worst of the scan."""

    cell: str
    point: dict[str, Any]
    scan_max_us: float | None

    @property
    def text_ratio(self) -> float:
        """The usual time from the text beside that of the core."""
        return float(self.point["text"]["median_us"] / self.point["core"]["median_us"])

    @property
    def text_over_us(self) -> float:
        """What the text adds to the usual time."""
        return float(self.point["text"]["median_us"] - self.point["core"]["median_us"])

    @property
    def is_bounded(self) -> bool:
        """Whether the worst query took at most what the scan bounds it to, or twice the usual."""
        core = self.point["core"]
        by_scan = self.scan_max_us is not None and core["max_us"] <= WORST_SCAN * self.scan_max_us
        return bool(by_scan or core["max_us"] < WORST_MEDIAN * core["median_us"])


def latencies(result: dict[str, Any], floor: float = FLOOR) -> list[Latency]:
    """One for each cell in which the planner's choice reaches the floor."""
    found = []
    for cell in cells(result):
        measured = methods(result, cell)
        chosen = best(measured, [AUTO], floor, "core")
        scan = best(measured, [SCAN], floor, "core")
        if chosen and chosen.point["text"]:
            found.append(Latency(cell, chosen.point, scan.point["core"]["max_us"] if scan else None))
    return found


def verdict(result: dict[str, Any]) -> list[str]:
    """Whether a method is best everywhere: in how many cells vdb's planner is first, and how far behind elsewhere."""
    compared = comparisons(result)
    others = {c.peer.method for c in compared if c.peer} | {c.peer_text.method for c in compared if c.peer_text}
    lines = [f"Without vdb, {len(others)} methods are first somewhere: {', '.join(sorted(others))}."] if others else []
    rivals = {
        "row set known, beside the peers": [(c.cell, c.auto, c.peer) for c in compared],
        "from the text, beside the peers": [(c.cell, c.auto_text, c.peer_text) for c in compared],
        "beside its own best forced plan": [(c.cell, c.auto, c.forced) for c in compared],
    }
    for words, found in rivals.items():
        met = sorted((ratio(own, rival) or 0, cell, rival.method) for cell, own, rival in found if rival)
        if met:
            behind = [f"{name} in {cell} by {1 / x:.2f}" for x, cell, name in met if 0 < x < 1]
            behind += [f"{name} in {cell}, where it does not find that much" for x, cell, name in met if not x]
            mean = geometric_mean(x or None for x, _, _ in met)
            lines.append(
                f"The planner is first in {len(met) - len(behind)} of {len(met)} cells at recall {FLOOR}, {words}"
                f"{f' (geometric mean of the ratios {mean:.2f})' if mean else ''}"
                f"{'; behind ' + ', '.join(behind) if behind else ''}."
            )
    return lines
