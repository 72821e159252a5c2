"""SQL over the user's tables; names are quoted here and nowhere else.

Each is a DuckDB table in `main` with its attribute columns, a BOOLEAN presence mark per vector column, `_row_id` where
no integer key is the row id, and `_slot`.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from vdb.types import ROW_ID_COLUMN, SLOT_COLUMN, Column, Predicate, RowIds, Slots, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vdb.storage.batch import Batch

_BATCH: Final = "vdb_batch"
_CHOSEN: Final = "vdb_chosen"
_POSITION: Final = "_vdb_position"
_PRESENT: Final = "_vdb_present_"


def quoted(name: str) -> str:
    """A name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def table_name(schema: TableSchema) -> str:
    """The table, qualified, as SQL."""
    return f"main.{quoted(schema.name)}"


@contextmanager
def bound(cursor: duckdb.DuckDBPyConnection, name: str, relation: Any) -> Iterator[None]:
    """Let SQL of this cursor see `relation`, any object DuckDB can register, as `name`."""
    cursor.complete()  # an unread rest of an earlier result would refuse the name
    cursor.register(name, relation)
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # an aborted transaction refuses, and takes the name with it
            cursor.unregister(name)


def create(cursor: duckdb.DuckDBPyConnection, schema: TableSchema) -> None:
    """Create the table."""
    columns = [f"{quoted(c.name)} {c.type if isinstance(c, Column) else 'BOOLEAN'}" for c in schema.columns]
    if schema.integer_key is None:
        columns.append(f"{ROW_ID_COLUMN} BIGINT")
    columns.append(f"{SLOT_COLUMN} UINTEGER")
    cursor.execute(f"CREATE TABLE {table_name(schema)} ({', '.join(columns)})")


def drop(cursor: duckdb.DuckDBPyConnection, schema: TableSchema) -> None:
    """Drop the table."""
    cursor.execute(f"DROP TABLE {table_name(schema)}")


@dataclass(frozen=True)
class LoadedRows:
    """Every row of a table, in any order: its slot, its row id, and by nullable vector column whether it has one."""

    slots: Slots
    row_ids: RowIds
    present: dict[str, npt.NDArray[np.bool_]]


def load(cursor: duckdb.DuckDBPyConnection, schema: TableSchema) -> LoadedRows:
    """Read what memory keeps of every row."""
    nullable = [column.name for column in schema.vectors if column.nullable]
    marks = [f"{quoted(name)} IS NOT NULL AS p{number}" for number, name in enumerate(nullable)]
    wanted = [f"{SLOT_COLUMN} AS slot", f"CAST({quoted(schema.row_id_column)} AS BIGINT) AS id", *marks]
    found = cursor.execute(f"SELECT {', '.join(wanted)} FROM {table_name(schema)}").fetchnumpy()
    if np.ma.is_masked(found["slot"]) or np.ma.is_masked(found["id"]):
        raise ValueError(f"table {schema.name} has a row without slot or row id")
    present = {name: np.asarray(found[f"p{number}"], np.bool_) for number, name in enumerate(nullable)}
    return LoadedRows(np.asarray(found["slot"], np.uint32), np.asarray(found["id"], np.int64), present)


def count_distinct_keys(cursor: duckdb.DuckDBPyConnection, schema: TableSchema) -> int:
    """How many different primary keys the table holds."""
    assert schema.key is not None
    rows = cursor.execute(f"SELECT count(DISTINCT {quoted(schema.key)}) FROM {table_name(schema)}").fetchall()
    return int(rows[0][0])


