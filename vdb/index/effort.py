"""Efforts of walks as pure values: what recall each reached and what it took, and what lies between those measured.

`vdb/index/measure.py` makes them, `vdb/index/recall.py` stores them, `vdb/query/methods` asks them.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Efs: TypeAlias = tuple[int, ...]
Recalls: TypeAlias = tuple[tuple[float, ...], ...]

KS: Final = (1, 10, 100)  # answer sizes recall is measured for
# Smaller answers take the effort of this one: a query that was turned from a row finds that row too easily.
_LEAST_K: Final = 10

_GROWTH: Final = 0.7  # of the steps of a walk with its effort, as a power, beyond the efforts measured
_APART: Final = 0.25  # rows are apart from the query where they are so much rarer near it than in the table


@dataclass(frozen=True, slots=True)
class FilteredWalks:
    """What walks under one kind of filter found, and took.

    Attributes
    ----------
    share : float
        Of the rows that passed.
    apart : bool
        Whether the rows nearest to each query were kept out; else those that passed were spread evenly.
    efs : tuple of int
        Efforts, rising.
    recalls : tuple of tuple of float
        `recalls[i][j]` is the mean recall of the `KS[i]` nearest at `efs[j]`.
    steps, tests : tuple of float
        Rows a walk looked at, by code or vector, and bits of the filter it tested: the mean at each effort. Of an
        inverted file, codes read and rows measured on the vectors.
    """

    share: float
    apart: bool
    efs: Efs
    recalls: Recalls
    steps: tuple[float, ...]
    tests: tuple[float, ...]

    def to_fields(self) -> dict[str, Any]:
        """What `from_fields` reads."""
        return {name: getattr(self, name) for name in ("share", "apart", "efs", "recalls", "steps", "tests")}

    @classmethod
    def from_fields(cls, stored: Mapping[str, Any]) -> FilteredWalks:
        """The walks of stored fields; a ValueError, TypeError, KeyError or OverflowError where they cannot be such."""
        efs, recalls = checked_efforts(stored["efs"], stored["recalls"])
        share = float(stored["share"])
        if not 0.0 < share <= 1.0:
            raise ValueError("not a share")
        steps, tests = (checked_counts(stored[name], len(efs)) for name in ("steps", "tests"))
        return cls(share, bool(stored["apart"]), efs, recalls, steps, tests)


def is_apart(density: float, share: float) -> bool:
    """Whether matching rows keep away from the query: `density` of the rows near it match, `share` of all."""
    return density < _APART * share


def effort_for(efs: Sequence[int], recalls: Sequence[Sequence[float]], recall: float, k: int) -> int | None:
    """The least effort that is expected to reach a mean recall of the k nearest, at least k.

    None where the curve does not reach it, as at 1.0: only the scan does. Rises with `recall` and with `k`. Between
    the measured answer sizes it is interpolated; beyond the greatest one it grows in proportion to k.
    """
    if recall >= 1.0:
        return None
    efforts = [_effort(efs, reached, recall) for reached in recalls]
    for i in range(1, len(efforts)):  # a larger answer never takes less
        efforts[i] = max(efforts[i - 1], efforts[i])
    found = _between(efforts, k)
    return None if math.isinf(found) else max(math.ceil(found), k)


def least_effort(efs: Sequence[int], recalls: Sequence[Sequence[float]], recall: float, k: int) -> float | None:
    """`effort_for` where an effort is no number of rows: it may be less than k, and less for a larger answer."""
    if recall >= 1.0:
        return None
    found = _between([_effort(efs, reached, recall) for reached in recalls], k)
    return None if math.isinf(found) else found


def count_at(efs: Sequence[int], counts: Sequence[float], ef: int) -> float:
    """A count measured at some efforts, at another one: by powers between them and beyond."""
    if not counts:
        return 0.0
    if ef <= efs[0] or len(efs) == 1:
        return counts[0] * float((ef / efs[0]) ** _GROWTH)
    if ef >= efs[-1]:
        return counts[-1] * float((ef / efs[-1]) ** _GROWTH)
    j = bisect_left(efs, ef)
    share = math.log(ef / efs[j - 1]) / math.log(efs[j] / efs[j - 1])
    low, high = max(counts[j - 1], 1.0), max(counts[j], 1.0)
    return low * float((high / low) ** share)


def checked_efforts(efs: Sequence[Any], recalls: Sequence[Any]) -> tuple[Efs, Recalls]:
    """Both as stored, a ValueError or TypeError where they are not of one curve."""
    known, reached = tuple(int(ef) for ef in efs), tuple(tuple(float(recall) for recall in row) for row in recalls)
    rising = all(a < b for a, b in itertools.pairwise(known))
    whole = len(reached) == len(KS) and all(len(row) == len(known) for row in reached)
    within = all(0.0 <= recall <= 1.0 for row in reached for recall in row)
    if not (known and known[0] > 0 and rising and whole and within):
        raise ValueError("not a recall curve")
    return known, reached


def checked_counts(counts: Sequence[Any], length: int) -> tuple[float, ...]:
    """Counts as stored, a ValueError or TypeError where they are not `length` counts."""
    found = tuple(float(count) for count in counts)
    if len(found) != length or not all(math.isfinite(count) and count >= 0.0 for count in found):
        raise ValueError("not counts of steps")
    return found


def _effort(efs: Sequence[int], recalls: Sequence[float], recall: float) -> float:
    """The effort for one measured answer size, infinite beyond the curve."""
    # Every dip, which is an error of sampling, is taken as what was true before.
    curve = list(itertools.accumulate(reversed(recalls), min))[::-1]
    j = next((j for j, reached in enumerate(curve) if reached >= recall), None)
    if j is None:
        return math.inf
    if j == 0:
        return float(efs[0])
    share = (recall - curve[j - 1]) / (curve[j] - curve[j - 1])
    return float(efs[j - 1] * (efs[j] / efs[j - 1]) ** share)


def _between(efforts: list[float], k: int) -> float:
    """The effort for k between, or beyond, the measured answer sizes; both scales are logarithmic."""
    k = max(k, _LEAST_K)
    if k >= KS[-1]:
        return efforts[-1] * (k / KS[-1])
    high = next(i for i, known in enumerate(KS) if known >= k)
    if k == KS[high]:
        return efforts[high]
    below, above = efforts[high - 1], efforts[high]
    if math.isinf(above) or math.isinf(below):
        return math.inf
    share = math.log(k / KS[high - 1]) / math.log(KS[high] / KS[high - 1])
    return float(below * (above / below) ** share)
