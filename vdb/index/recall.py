"""A recall curve: how much of the exact answer walks of growing effort find, as a value that chooses the effort.

Everything here is pure. `vdb/index/measure.py` makes the curves, `vdb/query/methods` asks them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from vdb.errors import InvalidArgument
from vdb.index.effort import KS, FilteredWalks, checked_counts, checked_efforts, effort_for

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_ROWS: Final = 1024  # with fewer, a walk costs more than the scan, and no curve is needed
BOUNDS_FACTOR: Final = 8  # what bounds find about as much as, with fewer rows: they take its place among the factors
_FORMAT: Final = 3  # of the stored form; another is measured anew

# A curve is measured again when the slots have grown by half, or when a fifth of the rows it was measured on are gone:
# recall at one effort falls by a few thousandths per doubling, so a curve a factor of 1.5 old is off by less than its
# own error of sampling, and growth by a constant factor makes the cost of all measurements a multiple of the last.
_GROWTH: Final = 1.5
_DEAD_SHARE: Final = 0.2


class Rung(NamedTuple):
    """How hard an inverted file is searched at one effort of its curve.

    Attributes
    ----------
    nprobe : int
        Lists read.
    factor : int
        Rows measured for each one asked for; 0: as many as the bounds of the codes ask for.
    measured : float
        The mean of the rows that were measured for the ten nearest.
    """

    nprobe: int
    factor: int
    measured: float

    @property
    def effort(self) -> int:
        """The number that stands for it: lists times the factor."""
        return self.nprobe * (self.factor or BOUNDS_FACTOR)


@dataclass(frozen=True, slots=True)
class RecallCurve:
    """What `list_indexes` shows of the efforts that recalls take; prints as a table.

    Attributes
    ----------
    slots, rows : int
        Slots covered and rows live when it was measured.
    queries : int
        Sample queries it was measured with.
    efs : tuple of int
        Efforts, rising.
    recalls : tuple of tuple of float
        `recalls[i][j]` is the mean recall of the `KS[i]` nearest at `efs[j]`.
    steps : tuple of float
        The mean of the rows a walk looked at, by code or vector, at each effort.
    filtered : tuple of FilteredWalks
        The same under filters of several shares, falling; empty where none was worth a walk.
    code_scan : float
        The least mean recall of the `KS` nearest by the scan of the codes; 1.0 where it is exact.
    rungs : tuple of Rung
        Of an inverted file, what each of `efs` stands for: lists times the factor. Empty for a graph, whose efforts
        are candidates kept.
    """

    slots: int
    rows: int
    queries: int
    efs: tuple[int, ...]
    recalls: tuple[tuple[float, ...], ...]
    steps: tuple[float, ...] = ()
    filtered: tuple[FilteredWalks, ...] = ()
    code_scan: float = 0.0
    rungs: tuple[Rung, ...] = ()

    def ef_for(self, recall: float, k: int) -> int | None:
        """`vdb.index.effort.effort_for` of walks over all rows."""
        return effort_for(self.efs, self.recalls, recall, k)

    def unfiltered(self) -> RecallCurve:
        """The same without the walks under filters."""
        return replace(self, filtered=())

    def is_stale(self, slots: int, rows: int) -> bool:
        """Whether a table of so many slots and live rows has moved too far from the one it was measured on."""
        dead_since = (slots - self.slots) - (rows - self.rows)
        return slots < self.slots or slots > _GROWTH * self.slots or dead_since > _DEAD_SHARE * self.rows

    def __str__(self) -> str:
        knob = "nprobe" if self.rungs else "ef_search"
        lines = [f"recall by {knob} ({self.queries} queries, {self.rows:,} rows)"]
        if self.rungs:
            lines.append("  nprobe " + "".join(f"{rung.nprobe:>8}" for rung in self.rungs))
            lines.append("  pool/k " + "".join(f"{rung.factor or 'bounds':>8}" for rung in self.rungs))
        else:
            lines.append("  ef     " + "".join(f"{ef:>8}" for ef in self.efs))
        for k, recalls in zip(KS, self.recalls, strict=True):
            lines.append(f"  k={k:<5}" + "".join(f"{recall:>8.4f}" for recall in recalls))
        return "\n".join(lines)

    def to_json(self) -> str:
        """What `from_json` reads."""
        names = ("slots", "rows", "queries", "efs", "recalls", "steps", "code_scan", "rungs")
        fields: dict[str, Any] = {name: getattr(self, name) for name in names}
        fields["filtered"] = [walks.to_fields() for walks in self.filtered]
        return json.dumps({"format": _FORMAT, "ks": KS, **fields})

    @classmethod
    def from_json(cls, text: str) -> RecallCurve | None:
        """The curve of a stored text; None where it is of another format or no curve, and must be measured anew."""
        try:
            stored = json.loads(text)
            if stored["format"] != _FORMAT or tuple(stored["ks"]) != KS:
                return None
            return _checked(stored)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None


def _checked(stored: Mapping[str, Any]) -> RecallCurve:
    """The curve of its fields; a ValueError, TypeError, KeyError or OverflowError where they cannot be those of one."""
    efs, recalls = checked_efforts(stored["efs"], stored["recalls"])
    curve = RecallCurve(
        slots=int(stored["slots"]),
        rows=int(stored["rows"]),
        queries=int(stored["queries"]),
        efs=efs,
        recalls=recalls,
        steps=checked_counts(stored["steps"], len(efs)) if stored["steps"] else (),
        filtered=tuple(FilteredWalks.from_fields(walks) for walks in stored["filtered"]),
        code_scan=float(stored["code_scan"]),
        rungs=tuple(
            Rung(int(nprobe), int(factor), float(measured)) for nprobe, factor, measured in stored.get("rungs", ())
        ),
    )
    climbs = all(rung.nprobe > 0 and rung.factor >= 0 and rung.measured >= 0.0 for rung in curve.rungs)
    if curve.queries <= 0 or not 0.0 <= curve.code_scan <= 1.0 or not climbs or len(curve.rungs) not in (0, len(efs)):
        raise ValueError("not a recall curve")
    return curve


def widened(effort: int, nodes: int, matching: int) -> int:
    """Nodes a walk keeps to meet `effort` matching ones, if those are spread evenly over the graph."""
    return min(math.ceil(effort * max(nodes / max(matching, 1), 1.0)), max(nodes, 1))


def check_recall(value: object) -> float:
    """`value` as a float in (0, 1], InvalidArgument where it is not one."""
    try:
        recall = math.nan if isinstance(value, (bool, str, bytes)) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        recall = math.nan
    if not 0.0 < recall <= 1.0:
        raise InvalidArgument(
            f"recall must be a number above 0 and at most 1, got {value!r:.80}.\n"
            "  Fix: pass the share of the true neighbours to find, such as 0.95; 1.0 is the exact scan."
        )
    return recall
