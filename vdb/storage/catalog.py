"""The tables of DuckDB's schema `vdb`: what vdb knows about its tables, files, indexes and commits.

They have no key, index or constraint: DuckDB's log replay has had faults with those. Every write here happens in the
transaction it describes; `stored` reads all of it once, at open.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from vdb.types import Column, VectorColumn

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    import duckdb

    from vdb.storage.state import IndexRecord, TableState
    from vdb.storage.vector_header import Identity
    from vdb.storage.vectors import Segment

REMEMBERED_COMMITS: Final = 1000

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

_SEQS: Final = range(1 << 63)  # of a BIGINT

# Not there in databases made before there were recall curves, so every use asks for it. `params` are those of the index
# that was measured: a curve of another of the same name, left by a version that does not know this table, is no curve.
# As recall_curves, this is not there in databases made before there were views.
_VIEWS: Final = "CREATE TABLE IF NOT EXISTS vdb.views (name VARCHAR, query VARCHAR)"

_RECALL_CURVES: Final = """
CREATE TABLE IF NOT EXISTS vdb.recall_curves (table_id BIGINT, name VARCHAR, params VARCHAR, curve VARCHAR)
"""


def create(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make the empty catalog, as of commit 0."""
    cursor.execute(_SCHEMA)


def last_seq(cursor: duckdb.DuckDBPyConnection) -> int:
    """The newest commit the cursor's snapshot holds."""
    return int(_one(cursor, "SELECT max(seq) FROM vdb.commits"))


def has_commit(cursor: duckdb.DuckDBPyConnection, seq: int) -> bool:
    """Whether that commit is in the cursor's snapshot."""
    return seq in _SEQS and bool(_one(cursor, "SELECT count(*) FROM vdb.commits WHERE seq = ?", [seq]))


def add_commit(cursor: duckdb.DuckDBPyConnection, seq: int) -> None:
    """Record the commit that the running transaction is."""
    cursor.execute("INSERT INTO vdb.commits VALUES (?, make_timestamp(?))", [seq, time.time_ns() // 1000])


def forget_commits(cursor: duckdb.DuckDBPyConnection, kept: Collection[int]) -> None:
    """Forget all but the newest commits and those in `kept`: the list would grow for ever."""
    cursor.execute(
        "DELETE FROM vdb.commits WHERE NOT list_contains(?, seq)"
        " AND seq < (SELECT min(seq) FROM (SELECT seq FROM vdb.commits ORDER BY seq DESC LIMIT ?))",
        [list(kept), REMEMBERED_COMMITS],
    )


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
