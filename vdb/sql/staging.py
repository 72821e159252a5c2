"""The rows that a statement writes, computed by DuckDB into a temporary table, with the types of their columns."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vdb.errors import InvalidArgument
from vdb.sql import tree
from vdb.storage.batch import Batch, vector_batch
from vdb.storage.rows import quoted
from vdb.storage.staged import WRITTEN, WrittenRows
from vdb.types import SLOT_COLUMN, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vdb.query.syntax import Node
    from vdb.sql.session import Session
    from vdb.storage.batch import VectorBatch
    from vdb.storage.session import Statement
    from vdb.types import Slots, TableSchema


@dataclass(frozen=True)
class Call:
    """A write that is being carried out: whose it is, what it asks through, and the values it was given."""

    session: Session
    statement: Statement
    values: Mapping[str, object]

    def prepared(self, query: Node) -> tuple[str, Any]:
        """The SQL and the values of a query that is part of it, whose steps have been carried out."""
        return self.session.prepared(self.statement, query, self.values)

    def described(self, query: Node) -> list[tuple[str, str]]:
        """The names and types of a query's columns."""
        return self.session.described(self.statement, query, self.values)


class Staged:
    """What a write has computed, for the time of its `with` block."""

    def __init__(self, statement: Statement, schema: TableSchema, columns: Sequence[str]) -> None:
        self._statement = statement
        self._schema = schema
        self.columns = tuple(columns)

    @property
    def n(self) -> int:
        """How many rows there are."""
        return int(self.ask(f"SELECT count(*) FROM temp.{WRITTEN}").fetchall()[0][0])

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attribute columns among those written."""
        return tuple(name for name in self.columns if not isinstance(self._schema.by_name[name], VectorColumn))

    def ask(self, sql: str) -> Any:
        """Run SQL that may name the temporary table."""
        return self._statement.ask(sql)

    def slots(self) -> Slots:
        """The slots of the rows, for a write that has some."""
        found = self.ask(f"SELECT {SLOT_COLUMN} AS s FROM temp.{WRITTEN} ORDER BY rowid").fetchnumpy()["s"]
        return np.ascontiguousarray(found, np.uint32)

    def vectors(self) -> dict[str, VectorBatch]:
        """The vectors of each vector column, checked."""
        found = {}
        for name in self.columns:
            if name not in self.attributes:
                rows = self.ask(f"SELECT {quoted(name)} AS v FROM temp.{WRITTEN} ORDER BY rowid").fetchnumpy()["v"]
                listed = [None if row is np.ma.masked else row for row in rows]
                for place, row in enumerate(listed):
                    if isinstance(row, np.ma.MaskedArray) and row.mask.any():
                        raise InvalidArgument(
                            f"row {place} has NULL among the values of {self._schema.name}.{name}.\n"
                            "  Fix: give all its numbers, or NULL for the whole vector."
                        )
                found[name] = vector_batch(self._schema, name, listed)
        return found

    def batch(self) -> Batch:
        """As a batch to insert."""
        return Batch(self.n, WrittenRows(), self.attributes, self.vectors())


@contextmanager
def staged(call: Call, query: Node, schema: TableSchema, columns: Sequence[str]) -> Iterator[Staged]:
    """Compute a query's rows as new values for columns of a table; `_slot` may be one of them, the first."""
    types = {name: _type(schema, name) for name in columns}
    with filled(call.statement, schema, types, lambda: call.prepared(query)) as rows:
        yield rows


@contextmanager
def filled(
    statement: Statement, schema: TableSchema, types: Mapping[str, str], source: Callable[[], tuple[str, Any]]
) -> Iterator[Staged]:
    """Put the rows of a query into the temporary table, in columns of these types; `source` is its SQL and values."""
    declared = [f"{quoted(name)} {type_}" for name, type_ in types.items()]
    statement.ask(f"CREATE OR REPLACE TEMP TABLE {WRITTEN} ({', '.join(declared)})")
    try:
        final, bound = source()
        statement.ask(f"INSERT INTO temp.{WRITTEN} {final}", bound)
        yield Staged(statement, schema, [name for name in types if name != SLOT_COLUMN])
    finally:
        if not statement.failed:
            statement.ask(f"DROP TABLE IF EXISTS temp.{WRITTEN}")


def _type(schema: TableSchema, name: str) -> str:
    if name == SLOT_COLUMN:
        return "UINTEGER"
    column = schema.by_name[name]
    return "FLOAT[]" if isinstance(column, VectorColumn) else column.type


def target_column(schema: TableSchema, name: str) -> str:
    """The column of that name, in any case of letters."""
    for column in schema.columns:
        if column.name.lower() == name.lower():
            return column.name
    raise InvalidArgument(
        f"table {schema.name} has no column {name!r}; columns: {', '.join(schema.by_name)}.\n  Fix: name one of them."
    )


def default_of(schema: TableSchema, column: str) -> Node:
    """What DEFAULT stands for as the value of a column."""
    known = schema.by_name[column]
    default = None if isinstance(known, VectorColumn) else known.default
    return tree.expression("NULL") if default is None else tree.kept(default)


def settled(values: Sequence[Node], schema: TableSchema, columns: Sequence[str]) -> list[Node]:
    """Values for columns, with what DEFAULT stands for in its place."""
    pairs = zip(values, columns, strict=False)  # DuckDB refuses rows of different lengths
    return [default_of(schema, column) if value.get("class") == "DEFAULT" else value for value, column in pairs]


def with_ctes(query: Node, around: Node) -> Node:
    """A query that sees the CTEs of the statement around it."""
    entries: list[Mapping[str, Any]] = [*around["cte_map"]["map"], *query["cte_map"]["map"]]
    return {**query, "cte_map": {"map": entries}}
