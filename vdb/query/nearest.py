"""From a plan to the nearest slots: run it, finish by scan what a walk left short, order ties by row id."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from vdb.errors import MetricError

if TYPE_CHECKING:
    from vdb import _core
    from vdb.query.answer import Answer, Queries
    from vdb.query.methods.method import Method
    from vdb.query.plan import Actuals, Plan
    from vdb.types import RowIds, Slots, StoredMatrix

_WIDEN: Final = 4  # growth of k and of the effort while rows at the last distance may be missing
_SCAN_SHARE: Final = 16  # a walk that keeps more than this share of the matching rows is dearer than their scan


class Indexes(Protocol):
    """The indexes of the searched column by name, loaded when they are asked for."""

    def graph(self, name: str) -> _core.Hnsw:
        """That of an HNSW or ACORN."""

    def codes(self, name: str) -> _core.Codes:
        """That of a Flat."""

    def lists(self, name: str) -> _core.Ivf:
        """That of an IVFPQ or IVFRaBitQ."""

    def range_graph(self, name: str) -> _core.RangeGraph:
        """That of a Range."""

    def label_graph(self, name: str) -> _core.LabelGraph:
        """That of a Label."""


@dataclass(slots=True)
class Search:
    """One planned search: `run(k)` may be called for more rows than asked, to settle ties.

    Attributes
    ----------
    queries : (nq, dim) of the view's dtype
    allowed : RowSet or None
        None: every slot.
    seeds : (nq, s) Slots or None
        Allowed rows near each query for a walk to begin at, padded with ABSENT_SLOT.
    """

    view: _core.VectorView
    queries: StoredMatrix
    allowed: _core.RowSet | None
    plan: Plan
    indexes: Indexes
    threads: int
    actuals: Actuals
    seeds: Slots | None = None

    def run(self, k: int) -> Answer:
        """The k (at most the matching) nearest allowed slots of each query, exactly k of them."""
        plan = self.plan
        try:
            answer, unfinished = plan.method.run(self, plan.effort, k)
        except MetricError:  # perhaps at a row that is dead or not allowed: a walk passes through such, a scan does not
            if not plan.is_walk:
                raise
            self.actuals.fallbacks += len(self.queries)
            return self.scan(k)
        if not len(unfinished):
            return answer
        self.actuals.fallbacks += len(unfinished)
        finished = self.of(unfinished).scan(k)
        if not plan.finish.exact:  # what the walk found has been measured, and the codes may miss it
            finished = answer.of(unfinished).joined(finished)
        return answer.replaced(unfinished, finished)

    def of(self, queries: Queries) -> Search:
        """The same search for some of its queries."""
        seeds = None if self.seeds is None else np.ascontiguousarray(self.seeds[queries])
        return replace(self, queries=np.ascontiguousarray(self.queries[queries]), seeds=seeds)

    def harder(self) -> Search:
        """The same search with more effort, so that a walk finds what is as near as its last row."""
        effort = self.plan.effort
        ef, pool, nprobe = effort.ef * _WIDEN, max(effort.pool, effort.ef) * _WIDEN, effort.nprobe * _WIDEN
        return replace(self, plan=self.plan._replace(effort=effort._replace(ef=ef, pool=pool, nprobe=nprobe)))

    def scan(self, k: int) -> Answer:
        """The answer of the scan that finishes the plan."""
        finish: Method = self.plan.finish
        return finish.run(self, finish.effort(self.plan.situation), k)[0]


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
            wide = one.run(width) if one.plan.effort.pool * _SCAN_SHARE < matching else one.scan(width)
            s, d = wide.slots[0], wide.distances[0]
        order = np.lexsort((row_ids[s], d))[:k]
        answer.slots[row], answer.distances[row] = s[order], d[order]
    return answer
