"""The walks of graphs over some rows: those in a range of a column, with a value, or where a condition holds."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from vdb.index.recall import widened
from vdb.query.methods.method import IMPOSSIBLE
from vdb.query.methods.model import WALK_POWER, Graph, OverlayWork, PlainEffort, Work, walk_steps, why_no_effort
from vdb.query.methods.walks import Walk
from vdb.query.plan import Effort

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb import _core
    from vdb.index.machine import Machine
    from vdb.query.answer import Found
    from vdb.query.nearest import Search
    from vdb.query.plan import Question, Situation
    from vdb.query.resolve import LabelTerm, PartTerm, RangeTerm

_MOST_LABELS: Final = 4  # of a union: beyond, a walk of the whole graph meets them as soon
_LEAST_SHARE: Final = 1 / 16  # of the rows of a term that match the rest: fewer are lost among the others


class Overlay(NamedTuple):
    """An index over one attribute: its name, the attribute, its edges a node, and the graph whose codes it reads.

    `has_curve` says whether walks of it were measured, by the share of the rows that they are among. The attribute of a
    partial index is itself.
    """

    name: str
    attribute: str
    M: int
    codes: str | None
    has_curve: bool = False


T = TypeVar("T", "RangeTerm", "LabelTerm", "PartTerm")


class OverlayWalk(Walk, Generic[T]):
    """A walk among the rows of one term of the predicate; what else it says is a filter on the way."""

    def __init__(
        self, overlay: Overlay, graph: Graph, machine: Machine, question: Question, unusable: str = ""
    ) -> None:
        """`graph` is the overlay where it has a curve, else the one over all rows, which takes no less effort."""
        curve = graph.curve if overlay.has_curve else None
        self._measured = None if curve is None else OverlayWork(curve, question)
        somewhere = self._measured is not None and self._measured.promises
        super().__init__(overlay.name, unusable or ("" if somewhere else why_no_effort(graph, question)))
        self._overlay, self._machine = overlay, machine
        self._plain_ef = PlainEffort(graph, question)

    @abstractmethod
    def terms(self, seen: Situation) -> tuple[T, ...]:
        """The terms of the predicate of its kind, of any column."""

    @abstractmethod
    def among(self, term: T) -> tuple[Any, ...]:
        """What the core knows the rows of a term by; empty where it cannot walk among them."""

    def walks_of(self, term: T) -> tuple[int, int]:
        """How many walks a term takes, and the rows of all of them."""
        return 1, term.rows

    @abstractmethod
    def graph_of(self, search: Search) -> Any:
        """The index in the core."""

    @abstractmethod
    def why_no_term(self, seen: Situation) -> str:
        """Why the predicate has no term for it; empty where it has."""

    def term(self, seen: Situation) -> T | None:
        """The term with the fewest rows that it can walk among."""
        attribute = self._overlay.attribute
        found = None
        for term in self.terms(seen):
            if term.column == attribute and (found is None or term.rows < found.rows) and self.among(term):
                found = term
        return found

    def refusal(self, seen: Situation) -> str:
        """Why it cannot serve this search; empty where it can."""
        return self.unusable or self.why_no_term(seen)

    def cost(self, seen: Situation) -> float:
        """A walk among the rows of the term, wider where the rest of the predicate lets few of them pass."""
        walks, rows = self._walks(seen)
        if rows == 0 or seen.matching < _LEAST_SHARE * rows:
            return IMPOSSIBLE
        work = self._work(seen, rows / walks)
        if work is None:
            return IMPOSSIBLE
        steps: float = walks * work.steps * max(rows / max(seen.matching, 1), 1.0) ** WALK_POWER
        return self._machine.vectors.call + self._machine.filtered_step * min(steps, rows)

    def effort(self, seen: Situation) -> Effort:
        """That at which walks among so many rows were measured to find enough, or of the graph over all rows."""
        walks, rows = self._walks(seen)
        work = self._work(seen, rows / walks)
        ef = max(self._plain_ef(seen) if work is None else work.ef, seen.returned)
        return Effort(ef, widened(ef, rows, seen.matching))

    def steps_within(self, nanoseconds: float, seen: Situation) -> int:
        """At the pace of a walk under a filter."""
        return max(math.ceil(nanoseconds / self._machine.filtered_step), self.effort(seen).ef)

    def is_guess(self, seen: Situation) -> bool:
        """Where the rest of the predicate may keep its rows away from the query."""
        return 2 * seen.matching < self._walks(seen)[1]

    def walked(self, search: Search, effort: Effort, k: int, limit: int) -> Found:
        """By the core, among the rows of the term."""
        term = self.term(search.plan.situation)
        assert term is not None
        codes = self._overlay.codes
        found: Found = self.graph_of(search).search(
            search.view,
            search.queries,
            k,
            max(effort.ef, k),
            *self.among(term),
            allowed=search.allowed,
            pool=effort.pool,
            budget=effort.budget,
            limit=limit,
            threads=search.threads,
            codes=None if codes is None else search.indexes.graph(codes),
        )
        return found

    def covered(self, search: Search) -> int:
        """Slots of the index."""
        covered: int = self.graph_of(search).covered
        return covered

    def _walks(self, seen: Situation) -> tuple[int, int]:
        """The walks it would take and the rows of all of them, none where there is no term."""
        term = self.term(seen)
        return (1, 0) if term is None else self.walks_of(term)

    def _work(self, seen: Situation, rows: float) -> Work | None:
        """What a walk among so many rows takes; None where no recall is promised there."""
        if self._measured is not None:
            return self._measured.at(rows / max(seen.rows, 1))
        ef = self._plain_ef(seen)
        return Work(ef, walk_steps(Graph(self._overlay.M, math.ceil(rows)), ef))


class RangeWalk(OverlayWalk["RangeTerm"]):
    """A walk of a range graph between two keys."""

    strategy = "range"

    def terms(self, seen: Situation) -> tuple[RangeTerm, ...]:
        """Ranges of columns."""
        return seen.ranges

    def among(self, term: RangeTerm) -> tuple[int, int]:
        """The keys."""
        return term.low, term.high

    def graph_of(self, search: Search) -> _core.RangeGraph:
        """The layers of the column."""
        return search.indexes.range_graph(self.index)

    def why_no_term(self, seen: Situation) -> str:
        """Where no range of the column has to hold."""
        found = self.term(seen) is not None
        return "" if found else f"the predicate demands no range of {self._overlay.attribute}"


class LabelWalk(OverlayWalk["LabelTerm"]):
    """A walk of the overlays of a few values of which a row has one, or of the rarest of those it has all of.

    Parameters
    ----------
    count : callable or None
        Nodes of the overlay of a label, 0 where it has none; None while the overlays lack labels that were changed.
    """

    strategy = "label"

    def __init__(
        self, overlay: Overlay, graph: Graph, machine: Machine, question: Question, count: Callable[[int], int] | None
    ) -> None:
        unusable = "" if count is not None else "labels were changed in this transaction"
        super().__init__(overlay, graph, machine, question, unusable)
        self._count = count or (lambda _: 0)

    def terms(self, seen: Situation) -> tuple[LabelTerm, ...]:
        """Values of columns."""
        return seen.labels

    def among(self, term: LabelTerm) -> tuple[list[int]] | tuple[()]:
        """The overlays to walk."""
        known = [label for label in term.label_ids if self._count(label)]
        if not term.any:
            known = sorted(known, key=self._count)[:1]
        elif len(known) < len(term.label_ids) or len(known) > _MOST_LABELS:
            known = []
        return (known,) if known else ()

    def walks_of(self, term: LabelTerm) -> tuple[int, int]:
        """One for each value of which a row may have any; of values that a row has all of, one among those with one."""
        if term.any:
            return len(term.label_ids), term.rows
        return 1, min(filter(None, map(self._count, term.label_ids)), default=0)

    def graph_of(self, search: Search) -> _core.LabelGraph:
        """The overlays of the column."""
        return search.indexes.label_graph(self.index)

    def why_no_term(self, seen: Situation) -> str:
        """Where the values are none of the column's, too many, or too rare to have overlays."""
        attribute = self._overlay.attribute
        if not any(term.column == attribute for term in seen.labels):
            return f"the predicate demands no value of {attribute}"
        found = self.term(seen) is not None
        return "" if found else f"not all of the values of {attribute}, or more than {_MOST_LABELS}, have overlays"


