"""Recall measured: sample queries from the vectors of a table, exact answers by the scan, and curves of a graph.

A measurement takes a bounded number of distances: for the exact answers 200 a row, fewer where that is above 2**27, but
at least 64; for the walks, which end before one is as dear as the scan, at most about 1.5 a row and sample query. Walks
under filters are measured with fewer queries.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vdb import _core
from vdb.dtypes import rounded, shown, zero_rows
from vdb.errors import InvalidArgument
from vdb.index.effort import KS
from vdb.index.filtered import ADAPTIVE, GraphSample, code_scan_recall, measure_filtered, recalls_of
from vdb.index.recall import LEAST_ROWS, RecallCurve, widened
from vdb.index.spec import Option
from vdb.index.view import measurable, vector_view
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from vdb.metrics.custom import AnyMetric
    from vdb.storage.state import TableState
    from vdb.types import FloatMatrix, Slots, StoredMatrix

SAMPLE: Final = Option(1, 200, 100_000, "queries made of the table's own vectors")
SAMPLE_SEED: Final = Option(0, 0, 2**63 - 1, "of the queries; the same seed and rows give the same ones")
_LEAST_QUERIES: Final = 64
_EXACT_DISTANCES: Final = 2**27
_CURVE_SEED: Final = 42
_FILTERED_QUERIES: Final = 32  # of them walk under filters too: enough to tell efforts by powers of four apart

_FIRST_EF: Final = 8
_LAST_EF: Final = 2048
_ENOUGH: Final = 0.999  # further efforts tell nothing a sample of this size could show
_WALK_TO_SCAN: Final = 2  # a distance of a walk against one of the scan, as the planner counts
_DOUBLING: Final = 1.6  # growth of the distances of a walk when its effort doubles, by the planner's power of 0.68

# A query is a row turned towards two others, all chosen at random, about the mean of all: `own` of the one and as
# much of the others, alike, that the squares add to 1, so queries are spread as widely as rows. Stored rows as
# queries would promise too much: a walk ends in the node of the row, whose edges are the answer, so they take far
# less effort than queries from elsewhere, such as titles among texts. A point between rows lies nearer to the middle,
# where rows are dense and easily found; one turned towards a single row has that for an island among its neighbours,
# which walks take several times the effort to reach. Lists want more of the others than walks do: they miss what lies
# in many lists. Both are set beside real queries by bench/micro/recall_samples.py.
FOR_WALKS: Final = 0.82
FOR_LISTS: Final = 0.76


class Prepared(NamedTuple):
    """What an index is measured with: queries made of the rows it covers below `limit`, and the true distances."""

    view: _core.VectorView
    queries: StoredMatrix
    truth: FloatMatrix
    allowed: _core.RowSet
    limit: int


class Vectors(NamedTuple):
    """The vectors of a column under a metric, which of them have a distance, and the threads to measure with."""

    state: TableState
    column: str
    metric: AnyMetric
    threads: int

    @property
    def view(self) -> _core.VectorView:
        """The vectors bound to the metric."""
        return vector_view(self.state, self.column, self.metric)

    @property
    def allowed(self) -> _core.RowSet:
        """The rows that can be found."""
        return measurable(self.state, self.column, self.metric)


def measure_curve(
    vectors: Vectors,
    graph: _core.Hnsw,
    arm: str = ADAPTIVE,
    cells: Callable[[], _core.Cells | None] = lambda: None,
) -> RecallCurve | None:
    """Measure the recall of a graph over the rows it covers; None where there are too few for it to matter.

    `arm` is how it is walked under filters, `cells` gives those in which such walks find their seeds.
    """
    ready = prepared(vectors, graph.covered)
    if ready is None:
        return None
    view, queries, truth, allowed, limit = ready
    count = len(queries)
    walked = None if allowed.count == view.n else allowed
    efs: list[int] = []
    recalls: list[list[float]] = []
    steps: list[float] = []
    ef = _FIRST_EF
    while True:
        k = min(ef - 1, KS[-1])  # the core keeps at least one more than it returns
        pool = widened(ef, view.n, allowed.count)
        _, found, stats = graph.search(view, queries, k, ef, walked, pool, 0, limit, vectors.threads)
        efs.append(ef)
        recalls.append(recalls_of((found,) * len(KS), truth))
        looked = stats.distances + stats.estimates
        steps.append(looked / count)
        dear = looked * _DOUBLING * _WALK_TO_SCAN >= allowed.count * count
        if dear or min(recalls[-1]) >= _ENOUGH or ef >= _LAST_EF:
            break
        ef *= 2
    few = queries[:_FILTERED_QUERIES]
    sample = GraphSample(view, few, allowed, limit, vectors.threads, graph, arm, cells())
    return RecallCurve(
        slots=vectors.state.next_slot,
        rows=vectors.state.live.count,
        queries=count,
        efs=tuple(efs),
        recalls=tuple(tuple(row[i] for row in recalls) for i in range(len(KS))),
        steps=tuple(steps),
        filtered=measure_filtered(sample),
        code_scan=code_scan_recall(sample, truth[: len(few)]),
    )


def prepared(vectors: Vectors, covered: int, own: float = FOR_WALKS) -> Prepared | None:
    """Queries and their exact answers over the rows among the first `covered` slots; None where they are too few.

    `own` is what a query keeps of the row it is made of.
    """
    view, allowed = vectors.view, vectors.allowed
    limit = min(covered, view.n)
    if limit < view.n:
        allowed = allowed & _core.RowSet.from_range(0, limit, view.n)
    if allowed.count < LEAST_ROWS:
        return None
    count = min(SAMPLE.default, max(_LEAST_QUERIES, _EXACT_DISTANCES // allowed.count))
    queries = sample_queries(vectors, allowed.to_slots(), count, _CURVE_SEED, own)
    _, truth, _ = _core.scan(view, queries, KS[-1], allowed, 0, vectors.threads)
    return Prepared(view, queries, truth, allowed, limit)


def sample_queries(vectors: Vectors, slots: Slots, count: int, seed: int, own: float = FOR_WALKS) -> StoredMatrix:
    """Make (count, dim) queries of the dtype of the column, each of three rows in `slots`, `own` of the first."""
    declared = vectors.state.schema.by_name[vectors.column]
    assert isinstance(declared, VectorColumn)
    stored = vectors.state.vectors[vectors.column]
    slots = np.random.default_rng(seed).choice(slots, 3 * count)
    rows = shown(stored.data[slots], declared.dtype).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True) if vectors.metric == "cosine" else np.ones((len(rows), 1))
    rows /= lengths  # only directions count under cosine, so all weigh alike
    mean = rows.mean(axis=0)
    first, second, third = (rows - mean).reshape(3, count, -1)
    other = math.sqrt((1.0 - own * own) / 2.0)
    mixed = (mean + own * first + other * (second + third)) * lengths[:count]
    if declared.dtype == "int8":
        limits = np.iinfo(np.int8)
        mixed = np.rint(mixed).clip(limits.min, limits.max)
    queries = rounded(mixed, declared.dtype)
    lost = ~np.isfinite(shown(queries, declared.dtype)).all(axis=1)  # beyond the dtype
    lost[zero_rows(queries, declared.dtype)] = True  # without a direction
    queries[lost] = stored.data[slots[:count][lost]]
    return queries


def made_queries(vectors: Vectors, count: int, seed: int) -> npt.NDArray[np.generic]:
    """`sample_queries` of all rows as a caller would pass them; InvalidArgument where there is no row."""
    slots = vectors.allowed.to_slots()
    if not len(slots):
        table = vectors.state.schema.name
        raise InvalidArgument(
            f"table {table} has no vector in {vectors.column} to make queries of.\n"
            "  Fix: add rows, or pass the queries themselves."
        )
    declared = vectors.state.schema.by_name[vectors.column]
    assert isinstance(declared, VectorColumn)
    return shown(sample_queries(vectors, slots, count, seed), declared.dtype)
