"""Walks of graphs over an attribute measured: within ranges of falling width, among rows of frequent and rare values.

Such a walk finds what the same effort does among all rows, and more; and it looks at fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vdb import _core
from vdb.index.effort import KS
from vdb.index.filtered import LEAST_PASSING, WALK_TO_SCAN, Group, Sample, Walked, measure_walks
from vdb.index.measure import sample_queries
from vdb.index.recall import LEAST_ROWS, RecallCurve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vdb.attributes.column import ColumnIndex
    from vdb.index.effort import FilteredWalks
    from vdb.index.measure import Vectors
    from vdb.types import StoredMatrix

_EFS: Final = (16, 32, 64, 128, 256, 512)
_QUERIES: Final = 32
_GROUPS: Final = 4  # of queries, each with a range of its own
_WIDTHS: Final = (1.0, 1 / 4, 1 / 16, 1 / 64)  # of ranges, as shares of the rows with a key
_SEED: Final = 43


def measure_overlays(
    built: _core.RangeGraph | _core.LabelGraph, vectors: Vectors, column: ColumnIndex, codes: _core.Hnsw | None
) -> RecallCurve | None:
    """What walks of a range index or of overlays find, by the share of the rows that they are among.

    The curve itself is of the widest range, or of the most frequent value; `filtered` has that and the others, as
    shares of all rows. None where there are too few rows for it to matter.
    """
    counts = [built.size] if isinstance(built, _core.RangeGraph) else [built.count(label) for label in built.labels]
    if max(counts, default=0) < LEAST_PASSING:
        return None
    view = vectors.view
    limit = min(built.covered, view.n)
    allowed = vectors.allowed & _core.RowSet.from_range(0, limit, view.n)
    if allowed.count < LEAST_ROWS:
        return None
    queries = sample_queries(vectors, allowed.to_slots(), _QUERIES, _SEED)
    sample = _OverlaySample(view, queries, allowed, limit, vectors.threads, built, codes)
    walks: list[FilteredWalks] = []
    ranges = isinstance(built, _core.RangeGraph)
    for share, groups in _ranges(sample, column) if ranges else _values(sample, column):
        if share * allowed.count < LEAST_PASSING:
            break
        walks.append(measure_walks(sample, groups, share))
        if sample.scanned(walks[-1].steps[0], 0.0) >= share * allowed.count:
            break
    if not walks:
        return None
    first = walks[0]
    rows, slots = vectors.state.live.count, vectors.state.next_slot
    return RecallCurve(slots, rows, _QUERIES, first.efs, first.recalls, first.steps, tuple(walks))


@dataclass(frozen=True)
class _OverlaySample(Sample):
    """An index over an attribute, walked by the codes of a graph where there are some."""

    built: _core.RangeGraph | _core.LabelGraph
    codes: _core.Hnsw | None

    @property
    def efs(self) -> Sequence[int]:
        """Candidates kept."""
        return _EFS

    def bound(self, queries: StoredMatrix, rows: _core.RowSet, *among: Any) -> Callable[[int], Walked]:
        """Walks among rows that the core knows by `among`."""
        built: Any = self.built
        more = {"allowed": rows, "limit": self.limit, "threads": self.threads, "codes": self.codes}

        def walk(ef: int) -> Walked:
            k = min(ef - 1, KS[-1])  # the core keeps at least one more than it returns
            _, found, stats = built.search(self.view, queries, k, ef, *among, **more)
            return Walked((found,) * len(KS), stats.estimates + stats.distances, stats.tests)

        return walk

    def scanned(self, steps: float, tests: float) -> float:  # noqa: ARG002
        """By steps alone."""
        return steps * WALK_TO_SCAN


def _ranges(sample: _OverlaySample, column: ColumnIndex) -> Iterator[tuple[float, list[Group]]]:
    """Ranges of each width, at different places, and the share of the rows that they have."""
    rng = np.random.default_rng(_SEED)
    keys, slots = column.order_keys()
    there = np.zeros(sample.view.n, np.bool_)
    there[sample.allowed.to_slots()] = True
    keys = np.sort(keys[there[slots]])
    for width in _WIDTHS if len(keys) else ():
        rows = max(round(width * len(keys)), 1)
        groups = []
        for queries in np.array_split(sample.queries, _GROUPS):
            begin = int(rng.integers(0, len(keys) - rows + 1))
            low, high = int(keys[begin]), int(keys[begin + rows - 1])
            inside = column.between(low, high) & sample.allowed
            groups.append(Group(queries, sample.truth(queries, inside), sample.bound(queries, inside, low, high)))
        yield rows / sample.allowed.count, groups


def _values(sample: _OverlaySample, column: ColumnIndex) -> Iterator[tuple[float, list[Group]]]:
    """The values that the most rows, the fewest and a middling number of them have, of those with overlays."""
    assert isinstance(sample.built, _core.LabelGraph)
    labels = sorted(sample.built.labels.tolist(), key=sample.built.count, reverse=True)
    for i in sorted({0, len(labels) // 2, len(labels) - 1}):
        rows = column.with_label(labels[i]) & sample.allowed
        walk = sample.bound(sample.queries, rows, [labels[i]])
        group = Group(sample.queries, sample.truth(sample.queries, rows), walk)
        yield rows.count / sample.allowed.count, [group]
