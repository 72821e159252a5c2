"""Reading the tables of DuckDB's schema `vdb`, once, at open (`catalog` writes them).

Whoever wrote the catalog could put anything there, so each field is checked before anything is made of it: a ValueError
where one cannot be. An index is derived data: a record of one that cannot be is left out, with a line in the log.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np

from vdb.storage.fields import Fields, parsed_json
from vdb.storage.rows import quoted
from vdb.storage.state import IndexRecord
from vdb.storage.vector_header import Identity
from vdb.storage.vectors import Extent
from vdb.types import DTYPES, MAX_DIM, MAX_ROWS, METRICS, Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

_MOST_INTEGER: Final = (1 << 31) - 1  # of DuckDB's type
_MOST_CRC: Final = (1 << 32) - 1
_CRC_BYTES: Final = 4

_log = logging.getLogger(__name__)


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


def load_views(cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The query of every view by its name."""
    found = _fields_if_there(cursor, "SELECT name, query FROM vdb.views ORDER BY name")
    return {view.text("name"): view.text("query") for view in found}


def load_tables(cursor: duckdb.DuckDBPyConnection) -> list[StoredTable]:
    """Every table, by id; outside a transaction, which would end where an optional table is missing."""
    tables = [_table(cursor, fields) for fields in _fields(cursor, "SELECT * FROM vdb.tables ORDER BY id")]
    for what, values in (("number", [table.id for table in tables]), ("name", [t.schema.name for t in tables])):
        if len(set(values)) < len(values):
            raise ValueError(f"two tables have one {what}: {values}")
    return tables


def _table(cursor: duckdb.DuckDBPyConnection, fields: Fields) -> StoredTable:
    number, name = fields.number("id"), fields.text("name")
    columns = _load_columns(cursor, number, _load_defaults(cursor, name))
    schema = TableSchema(name, tuple(columns.values()), fields.optional_text("key"))
    if len(schema.by_name) < len(columns):
        raise ValueError(f"table {name} has two columns of one name")
    if schema.key is not None and not isinstance(schema.by_name.get(schema.key), Column):
        raise ValueError(f"table {name} has no column {schema.key!r:.80} to be its key")
    return StoredTable(
        number,
        schema,
        tuple(columns),
        fields.number("generation", _MOST_INTEGER),
        fields.number("next_slot", MAX_ROWS),
        fields.signed("next_row_id"),
        fields.number("live_rows", MAX_ROWS),
        _load_indexes(cursor, number, schema),
    )


def load_files(cursor: duckdb.DuckDBPyConnection, database: uuid.UUID, table: StoredTable) -> list[StoredFile]:
    """Every vector file of a table, one for each vector column and as long as the table has slots."""
    found: dict[str, StoredFile] = {}
    columns = dict(zip(table.column_ids, table.schema.columns, strict=True))
    name = table.schema.name
    for fields in _fields(cursor, "SELECT * FROM vdb.segments WHERE table_id = ?", [table.id]):
        file, number = fields.uuid("file"), fields.number("column_id", _MOST_INTEGER)
        column = columns.get(number)
        if not isinstance(column, VectorColumn) or column.name in found:
            raise ValueError(f"file {file} belongs to column {number} of table {name}, not a vector column without one")
        generation = fields.number("generation", _MOST_INTEGER)
        identity = Identity(database, file, table.id, number, column.dim, generation, column.dtype)
        extent = _extent(fields)
        length = fields.number("bytes")
        if extent.slots != table.next_slot or length != extent.slots * identity.stride:
            raise ValueError(f"table {name} has {table.next_slot} slots, its file {file} {extent.slots}")
        if generation != table.generation:
            raise ValueError(
                f"table {name} is in generation {table.generation}, its file {file} of generation {generation}"
            )
        found[column.name] = StoredFile(column.name, identity, extent, length)
    if found.keys() != {column.name for column in table.schema.vectors}:
        raise ValueError(f"table {name} has files for {sorted(found)} only")
    return list(found.values())


def load_extent(cursor: duckdb.DuckDBPyConnection, file: uuid.UUID) -> Extent:
    """How far a file goes, as the cursor's snapshot has it."""
    (fields,) = _fields(cursor, "SELECT slots, open_crc FROM vdb.segments WHERE file = ?", [file.hex])
    return _extent(fields)


def _extent(fields: Fields) -> Extent:
    return Extent(fields.number("slots", MAX_ROWS), fields.number("open_crc", _MOST_CRC))


def load_block_crcs(cursor: duckdb.DuckDBPyConnection, file: uuid.UUID, blocks: int) -> list[int]:
    """The CRC-32C of every sealed block of a file, first to last; ValueError where not as many are recorded."""
    query = "SELECT first_block, crcs FROM vdb.blocks WHERE file = ? ORDER BY first_block"
    crcs: list[int] = []
    for fields in _fields(cursor, query, [file.hex]):
        recorded = fields.data("crcs")
        if fields.number("first_block") != len(crcs) or len(recorded) % _CRC_BYTES:
            raise ValueError(f"checksums of block {len(crcs)} are missing")
        crcs.extend(np.frombuffer(recorded, "<u4").tolist())
    if len(crcs) != blocks:
        raise ValueError(f"there are checksums of {len(crcs)} blocks, not of {blocks}")
    return crcs


