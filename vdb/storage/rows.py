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
    from collections.abc import Iterator, Mapping, Sequence

CHOSEN: Final = "vdb_chosen"
POSITION: Final = "_vdb_position"


def quoted(name: str) -> str:
    """A name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


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


def create(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, checks: Sequence[str] = ()) -> None:
    """Create the table."""
    columns = [_declared(column) for column in schema.columns]
    if schema.integer_key is None:
        columns.append(f"{ROW_ID_COLUMN} BIGINT")
    columns.append(f"{SLOT_COLUMN} UINTEGER")
    columns += [f"CHECK ({check})" for check in checks]
    cursor.execute(f"CREATE TABLE {table_name(schema)} ({', '.join(columns)})")


def drop(cursor: duckdb.DuckDBPyConnection, schema: TableSchema) -> None:
    """Drop the table."""
    cursor.execute(f"DROP TABLE {table_name(schema)}")


def add_column(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, column: Column | VectorColumn) -> None:
    """Add a column with its default in every row."""
    cursor.execute(f"ALTER TABLE {table_name(schema)} ADD COLUMN {_declared(column)}")


def _declared(column: Column | VectorColumn) -> str:
    if not isinstance(column, Column):
        return f"{quoted(column.name)} BOOLEAN"
    default = "" if column.default is None else f" DEFAULT ({column.default})"
    return f"{quoted(column.name)} {column.type}{default}"


def set_default(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, name: str, default: str | None) -> None:
    """Give a column another default, or none."""
    change = "DROP DEFAULT" if default is None else f"SET DEFAULT ({default})"
    cursor.execute(f"ALTER TABLE {table_name(schema)} ALTER COLUMN {quoted(name)} {change}")


def fill_column(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, column: Column, value: object) -> None:
    """Set a column of every row."""
    cursor.execute(f"UPDATE {table_name(schema)} SET {quoted(column.name)} = CAST(? AS {column.type})", [value])


def drop_column(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, name: str) -> None:
    """Drop a column."""
    cursor.execute(f"ALTER TABLE {table_name(schema)} DROP COLUMN {quoted(name)}")


def rename_column(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, old: str, new: str) -> None:
    """Give a column another name."""
    cursor.execute(f"ALTER TABLE {table_name(schema)} RENAME COLUMN {quoted(old)} TO {quoted(new)}")


def rename(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, new: str) -> None:
    """Give the table another name."""
    cursor.execute(f"ALTER TABLE {table_name(schema)} RENAME TO {quoted(new)}")


def slots_with(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, column: str) -> Slots:
    """The slots of the rows whose value of a column, or mark of a vector, is not NULL."""
    query = f"SELECT {SLOT_COLUMN} AS s FROM {table_name(schema)} WHERE {quoted(column)} IS NOT NULL"
    return np.asarray(cursor.execute(query).fetchnumpy()["s"], np.uint32)


def clear_vectors(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, column: str, slots: Slots) -> None:
    """Set the mark of a vector column to NULL for the rows in `slots`."""
    with bound(cursor, CHOSEN, {"slot": slots}):
        cursor.execute(
            f"UPDATE {table_name(schema)} SET {quoted(column)} = NULL"
            f" WHERE {SLOT_COLUMN} IN (SELECT slot FROM {CHOSEN})"
        )


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
    wanted = [
        f"CAST({SLOT_COLUMN} AS UINTEGER) AS slot",
        f"CAST({quoted(schema.row_id_column)} AS BIGINT) AS id",
        *marks,
    ]
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


def update_values(
    cursor: duckdb.DuckDBPyConnection, schema: TableSchema, slots: Slots, values: dict[str, object]
) -> None:
    """Set attribute columns of the rows in `slots`."""
    attributes = {column.name: column.type for column in schema.attributes}
    sets = ", ".join(f"{quoted(name)} = CAST(? AS {attributes[name]})" for name in values)
    with bound(cursor, CHOSEN, {"slot": slots}):
        cursor.execute(
            f"UPDATE {table_name(schema)} SET {sets} WHERE {SLOT_COLUMN} IN (SELECT slot FROM {CHOSEN})",
            list(values.values()),
        )


def move(
    cursor: duckdb.DuckDBPyConnection, schema: TableSchema, slots: Slots, first_slot: int, present: dict[str, bool]
) -> None:
    """Give row i of `slots` the slot `first_slot + i` and set the presence marks of the columns in `present`."""
    new = (first_slot + np.arange(len(slots))).astype(np.uint32)
    marks = "".join(f", {quoted(name)} = {'TRUE' if has else 'NULL'}" for name, has in present.items())
    _set_slots(cursor, schema, {"slot": slots, "new": new}, marks)


def move_each(
    cursor: duckdb.DuckDBPyConnection,
    schema: TableSchema,
    slots: Slots,
    first_slot: int,
    present: Mapping[str, npt.NDArray[np.bool_]],
) -> None:
    """As `move`, where each row has a mark of its own in each column of `present`."""
    new = (first_slot + np.arange(len(slots))).astype(np.uint32)
    marks = "".join(f", {quoted(name)} = CASE WHEN c.p{i} THEN TRUE END" for i, name in enumerate(present))
    given = {f"p{i}": marked for i, marked in enumerate(present.values())}
    _set_slots(cursor, schema, {"slot": slots, "new": new, **given}, marks)


def renumber(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, slots: Slots) -> None:
    """Give every row its place in `slots`, all live slots of the table, as its slot."""
    new = np.arange(len(slots), dtype=np.uint32)
    moves = slots != new
    if moves.any():
        _set_slots(cursor, schema, {"slot": slots[moves], "new": new[moves]})


def _set_slots(
    cursor: duckdb.DuckDBPyConnection, schema: TableSchema, moves: dict[str, npt.NDArray[Any]], also: str = ""
) -> None:
    """Give the rows in `slot` the slots in `new`; `also` may set more, from further columns of `moves`."""
    with bound(cursor, CHOSEN, moves):
        cursor.execute(
            f"UPDATE {table_name(schema)} AS t SET {SLOT_COLUMN} = c.new{also} FROM {CHOSEN} AS c"
            f" WHERE t.{SLOT_COLUMN} = c.slot"
        )


def delete(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, slots: Slots) -> None:
    """Delete the rows in `slots`."""
    with bound(cursor, CHOSEN, {"slot": slots}):
        cursor.execute(
            f"DELETE FROM {table_name(schema)} WHERE {SLOT_COLUMN} IN (SELECT slot FROM {CHOSEN})",
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
    chosen: dict[str, npt.NDArray[Any]] = {POSITION: np.arange(len(slots), dtype=np.int64), f"{POSITION}_slot": slots}
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
    with bound(cursor, CHOSEN, chosen):
        return cursor.execute(
            f"SELECT {', '.join(values)} FROM {CHOSEN} AS h JOIN {table_name(schema)} AS t"
            f" ON t.{SLOT_COLUMN} = h.{POSITION}_slot ORDER BY h.{POSITION}"
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
    column : str
        SQL: its quoted name, or an expression over the columns of the table.
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
    column = query.column
    with _only(cursor, which) as only:
        source = f"SELECT {SLOT_COLUMN} AS s, {column} AS v FROM {table_name(schema)} WHERE {column} IS NOT NULL{only}"
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


def first_repeated(
    cursor: duckdb.DuckDBPyConnection, schema: TableSchema, columns: Sequence[str], which: int | Slots
) -> tuple[Any, ...] | None:
    """The values of some columns, none of them NULL, in which a row equals another one; as `nulls` for `which`."""
    names = [quoted(name) for name in columns]
    same = " AND ".join(f"o.{name} = n.{name}" for name in names)
    with _only(cursor, which) as only:
        found = cursor.execute(
            f"SELECT {', '.join(f'n.{name}' for name in names)} FROM {table_name(schema)} AS o JOIN"
            f" (SELECT * FROM {table_name(schema)} WHERE TRUE{only}) AS n"
            f" ON {same} AND o.{SLOT_COLUMN} <> n.{SLOT_COLUMN} LIMIT 1"
        ).fetchall()
    return found[0] if found else None


@contextmanager
def _only(cursor: duckdb.DuckDBPyConnection, which: int | Slots) -> Iterator[str]:
    """What keeps a query to some slots, as SQL that follows a condition."""
    if isinstance(which, int):
        yield f" AND {SLOT_COLUMN} >= {which}" if which else ""
        return
    with bound(cursor, CHOSEN, {"slot": which}):
        yield f" AND {SLOT_COLUMN} IN (SELECT slot FROM {CHOSEN})"


def slots_of_keys(
    cursor: duckdb.DuckDBPyConnection, schema: TableSchema, keys: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], Slots]:
    """Positions in `keys` of those the table has, and the slots that hold them."""
    column = schema.key_column
    name, type_ = (column.name, column.type) if column is not None else (ROW_ID_COLUMN, "BIGINT")
    key = "h.key" if schema.row_id_column == name else f"CAST(h.key AS {type_})"
    with bound(cursor, CHOSEN, {"key": keys, "position": np.arange(len(keys), dtype=np.int64)}):
        found = cursor.execute(
            f"SELECT h.position AS p, t.{SLOT_COLUMN} AS s FROM {CHOSEN} AS h"
            f" JOIN {table_name(schema)} AS t ON t.{quoted(name)} = {key}"
        ).fetchnumpy()
    return np.asarray(found["p"], np.int64), np.asarray(found["s"], np.uint32)