class StagedBatch:
    """A batch as SQL of one cursor sees it, with the position of each row; for the time of `staged`."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, schema: TableSchema, batch: Batch) -> None:
        self._cursor = cursor
        self._schema = schema
        self._batch = batch

    def first_null(self) -> tuple[str, int] | None:
        """Column and row of a NULL in a given column that takes none."""
        required = [c.name for c in self._schema.attributes if not c.nullable or c.name == self._schema.key]
        given = [name for name in required if name in self._batch.columns and self._integers(name) is None]
        if not given:
            return None
        firsts = ", ".join(f"min({_POSITION}) FILTER (WHERE b.{quoted(name)} IS NULL)" for name in given)
        (row,) = self._cursor.execute(f"SELECT {firsts} FROM {_BATCH} AS b").fetchall()
        return next(((name, at) for name, at in zip(given, row, strict=True) if at is not None), None)

    def integer_keys(self) -> RowIds:
        """The integer key of each row, (n,), in batch order."""
        given = self._integers(str(self._schema.key))
        if given is not None:
            return given.astype(np.int64)
        query = f"SELECT {_POSITION} AS p, CAST({self._key()} AS BIGINT) AS k FROM {_BATCH} AS b"
        found = self._cursor.execute(query).fetchnumpy()
        keys = np.empty(self._batch.n, np.int64)
        keys[found["p"]] = found["k"]
        return keys

    def first_duplicate(self) -> object | None:
        """A key the batch has twice, or None."""
        query = f"SELECT {self._key()} AS k FROM {_BATCH} AS b GROUP BY k HAVING count(*) > 1 LIMIT 1"
        rows = self._cursor.execute(query).fetchall()
        return rows[0][0] if rows else None

    def first_taken(self) -> object | None:
        """A key the table has already, or None."""
        rows = self._cursor.execute(f"SELECT {self._key()} {self._matched()} LIMIT 1").fetchall()
        return rows[0][0] if rows else None

    def matches(self) -> tuple[npt.NDArray[np.int64], Slots]:
        """Positions of the rows whose key the table has, and the slots that hold them."""
        query = f"SELECT {_POSITION} AS p, t.{SLOT_COLUMN} AS s {self._matched()}"
        found = self._cursor.execute(query).fetchnumpy()
        return np.asarray(found["p"], np.int64), np.asarray(found["s"], np.uint32)

    def insert(self, first_slot: int, next_row_id: int, merge: bool) -> None:
        """Insert row i at slot `first_slot + i`; with `merge` columns not given come from the row of the same key."""
        schema = self._schema
        values = {column.name: self._value(column, merge) for column in schema.columns}
        if schema.integer_key is None:
            new = f"{next_row_id} + {_POSITION}"
            values[ROW_ID_COLUMN] = f"coalesce(t.{ROW_ID_COLUMN}, {new})" if merge else new
        values[SLOT_COLUMN] = f"CAST({first_slot} + {_POSITION} AS UINTEGER)"
        source = f"FROM {_BATCH} AS b"
        if merge:
            source += f" LEFT JOIN {table_name(schema)} AS t ON t.{quoted(str(schema.key))} = {self._key()}"
        columns = ", ".join(map(quoted, values))
        sql = f"INSERT INTO {table_name(schema)} ({columns}) SELECT {', '.join(values.values())} {source}"
        self._cursor.execute(sql)

    def _value(self, column: Column | VectorColumn, merge: bool) -> str:
        name = quoted(column.name)
        if isinstance(column, VectorColumn):
            if column.name in self._batch.vectors:
                if self._batch.vectors[column.name].present is None:
                    return "TRUE"
                return f"CASE WHEN b.{_PRESENT}{self._schema.columns.index(column)} THEN TRUE END"
        elif column.name in self._batch.columns:
            return f"CAST(b.{name} AS {column.type})"
        return f"t.{name}" if merge else "NULL"

    def _integers(self, name: str) -> npt.NDArray[Any] | None:
        """The given column where it is a numpy array of int64 or smaller: then it needs no query, and has no NULL."""
        values = self._batch.relation.get(name) if isinstance(self._batch.relation, dict) else None
        if values is None or isinstance(values, np.ma.MaskedArray) or not np.can_cast(values.dtype, np.int64):
            return None
        return np.asarray(values)

    def _key(self) -> str:
        column = self._schema.key_column
        assert column is not None
        return f"CAST(b.{quoted(column.name)} AS {column.type})"

    def _matched(self) -> str:
        key = quoted(str(self._schema.key))
        return f"FROM {_BATCH} AS b JOIN {table_name(self._schema)} AS t ON t.{key} = {self._key()}"


@contextmanager
def staged(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, batch: Batch) -> Iterator[StagedBatch]:
    """Bind a batch to a cursor. The position is a column of its own: no plan has to keep the order of rows."""
    extra: dict[str, npt.NDArray[Any]] = {_POSITION: np.arange(batch.n, dtype=np.int64)}
    for number, column in enumerate(schema.columns):
        vectors = batch.vectors.get(column.name)
        if vectors is not None and vectors.present is not None:
            extra[f"{_PRESENT}{number}"] = vectors.present
    relation = _with_columns(batch.relation, extra) if batch.columns else extra
    with bound(cursor, _BATCH, relation):
        yield StagedBatch(cursor, schema, batch)


def _with_columns(relation: Any, extra: dict[str, npt.NDArray[Any]]) -> Any:
    if isinstance(relation, dict):
        return {**relation, **extra}
    library = type(relation).__module__.partition(".")[0]
    if library == "pandas":
        return relation.assign(**extra)
    if library == "polars":
        return relation.with_columns(**extra)
    for name, values in extra.items():
        relation = relation.append_column(name, [values])
    return relation


def update_values(
    cursor: duckdb.DuckDBPyConnection, schema: TableSchema, slots: Slots, values: dict[str, object]
) -> None:
    """Set attribute columns of the rows in `slots`."""
    attributes = {column.name: column.type for column in schema.attributes}
    sets = ", ".join(f"{quoted(name)} = CAST(? AS {attributes[name]})" for name in values)
    with bound(cursor, _CHOSEN, {"slot": slots}):
        cursor.execute(
            f"UPDATE {table_name(schema)} SET {sets} WHERE {SLOT_COLUMN} IN (SELECT slot FROM {_CHOSEN})",
            list(values.values()),
        )


def move(
    cursor: duckdb.DuckDBPyConnection, schema: TableSchema, slots: Slots, first_slot: int, present: dict[str, bool]
) -> None:
    """Give row i of `slots` the slot `first_slot + i` and set the presence marks of the columns in `present`."""
    new = (first_slot + np.arange(len(slots))).astype(np.uint32)
    marks = "".join(f", {quoted(name)} = {'TRUE' if has else 'NULL'}" for name, has in present.items())
    _set_slots(cursor, schema, slots, new, marks)


def renumber(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, slots: Slots) -> None:
    """Give every row its place in `slots`, all live slots of the table, as its slot."""
    new = np.arange(len(slots), dtype=np.uint32)
    moves = slots != new
    if moves.any():
        _set_slots(cursor, schema, slots[moves], new[moves])


def _set_slots(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, old: Slots, new: Slots, also: str = "") -> None:
    with bound(cursor, _CHOSEN, {"slot": old, "new": new}):
        cursor.execute(
            f"UPDATE {table_name(schema)} AS t SET {SLOT_COLUMN} = c.new{also} FROM {_CHOSEN} AS c"
            f" WHERE t.{SLOT_COLUMN} = c.slot"
        )


def delete(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, slots: Slots) -> None:
    """Delete the rows in `slots`."""
    with bound(cursor, _CHOSEN, {"slot": slots}):
        cursor.execute(
            f"DELETE FROM {table_name(schema)} WHERE {SLOT_COLUMN} IN (SELECT slot FROM {_CHOSEN})",
        )


def select(
    cursor: duckdb.DuckDBPyConnection,
    schema: TableSchema,
    slots: Slots,
    columns: Mapping[str, npt.NDArray[np.object_] | None],
    extra: Mapping[str, npt.NDArray[Any]],
) -> duckdb.DuckDBPyConnection:
    """Run the query for `columns` of the rows in `slots`, in that order, followed by `extra`.

    A vector column comes with its values, as lists: the table has only its presence mark.
    """
    chosen: dict[str, npt.NDArray[Any]] = {_POSITION: np.arange(len(slots), dtype=np.int64), f"{_POSITION}_slot": slots}
    values = []
    for name, lists in columns.items():
        if lists is None:
            values.append(f"t.{quoted(name)}")
        else:
            chosen[f"_vdb_lists_{len(values)}"] = lists
            column = schema.by_name[name]
            assert isinstance(column, VectorColumn)
            values.append(f"CAST(h._vdb_lists_{len(values)} AS {column.fetched_type}) AS {quoted(name)}")
    for name, array in extra.items():
        chosen[f"_vdb_extra_{len(values)}"] = array
        values.append(f"h._vdb_extra_{len(values)} AS {quoted(name)}")
    with bound(cursor, _CHOSEN, chosen):
        return cursor.execute(
            f"SELECT {', '.join(values)} FROM {_CHOSEN} AS h JOIN {table_name(schema)} AS t"
            f" ON t.{SLOT_COLUMN} = h.{_POSITION}_slot ORDER BY h.{_POSITION}"
        )


def matching(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, predicate: Predicate) -> Slots:
    """The slots of the rows for which the predicate is TRUE."""
    query = f"SELECT {SLOT_COLUMN} AS s FROM {table_name(schema)} WHERE {predicate.sql}"
    return np.asarray(cursor.execute(query, predicate.parameters).fetchnumpy()["s"], np.uint32)


@dataclass(frozen=True)
class ColumnQuery:
    """What is read of a column.

    Attributes
    ----------
    value : str
        SQL with `{item}` for the value, or for each item of a list that is not NULL.
    of_items : bool
        Whether the column is a list and `value` is about its items.
    """

    column: str
    value: str
    of_items: bool = False


def values(
    cursor: duckdb.DuckDBPyConnection, schema: TableSchema, query: ColumnQuery, which: int | Slots
) -> tuple[Slots, npt.NDArray[Any]]:
    """The slot and the value of every row, or item, that is not NULL; as `nulls` for `which`."""
    name = quoted(query.column)
    with _only(cursor, which) as only:
        source = f"SELECT {SLOT_COLUMN} AS s, {name} AS v FROM {table_name(schema)} WHERE {name} IS NOT NULL{only}"
        if query.of_items:
            source = f"SELECT s, unnest(v) AS v FROM ({source})"
        found = cursor.execute(
            f"SELECT s, {query.value.format(item='v')} AS k FROM ({source}) WHERE v IS NOT NULL"
        ).fetchnumpy()
    return np.asarray(found["s"], np.uint32), np.asarray(found["k"])


def nulls(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, column: str, which: int | Slots) -> Slots:
    """The slots where a column is NULL: of those from the number `which` on, or of the slots in `which`."""
    with _only(cursor, which) as only:
        found = cursor.execute(
            f"SELECT {SLOT_COLUMN} AS s FROM {table_name(schema)} WHERE {quoted(column)} IS NULL{only}"
        ).fetchnumpy()
    return np.asarray(found["s"], np.uint32)


@contextmanager
def _only(cursor: duckdb.DuckDBPyConnection, which: int | Slots) -> Iterator[str]:
    """What keeps a query to some slots, as SQL that follows a condition."""
    if isinstance(which, int):
        yield f" AND {SLOT_COLUMN} >= {which}" if which else ""
        return
    with bound(cursor, _CHOSEN, {"slot": which}):
        yield f" AND {SLOT_COLUMN} IN (SELECT slot FROM {_CHOSEN})"


def slots_of_keys(
    cursor: duckdb.DuckDBPyConnection, schema: TableSchema, keys: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], Slots]:
    """Positions in `keys` of those the table has, and the slots that hold them."""
    column = schema.key_column
    name, type_ = (column.name, column.type) if column is not None else (ROW_ID_COLUMN, "BIGINT")
    key = "h.key" if schema.row_id_column == name else f"CAST(h.key AS {type_})"
    with bound(cursor, _CHOSEN, {"key": keys, "position": np.arange(len(keys), dtype=np.int64)}):
        found = cursor.execute(
            f"SELECT h.position AS p, t.{SLOT_COLUMN} AS s FROM {_CHOSEN} AS h"
            f" JOIN {table_name(schema)} AS t ON t.{quoted(name)} = {key}"
        ).fetchnumpy()
    return np.asarray(found["p"], np.int64), np.asarray(found["s"], np.uint32)