def _load_defaults(cursor: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """The defaults that DuckDB has for a table, by column; none where it has no such table.

    duckdb_columns() has them too, once it has parsed and bound every view of the system: 20 ms of each open.
    """
    query = "SELECT name, dflt_value FROM pragma_table_info(?) WHERE dflt_value IS NOT NULL"
    found = _fields_if_there(cursor, query, [f"main.{quoted(table)}"])
    return {column.text("name"): column.text("dflt_value") for column in found}


def _load_columns(
    cursor: duckdb.DuckDBPyConnection, table_id: int, defaults: Mapping[str, str]
) -> dict[int, Column | VectorColumn]:
    """The columns of a table by number, in order."""
    columns: dict[int, Column | VectorColumn] = {}
    for fields in _fields(cursor, "SELECT * FROM vdb.columns WHERE table_id = ? ORDER BY id", [table_id]):
        number = fields.number("id", _MOST_INTEGER)
        if number in columns:
            raise ValueError(f"two columns of table {table_id} have the number {number}")
        columns[number] = _column(fields, defaults)
    return columns


def _column(fields: Fields, defaults: Mapping[str, str]) -> Column | VectorColumn:
    name, nullable = fields.text("name"), fields.flag("nullable")
    if fields.is_null("dim"):
        return Column(name, fields.text("type"), nullable, defaults.get(name))
    dim, metric = fields.number("dim", MAX_DIM), fields.choice("metric", METRICS)
    return VectorColumn(name, dim, metric, nullable, fields.choice("dtype", DTYPES))


def _load_indexes(cursor: duckdb.DuckDBPyConnection, table_id: int, schema: TableSchema) -> dict[str, IndexRecord]:
    curves = _load_recall_curves(cursor, table_id)
    listed = _fields(cursor, "SELECT * FROM vdb.indexes WHERE table_id = ?", [table_id])
    records = [_index_if_sound(fields, schema, curves) for fields in listed]
    return {record.name: record for record in records if record is not None}


def _index_if_sound(fields: Fields, schema: TableSchema, curves: Mapping[tuple[str, str], str]) -> IndexRecord | None:
    try:
        return _index(fields, schema, curves)
    except ValueError as error:
        _log.warning("an index of table %s is left out: %s", schema.name, error)
        return None


def _index(fields: Fields, schema: TableSchema, curves: Mapping[tuple[str, str], str]) -> IndexRecord:
    name, params = fields.text("name"), fields.text("params")
    record = IndexRecord(
        name,
        schema.name,
        fields.choice("column_name", schema.by_name),
        fields.text("kind"),
        parsed_json(params, dict),
        _snapshot_file(fields),
        fields.number("covers_slots"),
        fields.number("covers_seq"),
        curves.get((name, params)),
    )
    for key, value in record.params.items():
        if not isinstance(value, (int, float, str, type(None))):
            raise ValueError(f"{key} of index {name} is {value!r:.80}")
    if not all(isinstance(column, str) and column in schema.by_name for column in record.listed):
        raise ValueError(f"index {name} is over the columns {record.listed}")
    return record


def _snapshot_file(fields: Fields) -> str | None:
    """The name of its snapshot: nothing but files of the database's own are read, copied and deleted by it."""
    try:
        return None if fields.is_null("file") else fields.uuid("file").hex
    except ValueError as error:
        _log.warning("index %s will be built anew: %s", fields.text("name"), error)
        return None


def _load_recall_curves(cursor: duckdb.DuckDBPyConnection, table_id: int) -> dict[tuple[str, str], str]:
    """Every curve by the name and the params of its index."""
    query = "SELECT name, params, curve FROM vdb.recall_curves WHERE table_id = ?"
    texts = ("name", "params", "curve")
    found = [[fields.optional_text(name) for name in texts] for fields in _fields_if_there(cursor, query, [table_id])]
    return {(name, params): curve for name, params, curve in found if name and params and curve}


def _fields(cursor: duckdb.DuckDBPyConnection, query: str, parameters: list[object] | None = None) -> list[Fields]:
    """The rows of a query."""
    found = cursor.execute(query, parameters)
    names = [name for name, *_ in found.description]
    return [Fields(dict(zip(names, row, strict=True))) for row in found.fetchall()]


def _fields_if_there(
    cursor: duckdb.DuckDBPyConnection, query: str, parameters: list[object] | None = None
) -> list[Fields]:
    """As `_fields`, none where what the query reads is not there; a transaction would end by that."""
    with suppress(duckdb.CatalogException):
        return _fields(cursor, query, parameters)
    return []
