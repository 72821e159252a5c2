"""The tables of DuckDB's schema `vdb`: what vdb knows about its tables, files, indexes and commits.

They have no key, index or constraint: DuckDB's log replay has had faults with those. Every write here happens in the
transaction it describes; `recovery` reads all of it once, at open.
"""

from __future__ import annotations

import json
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from vdb.storage.rows import quoted
from vdb.storage.state import IndexRecord, TableState
from vdb.storage.vector_header import Identity
from vdb.storage.vectors import Extent, Segment
from vdb.types import DTYPES, Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMA: Final = """
CREATE SCHEMA vdb;
CREATE TABLE vdb.commits (seq BIGINT, time TIMESTAMP);
CREATE TABLE vdb.tables (
    id BIGINT, name VARCHAR, key VARCHAR, generation INTEGER, next_slot BIGINT, next_row_id BIGINT, live_rows BIGINT);
CREATE TABLE vdb.columns (
    table_id BIGINT, id INTEGER, name VARCHAR, type VARCHAR, nullable BOOLEAN, dtype VARCHAR, dim INTEGER,
    metric VARCHAR);
CREATE TABLE vdb.segments (
    file VARCHAR, table_id BIGINT, column_id INTEGER, generation INTEGER, slots BIGINT, bytes BIGINT,
    open_crc UINTEGER);
CREATE TABLE vdb.blocks (file VARCHAR, first_block BIGINT, crcs BLOB);
CREATE TABLE vdb.indexes (
    table_id BIGINT, name VARCHAR, column_name VARCHAR, kind VARCHAR, params VARCHAR, file VARCHAR,
    covers_slots BIGINT, covers_seq BIGINT);
INSERT INTO vdb.commits VALUES (0, make_timestamp(0));
"""

# Not there in databases made before there were recall curves, so every use asks for it. `params` are those of the index
# that was measured: a curve of another of the same name, left by a version that does not know this table, is no curve.
# As recall_curves, this is not there in databases made before there were views.
_VIEWS: Final = "CREATE TABLE IF NOT EXISTS vdb.views (name VARCHAR, query VARCHAR)"

_RECALL_CURVES: Final = """
CREATE TABLE IF NOT EXISTS vdb.recall_curves (table_id BIGINT, name VARCHAR, params VARCHAR, curve VARCHAR)
"""


@dataclass(frozen=True)
class StoredTable:
    """A table as the catalog has it."""

    id: int
    schema: TableSchema
    column_ids: tuple[int, ...]  # of the columns of the schema; a number is not given out twice
    generation: int
    next_slot: int
    next_row_id: int
    live_rows: int
    indexes: Mapping[str, IndexRecord]


@dataclass(frozen=True)
class StoredFile:
    """A vector file as the catalog has it."""

    column: str
    identity: Identity
    extent: Extent
    bytes: int


