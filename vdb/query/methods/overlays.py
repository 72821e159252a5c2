"""The walks of graphs over some rows: those in a range of a column, and those with a value."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple

from vdb.index.recall import widened
from vdb.query.methods.method import IMPOSSIBLE
from vdb.query.methods.model import Graph, PlainEffort, walk_steps, why_no_effort
from vdb.query.methods.walks import Walk
from vdb.query.plan import Effort

if TYPE_CHECKING:
    from collections.abc import Callable

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


class OverlayWalk(Walk):
    """A walk among the rows of one term of the predicate; what else it says is a filter on the way."""

    def __init__(
        self, overlay: Overlay, graph: Graph, machine: Machine, question: Question, unusable: str = ""
    ) -> None:
        """`graph` is the one over all rows: fewer rows take no more effort than its curve says."""
        super().__init__(overlay.name, unusable or why_no_effort(graph, question))
        self._overlay, self._machine = overlay, machine
        self._plain_ef = PlainEffort(graph, question)

    @abstractmethod
    def term_count(self, seen: Situation) -> int:
        """Rows of the term it would walk among, 0 where there is none."""

    @abstractmethod
    def why_no_term(self, seen: Situation) -> str:
        """Why the predicate has no term for it; empty where it has."""

    def refusal(self, seen: Situation) -> str:
        """Why it cannot serve this search; empty where it can."""
        return self.unusable or self.why_no_term(seen)

    def cost(self, seen: Situation) -> float:
        """A walk among the rows of the term, wider where the rest of the predicate lets few of them pass."""
        count = self.term_count(seen)
        if seen.matching < _LEAST_SHARE * count:
            return IMPOSSIBLE
        return self._machine.call + self._machine.filtered_step * self._steps(seen)

    def effort(self, seen: Situation) -> Effort:
        """Of the curve of the graph over all rows."""
        ef = self._plain_ef(seen)
        return Effort(ef, widened(ef, self.term_count(seen), seen.matching))

    def steps_within(self, nanoseconds: float, seen: Situation) -> int:
        """At the pace of a walk under a filter."""
        return max(math.ceil(nanoseconds / self._machine.filtered_step), self.effort(seen).ef)

    def is_guess(self, seen: Situation) -> bool:
        """Where the rest of the predicate may keep its rows away from the query."""
        return 2 * seen.matching < self.term_count(seen)

    def _steps(self, seen: Situation) -> float:
        count = self.term_count(seen)
        return walk_steps(Graph(self._overlay.M, count), self.effort(seen).pool)


class RangeWalk(OverlayWalk):
    """A walk of a range graph between two keys."""

    strategy = "range"

    def term_count(self, seen: Situation) -> int:
        """Rows between the keys."""
        term = self._term(seen)
        return 0 if term is None else term.count

    def why_no_term(self, seen: Situation) -> str:
        """Where no range of the column has to hold."""
        found = self._term(seen) is not None
        return "" if found else f"the predicate demands no range of {self._overlay.attribute}"

    def walked(self, search: Search, effort: Effort, k: int, limit: int) -> Found:
        """By the core, in the layers of the range."""
        term = self._term(search.plan.situation)
        assert term is not None
        return search.indexes.range_graph(self.index).search(
            search.view,
            search.queries,
            k,
            max(effort.ef, k),
            term.low,
            term.high,
            allowed=search.allowed,
            pool=effort.pool,
            budget=effort.budget,
            limit=limit,
            threads=search.threads,
            codes=None if self._overlay.codes is None else search.indexes.graph(self._overlay.codes),
        )

    def covered(self, search: Search) -> int:
        """Slots of the index."""
        return search.indexes.range_graph(self.index).covered

    def _term(self, seen: Situation) -> RangeTerm | None:
        terms = [term for term in seen.ranges if term.column == self._overlay.attribute]
        return min(terms, key=lambda term: term.count, default=None)


class LabelWalk(OverlayWalk):
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

    def term_count(self, seen: Situation) -> int:
        """Rows with the values."""
        term = self._term(seen)
        return 0 if term is None else term.count

    def why_no_term(self, seen: Situation) -> str:
        """Where the values are none of the column's, too many, or too rare to have overlays."""
        attribute = self._overlay.attribute
        if not any(term.column == attribute for term in seen.labels):
            return f"the predicate demands no value of {attribute}"
        found = self._term(seen) is not None
        return "" if found else f"not all of the values of {attribute}, or more than {_MOST_LABELS}, have overlays"

    def walked(self, search: Search, effort: Effort, k: int, limit: int) -> Found:
        """By the core, in the overlays of the values."""
        term = self._term(search.plan.situation)
        assert term is not None
        return search.indexes.label_graph(self.index).search(
            search.view,
            search.queries,
            k,
            max(effort.ef, k),
            self._walkable(term),
            allowed=search.allowed,
            pool=effort.pool,
            budget=effort.budget,
            limit=limit,
            threads=search.threads,
            codes=None if self._overlay.codes is None else search.indexes.graph(self._overlay.codes),
        )

    def covered(self, search: Search) -> int:
        """Slots of the index."""
        return search.indexes.label_graph(self.index).covered

    def _term(self, seen: Situation) -> LabelTerm | None:
        """The rarest term that the overlays can serve."""
        terms = [t for t in seen.labels if t.column == self._overlay.attribute and self._walkable(t)]
        return min(terms, key=lambda term: term.count, default=None)

    def _walkable(self, term: LabelTerm) -> list[int]:
        """The overlays to walk: all of a union, one of values that must all be there; empty where that cannot be."""
        known = [label for label in term.label_ids if self._has(label)]
        if not term.any:
            return known[:1]
        return known if len(known) == len(term.label_ids) <= _MOST_LABELS else []
