"""Files for COPY: a DuckDB in memory that may read and write them, and sees nothing of the database."""

from __future__ import annotations

from typing import Any, Final

import duckdb

from vdb.storage.connection import wrapped
from vdb.storage.rows import literal

_ROWS: Final = "rows_to_write"
_READERS: Final = {"parquet": "read_parquet", "json": "read_json", "csv": "read_csv"}


class Stream:
    """The rows of a relation of one DuckDB, for another one to scan."""

    def __init__(self, relation: Any) -> None:
        self._relation = relation

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._relation.__arrow_c_stream__(requested_schema)


class Exchange:
    """Reads and writes files by a DuckDB that may open them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def write(self, rows: Stream, path: str, options: str) -> int:
        """Write rows to a file, `options` as COPY has them between brackets; returns how many there were."""
        try:
            self._connection.register(_ROWS, rows)
            copied = self._connection.execute(f"COPY {_ROWS} TO {literal(path)} {options}").fetchall()
        except duckdb.Error as error:
            raise wrapped(error, f"to write {path}") from error
        return int(copied[0][0])

    def read(self, path: str, options: str) -> tuple[list[str], Stream]:
        """The names of a file's columns, and its rows."""
        source = f"FROM {literal(path)}"
        try:
            if options:
                source = f"FROM {_reader(path, options)}"
            relation = self._connection.sql(f"SELECT * {source}")
            return list(relation.columns), Stream(relation)
        except duckdb.Error as error:
            raise wrapped(error, f"to read {path}") from error


def _reader(path: str, options: str) -> str:
    """The call that reads a file with the options of a COPY, `(FORMAT csv, HEADER, DELIM ';')`."""
    given = {}
    for part in options.strip().removeprefix("(").removesuffix(")").split(","):
        name, _, value = part.strip().partition(" ")
        given[name.lower()] = value.strip() or "true"
    kind = given.pop("format", "csv").strip("'").lower()
    arguments = "".join(f", {name} = {value}" for name, value in given.items())
    return f"{_READERS.get(kind, 'read_' + kind)}({literal(path)}{arguments})"
