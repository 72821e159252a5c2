"""The walks of a graph over all rows: under the filter, and past it."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from vdb import _core
from vdb.index.effort import is_apart
from vdb.index.filtered import ADAPTIVE
from vdb.index.recall import widened
from vdb.query.answer import NO_QUERIES, Answer, Found, Queries
from vdb.query.methods.method import IMPOSSIBLE, Method
from vdb.query.methods.model import Graph, PlainEffort, Work, filtered_walks, walk_steps, why_no_effort
from vdb.query.methods.scans import scanned
from vdb.query.plan import Effort

if TYPE_CHECKING:
    from vdb.index.machine import Machine
    from vdb.query.nearest import Search
    from vdb.query.plan import Question, Situation

PLAIN: Final = "plain"
TESTS_PER_STEP: Final = 16  # bits of the filter that count as a row looked at in a budget: kTestsPerStep of the core


class Walk(Method):
    """A walk of an index that may not cover the newest rows, which are scanned."""

    @abstractmethod
    def walked(self, search: Search, effort: Effort, k: int, limit: int) -> Found:
        """What the core finds of the slots below `limit`."""

    @abstractmethod
    def covered(self, search: Search) -> int:
        """Slots the index covers."""

    def run(self, search: Search, effort: Effort, k: int) -> tuple[Answer, Queries]:
        """The walk, joined with a scan of the rows it does not cover yet."""
        limit = min(self.covered(search), search.view.n)
        slots, distances, stats = self.walked(search, effort, k, limit)
        search.actuals.work.append(stats)
        if limit < search.view.n:
            rest = scanned(search, _core.scan, k, limit)
            return Answer(slots, distances, cut=stats.cut).joined(rest), stats.unfinished
        if stats.settled:  # the usual: nothing to look at
            return Answer(slots, distances), NO_QUERIES
        return Answer(slots, distances, stats.tied, stats.cut), stats.unfinished


class GraphWalk(Walk):
    """A walk under the filter: over all rows in the plain way, over some by the arm of its strategy.

    Parameters
    ----------
    arm : str
        How the core walks where rows do not pass.
    graph : Graph
        Its curve under filters is of that arm; where it has none, only the caller may choose the walk.
    """

    strategy: ClassVar[str] = "graph"
    arm: ClassVar[str] = ADAPTIVE
    looks_near: ClassVar[bool] = True

    def __init__(self, index: str, graph: Graph, machine: Machine, question: Question, unusable: str = "") -> None:
        super().__init__(index, unusable or why_no_effort(graph, question))
        self._graph, self._machine = graph, machine
        self._plain_ef = PlainEffort(graph, question)
        self._filtered = filtered_walks(graph, question)
        self.least = self._least(question)
        self.looking = machine.seeds

    def cost(self, seen: Situation) -> float:
        """By the rows the walk is expected to look at, near the query where that is known."""
        if _passes(seen):
            ef = self._plain_ef(seen)
            wide = widened(ef, self._graph.nodes, seen.matching)
            return self._machine.vectors.call + self._machine.step * walk_steps(self._graph, wide)
        work = self._filtered.at(_density(seen), seen.selectivity)
        return IMPOSSIBLE if work is None else max(self._filtered_cost(work), self.least)

    def effort(self, seen: Situation) -> Effort:
        """Of the curve at that density, as close as it comes where the walk is forced."""
        plain = self._plain_ef(seen)
        if _passes(seen):
            return Effort(plain, widened(plain, self._graph.nodes, seen.matching), arm=PLAIN)
        work = self._filtered.nearest(_density(seen), seen.selectivity)
        ef = plain if work is None else max(work.ef, seen.returned)
        return Effort(ef, arm=self.arm)

    def steps_within(self, nanoseconds: float, seen: Situation) -> int:
        """At the pace of the walk that is expected."""
        work = None if _passes(seen) else self._filtered.at(_density(seen), seen.selectivity)
        pace = self._machine.step
        if work is not None:
            taken = work.steps * self._machine.filtered_step + work.tests * self._machine.test
            pace = taken / (work.steps + work.tests / TESTS_PER_STEP)
        return max(math.ceil(nanoseconds / pace), self.effort(seen).ef)

    def is_guess(self, seen: Situation) -> bool:
        """Where the matching rows keep away from the query, by how much no curve can say."""
        return not _passes(seen) and is_apart(_density(seen), seen.selectivity)

    def walked(self, search: Search, effort: Effort, k: int, limit: int) -> Found:
        """By the core, from the seeds that were found near the queries."""
        return search.indexes.graph(self.index).search(
            search.view,
            search.queries,
            k,
            max(effort.ef, k),
            search.allowed,
            effort.pool,
            effort.budget,
            limit,
            search.threads,
            PLAIN if search.allowed is None else effort.arm,
            search.seeds if effort.arm == ADAPTIVE else None,
        )

    def covered(self, search: Search) -> int:
        """Slots of the graph; another thread may extend it meanwhile."""
        return search.indexes.graph(self.index).covered

    def _least(self, question: Question) -> float:  # noqa: ARG002
        """Where every row near the query passes."""
        work = self._filtered.dense
        return IMPOSSIBLE if work is None else self._filtered_cost(work)

    def _filtered_cost(self, work: Work) -> float:
        machine = self._machine
        return machine.vectors.call + machine.seeds + work.steps * machine.filtered_step + work.tests * machine.test


class AcornWalk(GraphWalk):
    """ACORN's own search of an ACORN graph (Patel et al., SIGMOD 2024)."""

    strategy = "acorn"
    arm = "acorn"


class TwoHopWalk(GraphWalk):
    """ACORN-1: two hops at a time over the edges of an ordinary graph, where the caller forces it."""

    strategy = "acorn"
    arm = "two_hop"


class PostWalk(GraphWalk):
    """A walk without the filter that goes on until enough of what it met passes.

    It keeps as many that pass as a walk over all rows keeps: codes rank them, and vectors decide.
    """

    strategy = "post"
    arm = "post"

    def cost(self, seen: Situation) -> float:
        """The walk that should meet enough rows that pass."""
        if _passes(seen):
            return super().cost(seen)
        wide = self._to_meet(seen)
        if wide > self._graph.nodes:
            return IMPOSSIBLE
        found = self._machine.vectors.call + self._machine.seeds + self._machine.step * walk_steps(self._graph, wide)
        return max(found, self.least)

    def _least(self, question: Question) -> float:
        """An unfiltered walk."""
        machine = self._machine
        steps = walk_steps(self._graph, self._plain_ef.of(question.k))
        return machine.vectors.call + machine.seeds + machine.step * steps

    def effort(self, seen: Situation) -> Effort:
        """As wide as should do; the core widens it as it must."""
        return Effort(self._plain_ef(seen), max(min(self._to_meet(seen), self._graph.nodes), 1), arm=self.arm)

    def steps_within(self, nanoseconds: float, seen: Situation) -> int:
        """At the pace of an unfiltered walk."""
        return max(math.ceil(nanoseconds / self._machine.step), self.effort(seen).ef)

    def _to_meet(self, seen: Situation) -> int:
        """Rows among which enough should pass; more than there are where that cannot be."""
        ef, density, beyond = self._plain_ef(seen), _density(seen), self._graph.nodes + 1
        return math.ceil(ef / density) if density * beyond > ef else beyond


def _passes(seen: Situation) -> bool:
    return not seen.is_sparse


def _density(seen: Situation) -> float:
    return seen.selectivity if seen.density is None else seen.density
