"""A DuckDB for the user alone, with what one state of the database holds: attributes copied, vectors read in place."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import duckdb

from vdb.storage.connection import wrapped
from vdb.storage.rows import quoted, table_name
from vdb.storage.vector_stream import VectorStream
from vdb.types import SLOT_COLUMN

if TYPE_CHECKING:
    from vdb.storage.session import Statement
    from vdb.storage.state import TableState
    from vdb.storage.store import Store

_ROWS: Final = "vdb_rows"


def hand_out(store: Store) -> duckdb.DuckDBPyConnection:
    """A connection to a DuckDB in memory, where every table and view of the newest state is a view.

    InvalidState where the database is closed; OutOfMemory where memory_limit leaves no room for the attributes.
    """
    connection = store.unconfined()
    try:
        with store.statement() as statement:
            connection.execute(f"CREATE SCHEMA {_ROWS}")
            for number, table in enumerate(statement.state.tables.values()):
                _add(connection, statement, table, number)
            for name, query in statement.state.views.items():
                with suppress(duckdb.Error):  # it may be in words that only vdb reads
                    connection.execute(f"CREATE TEMP VIEW {quoted(name)} AS {query}")
    except duckdb.Error as error:
        connection.close()
        raise wrapped(error, "to copy the attributes into another DuckDB") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _add(connection: duckdb.DuckDBPyConnection, statement: Statement, table: TableState, number: int) -> None:
    schema, name = table.schema, quoted(table.schema.name)
    attributes = "".join(f", {quoted(column.name)}" for column in schema.attributes)
    rows = statement.stream(f"SELECT {SLOT_COLUMN}{attributes} FROM {table_name(schema)} ORDER BY {SLOT_COLUMN}")
    connection.register(f"{_ROWS}_given", rows)
    connection.execute(f"CREATE TABLE {_ROWS}.{name} AS SELECT * FROM {_ROWS}_given")
    connection.unregister(f"{_ROWS}_given")
    vectors = [column.name for column in schema.vectors]
    shown = [
        f"v.v{vectors.index(column.name)} AS {quoted(column.name)}"
        if column.name in vectors
        else f"r.{quoted(column.name)}"
        for column in schema.columns
    ]
    source = f"{_ROWS}.{name} AS r"
    if vectors:
        connection.register(f"vdb_vectors_{number}", VectorStream(table, vectors, table.live.to_slots()))
        source += f" JOIN vdb_vectors_{number} AS v ON v.slot = r.{SLOT_COLUMN}"
    connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {', '.join(shown)} FROM {source}")
