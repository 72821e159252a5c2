"""Changing what a table is: columns that come, go or get another name, and the name of the table.

Slots and row ids stay. Each change begins another numbering of the same slots (`Generation`), so that whoever keeps
something of a column, by its name, reads it anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from vdb._core import RowSet
from vdb.errors import InvalidArgument
from vdb.storage import catalog, rows
from vdb.storage.schema import make_schema
from vdb.storage.state import LISTED, Generation, IndexRecord, TableState, VectorState, check_columns, listing
from vdb.types import Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import duckdb

    from vdb.storage.vectors import Vectors

_ATTRIBUTE: Final = "attribute"  # the param that names another column an index reads


@dataclass(frozen=True)
class Work:
    """What a change writes with: the transaction's cursor, and new files, given the number of their column."""

    cursor: duckdb.DuckDBPyConnection
    new_vectors: Callable[[VectorColumn, int], Vectors]


def add_column(table: TableState, column: Column | VectorColumn, value: object, work: Work) -> TableState:
    """Add a column with `value` in every row, or its default; vectors are missing in every row.

    InvalidArgument where the name is taken or reserved, or a row would have no value though the column takes no NULL.
    """
    schema = _schema(table.schema.name, (*table.schema.columns, column), table.schema.key)
    if value is None and column.is_required and table.live.count:
        raise InvalidArgument(
            f"{schema.name}.{column.name} is declared NOT NULL, and the table has {table.live.count} rows."
            " Fix: pass a default, or leave NOT NULL out."
        )
    if value is not None and isinstance(column, VectorColumn):
        raise InvalidArgument(
            f"{schema.name}.{column.name} is a vector column, which takes no default. Fix: add it, then update rows."
        )
    number = catalog.next_column_id(work.cursor, table)
    rows.add_column(work.cursor, table.schema, column)
    if isinstance(column, Column):
        if value is not None:
            rows.fill_column(work.cursor, table.schema, column, value)
        added = _changed(table, schema)
    else:
        source = work.new_vectors(column, number)
        source.append_missing(table.next_slot)
        present = RowSet.none(table.next_slot) if table.next_slot else None
        state = VectorState(source, source.view(table.next_slot), present)
        added = _changed(replace(table, vectors={**table.vectors, column.name: state}), schema)
    catalog.add_column(work.cursor, added, number, column)
    return added


def drop_column(table: TableState, name: str, work: Work) -> TableState:
    """Drop a column with its vectors and the indexes that read it.

    InvalidArgument where it is the primary key or the only vector column.
    """
    check_columns(table.schema, (name,))
    if name == table.schema.key:
        raise InvalidArgument(f"{table.schema.name}.{name} is the primary key and cannot be dropped. Fix: keep it.")
    kept = tuple(column for column in table.schema.columns if column.name != name)
    schema = _schema(table.schema.name, kept, table.schema.key)
    rows.drop_column(work.cursor, table.schema, name)
    catalog.remove_column(work.cursor, table, name)
    records = {}
    for record in table.all_indexes.values():
        if name in (record.column, record.params.get(_ATTRIBUTE), *record.listed):
            catalog.remove_index(work.cursor, table.id, record.name)
        else:
            records[record.name] = record
    vectors = {column: state for column, state in table.vectors.items() if column != name}
    return _changed(replace(table, vectors=vectors).with_indexes(records), schema)


def rename_column(table: TableState, old: str, new: str, work: Work) -> TableState:
    """Give a column another name, and the indexes that read it.

    InvalidArgument where there is no such column, the name is taken or reserved, or an index has it in its condition.
    """
    check_columns(table.schema, (old,))
    for record in table.all_indexes.values():
        if "where" in record.params and old in record.listed:
            raise InvalidArgument(
                f"{table.schema.name}.{old} is in the condition of index {record.name}: WHERE {record.params['where']}."
                " Fix: drop the index, rename the column, and create the index again."
            )
    columns = tuple(replace(column, name=new) if column.name == old else column for column in table.schema.columns)
    schema = _schema(table.schema.name, columns, new if table.schema.key == old else table.schema.key)
    rows.rename_column(work.cursor, table.schema, old, new)
    catalog.rename_column(work.cursor, table, old, new)
    records = {record.name: _with_column(record, old, new) for record in table.all_indexes.values()}
    for name, record in records.items():
        if record is not table.all_indexes[name]:
            catalog.put_index(work.cursor, table.id, record)
    vectors = {new if column == old else column: state for column, state in table.vectors.items()}
    return _changed(replace(table, vectors=vectors).with_indexes(records), schema)


def set_default(table: TableState, name: str, default: str | None, cursor: duckdb.DuckDBPyConnection) -> TableState:
    """Give a column another default, or none; no row changes. InvalidArgument for vectors and for the primary key."""
    check_columns(table.schema, (name,))
    column = table.schema.by_name[name]
    if isinstance(column, VectorColumn) or name == table.schema.key:
        kind = "the primary key" if name == table.schema.key else "a vector column"
        raise InvalidArgument(f"{table.schema.name}.{name} is {kind}, which takes no default. Fix: give it with rows.")
    rows.set_default(cursor, table.schema, name, default)
    changed = replace(column, default=default)
    columns = tuple(changed if own.name == name else own for own in table.schema.columns)
    return replace(table, schema=replace(table.schema, columns=columns))


def rename_table(table: TableState, new: str, work: Work) -> TableState:
    """Give the table another name. InvalidArgument where it is reserved or none."""
    schema = _schema(new, table.schema.columns, table.schema.key)
    rows.rename(work.cursor, table.schema, new)
    catalog.rename_table(work.cursor, table, new)
    records = {name: replace(record, table=new) for name, record in table.all_indexes.items()}
    return _changed(table.with_indexes(records), schema)


def _schema(name: str, columns: Sequence[Column | VectorColumn], key: str | None) -> TableSchema:
    metrics = {column.name: column.metric for column in columns if isinstance(column, VectorColumn)}
    return make_schema(name, columns, key, metrics)


def _changed(table: TableState, schema: TableSchema) -> TableState:
    """The table under its new schema and the next numbering, in which every slot has the number it had."""
    following = Generation(table.generation.number)
    table.generation.precede(following, np.arange(table.next_slot, dtype=np.uint32))
    return replace(table, schema=schema, generation=following)


def _with_column(record: IndexRecord, old: str, new: str) -> IndexRecord:
    """The record of an index under the new name of a column; the very same one where it does not read it."""
    if record.params.get(_ATTRIBUTE) == old:
        record = replace(record, params={**record.params, _ATTRIBUTE: new})
    if old in record.listed:
        renamed = listing(new if name == old else name for name in record.listed)
        record = replace(record, params={**record.params, LISTED: renamed})
    return replace(record, column=new) if record.column == old else record
