"""Rows in files of other programs: Parquet, CSV, JSON lines, Arrow; read and written by a DuckDB of their own.

A database's own DuckDB is confined and opens no other file. Vectors are lists there: numbers in lists of one length are
taken for vectors, in CSV a text such as `[0.5, 1]` too.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from vdb.errors import InvalidArgument, InvalidState
from vdb.storage import files
from vdb.storage.connection import wrapped
from vdb.storage.files import io_errors
from vdb.storage.rows import bound, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

FORMATS: Final = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
}
CHUNK_ROWS: Final = 8192
_READERS: Final = {
    "parquet": "read_parquet(?)",
    "csv": "read_csv(?)",
    "jsonl": "read_json(?, format = 'newline_delimited')",
}
_WRITERS: Final = {"parquet": "FORMAT parquet", "csv": "FORMAT csv, HEADER", "jsonl": "FORMAT json"}
_NUMBERS: Final = re.compile(r"(FLOAT|DOUBLE|DECIMAL\(.*\)|TINYINT)\[(\d*)\]")


def format_of(path: Path, formats: Collection[str]) -> str:
    """The format that the ending of a file's name stands for, one of `formats`."""
    found = FORMATS.get(path.suffix.lower(), "")
    if found not in formats:
        known = ", ".join(ending for ending, name in FORMATS.items() if name in formats)
        raise InvalidArgument(f"{path.name} ends in {path.suffix!r}; expected one of {known}. Fix: rename the file.")
    return found


@dataclass(frozen=True)
class ForeignRows:
    """The rows of a file: their types as a declaration of a table spells them, and how many there are."""

    types: Mapping[str, str]
    count: int
    _connection: duckdb.DuckDBPyConnection
    _values: Sequence[str]

    def chunks(self) -> Iterator[dict[str, list[Any]]]:
        """The rows in order, some thousand at a time, as columns."""
        result = self._connection.execute(f"SELECT {', '.join(self._values)} FROM rows")
        while chunk := result.fetchmany(CHUNK_ROWS):
            yield {name: list(values) for name, values in zip(self.types, zip(*chunk, strict=True), strict=True)}


@contextmanager
def reading(path: Path) -> Iterator[ForeignRows]:
    """Open a file of rows. InvalidArgument where it is missing, or is not what its name ends in."""
    kind = format_of(path, (*_READERS, "arrow"))
    if not path.is_file():
        raise InvalidArgument(f"There is no file {path}. Fix: correct the path.")
    with duckdb.connect(":memory:") as connection:
        try:
            if kind == "arrow":
                connection.register("rows", _arrow_table(path))
            else:
                source = _READERS[kind].replace("?", _literal(str(path)))
                connection.execute(f"CREATE VIEW rows AS SELECT * FROM {source}")
            declared = connection.execute("DESCRIBE rows").fetchall()
            ((count,),) = connection.execute("SELECT count(*) FROM rows").fetchall()
            columns = [_column(connection, name, type_) for name, type_, *_ in declared]
            names = [name for name, *_ in declared]
            types = {name: spelled for name, (spelled, _) in zip(names, columns, strict=True)}
            yield ForeignRows(types, count, connection, [value for _, value in columns])
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise InvalidArgument(f"cannot read {path}: {reason}.\n  Fix: pass a {kind} file.") from error


def _column(connection: duckdb.DuckDBPyConnection, name: str, type_: str) -> tuple[str, str]:
    """How a table declares a column, and the SQL of its values."""
    value = quoted(name)
    numbers = _NUMBERS.fullmatch(type_)
    if type_ == "VARCHAR":
        cast = f"TRY_CAST({value} AS FLOAT[])"
        ((texts, lists),) = connection.execute(f"SELECT count({value}), count({cast}) FROM rows").fetchall()
        if texts == 0 or texts != lists:
            return type_, value
        dim = _common_length(connection, cast)
        return (f"FLOAT[{dim}]", cast) if dim else (type_, value)
    if numbers is None:
        return type_, value
    dim = int(numbers[2]) if numbers[2] else _common_length(connection, value)
    item = "TINYINT" if numbers[1] == "TINYINT" else "FLOAT"
    return (f"{item}[{dim}]", value) if dim else (type_, value)


def _common_length(connection: duckdb.DuckDBPyConnection, value: str) -> int:
    """The length that all lists have, 0 where they differ or there are none."""
    ((least, most),) = connection.execute(f"SELECT min(len({value})), max(len({value})) FROM rows").fetchall()
    return int(least) if least is not None and least == most else 0


def _arrow_table(path: Path) -> Any:
    try:
        from pyarrow import feather
    except ImportError:
        raise InvalidState("Reading Arrow files needs pyarrow.\n  Fix: pip install 'vdb[arrow]'.") from None
    try:
        return feather.read_table(str(path))
    except (OSError, ValueError) as error:  # pyarrow's errors derive from these
        raise InvalidArgument(f"cannot read {path}: {error}.\n  Fix: pass an Arrow file.") from error


def write(path: Path, types: Mapping[str, str], chunks: Iterable[Sequence[tuple[Any, ...]]]) -> None:
    """Make a file of rows, given as chunks of tuples, and flush it; it replaces one of its name as a whole.

    InvalidArgument where the format cannot hold a type, DiskFull where there is no room.
    """
    kind = format_of(path, _WRITERS)
    if not path.parent.is_dir():
        raise InvalidArgument(f"There is no directory {path.parent}. Fix: create it first.")
    if path.is_dir():
        raise InvalidArgument(f"{path} is a directory; expected a file, or none. Fix: choose another name.")
    with io_errors("write", path), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        with duckdb.connect(str(Path(folder) / "rows.duckdb")) as connection:
            connection.execute("SET pandas_analyze_sample = 9223372036854775807")
            try:
                columns = ", ".join(f"{quoted(name)} {type_}" for name, type_ in types.items())
                connection.execute(f"CREATE TABLE rows ({columns})")
                for chunk in chunks:
                    _insert(connection, types, chunk)
                connection.execute(f"COPY rows TO {_literal(str(temporary))} ({_WRITERS[kind]})")
            except duckdb.Error as error:
                raise wrapped(error, f"to write {path}") from error
        files.sync_path(temporary)
        files.rename(temporary, path)
        files.sync_directory(path.parent)


def _insert(connection: duckdb.DuckDBPyConnection, types: Mapping[str, str], chunk: Sequence[tuple[Any, ...]]) -> None:
    columns = {}
    for number, values in enumerate(zip(*chunk, strict=True)):
        columns[f"c{number}"] = np.fromiter(values, object, len(values))  # lists stay values
    casts = ", ".join(f"CAST(c{number} AS {type_})" for number, type_ in enumerate(types.values()))
    with bound(connection, "chunk", columns):
        connection.execute(f"INSERT INTO rows SELECT {casts} FROM chunk")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
