"""From a plan to the nearest slots: walk or scan, finish by scan what a walk left short, order ties by row id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vdb import _core

if TYPE_CHECKING:
    from vdb.query.plan import Actuals, Plan
    from vdb.types import FloatMatrix, RowIds, Slots

_WIDEN = 8  # growth of k while rows at the last distance may be missing


class Answer(NamedTuple):
    """(nq, k) slots and distances, nearest first, padded with ABSENT_SLOT and infinity.

    `settled` means that equal distances decided nothing: there are none, nor between the last row and the next one.
    False says nothing.
    """

    slots: Slots
    distances: FloatMatrix
    settled: bool = False

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
    queries : (nq, dim) float32
    allowed : RowSet or None
        None: every slot.
    graph : Hnsw or None
        The graph of the plan's index.
    """

    view: _core.VectorView
    queries: FloatMatrix
    allowed: _core.RowSet | None
    plan: Plan
    graph: _core.Hnsw | None
    threads: int
    actuals: Actuals

    def run(self, k: int) -> Answer:
        """The k (at most the matching) nearest allowed slots of each query, exactly k of them."""
        if self.plan.method == "scan" or self.graph is None:
            return self.scan(self.queries, k)
        walk = self._post if self.plan.method == "post" else self._walk
        answer, unfinished = walk(self.graph, k)
        if unfinished is None or not len(unfinished):
            return answer
        exact = self.scan(np.ascontiguousarray(self.queries[unfinished]), k)
        answer.slots[unfinished], answer.distances[unfinished] = exact.slots, exact.distances
        self.actuals.fallbacks += len(unfinished)
        return Answer(answer.slots, answer.distances, answer.settled and exact.settled)

    def scan(self, queries: FloatMatrix, k: int, begin: int = 0) -> Answer:
        """The exact answer over the allowed slots from `begin` on."""
        slots, distances, stats = _core.scan(self.view, queries, k, self.allowed, begin, self.threads)
        self.actuals.work.append(stats)
        return Answer(slots, distances, stats.settled)

    def _walk(self, graph: _core.Hnsw, k: int) -> tuple[Answer, Slots | None]:
        """The walk over the graph, merged with a scan of the rows it does not cover yet; the queries left to finish."""
        plan = self.plan
        ef, limit = max(plan.ef, k), min(graph.covered, self.view.n)
        slots, distances, stats = graph.search(
            self.view, self.queries, k, ef, self.allowed, plan.pool, plan.budget, limit, self.threads
        )
        self.actuals.work.append(stats)
        if limit == self.view.n:
            if stats.settled:  # the usual: nothing to look at
                return Answer(slots, distances, True), None
            return Answer(slots, distances, not (len(stats.tied) or len(stats.cut))), stats.unfinished
        rest = self.scan(self.queries, k, limit)
        both = Answer(np.hstack([slots, rest.slots]), np.hstack([distances, rest.distances]))
        order = np.lexsort((both.slots, both.distances), axis=1)[:, :k]
        merged = Answer(np.take_along_axis(both.slots, order, 1), np.take_along_axis(both.distances, order, 1))
        return merged, stats.unfinished

    def _post(self, graph: _core.Hnsw, k: int) -> tuple[Answer, Slots | None]:
        """Walk without the filter, filter what came, and widen until enough passed or nothing is left to widen."""
        allowed = _core.RowSet.all(self.view.n) if self.allowed is None else self.allowed
        limit = min(graph.covered, self.view.n)  # another thread may extend the graph meanwhile
        answer = Answer.nothing(len(self.queries), k)
        settled = True
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
            settled = settled and bool((np.diff(distances[0, passed][: k + 1]) != 0).all())
        short = (answer.slots[:, -1] == _core.ABSENT_SLOT) | (limit < self.view.n)
        return Answer(answer.slots, answer.distances, settled), np.flatnonzero(short).astype(np.uint32)


def settle(search: Search, k: int, row_ids: RowIds) -> Answer:
    """Run a search for `k` (at most the matching) rows, equal distances ordered by row id.

    The core orders them by slot. Where that decided something, one row more is asked for: if it is as far as the last,
    all rows at that distance must be seen before choosing among them.
    """
    answer = search.run(k)
    if answer.settled:
        return answer
    matching = search.plan.situation.matching
    slots, distances, _ = search.run(min(k + 1, matching))
    tied = distances[:, 1:] == distances[:, :-1]
    result = Answer(slots[:, :k].copy(), distances[:, :k].copy())
    for row in np.flatnonzero(tied.any(axis=1)).tolist():
        s, d = slots[row], distances[row]
        width = len(s)
        while width < matching and d[k - 1] == d[-1]:
            width = min(width * _WIDEN, matching)
            exact = search.scan(search.queries[row : row + 1], width)
            s, d = exact.slots[0], exact.distances[0]
        order = np.lexsort((row_ids[s], d))[:k]
        result.slots[row], result.distances[row] = s[order], d[order]
    return result
