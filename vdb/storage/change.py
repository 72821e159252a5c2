"""Updating and deleting the rows of given slots."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vdb._core import RowSet
from vdb.errors import DimensionMismatch, InvalidArgument
from vdb.storage import rows, staged
from vdb.storage.append import MISSING, NewVectors, appended, check_room, copied
from vdb.storage.state import TableState, check_columns
from vdb.types import Slots, StoredMatrix, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb


def update(
    cursor: duckdb.DuckDBPyConnection,
    table: TableState,
    slots: Slots,
    values: Mapping[str, object],
    vectors: Mapping[str, StoredMatrix | None],
) -> tuple[TableState, int]:
    """Set columns of the live rows among `slots`; returns the new state and how many rows there were.

    Attributes change in place. A new vector gives the row a new slot, with copies of its other vectors; None removes
    the vector. Row ids stay, and the primary key cannot be set.
    """
    _check(table, values, vectors)
    chosen = _live(table, slots)
    n = len(chosen)
    if n == 0 or not (values or vectors):
        return table, n
    if vectors:
        check_room(table, n)
    if values:
        rows.update_values(cursor, table.schema, chosen, {name: _plain(value) for name, value in values.items()})
        table = replace(table, rewrites=table.rewrites.after(values, chosen))
    if not vectors:
        return table, n
    rows.move(cursor, table.schema, chosen, table.next_slot, {name: row is not None for name, row in vectors.items()})
    everywhere = np.arange(n, dtype=np.int64)
    new = {name: copied(table, name, chosen, n, everywhere) for name in table.vectors if name not in vectors}
    new |= {name: MISSING if row is None else NewVectors(_repeated(row, n)) for name, row in vectors.items()}
    return appended(table, table.row_ids[chosen], new, table.next_row_id, chosen), n


def assign(
    cursor: duckdb.DuckDBPyConnection,
    table: TableState,
    slots: Slots,
    columns: tuple[str, ...],
    vectors: Mapping[str, NewVectors],
) -> TableState:
    """Give each of the live rows in `slots` values of its own; returns the new state.

    `columns` are attributes, whose values stand in `WrittenRows` by slot; `vectors` has row i for the i-th slot.
    """
    schema, n = table.schema, len(slots)
    if schema.key in columns:
        raise _is_key(schema.name, str(schema.key))
    required = tuple(name for name in columns if not schema.by_name[name].nullable)
    missing = staged.null_in_written(cursor, required) or next(
        (
            name
            for name, new in vectors.items()
            if not schema.by_name[name].nullable and new.present is not None and not new.present.all()
        ),
        None,
    )
    if missing is not None:
        raise InvalidArgument(f"{schema.name}.{missing} is declared NOT NULL. Fix: give every row a value.")
    if vectors:
        check_room(table, n)
    if columns:
        staged.assign_written(cursor, schema, columns)
        table = replace(table, rewrites=table.rewrites.after(columns, np.sort(slots)))
    if not vectors:
        return table
    all_there = np.ones(n, np.bool_)
    present = {name: all_there if new.present is None else new.present for name, new in vectors.items()}
    rows.move_each(cursor, schema, slots, table.next_slot, present)
    everywhere = np.arange(n, dtype=np.int64)
    others = {name: copied(table, name, slots, n, everywhere) for name in table.vectors if name not in vectors}
    return appended(table, table.row_ids[slots], {**others, **vectors}, table.next_row_id, slots)


def delete(cursor: duckdb.DuckDBPyConnection, table: TableState, slots: Slots) -> tuple[TableState, int]:
    """Delete the live rows among `slots`; returns the new state and how many rows there were."""
    chosen = _live(table, slots)
    if len(chosen) == 0:
        return table, 0
    rows.delete(cursor, table.schema, chosen)
    return replace(table, live=table.live - RowSet.from_slots(chosen, table.next_slot)), len(chosen)


def _check(table: TableState, values: Mapping[str, object], vectors: Mapping[str, StoredMatrix | None]) -> None:
    schema = table.schema
    check_columns(schema, (*values, *vectors))
    if schema.key in values:
        raise _is_key(schema.name, str(schema.key))
    for name, value in {**values, **vectors}.items():
        column = schema.by_name[name]
        if isinstance(column, VectorColumn) != (name in vectors):
            raise InvalidArgument(f"{schema.name}.{name} is {column.type}. Fix: pass a value of that type.")
        if value is None and not column.nullable:
            raise InvalidArgument(f"{schema.name}.{name} is declared NOT NULL. Fix: pass a value.")
    for name, row in vectors.items():
        dim, declared = table.vectors[name].data.shape[1], schema.by_name[name].type
        if row is not None and row.shape != (dim,):
            raise DimensionMismatch(
                f"The new vector has shape {row.shape}; {schema.name}.{name} is {declared}. Fix: pass {dim} values."
            )


def _is_key(table: str, key: str) -> InvalidArgument:
    return InvalidArgument(
        f"{table}.{key} is the primary key and cannot be set. Fix: delete the row and add a new one."
    )


def _live(table: TableState, slots: Slots) -> Slots:
    wanted = RowSet.from_slots(np.ascontiguousarray(slots, np.uint32), table.next_slot)
    return (wanted & table.live).to_slots()


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def _repeated(row: StoredMatrix, n: int) -> StoredMatrix:
    return np.ascontiguousarray(np.broadcast_to(row, (n, len(row))))
