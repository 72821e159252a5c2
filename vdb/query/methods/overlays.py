"""The walks of graphs over some rows: those in a range of a column, and those with a value."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from vdb.index.recall import widened
from vdb.query.methods.method import IMPOSSIBLE
from vdb.query.methods.model import Graph, PlainEffort, walk_steps, why_no_effort
from vdb.query.methods.walks import Walk
from vdb.query.plan import Effort

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb import _core
    from vdb.index.machine import Machine
    from vdb.query.answer import Found
    from vdb.query.nearest import Search
    from vdb.query.plan import Question, Situation
    from vdb.query.resolve import LabelTerm, RangeTerm

_MOST_LABELS: Final = 4  # of a union: beyond, a walk of the whole graph meets them as soon
_LEAST_SHARE: Final = 1 / 16  # of the rows of a term that match the rest: fewer are lost among the others


class Overlay(NamedTuple):
    """An index over one attribute: its name, the attribute, its edges a node, and the graph whose codes it reads."""

    name: str
    attribute: str
    M: int
    codes: str | None


T = TypeVar("T", "RangeTerm", "LabelTerm")


class OverlayWalk(Walk, Generic[T]):
    """A walk among the rows of one term of the predicate; what else it says is a filter on the way."""

    def __init__(
        self, overlay: Overlay, graph: Graph, machine: Machine, question: Question, unusable: str = ""
    ) -> None:
        """`graph` is the one over all rows: fewer rows take no more effort than its curve says."""
        super().__init__(overlay.name, unusable or why_no_effort(graph, question))
        self._overlay, self._machine = overlay, machine
        self._plain_ef = PlainEffort(graph, question)

    @abstractmethod
    def terms(self, seen: Situation) -> tuple[T, ...]:
        """The terms of the predicate of its kind, of any column."""

    @abstractmethod
    def among(self, term: T) -> tuple[Any, ...]:
        """What the core knows the rows of a term by; empty where it cannot walk among them."""

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
        term = self.term(seen)
        if term is None or seen.matching < _LEAST_SHARE * term.rows:
            return IMPOSSIBLE
        pool = widened(self._plain_ef(seen), term.rows, seen.matching)
        return self._machine.call + self._machine.filtered_step * self._steps(term.rows, pool)

    def effort(self, seen: Situation) -> Effort:
        """Of the curve of the graph over all rows."""
        ef = self._plain_ef(seen)
        return Effort(ef, widened(ef, self._count(seen), seen.matching))

    def steps_within(self, nanoseconds: float, seen: Situation) -> int:
        """At the pace of a walk under a filter."""
        return max(math.ceil(nanoseconds / self._machine.filtered_step), self._plain_ef(seen))

    def is_guess(self, seen: Situation) -> bool:
        """Where the rest of the predicate may keep its rows away from the query."""
        return 2 * seen.matching < self._count(seen)

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

    def _count(self, seen: Situation) -> int:
        term = self.term(seen)
        return 0 if term is None else term.rows

    def _steps(self, rows: int, pool: int) -> float:
        return walk_steps(Graph(self._overlay.M, rows), pool)


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
    """A walk of the overlays of one value, or of a few of which a row has one.

    Parameters
    ----------
    has : callable or None
        Whether a label has an overlay; None while the overlays lack labels that were changed.
    """

    strategy = "label"

    def __init__(
        self, overlay: Overlay, graph: Graph, machine: Machine, question: Question, has: Callable[[int], bool] | None
    ) -> None:
        unusable = "" if has is not None else "labels were changed in this transaction"
        super().__init__(overlay, graph, machine, question, unusable)
        self._has = has or (lambda _: False)

    def terms(self, seen: Situation) -> tuple[LabelTerm, ...]:
        """Values of columns."""
        return seen.labels

    def among(self, term: LabelTerm) -> tuple[list[int]] | tuple[()]:
        """The overlays to walk: all of a union, one of values that must all be there."""
        known = [label for label in term.label_ids if self._has(label)]
        if not term.any:
            known = known[:1]
        elif len(known) < len(term.label_ids) or len(known) > _MOST_LABELS:
            known = []
        return (known,) if known else ()

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
