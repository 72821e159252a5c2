"""Rows in files of other programs: Parquet, CSV, JSON lines, Arrow; read and written by a DuckDB of their own.

A database's own DuckDB is confined and opens no other file. Values cross from one to the other as Arrow streams, a
chunk of rows at a time, in the types of the table. Vectors are lists there: numbers in lists of one length are taken
for vectors, in CSV a text such as `[0.5, 1]` too.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from vdb.errors import InvalidArgument, OutOfMemory
from vdb.storage import files
from vdb.storage.casts import Wanted, list_type, streamed, written
from vdb.storage.connection import first_part, wrapped
from vdb.storage.files import io_errors
from vdb.storage.foreign_sources import SOURCES
from vdb.storage.interchange import Stream
from vdb.storage.rows import bound, literal, quoted
from vdb.storage.schema import did_you_mean
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from vdb.storage.foreign_sources import Source
    from vdb.types import TableSchema

FORMATS: Final = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
}
CHUNK_ROWS: Final = 8192
_LEAST_ROWS: Final = 512
_ROW_BYTES: Final = 16 << 10  # of memory for each: it is held several times on its way
_GROUP_ROWS: Final = 16_384  # of Parquet, which writers and readers hold in memory
_WRITERS: Final = {
    "parquet": f"FORMAT parquet, ROW_GROUP_SIZE {_GROUP_ROWS}",
    "csv": "FORMAT csv, HEADER",
    "jsonl": "FORMAT json",
}
_NUMBERS: Final = re.compile(r"(FLOAT|DOUBLE|DECIMAL\(.*\)|TINYINT)\[(\d*)\]")
_VECTOR: Final = re.compile(r"(FLOAT|TINYINT)\[\d+\]")
_CHUNK: Final = "chunk"
_STAGED: Final = "c"  # and a number: no name of a file hides `rowid`


def format_of(path: Path, formats: Collection[str]) -> str:
    """The format that the ending of a file's name stands for, one of `formats`."""
    found = FORMATS.get(path.suffix.lower(), "")
    if found not in formats:
        known = ", ".join(ending for ending, name in FORMATS.items() if name in formats)
        raise InvalidArgument(f"{path.name} ends in {path.suffix!r}; expected one of {known}. Fix: rename the file.")
    return found


