"""Asking DuckDB about a part of a predicate: rendered as the whole is, with just the values that stand in it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import duckdb

from vdb._core import RowSet
from vdb.query.answers import Answer, Answers, key_of
from vdb.query.confine import children_of
from vdb.query.source import Source
from vdb.query.syntax import render
from vdb.storage.connection import parser_connection
from vdb.types import Predicate

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from vdb.query.condition import Tree
    from vdb.query.parameters import Values
    from vdb.query.syntax import Node
    from vdb.storage.state import TableState
    from vdb.storage.store import Store
    from vdb.types import TableSchema

# Of computed values: what Python has for these is what DuckDB has.
_INTEGERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_UNSIGNED: Final = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_TYPES: Final = {*_INTEGERS, *_UNSIGNED, "BOOLEAN", "FLOAT", "DOUBLE", "VARCHAR", "DATE", "TIME", "TIMESTAMP", "UUID"}
_COMPUTED_KEPT: Final = 1_024

_computed: dict[Hashable, object] = {}


class Moved(Exception):
    """DuckDB answered about a newer state of the table."""

    def __init__(self, state: TableState) -> None:
        super().__init__()
        self.state = state


class NotComputed(Exception):
    """A constant expression has no value that Python could hold."""


class Asked:
    """What DuckDB says about parts of one predicate in one state; `any` says whether it was asked."""

    def __init__(self, store: Store, answers: Answers, predicate: Predicate, state: TableState) -> None:
        self._store = store
        self._answers = answers
        self._predicate = predicate
        self._state = state
        self.any = False

    def rows(self, tree: Tree, truth: bool) -> RowSet:
        """The rows for which a part is TRUE, or FALSE. Moved where the table has changed."""
        state = self._state
        self.any = True
        sql, values = rendered(tree, self._predicate, state.schema)
        part = Predicate(sql if truth else f"NOT ({sql})", values, frozenset())
        asked = part.sql, key_of(values)
        known = self._answers.get(state, asked)
        if known is not None:
            return known.rows
        database, slots = self._store.matching(state.schema.name, part)
        found = database.table(state.schema.name)
        if found is not state:
            raise Moved(found)
        rows = RowSet.from_slots(slots, state.next_slot)
        self._answers.put(state, asked, Answer(rows, ((), (), False)))
        return rows


def compute(tree: Tree, predicate: Predicate, schema: TableSchema) -> object:
    """The value of an expression without columns. NotComputed where it fails or is of a type Python has not."""
    sql, values = rendered(tree, predicate, schema)
    key = sql, key_of(values)
    if key not in _computed:
        try:
            row: Any = (
                parser_connection()
                .execute(f"SELECT v, typeof(v) FROM (SELECT ({sql}) AS v)", values or None)
                .fetchone()
            )
        except (duckdb.Error, OverflowError, ValueError):
            raise NotComputed from None
        if row[0] is not None and row[1] not in _TYPES and not row[1].startswith("DECIMAL("):
            raise NotComputed
        if len(_computed) >= _COMPUTED_KEPT:
            _computed.clear()
        _computed[key] = row[0]
    return _computed[key]


def rendered(tree: Tree, predicate: Predicate, schema: TableSchema) -> tuple[str, Values]:
    """A part of a predicate as SQL, and the values it binds."""
    if tree.rendered is None:
        node = copy.deepcopy(tree.node)
        names: list[str] = []
        for parameter in _parameters(node):
            name = parameter["identifier"]
            if name not in names:
                names.append(name)
            if name.isdigit():  # the first value of the part is its first
                parameter["identifier"] = str(names.index(name) + 1)
        sql, _ = render(node, Source(predicate.sql, schema))
        tree.rendered = sql, tuple(names)
    sql, wanted = tree.rendered
    given = predicate.parameters
    if isinstance(given, dict):
        return sql, {name: given[name] for name in wanted}
    return sql, tuple(given[int(name) - 1] for name in wanted)


def _parameters(node: Node) -> Iterator[Node]:
    if node["class"] == "PARAMETER":
        yield node
    for child in children_of(node):
        yield from _parameters(child)
