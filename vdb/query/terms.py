"""Conditions on one column, answered by its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from vdb._core import RowSet
from vdb.attributes.column import exact_key
from vdb.attributes.keys import KEY_MAX, KEY_MIN
from vdb.query.ask import NotComputed, compute
from vdb.query.condition import Among, Begins, Compare, Computed, Given, Has, Lifted, Named, Same

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vdb.attributes.column import ColumnIndex
    from vdb.attributes.keeper import Attributes
    from vdb.attributes.keys import Position
    from vdb.query.condition import Condition, Sign, Value
    from vdb.storage.state import TableState
    from vdb.types import Predicate

_WILD: Final = frozenset("%_\\")


class Unanswerable(Exception):
    """Only DuckDB knows how it compares these."""


class Span(NamedTuple):
    """The rows of a column with a key from `low` to `high`, both included; none where `low` is greater."""

    column: str
    low: int
    high: int


class Terms:
    """The columns of one state and the values of one predicate; `any` says whether a column was asked."""

    def __init__(self, attributes: Attributes, predicate: Predicate, state: TableState) -> None:
        self._attributes = attributes
        self._predicate = predicate
        self._state = state
        self._columns: dict[str, ColumnIndex] = {}
        self.any = False

    def null(self, column: str, truth: bool) -> RowSet:
        """The slots where a column is NULL, or is not."""
        self.any = True
        found = self._attributes.nulls(self._state, column)
        return found if truth else ~found

    def span(self, name: str, compared: Iterable[tuple[Sign, Value]]) -> Span:
        """The span of a column that compares so with all of some values; Unanswerable where only DuckDB can tell."""
        low, high = KEY_MIN, KEY_MAX
        for sign, value in compared:
            given = self._value(value)
            if given is None:
                return Span(name, KEY_MAX, KEY_MIN)
            below, above = self._position(name, given, isinstance(value, Computed))
            if sign != "<" and sign != "<=":
                low = max(low, above if sign == ">" else below + 1)
            if sign != ">" and sign != ">=":
                high = min(high, below if sign == "<" else above - 1)
        return Span(name, low, high)

    def beginning(self, condition: Begins) -> Span | None:
        """The span of the texts that begin so, None where only DuckDB can tell."""
        value = self._value(condition.value)
        if value is None:
            return Span(condition.column, KEY_MAX, KEY_MIN)
        if type(value) is not str:
            raise Unanswerable
        if condition.is_pattern:
            prefix = value.rstrip("%")
            if _WILD.intersection(prefix):
                return None
            if prefix == value:
                below, above = self._position(condition.column, value, False)
                return Span(condition.column, below + 1, above - 1)
            value = prefix
        found = self._column(condition.column).starting_with(value)
        return None if found is None else Span(condition.column, *found)

    def between(self, span: Span) -> RowSet:
        """The rows of a span."""
        return self._column(span.column).between(span.low, span.high)

    def rows(self, condition: Condition, truth: bool) -> RowSet | None:
        """The slots where a condition on one column is TRUE, or FALSE; None where only DuckDB can tell of this kind.

        Unanswerable where it is the values that only DuckDB can compare.
        """
        if isinstance(condition, Same):
            return self._same(condition, truth)
        if isinstance(condition, (Compare, Begins)):
            span = self._compared(condition)
            if span is None:
                return None
            found = self.between(span)
            return found if truth else self._rest(condition.column, found, self._value(condition.value) is None)
        if isinstance(condition, Among):
            if self._is_of_text(condition):
                return None
            values, of_list = self._given(condition)
            has_null = None in values
            if of_list and has_null:
                raise Unanswerable
            found = self._column(condition.column).any_of(self._keys(condition.column, values, of_list))
            return found if truth else self._rest(condition.column, found, has_null)
        assert isinstance(condition, Has)
        found = self._having(condition)
        return found if truth else self._rest(condition.column, found, False)

    def labels(self, condition: Among | Has) -> tuple[int, ...] | None:
        """The labels of the values that a condition is about, None where some have none."""
        if self._is_of_text(condition):
            return None
        column = self._labelled(condition.column)
        values, _ = self._given(condition)
        if column is None or not values:
            return None
        found = [column.label_of(value) for value in values if value is not None]
        if isinstance(condition, Has) and not condition.every:  # no row has what never appeared
            found = [label for label in found if label is not None]
        labels = tuple(label for label in found if label is not None)
        return labels if len(labels) == len(found) else None

    def label_of_span(self, span: Span) -> int | None:
        """The label of the one value that a span is of, None where it is of several or has no label."""
        if span.low != span.high:
            return None
        column = self._labelled(span.column)
        return None if column is None else column.label_of_key(span.low)

    def _labelled(self, name: str) -> ColumnIndex | None:
        """A column whose values have labels, None where they have none; those of overlays get them when first asked."""
        column = self._column(name)
        if not column.has_labels() and any(
            record.kind == "label" and record.params["attribute"] == name for record in self._state.indexes.values()
        ):
            column.memberships()
        return column if column.has_labels() else None

    def _column(self, name: str) -> ColumnIndex:
        column = self._columns.get(name)
        if column is None:
            self.any = True
            column = self._columns[name] = self._attributes.column(self._state, name)
        return column

    def _compared(self, condition: Compare | Begins) -> Span | None:
        if isinstance(condition, Begins):
            return self.beginning(condition)
        return self.span(condition.column, [(condition.sign, condition.value)])

    def _same(self, condition: Same, truth: bool) -> RowSet:
        value = self._value(condition.value)
        if value is None:
            return self.null(condition.column, truth)
        found = self.between(self.span(condition.column, [("=", condition.value)]))
        return found if truth else ~found

    def _having(self, condition: Has) -> RowSet:
        column = self._column(condition.column)
        values, _ = self._given(condition)
        for value in values:
            if not column.can_compare_items(value):
                raise Unanswerable
        labels = [column.label_of(value) for value in values]
        if not condition.every:
            return column.any_of(label for label in labels if label is not None)
        found = self.null(condition.column, False)
        for label in labels:
            found = RowSet.none(found.size) if label is None else found & column.with_label(label)
        return found

    def _rest(self, column: str, found: RowSet, has_null: bool) -> RowSet:
        """Where a condition on a column is FALSE: neither TRUE nor NULL. With a NULL value it is never FALSE."""
        if has_null:
            return RowSet.none(self._state.next_slot)
        return ~(found | self._attributes.nulls(self._state, column))

    def _is_of_text(self, condition: Among | Has) -> bool:
        """Whether `contains` turned out to be about parts of a text."""
        if not isinstance(condition, Among) or condition.tree is None:
            return False
        return not isinstance(self._value(condition.values[0]), list)

    def _given(self, condition: Among | Has) -> tuple[list[object], bool]:
        """The values that a column is compared with, and whether they are the items of one list."""
        values = [self._value(value) for value in condition.values]
        if len(values) == 1 and isinstance(condition.values[0], Named):
            if isinstance(values[0], list):
                return values[0], True
            if condition.of_list:
                raise Unanswerable
        elif any(isinstance(value, list) for value in values):
            raise Unanswerable
        return values, condition.of_list

    def _keys(self, name: str, values: list[object], of_list: bool) -> list[int]:
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1:  # DuckDB finds one type for all of them
            raise Unanswerable
        is_text = self._column(name).is_text
        keys = []
        for value in values:
            if value is not None:
                if of_list and type(value) is str and not is_text:
                    raise Unanswerable
                position = self._position(name, value, False)
                key = exact_key(position)
                if key is None and position.above - position.below != 1:
                    raise Unanswerable
                keys += [] if key is None else [key]
        return keys

    def _position(self, name: str, value: object, is_typed: bool) -> Position:
        """Where a value stands in a column; a text that `is_typed` is not one that DuckDB would cast to its type."""
        column = self._column(name)
        if is_typed and type(value) is str and not column.is_text:
            raise Unanswerable
        position = column.position(value)
        if position is None:
            raise Unanswerable
        return position

    def _value(self, value: Value) -> object:
        if isinstance(value, Given):
            return value.value
        if isinstance(value, Named):
            given = self._predicate.parameters
            return given[value.parameter] if isinstance(given, dict) else given[int(value.parameter) - 1]
        if isinstance(value, Lifted):
            constant = self._predicate.constants[value.number]
            return -constant if value.negative else constant
        try:
            return compute(value.tree, self._predicate, self._state.schema)
        except NotComputed:
            raise Unanswerable from None
