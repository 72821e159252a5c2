"""Inserting and upserting a batch: everything that can be wrong with it is found before anything changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from vdb.errors import AlreadyExists, InvalidArgument
from vdb.storage import rows
from vdb.storage.append import NewVectors, appended, check_room, copied
from vdb.storage.staged import staged
from vdb.storage.state import TableState, check_columns
from vdb.types import RowIds, TableSchema, VectorColumn

if TYPE_CHECKING:
    import duckdb

    from vdb.storage.batch import Batch
    from vdb.storage.staged import StagedBatch

_MAX_ROW_ID: Final = 2**63 - 1
_NO_POSITIONS: Final = np.empty(0, np.int64)
_NO_SLOTS: Final = np.empty(0, np.uint32)


def insert(cursor: duckdb.DuckDBPyConnection, table: TableState, batch: Batch) -> TableState:
    """Add the rows of a batch; AlreadyExists where a key is taken, by the table or within the batch."""
    _check(table, batch)
    _check_complete(table.schema, batch)
    with staged(cursor, table.schema, batch) as stage:
        _check_nulls(table.schema, stage)
        row_ids = _new_row_ids(table, batch, stage)
        _check_keys_free(table, stage, row_ids)
        stage.insert(table.next_slot, table.next_row_id, merge=False)
    vectors = {name: NewVectors(given.values, given.present) for name, given in batch.vectors.items()}
    return appended(table, row_ids, vectors, _after(table, row_ids), _NO_SLOTS)


def upsert(cursor: duckdb.DuckDBPyConnection, table: TableState, batch: Batch) -> TableState:
    """Add the rows of a batch; one whose key exists replaces that row.

    It keeps the row id and what the batch has no column for. It gets a new slot, with a copy of a vector not given.
    """
    _check(table, batch)
    with staged(cursor, table.schema, batch) as stage:
        _check_nulls(table.schema, stage)
        row_ids = _new_row_ids(table, batch, stage)
        _check_no_duplicate(table.schema, stage, row_ids)
        positions, slots = (_NO_POSITIONS, _NO_SLOTS) if _all_new(table, row_ids) else stage.matches()
        if len(positions) < batch.n:
            _check_complete(table.schema, batch)
        stage.insert(table.next_slot, table.next_row_id, merge=len(positions) > 0)
    if len(slots):
        rows.delete(cursor, table.schema, slots)
    vectors = {name: NewVectors(given.values, given.present) for name, given in batch.vectors.items()}
    for name in table.vectors:
        if name not in vectors and len(slots):
            vectors[name] = copied(table, name, slots, batch.n, positions)
    next_row_id = _after(table, row_ids)
    row_ids[positions] = table.row_ids[slots]
    return appended(table, row_ids, vectors, next_row_id, slots)


def _check(table: TableState, batch: Batch) -> None:
    schema = table.schema
    check_columns(schema, (*batch.columns, *batch.vectors))
    check_room(table, batch.n)
    if schema.key is not None and schema.key not in batch.columns:
        raise InvalidArgument(
            f"The batch for table {schema.name} has no column {schema.key!r}, its primary key. Fix: add it."
        )
    for column in schema.vectors:
        given = batch.vectors.get(column.name)
        if given is not None and given.present is not None and not column.nullable and not given.present.all():
            raise _null(schema, column.name, int(np.argmin(given.present)))


def _check_complete(schema: TableSchema, batch: Batch) -> None:
    for column in schema.columns:
        given = batch.vectors if isinstance(column, VectorColumn) else batch.columns
        if column.is_required and column.name not in given:
            raise InvalidArgument(
                f"The batch for table {schema.name} has no column {column.name!r}, which is declared NOT NULL."
                " Fix: add it."
            )


def _check_nulls(schema: TableSchema, stage: StagedBatch) -> None:
    found = stage.first_null()
    if found is not None:
        raise _null(schema, *found)


def _null(schema: TableSchema, column: str, row: int) -> InvalidArgument:
    what = "the primary key" if column == schema.key else "declared NOT NULL"
    return InvalidArgument(
        f"Row {row} of the batch has no {schema.name}.{column}, which is {what}. Fix: give it a value."
    )


def _new_row_ids(table: TableState, batch: Batch, stage: StagedBatch) -> RowIds:
    if table.schema.integer_key is not None:
        return stage.integer_keys()
    return table.next_row_id + np.arange(batch.n, dtype=np.int64)


def _check_keys_free(table: TableState, stage: StagedBatch, row_ids: RowIds) -> None:
    schema = table.schema
    if schema.key is None:
        return
    taken = _first_duplicate(schema, stage, row_ids)
    where = "comes twice in the batch"
    if taken is None and not _all_new(table, row_ids):
        taken = stage.first_taken()
        where = "is in the table already"
    if taken is not None:
        raise AlreadyExists(
            f"Key {schema.name}.{schema.key} = {taken!r} {where}. Fix: use upsert to replace rows, or another key."
        )


def _check_no_duplicate(schema: TableSchema, stage: StagedBatch, row_ids: RowIds) -> None:
    twice = _first_duplicate(schema, stage, row_ids)
    if twice is not None:
        raise InvalidArgument(
            f"Key {schema.name}.{schema.key} = {twice!r} comes twice in the batch: which row should stay is unclear."
            " Fix: pass each key once."
        )


def _first_duplicate(schema: TableSchema, stage: StagedBatch, row_ids: RowIds) -> object | None:
    if schema.integer_key is None:
        return stage.first_duplicate()
    if _is_increasing(row_ids):
        return None
    ordered = np.sort(row_ids)
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    return int(ordered[twice[0]]) if len(twice) else None


def _is_increasing(row_ids: npt.NDArray[np.int64]) -> bool:
    return bool((row_ids[1:] > row_ids[:-1]).all())


def _all_new(table: TableState, row_ids: RowIds) -> bool:
    """Whether no key can be taken: the table is empty, or every integer key is above all it ever had."""
    if table.live.count == 0 or len(row_ids) == 0:
        return True
    return (
        table.schema.integer_key is not None and table.next_row_id < _MAX_ROW_ID and row_ids.min() >= table.next_row_id
    )


def _after(table: TableState, row_ids: RowIds) -> int:
    return table.next_row_id if len(row_ids) == 0 else min(_MAX_ROW_ID, max(table.next_row_id, int(row_ids.max()) + 1))
