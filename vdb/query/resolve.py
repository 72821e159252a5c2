"""From a predicate to the rows it allows in one state of a table: by attribute indexes, by DuckDB, or by both.

TRUE and FALSE are asked for separately, so NULL needs no set of its own: NOT turns one question into the other, AND of
FALSE is a union, OR of FALSE an intersection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from vdb._core import RowSet
from vdb.attributes.keeper import Outdated, Unreadable
from vdb.query.answers import Answer, Answers, key_of
from vdb.query.ask import Asked, Moved
from vdb.query.condition import Among, Begins, Fixed, Has, Is, Junction, Negation, Null, Other, can_fail, parts_of
from vdb.query.terms import Span, Terms, Unanswerable

if TYPE_CHECKING:
    from vdb.attributes.keeper import Attributes
    from vdb.query.condition import Condition
    from vdb.storage.state import TableState
    from vdb.storage.store import Store
    from vdb.types import Predicate

_ATTEMPTS: Final = 4  # while commits pass; then DuckDB answers alone
_FEW: Final = 16  # one row in so many is left: then DuckDB is asked about these, not about all

BY_INDEXES: Final = "attribute indexes"
BY_DUCKDB: Final = "DuckDB"
BY_BOTH: Final = "attribute indexes and DuckDB"
BY_CACHE: Final = "cache"


class RangeTerm(NamedTuple):
    """Every row has a key from `low` to `high` in `column` (`ColumnIndex.order_keys`); `rows` live rows have one."""

    column: str
    low: int
    high: int
    rows: int

    def like(self, rows: int) -> RangeTerm:
        """What stands for all ranges of the column with so many rows."""
        return RangeTerm(self.column, 0, 0, rows)


class LabelTerm(NamedTuple):
    """Every row has one of the labels in `column` (`ColumnIndex.memberships`), or all of them where not `any`.

    `rows` is the number of live rows of which that is true.
    """

    column: str
    label_ids: tuple[int, ...]
    any: bool
    rows: int

    def like(self, rows: int) -> LabelTerm:
        """The same values, in so many rows."""
        return LabelTerm(self.column, self.label_ids, self.any, rows)


class PartTerm(NamedTuple):
    """Whether a partial index, which has `rows` live rows, has all of the rows asked for; `column` is its name."""

    column: str
    rows: int
    has_all: bool

    def like(self, rows: int) -> PartTerm:
        """The same of an index over so many rows."""
        return PartTerm(self.column, rows, self.has_all)


class Resolved(NamedTuple):
    """The rows for which a predicate is TRUE.

    Attributes
    ----------
    state : TableState
        What they are rows of: the state asked for, or a newer one.
    rows : RowSet
        Exactly these.
    how : str
        What answered.
    ranges, labels : tuples
        What the predicate demands of single columns, each of every row.
    whole : bool
        Whether it demands nothing else.
    """

    state: TableState
    rows: RowSet
    how: str
    ranges: tuple[RangeTerm, ...] = ()
    labels: tuple[LabelTerm, ...] = ()
    whole: bool = False


class Resolver:
    """Answers predicates about the tables of one database. Thread-safe."""

    def __init__(self, store: Store, attributes: Attributes) -> None:
        self._store = store
        self._attributes = attributes
        self._answers = Answers()

    def resolve(self, predicate: Predicate, state: TableState) -> Resolved:
        """The rows of a table for which a predicate over its columns is TRUE.

        Of the newest state where `state` is gone; in a transaction of this thread, of what that has written.
        PredicateError where a row makes the predicate fail, NotFound where the table was dropped.
        """
        asked = predicate.sql, key_of(predicate.parameters)
        if self._store.transaction is None:
            known = self._answers.get(state, asked)
            if known is not None:
                ranges, labels, whole = known.more
                return Resolved(state, known.rows, BY_CACHE, ranges, labels, whole)
            found = self._by_indexes(predicate, state)
            if found is None:
                found = self._by_duckdb(predicate, state)
            answer = Answer(found.rows, (found.ranges, found.labels, found.whole))
            if found.how == BY_INDEXES:
                self._answers.put_if_again(found.state, asked, answer)
            else:
                self._answers.put(found.state, asked, answer)
            return found
        return self._by_duckdb(predicate, state)

    def _by_duckdb(self, predicate: Predicate, state: TableState) -> Resolved:
        name = state.schema.name
        database, slots = self._store.matching(name, predicate)
        found = database.table(name)
        return Resolved(found, RowSet.from_slots(slots, found.next_slot), BY_DUCKDB)

    def _by_indexes(self, predicate: Predicate, state: TableState) -> Resolved | None:
        """None where DuckDB is to be asked for all of it."""
        condition: Condition | None = predicate.condition
        if condition is None or isinstance(condition, Other) or can_fail(condition):
            return None
        for _ in range(_ATTEMPTS):
            try:
                return _Evaluation(self._store, self._attributes, self._answers, predicate, state).resolved(condition)
            except (Unanswerable, Unreadable):
                return None
            except Moved as moved:
                newest = moved.state
            except Outdated:
                newest = self._store.committed.table(state.schema.name)
            if newest.id != state.id:
                return None
            state = newest
        return None


class _Evaluation:
    """One predicate about one state."""

    def __init__(
        self, store: Store, attributes: Attributes, answers: Answers, predicate: Predicate, state: TableState
    ) -> None:
        self._state = state
        self._asked = Asked(store, answers, predicate, state)
        self._terms = Terms(attributes, predicate, state)

    def resolved(self, condition: Condition) -> Resolved:
        """What `Resolver.resolve` returns."""
        whole = _Whole()
        rows = self._intersection(condition, True, whole)
        if self._state.dead_slots:
            rows = rows & self._state.live
        by = BY_INDEXES if not self._asked.any else BY_BOTH if self._terms.any else BY_DUCKDB
        return Resolved(self._state, rows, by, tuple(whole.ranges), tuple(whole.labels), whole.is_all)

    def _rows(self, condition: Condition, truth: bool) -> RowSet:
        """The slots where a condition is TRUE, or FALSE; among those without a live row any."""
        if isinstance(condition, Negation):
            return self._rows(condition.condition, not truth)
        if isinstance(condition, Junction):
            if condition.is_and == truth:
                return self._intersection(condition, truth, None)
            rows = self._none()
            for part, wanted in condition.parts:
                rows = rows | self._rows(part, wanted == truth)
            return rows
        if isinstance(condition, Other):
            return self._asked.rows(condition.tree, truth)
        if isinstance(condition, Fixed):
            return self._all() if condition.truth is truth else self._none()
        if isinstance(condition, Null):
            return self._terms.null(condition.column, truth)
        if isinstance(condition, Is):
            found = self._known(condition.condition, condition.truth)
            return found if truth else ~found
        by_index = self._terms.rows(condition, truth)
        if by_index is not None:
            return by_index
        assert isinstance(condition, (Among, Begins))
        assert condition.tree is not None
        return self._asked.rows(condition.tree, truth)

    def _known(self, condition: Condition, truth: bool | None) -> RowSet:
        if truth is not None:
            return self._rows(condition, truth)
        return ~(self._rows(condition, True) | self._rows(condition, False))

    def _intersection(self, condition: Condition, truth: bool, whole: _Whole | None) -> RowSet:
        """The rows of all parts of a condition: those of indexes first, those of one column in one span."""
        rows: RowSet | None = None
        spans, others, left = parts_of(condition, truth)
        for column, compared in spans:
            span = self._terms.span(column, compared)
            found = self._terms.between(span)
            rows = found if rows is None else rows & found
            if whole is not None:
                self._add_span(span, found, whole)
        for part, wanted in others:
            begun = self._terms.beginning(part) if wanted and isinstance(part, Begins) else None
            found = self._rows(part, wanted) if begun is None else self._terms.between(begun)
            rows = found if rows is None else rows & found
            if whole is not None and begun is not None:
                self._add_span(begun, found, whole)
            elif whole is not None:
                whole.add(self._labels(part, wanted, found))
        if whole is not None and left:
            whole.is_all = False
        if left and rows is not None and rows.count * _FEW < rows.size and isinstance(condition, Junction):
            # DuckDB looks at the few rows that are left only if it is asked about the whole condition.
            return rows & self._asked.rows(condition.tree, truth) if rows.count else rows
        for part, wanted in left:
            found = self._rows(part, wanted)
            rows = found if rows is None else rows & found
        assert rows is not None
        return rows

    def _add_span(self, span: Span, found: RowSet, whole: _Whole) -> None:
        live = self._live(found)
        whole.ranges.append(RangeTerm(span.column, span.low, span.high, live))
        label = self._terms.label_of_span(span) if span.low == span.high else None
        if label is not None:
            whole.labels.append(LabelTerm(span.column, (label,), True, live))

    def _labels(self, part: Condition, truth: bool, found: RowSet) -> LabelTerm | None:
        """The term that a part is, None where it is none."""
        if not truth or not isinstance(part, (Among, Has)):
            return None
        labels = self._terms.labels(part)
        every = isinstance(part, Has) and part.every and len(labels or ()) > 1
        return None if labels is None else LabelTerm(part.column, labels, not every, self._live(found))

    def _live(self, rows: RowSet) -> int:
        state = self._state
        return rows.count if state.dead_slots == 0 else (rows & state.live).count

    def _all(self) -> RowSet:
        return RowSet.all(self._state.next_slot)

    def _none(self) -> RowSet:
        return RowSet.none(self._state.next_slot)


class _Whole:
    """The terms of a predicate, and whether there is nothing else in it."""

    def __init__(self) -> None:
        self.ranges: list[RangeTerm] = []
        self.labels: list[LabelTerm] = []
        self.is_all = True

    def add(self, term: LabelTerm | None) -> None:
        """Note what a part is."""
        if term is None:
            self.is_all = False
        else:
            self.labels.append(term)
