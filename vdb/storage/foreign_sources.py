"""What each format of files of rows is to DuckDB: a relation, its columns, and the SQL of their values.

Types are those of the table that the rows are for, where there is one; else those of the file, all of which is looked
at: CSV and JSON tell types by their values only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from vdb.errors import InvalidArgument, InvalidState
from vdb.storage import files
from vdb.storage.rows import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb

    from vdb.storage.casts import Wanted

_LINES: Final = "format = 'newline_delimited'"
_DIALECT: Final = ("Delimiter", "Quote", "Escape", "SkipRows", "HasHeader", "Comment", "DateFormat", "TimestampFormat")
_NONE: Final = "(empty)"  # the sniffer's word


class Source(ABC):
    """A file that rows are read from."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._path = literal(str(path))
        self._is_empty = files.length(path) == 0

    @abstractmethod
    def types(self) -> dict[str, str]:
        """The columns, and the type that each has by what is in the file."""

    @abstractmethod
    def names(self) -> list[str]:
        """The columns, for a table that has their types."""

    @abstractmethod
    def read(self, wanted: Mapping[str, Wanted]) -> tuple[str, list[str]]:
        """The rows as SQL, and the SQL of the values of these columns."""

    def read_own(self, wanted: Mapping[str, Wanted]) -> tuple[str, list[str]]:
        """As `read`, for columns of the types in `types`."""
        return self.read(wanted)

    def _described(self, relation: str) -> dict[str, str]:
        found = self._connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        return {name: type_ for name, type_, *_ in found}


class Typed(Source):
    """Parquet and Arrow, which have types of their own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, relation: str) -> None:
        super().__init__(connection, path)
        self._relation = relation
        self._types = self._described(relation)

    @classmethod
    def parquet(cls, connection: duckdb.DuckDBPyConnection, path: Path) -> Typed:
        """A Parquet file."""
        return cls(connection, path, f"read_parquet({literal(str(path))})")

    @classmethod
    def arrow(cls, connection: duckdb.DuckDBPyConnection, path: Path) -> Typed:
        """An Arrow file, read by pyarrow."""
        connection.register("arrow_rows", _arrow_table(path))
        return cls(connection, path, "arrow_rows")

    def types(self) -> dict[str, str]:
        """Those of the file."""
        return self._types

    def names(self) -> list[str]:
        """The columns."""
        return list(self._types)

    def read(self, wanted: Mapping[str, Wanted]) -> tuple[str, list[str]]:
        """Values are cast where the table has another type."""
        return self._relation, [column.from_typed(quoted(name), self._types[name]) for name, column in wanted.items()]


class Csv(Source):
    """CSV, read as texts: an empty one between quotes is a text, an empty field is NULL."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        super().__init__(connection, path)
        found = connection.execute(f"SELECT {', '.join(_DIALECT)} FROM sniff_csv({self._path})").fetchall()
        sniffed = dict(zip(_DIALECT, found[0], strict=True))
        self._has_header = bool(sniffed["HasHeader"])
        quote = '"' if sniffed["Quote"] == _NONE else sniffed["Quote"]  # beyond the sample there may be some
        escape = quote if sniffed["Escape"] == _NONE else sniffed["Escape"]
        comment = "" if sniffed["Comment"] == _NONE else sniffed["Comment"]
        self._dialect = (
            f"delim = {literal(sniffed['Delimiter'])}, quote = {literal(quote)}, escape = {literal(escape)},"
            f" comment = {literal(comment)}, skip = {sniffed['SkipRows']}"
        )
        dates = {"DATE": sniffed["DateFormat"], "TIMESTAMP": sniffed["TimestampFormat"]}
        self._formats = {type_: literal(form) for type_, form in dates.items() if form}

    def types(self) -> dict[str, str]:
        """Those that all values of a column have."""
        return self._described(self._call("sample_size = -1"))

    def names(self) -> list[str]:
        """Those of the first line."""
        self._has_header = True
        return list(self._described(self._texts()))

    def read(self, wanted: Mapping[str, Wanted]) -> tuple[str, list[str]]:
        """Values are cast from their texts."""
        return self._texts(), [column.from_text(quoted(name), self._formats) for name, column in wanted.items()]

    def _texts(self) -> str:
        return self._call("all_varchar = true, allow_quoted_nulls = false")

    def _call(self, options: str) -> str:
        return f"read_csv({self._path}, {self._dialect}, header = {self._has_header}, {options})"


class JsonLines(Source):
    """An object of JSON a line; a key that an object lacks is NULL."""

    def types(self) -> dict[str, str]:
        """Those that all values of a key have."""
        return self._described(self._sniffed())

    def names(self) -> list[str]:
        """The keys of all objects."""
        return [] if self._is_empty else list(self._described(self._sniffed("maximum_depth = 1, ")))

    def read(self, wanted: Mapping[str, Wanted]) -> tuple[str, list[str]]:
        """Values are cast from JSON, or from what DuckDB reads of it without a loss."""
        columns = ", ".join(f"{literal(name)}: {literal(column.type_in_json)}" for name, column in wanted.items())
        relation = f"read_json({self._path}, {_LINES}, columns = {{{columns}}})"
        return relation, [column.from_json(quoted(name)) for name, column in wanted.items()]

    def read_own(self, wanted: Mapping[str, Wanted]) -> tuple[str, list[str]]:
        """As DuckDB reads them, in formats of dates that it finds."""
        return self._sniffed(), list(map(quoted, wanted))

    def _sniffed(self, options: str = "") -> str:
        return f"read_json({self._path}, {_LINES}, {options}sample_size = -1)"


SOURCES: Final = {"parquet": Typed.parquet, "csv": Csv, "jsonl": JsonLines, "arrow": Typed.arrow}


def _arrow_table(path: Path) -> Any:
    try:
        from pyarrow import feather
    except ImportError:
        raise InvalidState("Reading Arrow files needs pyarrow.\n  Fix: pip install 'vdb[arrow]'.") from None
    try:
        return feather.read_table(str(path))
    except (OSError, ValueError) as error:  # pyarrow's errors derive from these
        raise InvalidArgument(f"cannot read {path}: {error}.\n  Fix: pass an Arrow file.") from error
