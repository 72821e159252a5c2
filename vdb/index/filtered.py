"""Walks under filters measured: synthetic filters of falling shares, spread evenly or keeping away from the query.

A filter that keeps away stands for a predicate against the query: the nearest rows are out and few of the others pass.
One in favour of it needs no measurement: near the query such a filter is a dense one, and a walk stays there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vdb import _core
from vdb.index.effort import KS, FilteredWalks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from vdb.types import FloatMatrix, Slots, StoredMatrix

SEEDS: Final = 16  # allowed rows near the query that a walk begins at besides its entry point (algorithm: NaviX)
ADAPTIVE: Final = "adaptive"
FILTERED_ARMS: Final = {"hnsw": ADAPTIVE, "acorn": "acorn"}  # how the graphs of each kind are walked under filters

_SHARES: Final = (1 / 2, 1 / 8, 1 / 32, 1 / 128, 1 / 512)
LEAST_PASSING: Final = 768  # rows: fewer are scanned, whatever a walk would take
_EFS: Final = (16, 64, 256, 1024)
_ENOUGH: Final = 0.99  # of the ten nearest: further efforts are not asked for by default
WALK_TO_SCAN: Final = 4  # rows a scan reads in the time of a step of a filtered walk
_APART_SHARE: Final = 1 / 16  # of the rows that are left
_APART_NEAREST: Final = 64  # one row in so many is kept out: the nearest ones
_APART_QUERIES: Final = 16  # each has a filter of its own
_SEED: Final = 7


class Walked(NamedTuple):
    """What searches of one effort came to.

    Attributes
    ----------
    found : tuple of (nq, k) float32
        Distances for each of `KS`, nearest first; fewer columns than k where the effort does not allow as many.
    looked, tested : int
        `steps` and `tests` of `FilteredWalks`, summed over the queries.
    """

    found: tuple[FloatMatrix, ...]
    looked: int
    tested: int


class Group(NamedTuple):
    """Queries, their true distances among the rows they search, and their searches by effort."""

    queries: StoredMatrix
    truth: FloatMatrix
    walk: Callable[[int], Walked]


@dataclass(frozen=True)
class Sample(ABC):
    """Queries to measure an index with: `allowed` are the rows with a distance below `limit`."""

    view: _core.VectorView
    queries: StoredMatrix
    allowed: _core.RowSet
    limit: int
    threads: int

    @property
    @abstractmethod
    def efs(self) -> Sequence[int]:
        """The efforts to try, rising."""

    @abstractmethod
    def bound(self, queries: StoredMatrix, rows: _core.RowSet) -> Callable[[int], Walked]:
        """Searches of those queries among those rows, by their effort."""

    def truth(self, queries: StoredMatrix, rows: _core.RowSet, k: int = KS[-1]) -> FloatMatrix:
        """The distances of those queries to the k nearest of those rows."""
        return _core.scan(self.view, queries, k, rows, 0, self.threads)[1]

    def group(self, queries: StoredMatrix, rows: _core.RowSet) -> Group:
        """The same with what they search."""
        return Group(queries, self.truth(queries, rows), self.bound(queries, rows))

    @abstractmethod
    def scanned(self, steps: float, tests: float) -> float:
        """Rows a scan reads in the time that so many steps and tests take."""


@dataclass(frozen=True)
class GraphSample(Sample):
    """A graph, walked under filters by `arm`, from seeds in `cells` where there are some."""

    graph: _core.Hnsw
    arm: str
    cells: _core.Cells | None

    @property
    def efs(self) -> Sequence[int]:
        """Candidates kept."""
        return _EFS

    def bound(self, queries: StoredMatrix, rows: _core.RowSet) -> Callable[[int], Walked]:
        """Walks under the filter."""
        seeds = self._seeds(queries, rows)

        def walk(ef: int) -> Walked:
            k = min(ef - 1, KS[-1])  # the core keeps at least one more than it returns
            _, found, stats = self.graph.search(
                self.view, queries, k, ef, rows, limit=self.limit, threads=self.threads, arm=self.arm, seeds=seeds
            )
            return Walked((found,) * len(KS), stats.estimates + stats.distances, stats.tests)

        return walk

    def scanned(self, steps: float, tests: float) -> float:  # noqa: ARG002
        """By steps alone."""
        return steps * WALK_TO_SCAN

    def _seeds(self, queries: StoredMatrix, rows: _core.RowSet) -> Slots | None:
        if self.cells is None or self.arm != ADAPTIVE:
            return None
        slots, _ = self.cells.population(rows).seeds(self.view, queries, SEEDS, self.threads)
        return slots


def measure_filtered(sample: Sample) -> tuple[FilteredWalks, ...]:
    """Walks under evenly spread filters, the share falling until a walk costs what the scan does, and under one apart.

    Empty where a walk under any of them would be dearer than the scan.
    """
    rng = np.random.default_rng(_SEED)
    slots = sample.allowed.to_slots()
    measured = []
    for share in _SHARES:
        passing = round(share * len(slots))
        if passing < LEAST_PASSING:
            break
        rows = _spread(slots, passing, sample.view.n, rng)
        walks = measure_walks(sample, [sample.group(sample.queries, rows)], share)
        measured.append(walks)
        if sample.scanned(walks.steps[0], walks.tests[0]) >= passing:
            return tuple(measured)
    passing = round(_APART_SHARE * len(slots))
    if passing >= LEAST_PASSING:
        groups = _apart(sample, _spread(slots, passing, sample.view.n, rng))
        measured.append(measure_walks(sample, groups, _APART_SHARE, apart=True))
    return tuple(measured)


def _apart(sample: Sample, rows: _core.RowSet) -> list[Group]:
    """A query each with those of the rows that are not among the nearest of all.

    What is near is the beginning of what a scan of the rows finds, so two scans serve all queries: over vectors that
    are larger than memory a scan for each would take longer than everything else.
    """
    queries = sample.queries[:_APART_QUERIES]
    nearest = max(sample.allowed.count // _APART_NEAREST, 1)
    slots, _, _ = _core.scan(sample.view, queries, nearest, sample.allowed, 0, sample.threads)
    near = [_core.RowSet.from_slots(row[row != _core.ABSENT_SLOT], sample.view.n) for row in slots]
    left_out = [(rows & close).count for close in near]
    truth = sample.truth(queries, rows, max(left_out) + KS[-1])
    return [
        Group(query[None], truth[i : i + 1, out : out + KS[-1]], sample.bound(query[None], rows - close))
        for i, (query, close, out) in enumerate(zip(queries, near, left_out, strict=True))
    ]


def measure_walks(sample: Sample, groups: Sequence[Group], share: float, *, apart: bool = False) -> FilteredWalks:
    """Search for each group of queries among its own rows, a share of all, until that finds enough or takes too long.

    As long as the scan of these rows, with growing effort.
    """
    queries = sum(len(group.queries) for group in groups)
    efs: list[int] = []
    recalls: list[list[float]] = []
    steps: list[float] = []
    tests: list[float] = []
    for ef in sample.efs:
        looked = tested = 0
        reached = np.zeros(len(KS))
        for group in groups:
            walked = group.walk(ef)
            looked += walked.looked
            tested += walked.tested
            reached += np.array(recalls_of(walked.found, group.truth)) * len(group.queries)
        efs.append(ef)
        recalls.append((reached / queries).tolist())
        steps.append(looked / queries)
        tests.append(tested / queries)
        if recalls[-1][1] >= _ENOUGH or sample.scanned(steps[-1], tests[-1]) >= round(share * sample.allowed.count):
            break
    curves = tuple(tuple(min(row[i], 1.0) for row in recalls) for i in range(len(KS)))
    return FilteredWalks(share, apart, tuple(efs), curves, tuple(steps), tuple(tests))


def code_scan_recall(sample: GraphSample, truth: npt.NDArray[np.float32]) -> float:
    """The least recall of the `KS` nearest by the scan of the codes of the graph, given the distances of the truth."""
    _, found, _ = sample.graph.scan(sample.view, sample.queries, KS[-1], sample.allowed, 0, sample.threads)
    return min(recall_of(found, truth, k) for k in KS)


def recall_of(found: npt.NDArray[np.float32], truth: npt.NDArray[np.float32], k: int) -> float:
    """The mean share of the k nearest that was found, by distances nearest first; equally near rows stand in."""
    nearest = found[:, :k]
    return float(np.count_nonzero((nearest <= truth[:, k - 1 : k]) & np.isfinite(nearest)) / (len(truth) * k))


def recalls_of(found: Sequence[FloatMatrix], truth: FloatMatrix) -> list[float]:
    """`recall_of` for each of `KS`, by the distances found for it."""
    return [recall_of(distances, truth, k) for distances, k in zip(found, KS, strict=True)]


def _spread(slots: Slots, passing: int, n: int, rng: np.random.Generator) -> _core.RowSet:
    return _core.RowSet.from_slots(rng.choice(slots, passing, replace=False), n)
