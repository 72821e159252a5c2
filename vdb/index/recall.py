"""A recall curve: how much of the exact answer walks of growing effort find, as a value that chooses the effort.

Everything here is pure. `vdb/index/measure.py` makes the curves, `vdb/query/planner.py` asks them.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vdb.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

KS: Final = (1, 10, 100)  # answer sizes a curve is measured for
LEAST_ROWS: Final = 1024  # with fewer, a walk costs more than the scan, and no curve is needed
_FORMAT: Final = 1  # of the stored form; another is measured anew

# A curve is measured again when the slots have grown by half, or when a fifth of the rows it was measured on are gone:
# recall at one effort falls by a few thousandths per doubling, so a curve a factor of 1.5 old is off by less than its
# own error of sampling, and growth by a constant factor makes the cost of all measurements a multiple of the last.
_GROWTH: Final = 1.5
_DEAD_SHARE: Final = 0.2


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
    """

    slots: int
    rows: int
    queries: int
    efs: tuple[int, ...]
    recalls: tuple[tuple[float, ...], ...]

    def ef_for(self, recall: float, k: int) -> int | None:
        """The least effort that is expected to reach a mean recall of the k nearest, at least k.

        None where the curve does not reach it, as at 1.0: only the scan does. Rises with `recall` and with `k`. Between
        the measured answer sizes it is interpolated; beyond the greatest one it grows in proportion to k.
        """
        if recall >= 1.0:
            return None
        efforts = [self._effort(recall, i) for i in range(len(KS))]
        for i in range(1, len(efforts)):  # a larger answer never takes less
            efforts[i] = max(efforts[i - 1], efforts[i])
        found = _between(efforts, k)
        return None if math.isinf(found) else max(math.ceil(found), k)

    def _effort(self, recall: float, i: int) -> float:
        """The effort for one measured answer size, infinite beyond the curve."""
        curve = self._rising(i)
        j = next((j for j, reached in enumerate(curve) if reached >= recall), None)
        if j is None:
            return math.inf
        if j == 0:
            return float(self.efs[0])
        share = (recall - curve[j - 1]) / (curve[j] - curve[j - 1])
        return float(self.efs[j - 1] * (self.efs[j] / self.efs[j - 1]) ** share)

    def _rising(self, i: int) -> list[float]:
        """The curve of one answer size with every dip, which is an error of sampling, taken as what was true before."""
        return list(itertools.accumulate(reversed(self.recalls[i]), min))[::-1]

    def is_stale(self, slots: int, rows: int) -> bool:
        """Whether a table of so many slots and live rows has moved too far from the one it was measured on."""
        dead_since = (slots - self.slots) - (rows - self.rows)
        return slots < self.slots or slots > _GROWTH * self.slots or dead_since > _DEAD_SHARE * self.rows

    def __str__(self) -> str:
        lines = [f"recall by ef_search ({self.queries} queries, {self.rows:,} rows)"]
        lines.append("  ef     " + "".join(f"{ef:>8}" for ef in self.efs))
        for k, recalls in zip(KS, self.recalls, strict=True):
            lines.append(f"  k={k:<5}" + "".join(f"{recall:>8.4f}" for recall in recalls))
        return "\n".join(lines)

    def to_json(self) -> str:
        """What `from_json` reads."""
        fields = {name: getattr(self, name) for name in ("slots", "rows", "queries", "efs", "recalls")}
        return json.dumps({"format": _FORMAT, "ks": KS, **fields})

    @classmethod
    def from_json(cls, text: str) -> RecallCurve | None:
        """The curve of a stored text; None where it is of another format or no curve, and must be measured anew."""
        try:
            stored = json.loads(text)
            if stored["format"] != _FORMAT or tuple(stored["ks"]) != KS:
                return None
            return _checked(stored)
        except (ValueError, TypeError, KeyError, OverflowError):
            return None


def _checked(stored: Mapping[str, Any]) -> RecallCurve:
    """The curve of its fields; a ValueError, TypeError, KeyError or OverflowError where they cannot be those of one."""
    curve = RecallCurve(
        slots=int(stored["slots"]),
        rows=int(stored["rows"]),
        queries=int(stored["queries"]),
        efs=tuple(int(ef) for ef in stored["efs"]),
        recalls=tuple(tuple(float(recall) for recall in row) for row in stored["recalls"]),
    )
    rising = all(a < b for a, b in zip(curve.efs, curve.efs[1:], strict=False))
    whole = len(curve.recalls) == len(KS) and all(len(row) == len(curve.efs) for row in curve.recalls)
    within = all(0.0 <= recall <= 1.0 for row in curve.recalls for recall in row)
    if not (curve.efs and curve.efs[0] > 0 and curve.queries > 0 and rising and whole and within):
        raise ValueError("not a recall curve")
    return curve


def _between(efforts: list[float], k: int) -> float:
    """The effort for k between, or beyond, the measured answer sizes; both scales are logarithmic."""
    if k >= KS[-1]:
        return efforts[-1] * (k / KS[-1])
    high = next(i for i, known in enumerate(KS) if known >= k)
    if k == KS[high]:
        return efforts[high]
    below, above = efforts[high - 1], efforts[high]
    if math.isinf(above):
        return above
    share = math.log(k / KS[high - 1]) / math.log(KS[high] / KS[high - 1])
    return float(below * (above / below) ** share)


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