def create(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make the empty catalog, as of commit 0."""
    cursor.execute(_SCHEMA)


def last_seq(cursor: duckdb.DuckDBPyConnection) -> int:
    """The newest commit the cursor's snapshot holds."""
    return int(_one(cursor, "SELECT max(seq) FROM vdb.commits"))


def has_commit(cursor: duckdb.DuckDBPyConnection, seq: int) -> bool:
    """Whether that commit is in the cursor's snapshot."""
    return bool(_one(cursor, "SELECT count(*) FROM vdb.commits WHERE seq = ?", [seq]))


def add_commit(cursor: duckdb.DuckDBPyConnection, seq: int) -> None:
    """Record the commit that the running transaction is."""
    cursor.execute("INSERT INTO vdb.commits VALUES (?, make_timestamp(?))", [seq, time.time_ns() // 1000])


def add_table(cursor: duckdb.DuckDBPyConnection, table: TableState) -> None:
    """List a new, empty table, its columns and its files."""
    schema = table.schema
    cursor.execute(
        "INSERT INTO vdb.tables VALUES (?, ?, ?, ?, 0, ?, 0)",
        [table.id, schema.name, schema.key, table.generation.number, table.next_row_id],
    )
    for number, column in enumerate(schema.columns):
        _add_column(cursor, table.id, number, column)
    for state in table.vectors.values():
        _add_file(cursor, state.source.identity)


def remove_table(cursor: duckdb.DuckDBPyConnection, table: TableState) -> None:
    """Forget a table, its columns, files and indexes."""
    _remove_files(cursor, table)
    for name in ("columns", "indexes"):
        cursor.execute(f"DELETE FROM vdb.{name} WHERE table_id = ?", [table.id])
    if _has_table(cursor, "recall_curves"):
        cursor.execute("DELETE FROM vdb.recall_curves WHERE table_id = ?", [table.id])
    cursor.execute("DELETE FROM vdb.tables WHERE id = ?", [table.id])


def replace_files(cursor: duckdb.DuckDBPyConnection, old: TableState, new: TableState) -> None:
    """List the files of the table's next generation, which are empty as yet, instead of the old ones."""
    _remove_files(cursor, old)
    for state in new.vectors.values():
        _add_file(cursor, state.source.identity)
    cursor.execute("UPDATE vdb.tables SET generation = ? WHERE id = ?", [new.generation.number, new.id])


def update_table(cursor: duckdb.DuckDBPyConnection, table: TableState) -> None:
    """Record how far a table's slots and row ids go and how many rows it has."""
    cursor.execute(
        "UPDATE vdb.tables SET next_slot = ?, next_row_id = ?, live_rows = ? WHERE id = ?",
        [table.next_slot, table.next_row_id, table.live.count, table.id],
    )


def update_segment(cursor: duckdb.DuckDBPyConnection, file: uuid.UUID, segment: Segment) -> None:
    """Record how far a file goes and the checksums of the blocks it filled."""
    cursor.execute(
        "UPDATE vdb.segments SET slots = ?, bytes = ?, open_crc = ? WHERE file = ?",
        [segment.extent.slots, segment.bytes, segment.extent.open_crc, file.hex],
    )
    if segment.crcs:
        crcs = np.array(segment.crcs, "<u4").tobytes()
        cursor.execute("INSERT INTO vdb.blocks VALUES (?, ?, ?)", [file.hex, segment.first_block, crcs])


def put_index(cursor: duckdb.DuckDBPyConnection, table_id: int, record: IndexRecord) -> None:
    """List an index, replacing the one of its name."""
    remove_index(cursor, table_id, record.name)
    params = json.dumps(dict(record.params))
    cursor.execute(
        "INSERT INTO vdb.indexes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            table_id,
            record.name,
            record.column,
            record.kind,
            params,
            record.file,
            record.covers_slots,
            record.covers_seq,
        ],
    )
    if record.recall is not None:
        cursor.execute(_RECALL_CURVES)
        cursor.execute(
            "INSERT INTO vdb.recall_curves VALUES (?, ?, ?, ?)", [table_id, record.name, params, record.recall]
        )


def remove_index(cursor: duckdb.DuckDBPyConnection, table_id: int, name: str) -> None:
    """Forget an index."""
    cursor.execute("DELETE FROM vdb.indexes WHERE table_id = ? AND name = ?", [table_id, name])
    if _has_table(cursor, "recall_curves"):
        cursor.execute("DELETE FROM vdb.recall_curves WHERE table_id = ? AND name = ?", [table_id, name])


def add_view(cursor: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    """List a view."""
    cursor.execute(_VIEWS)
    cursor.execute("INSERT INTO vdb.views VALUES (?, ?)", [name, query])


def remove_view(cursor: duckdb.DuckDBPyConnection, name: str) -> None:
    """Forget a view."""
    cursor.execute("DELETE FROM vdb.views WHERE name = ?", [name])


def load_views(cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The query of every view by its name."""
    return dict(_rows_if_there(cursor, "SELECT name, query FROM vdb.views ORDER BY name"))


def load_tables(cursor: duckdb.DuckDBPyConnection) -> list[StoredTable]:
    """Every table, by id; outside a transaction, which would end where an optional table is missing."""
    rows = cursor.execute(
        "SELECT id, name, key, generation, next_slot, next_row_id, live_rows FROM vdb.tables ORDER BY id"
    ).fetchall()
    tables = []
    for table_id, name, key, generation, next_slot, next_row_id, live_rows in rows:
        columns = _load_columns(cursor, table_id, _load_defaults(cursor, name))
        schema = TableSchema(name, tuple(columns.values()), key)
        indexes = _load_indexes(cursor, table_id, name)
        stored = StoredTable(table_id, schema, tuple(columns), generation, next_slot, next_row_id, live_rows, indexes)
        tables.append(stored)
    return tables


def load_files(cursor: duckdb.DuckDBPyConnection, database: uuid.UUID, table: StoredTable) -> list[StoredFile]:
    """Every vector file of a table."""
    rows = cursor.execute(
        "SELECT file, column_id, generation, slots, bytes, open_crc FROM vdb.segments WHERE table_id = ?", [table.id]
    ).fetchall()
    files = []
    columns = dict(zip(table.column_ids, table.schema.columns, strict=True))
    for file, column_id, generation, slots, length, open_crc in rows:
        column = columns[column_id]
        if not isinstance(column, VectorColumn):
            raise ValueError(f"file {file} belongs to {column.name}, which is not a vector column")
        identity = Identity(database, uuid.UUID(file), table.id, column_id, column.dim, generation, column.dtype)
        files.append(StoredFile(column.name, identity, Extent(slots, open_crc), length))
    return files


def load_block_crcs(cursor: duckdb.DuckDBPyConnection, file: uuid.UUID) -> list[int]:
    """The CRC-32C of every sealed block of a file, first to last; ValueError where one is not recorded."""
    rows = cursor.execute(
        "SELECT first_block, crcs FROM vdb.blocks WHERE file = ? ORDER BY first_block", [file.hex]
    ).fetchall()
    crcs: list[int] = []
    for first_block, recorded in rows:
        if first_block != len(crcs):
            raise ValueError(f"checksums of block {len(crcs)} are missing")
        crcs.extend(np.frombuffer(recorded, "<u4").tolist())
    return crcs


def next_column_id(cursor: duckdb.DuckDBPyConnection, table: TableState) -> int:
    """A number above those of the table's columns."""
    return 1 + _one(cursor, "SELECT max(id) FROM vdb.columns WHERE table_id = ?", [table.id])


def add_column(
    cursor: duckdb.DuckDBPyConnection, table: TableState, number: int, column: Column | VectorColumn
) -> None:
    """List a new column of a table, with its file where `table`, the state that has it, has one."""
    _add_column(cursor, table.id, number, column)
    if column.name in table.vectors:
        _add_file(cursor, table.vectors[column.name].source.identity)


def remove_column(cursor: duckdb.DuckDBPyConnection, table: TableState, name: str) -> None:
    """Forget a column and its file."""
    cursor.execute("DELETE FROM vdb.columns WHERE table_id = ? AND name = ?", [table.id, name])
    if name in table.vectors:
        _remove_file(cursor, table.vectors[name].source.identity.file)


def rename_column(cursor: duckdb.DuckDBPyConnection, table: TableState, old: str, new: str) -> None:
    """Give a column another name."""
    cursor.execute("UPDATE vdb.columns SET name = ? WHERE table_id = ? AND name = ?", [new, table.id, old])
    cursor.execute("UPDATE vdb.tables SET key = ? WHERE id = ? AND key = ?", [new, table.id, old])


def rename_table(cursor: duckdb.DuckDBPyConnection, table: TableState, new: str) -> None:
    """Give a table another name."""
    cursor.execute("UPDATE vdb.tables SET name = ? WHERE id = ?", [new, table.id])


def _add_column(cursor: duckdb.DuckDBPyConnection, table_id: int, number: int, column: Column | VectorColumn) -> None:
    vector = column if isinstance(column, VectorColumn) else None
    cursor.execute(
        "INSERT INTO vdb.columns VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            table_id,
            number,
            column.name,
            column.type,
            column.nullable,
            vector and vector.dtype,
            vector and vector.dim,
            vector and vector.metric,
        ],
    )


def replace_file(cursor: duckdb.DuckDBPyConnection, old: uuid.UUID, identity: Identity) -> None:
    """List a file, empty as yet, instead of another one."""
    _remove_file(cursor, old)
    _add_file(cursor, identity)


def allow_null(cursor: duckdb.DuckDBPyConnection, table_id: int, column: str) -> None:
    """Let a column take NULL."""
    cursor.execute("UPDATE vdb.columns SET nullable = TRUE WHERE table_id = ? AND name = ?", [table_id, column])


def _remove_file(cursor: duckdb.DuckDBPyConnection, file: uuid.UUID) -> None:
    for listed in ("blocks", "segments"):
        cursor.execute(f"DELETE FROM vdb.{listed} WHERE file = ?", [file.hex])


def _add_file(cursor: duckdb.DuckDBPyConnection, identity: Identity) -> None:
    cursor.execute(
        "INSERT INTO vdb.segments VALUES (?, ?, ?, ?, 0, 0, 0)",
        [identity.file.hex, identity.table, identity.column, identity.generation],
    )


def _remove_files(cursor: duckdb.DuckDBPyConnection, table: TableState) -> None:
    for state in table.vectors.values():
        cursor.execute("DELETE FROM vdb.blocks WHERE file = ?", [state.source.identity.file.hex])
    cursor.execute("DELETE FROM vdb.segments WHERE table_id = ?", [table.id])


def _load_defaults(cursor: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """The defaults that DuckDB has for a table, by column; none where it has no such table.

    duckdb_columns() has them too, once it has parsed and bound every view of the system: 20 ms of each open.
    """
    query = "SELECT name, dflt_value FROM pragma_table_info(?) WHERE dflt_value IS NOT NULL"
    return dict(_rows_if_there(cursor, query, [f"main.{quoted(table)}"]))


def _load_columns(
    cursor: duckdb.DuckDBPyConnection, table_id: int, defaults: Mapping[str, str]
) -> dict[int, Column | VectorColumn]:
    """The columns of a table by number, in order."""
    rows = cursor.execute(
        "SELECT id, name, type, nullable, dtype, dim, metric FROM vdb.columns WHERE table_id = ? ORDER BY id",
        [table_id],
    ).fetchall()
    columns: dict[int, Column | VectorColumn] = {}
    for number, name, type_, nullable, dtype, dim, metric in rows:
        if dim is not None and dtype not in DTYPES:
            raise ValueError(f"column {name} has values of {dtype}, known are {', '.join(DTYPES)}")
        columns[number] = (
            Column(name, type_, nullable, defaults.get(name))
            if dim is None
            else VectorColumn(name, dim, metric, nullable, dtype)
        )
    return columns


def _load_indexes(cursor: duckdb.DuckDBPyConnection, table_id: int, table: str) -> dict[str, IndexRecord]:
    rows = cursor.execute(
        "SELECT name, column_name, kind, params, file, covers_slots, covers_seq FROM vdb.indexes WHERE table_id = ?",
        [table_id],
    ).fetchall()
    curves = _load_recall_curves(cursor, table_id)
    return {
        name: IndexRecord(name, table, column, kind, json.loads(params), file, slots, seq, curves.get((name, params)))
        for name, column, kind, params, file, slots, seq in rows
    }


def _load_recall_curves(cursor: duckdb.DuckDBPyConnection, table_id: int) -> dict[tuple[str, str], str]:
    """Every curve by the name and the params of its index."""
    query = "SELECT name, params, curve FROM vdb.recall_curves WHERE table_id = ?"
    return {(name, params): curve for name, params, curve in _rows_if_there(cursor, query, [table_id])}


def _rows_if_there(cursor: duckdb.DuckDBPyConnection, query: str, parameters: list[object] | None = None) -> list[Any]:
    """The rows of a query, none where what it reads is not there; a transaction would end by that."""
    with suppress(duckdb.CatalogException):
        return cursor.execute(query, parameters).fetchall()
    return []


def _has_table(cursor: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether there is a table of vdb's; asking for what is not there would end the transaction."""
    found = _one(
        cursor,
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'vdb'"
        " AND table_name = ?",
        [name],
    )
    return found > 0


def _one(cursor: duckdb.DuckDBPyConnection, query: str, parameters: list[object] | None = None) -> int:
    rows = cursor.execute(query, parameters).fetchall()  # all: a result half read refuses the next registration
    if len(rows) != 1 or not isinstance(rows[0][0], int):
        raise ValueError(f"{query} found {rows}")
    return rows[0][0]