def chunk_rows(memory: int | None) -> int:
    """Rows that cross at a time where DuckDB has so many bytes of memory, None: as many as there are."""
    return CHUNK_ROWS if memory is None else min(CHUNK_ROWS, max(_LEAST_ROWS, memory // _ROW_BYTES))


@dataclass(frozen=True)
class ForeignRows:
    """The rows of a file.

    Attributes
    ----------
    declared : mapping of str to str
        The columns as a declaration of a table spells them.
    types : mapping of str to str
        The types of the values in `chunks`; a vector is a list.
    count : int
        How many rows there are.
    """

    declared: Mapping[str, str]
    types: Mapping[str, str]
    count: int
    _connection: duckdb.DuckDBPyConnection

    def chunks(self, rows: int) -> Iterator[Stream]:
        """The rows in order, so many at a time, in types that a cast makes those of `types`."""
        values = ", ".join(
            f"CAST({_STAGED}{number} AS {streamed(type_)}) AS {quoted(name)}"
            for number, (name, type_) in enumerate(self.types.items())
        )
        for begin in range(0, self.count, rows):
            among = f"rowid >= {begin} AND rowid < {begin + rows}"
            yield Stream(self._connection.sql(f"SELECT {values} FROM rows WHERE {among} ORDER BY rowid"))


def read(connection: duckdb.DuckDBPyConnection, path: Path, schema: TableSchema | None) -> ForeignRows:
    """Read a file of rows, for a table or, where that is None, for one to be made.

    InvalidArgument where it is missing, is not what its name ends in, or has no such values.
    """
    kind = format_of(path, SOURCES)
    if not path.is_file():
        raise InvalidArgument(f"There is no file {path}. Fix: correct the path.")
    try:
        names = _stage(connection, SOURCES[kind](connection, path), schema)
        rows = _staged(connection, names, schema)
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemory(
            f"memory_limit is too small to read {path}: {first_part(error)}."
            " Fix: raise it in vdb.connect, or write the file with smaller row groups."
        ) from error
    except duckdb.InterruptException as error:
        raise wrapped(error, f"to read {path}") from error
    except duckdb.Error as error:
        reason = first_part(error).rstrip(".")
        raise InvalidArgument(f"cannot read {path}: {reason}.\n  Fix: pass a {kind} file of such values.") from error
    return rows


def _stage(connection: duckdb.DuckDBPyConnection, source: Source, schema: TableSchema | None) -> list[str]:
    """Read the file into a table, once; returns the names of its columns."""
    if schema is None:
        wanted = {name: Wanted(name, type_) for name, type_ in source.types().items()}
        relation, values = source.read_own(wanted)
    else:
        wanted = _wanted(schema, source.names())
        relation, values = source.read(wanted)
    if wanted:
        staged = ", ".join(f"{value} AS {_STAGED}{number}" for number, value in enumerate(values))
        connection.execute(f"CREATE TABLE rows AS SELECT {staged} FROM {relation}")
    return list(wanted)


def _wanted(schema: TableSchema, names: Iterable[str]) -> dict[str, Wanted]:
    wanted = {}
    for name in names:
        column = schema.by_name.get(name)
        if column is None:
            raise InvalidArgument(
                f"no column {name!r} in table {schema.name}: {', '.join(schema.by_name)}.\n"
                f"  Fix: drop or rename it in the file.{did_you_mean(name, schema.by_name)}"
            )
        wanted[name] = Wanted(f"{schema.name}.{name}", None if isinstance(column, VectorColumn) else column.type)
    return wanted


def _staged(connection: duckdb.DuckDBPyConnection, names: Sequence[str], schema: TableSchema | None) -> ForeignRows:
    if not names:
        return ForeignRows({}, {}, 0, connection)
    types = [type_ for _, type_, *_ in connection.execute("DESCRIBE rows").fetchall()]
    ((count,),) = connection.execute("SELECT count(*) FROM rows").fetchall()
    if schema is not None:
        return ForeignRows({}, dict(zip(names, types, strict=True)), count, connection)
    declared = [_declaration(connection, f"{_STAGED}{number}", type_) for number, type_ in enumerate(types)]
    pairs = zip(declared, types, strict=True)
    types = [list_type(type_) if _VECTOR.fullmatch(spelled) else spelled for spelled, type_ in pairs]
    spelled_by_name = dict(zip(names, declared, strict=True))
    return ForeignRows(spelled_by_name, dict(zip(names, types, strict=True)), count, connection)


def _declaration(connection: duckdb.DuckDBPyConnection, value: str, type_: str) -> str:
    """How a table declares a column of the file."""
    numbers = _NUMBERS.fullmatch(type_)
    if type_ == "VARCHAR":
        cast = f"TRY_CAST({value} AS DOUBLE[])"
        ((texts, lists),) = connection.execute(f"SELECT count({value}), count({cast}) FROM rows").fetchall()
        dim = _common_length(connection, cast) if texts and texts == lists else 0
        return f"FLOAT[{dim}]" if dim else type_
    if numbers is None:
        return type_
    dim = int(numbers[2]) if numbers[2] else _common_length(connection, value)
    item = "TINYINT" if numbers[1] == "TINYINT" else "FLOAT"
    return f"{item}[{dim}]" if dim else type_


def _common_length(connection: duckdb.DuckDBPyConnection, value: str) -> int:
    """The length that all lists have, 0 where they differ or there are none."""
    ((least, most),) = connection.execute(f"SELECT min(len({value})), max(len({value})) FROM rows").fetchall()
    return int(least) if least is not None and least == most else 0


class ForeignFile:
    """A file of rows that is being made."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, types: Mapping[str, str]) -> None:
        self._connection = connection
        self._path = path
        self._kind = format_of(path, _WRITERS)
        columns = ", ".join(f"{quoted(name)} {written(type_, self._kind)}" for name, type_ in types.items())
        connection.execute(f"CREATE TABLE rows ({columns})")

    def add(self, chunk: Stream) -> None:
        """Add rows, in types that a cast makes those of the file."""
        with self._refusing(), bound(self._connection, _CHUNK, chunk):
            self._connection.execute(f"INSERT INTO rows SELECT * FROM {_CHUNK}")

    def save(self) -> None:
        """Write the file and flush it; it replaces one of its name as a whole."""
        with tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
            temporary = Path(folder) / self._path.name
            with self._refusing():
                self._connection.execute(f"COPY rows TO {literal(str(temporary))} ({_WRITERS[self._kind]})")
            files.sync_path(temporary)
            files.rename(temporary, self._path)
        files.sync_directory(self._path.parent)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except duckdb.ConversionException as error:
            raise InvalidArgument(
                f"{self._path.name} cannot hold a value: {first_part(error)}."
                " Fix: export to .csv or .jsonl, or change the type."
            ) from error
        except duckdb.Error as error:
            raise wrapped(error, f"to write {self._path}") from error


@contextmanager
def writing(connection: duckdb.DuckDBPyConnection, path: Path, types: Mapping[str, str]) -> Iterator[ForeignFile]:
    """Make a file of the rows that the body adds; none, or an older one, is there where it fails.

    InvalidArgument where the format cannot hold a value, DiskFull where there is no room.
    """
    format_of(path, _WRITERS)
    if not path.parent.is_dir():
        raise InvalidArgument(f"There is no directory {path.parent}. Fix: create it first.")
    if path.is_dir():
        raise InvalidArgument(f"{path} is a directory; expected a file, or none. Fix: choose another name.")
    with io_errors("write", path):
        file = ForeignFile(connection, path, types)
        yield file
        file.save()
