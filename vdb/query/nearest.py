"""From a plan to the nearest slots: walk or scan, finish by scan what a walk left short, order ties by row id."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vdb import _core
from vdb.errors import MetricError

if TYPE_CHECKING:
    from vdb.query.plan import Actuals, Plan
    from vdb.types import FloatMatrix, RowIds, Slots, StoredMatrix

Queries: TypeAlias = npt.NDArray[np.uint32]  # numbers of queries

_WIDEN = 4  # growth of k and of the effort while rows at the last distance may be missing
_SCAN_SHARE = 16  # a walk that keeps more than this share of the matching rows is dearer than their scan
_NONE: Final[Queries] = np.empty(0, np.uint32)


class Answer(NamedTuple):
    """(nq, k) slots and distances, nearest first, padded with ABSENT_SLOT and infinity.

    `tied` are the queries with equal distances in their answer, `cut` those with a row outside it as near as its last.
    """

    slots: Slots
    distances: FloatMatrix
    tied: Queries = _NONE
    cut: Queries = _NONE

    @classmethod
    def nothing(cls, nq: int, k: int) -> Answer:
        """Padding only."""
        return cls(np.full((nq, k), _core.ABSENT_SLOT, np.uint32), np.full((nq, k), np.inf, np.float32))

    def padded(self, k: int) -> Answer:
        """The same answer in `k` columns, at least as many as it has."""
        nq, width = self.slots.shape
        if width == k:
            return self
        wide = Answer.nothing(nq, k)
        wide.slots[:, :width] = self.slots
        wide.distances[:, :width] = self.distances
        return wide


@dataclass(slots=True)
class Search:
    """One planned search: `run(k)` may be called for more rows than asked, to settle ties.

    Attributes
    ----------
    queries : (nq, dim) of the view's dtype
    allowed : RowSet or None
        None: every slot.
    graph : Hnsw or None
        The graph of the plan's index.
    codes : Codes or None
        What a scan reads instead of the vectors.
    """

    view: _core.VectorView
    queries: StoredMatrix
    allowed: _core.RowSet | None
    plan: Plan
    graph: _core.Hnsw | None
    threads: int
    actuals: Actuals
    codes: _core.Codes | None = None

    def run(self, k: int) -> Answer:
        """The k (at most the matching) nearest allowed slots of each query, exactly k of them."""
        if self.plan.method == "scan" or self.graph is None:
            return self.scan(k)
        walk = self._post if self.plan.method == "post" else self._walk
        try:
            answer, unfinished = walk(self.graph, k)
        except MetricError:  # perhaps at a row that is dead or not allowed: a walk passes through such, a scan does not
            self.actuals.fallbacks += len(self.queries)
            return self.scan(k)
        if not len(unfinished):
            return answer
        self.actuals.fallbacks += len(unfinished)
        exact = self.of(unfinished).scan(k)
        answer.slots[unfinished], answer.distances[unfinished] = exact.slots, exact.distances
        return Answer(
            answer.slots,
            answer.distances,
            np.append(np.setdiff1d(answer.tied, unfinished), unfinished[exact.tied]),
            np.append(np.setdiff1d(answer.cut, unfinished), unfinished[exact.cut]),
        )

    def of(self, queries: Queries) -> Search:
        """The same search for some of its queries."""
        return replace(self, queries=np.ascontiguousarray(self.queries[queries]))

    def harder(self) -> Search:
        """The same search with more effort, so that a walk finds what is as near as its last row."""
        plan = self.plan
        return replace(self, plan=replace(plan, ef=plan.ef * _WIDEN, pool=max(plan.pool, plan.ef) * _WIDEN))

    def scan(self, k: int, begin: int = 0) -> Answer:
        """The exact answer over the allowed slots from `begin` on."""
        scan = _core.scan if self.codes is None else self.codes.scan
        slots, distances, stats = scan(self.view, self.queries, k, self.allowed, begin, self.threads)
        self.actuals.work.append(stats)
        return Answer(slots, distances) if stats.settled else Answer(slots, distances, stats.tied, stats.cut)

    def _walk(self, graph: _core.Hnsw, k: int) -> tuple[Answer, Queries]:
        """The walk over the graph, merged with a scan of the rows it does not cover yet; the queries left to finish."""
        plan = self.plan
        ef, limit = max(plan.ef, k), min(graph.covered, self.view.n)
        slots, distances, stats = graph.search(
            self.view, self.queries, k, ef, self.allowed, plan.pool, plan.budget, limit, self.threads
        )
        self.actuals.work.append(stats)
        if limit < self.view.n:
            return self._merged(Answer(slots, distances, cut=stats.cut), self.scan(k, limit)), stats.unfinished
        if stats.settled:  # the usual: nothing to look at
            return Answer(slots, distances), _NONE
        return Answer(slots, distances, stats.tied, stats.cut), stats.unfinished

    @staticmethod
    def _merged(one: Answer, other: Answer) -> Answer:
        k = one.slots.shape[1]
        slots, distances = np.hstack([one.slots, other.slots]), np.hstack([one.distances, other.distances])
        order = np.lexsort((slots, distances), axis=1)
        slots, distances = np.take_along_axis(slots, order, 1), np.take_along_axis(distances, order, 1)
        equal = distances[:, 1:] == distances[:, :-1]
        cut = np.union1d(np.flatnonzero(equal[:, k - 1]), np.append(one.cut, other.cut))
        tied = np.flatnonzero(equal[:, : k - 1].any(axis=1))
        return Answer(slots[:, :k], distances[:, :k], tied.astype(np.uint32), cut.astype(np.uint32))

    def _post(self, graph: _core.Hnsw, k: int) -> tuple[Answer, Queries]:
        """Walk without the filter, filter what came, and widen until enough passed or nothing is left to widen."""
        allowed = _core.RowSet.all(self.view.n) if self.allowed is None else self.allowed
        limit = min(graph.covered, self.view.n)  # another thread may extend the graph meanwhile
        answer = Answer.nothing(len(self.queries), k)
        tied, cut = [], []
        for row, query in enumerate(self.queries):
            wide = max(self.plan.pool, k)
            while True:
                slots, distances, stats = graph.search(self.view, query[None], wide, wide, limit=limit)
                self.actuals.work.append(stats)
                passed = np.array([slot in allowed for slot in slots[0].tolist()], np.bool_)
                found = int(np.count_nonzero(passed))
                if found >= min(k + 1, allowed.count) or wide >= limit:
                    break
                wide = min(2 * wide, limit)
            kept = min(found, k)
            answer.slots[row, :kept] = slots[0, passed][:kept]
            answer.distances[row, :kept] = distances[0, passed][:kept]
            equal = np.flatnonzero(np.diff(distances[0, passed][: k + 1]) == 0) + 1
            tied += [row] if (equal < k).any() else []
            unknown = found == k < allowed.count  # no row was seen beyond the answer
            cut += [row] if unknown or (equal == k).any() else []
        short = (answer.slots[:, -1] == _core.ABSENT_SLOT) | (limit < self.view.n)
        found_ties = (np.array(rows, np.uint32) for rows in (tied, cut))
        return Answer(answer.slots, answer.distances, *found_ties), np.flatnonzero(short).astype(np.uint32)


def settle(search: Search, k: int, row_ids: RowIds) -> Answer:
    """Run a search for `k` (at most the matching) rows, equal distances ordered by row id.

    The core orders them by slot. Where a row outside an answer is as near as its last, more rows are asked for, until
    all at that distance have been seen.
    """
    answer = search.run(k)
    if not (len(answer.tied) or len(answer.cut)):
        return answer
    for row in answer.tied.tolist():
        s, d = answer.slots[row], answer.distances[row]
        answer.slots[row] = s[np.lexsort((row_ids[s], d))]
    matching = search.plan.situation.matching
    for row in answer.cut.tolist():
        one = search.of(np.array([row], np.uint32))
        width, s, d = k, answer.slots[row], answer.distances[row]
        while width < matching and d[k - 1] == d[-1]:
            width, one = min(width * _WIDEN, matching), one.harder()
            wide = one.run(width) if one.plan.pool * _SCAN_SHARE < matching else one.scan(width)
            s, d = wide.slots[0], wide.distances[0]
        order = np.lexsort((row_ids[s], d))[:k]
        answer.slots[row], answer.distances[row] = s[order], d[order]
    return answer