class Part(NamedTuple):
    """The condition of a partial index, the nodes of its graph, and why no search can use it, empty where one can."""

    where: str
    nodes: int = 0
    unusable: str = ""


class PartWalk(OverlayWalk["PartTerm"]):
    """A walk of a partial index, where every row asked for is in it; what the predicate says is a filter on the way."""

    strategy = "partial"

    def __init__(self, overlay: Overlay, graph: Graph, machine: Machine, question: Question, part: Part) -> None:
        super().__init__(overlay, graph, machine, question, part.unusable)
        self._part = part

    def terms(self, seen: Situation) -> tuple[PartTerm, ...]:
        """Which partial indexes have all of the rows."""
        return seen.parts

    def among(self, term: PartTerm) -> tuple[list[int]] | tuple[()]:
        """The one overlay there is."""
        return ([0],) if term.has_all and self._part.nodes else ()

    def graph_of(self, search: Search) -> _core.LabelGraph:
        """The graph of the rows."""
        return search.indexes.label_graph(self.index)

    def why_no_term(self, seen: Situation) -> str:
        """Where a row asked for is not in it, or it is empty."""
        term = next((term for term in seen.parts if term.column == self.index), None)
        if term is None:
            return "which rows of this state are in it is not known"
        if not term.has_all:
            return f"not every row asked for is in it, WHERE {self._part.where}"
        return "" if self._part.nodes else f"no row is in it, WHERE {self._part.where}"

    def _work(self, seen: Situation, rows: float) -> Work | None:  # noqa: ARG002
        """What a walk of all of it takes: there is one curve, of the rows there were when it was measured."""
        return super()._work(seen, seen.rows)
