"""From the caller's words for a table, `{"id": "BIGINT PRIMARY KEY", "embedding": "FLOAT[384]"}`, to its schema.

DuckDB itself reads and spells every type, so whatever it can store and name in a column is a type here. vdb stores
`FLOAT[n]`, `FLOAT16[n]`, `BFLOAT16[n]` and `TINYINT[n]` itself; the two in the middle are no types of DuckDB.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

import duckdb

from vdb.errors import DimensionMismatch, InvalidArgument
from vdb.storage.connection import parser_connection
from vdb.types import (
    DISTANCE_COLUMN,
    DTYPES,
    INTEGER_TYPES,
    MAX_DIM,
    METRICS,
    ROW_ID_COLUMN,
    SLOT_COLUMN,
    Column,
    Dtype,
    Metric,
    TableSchema,
    VectorColumn,
)

HIDDEN_COLUMNS: Final = frozenset({SLOT_COLUMN, ROW_ID_COLUMN, DISTANCE_COLUMN})

_RESERVED_TABLE = re.compile(r"(vdb|duckdb|sqlite)(_|$)", re.IGNORECASE)
_HALF = re.compile(r"B?FLOAT16\b", re.IGNORECASE)
_INT8_ARRAY = re.compile(r"INT8\s*(?:\[\s*\d|ARRAY\b)", re.IGNORECASE)
_CONSTRAINT = re.compile(r"\s+(PRIMARY\s+KEY|NOT\s+NULL|NULL)\s*$", re.IGNORECASE)
_MAX_NAME = 255
_MAX_TYPE = 8_192


def parse_schema(
    name: str,
    columns: Mapping[str, str],
    metric: Metric | Mapping[str, Metric] = "l2",
    needs_vectors: bool = True,
) -> TableSchema:
    """Read the declaration of a table.

    Parameters
    ----------
    name : str
        The table.
    columns : mapping of str to str
        A DuckDB type for each column, followed by `NOT NULL` or `PRIMARY KEY` where it applies. A vector of n values is
        `FLOAT[n]`, or in fewer bytes `FLOAT16[n]`, `BFLOAT16[n]` or, of whole numbers from -128 to 127, `TINYINT[n]`.
        The primary key is an integer or VARCHAR.
    metric : {"l2", "cosine", "ip"} or mapping of str to these
        How distances are measured, for all vector columns or for each; "l2" where a mapping does not say.
    needs_vectors : bool
        Whether a table without a vector column is refused.

    Returns
    -------
    TableSchema
        The columns in the given order, types as DuckDB spells them.

    Raises
    ------
    InvalidArgument
        A name is taken, reserved or empty, a type or metric is unknown, there is no vector column, or the key cannot
        be one.
    """
    if not isinstance(columns, Mapping) or not columns:
        raise InvalidArgument(
            f"table {name} has no columns.\n  Fix: declare them, as in {{'id': 'BIGINT', 'embedding': 'FLOAT[384]'}}."
        )
    keys = []
    parsed: list[Column | VectorColumn] = []
    for column, text in columns.items():
        type_text, constraints = _split(text, f"{name}.{column}")
        nullable = not constraints & {"NOT NULL", "PRIMARY KEY"}
        if "PRIMARY KEY" in constraints:
            keys.append(column)
        parsed.append(read_column(f"{name}.{column}", column, type_text, nullable))
    if len(keys) > 1:
        raise InvalidArgument(f"table {name} has {len(keys)} primary keys: {', '.join(keys)}.\n  Fix: keep one.")
    return make_schema(name, parsed, keys[0] if keys else None, metric, needs_vectors)


def parse_column(table: str, name: str, text: str, metric: Metric = "l2") -> Column | VectorColumn:
    """Read the declaration of one more column of a table: a type, and `NOT NULL` where it applies.

    InvalidArgument as for `parse_schema`, and for a primary key.
    """
    where = f"{table}.{name}"
    type_text, constraints = _split(text, where)
    if "PRIMARY KEY" in constraints:
        raise InvalidArgument(f"{where} cannot be made the primary key later.\n  Fix: declare it in a new table.")
    column = read_column(where, name, type_text, "NOT NULL" not in constraints)
    if not isinstance(column, VectorColumn):
        return column
    return _with_metric(column, _metrics(table, [name], metric))


def make_schema(
    name: str,
    columns: Collection[Column | VectorColumn],
    key: str | None,
    metric: Metric | Mapping[str, Metric] = "l2",
    needs_vectors: bool = True,
) -> TableSchema:
    """Return the schema of these columns with the metrics filled in, or refuse it as `parse_schema` does."""
    check_table_name(name)
    seen: dict[str, str] = {}
    for column in columns:
        _check_name(column.name, "column")
        if column.name.lower() in HIDDEN_COLUMNS:
            raise InvalidArgument(
                f"column name {column.name!r} of table {name} is reserved by vdb, as are "
                f"{', '.join(sorted(HIDDEN_COLUMNS))}.\n  Fix: choose another name."
            )
        if column.name.lower() in seen:
            raise InvalidArgument(
                f"table {name} has columns {seen[column.name.lower()]!r} and {column.name!r}, which are one name: "
                f"case does not count.\n  Fix: rename one."
            )
        seen[column.name.lower()] = column.name
    vectors = [column.name for column in columns if isinstance(column, VectorColumn)]
    if not vectors and needs_vectors:
        raise InvalidArgument(f"table {name} has no vector column.\n  Fix: add one, such as 'embedding': 'FLOAT[384]'.")
    metrics = _metrics(name, vectors, metric)
    columns = tuple(_with_metric(column, metrics) if isinstance(column, VectorColumn) else column for column in columns)
    if key is None:
        return TableSchema(name, columns)
    columns = tuple(_as_key(name, column) if column.name == key else column for column in columns)
    if key not in [column.name for column in columns]:
        raise InvalidArgument(
            f"key {key!r} is not a column of table {name}: {', '.join(c.name for c in columns)}.\n"
            f"  Fix: name one of them.{did_you_mean(key, [c.name for c in columns])}"
        )
    return TableSchema(name, columns, key)


def check_table_name(name: str) -> None:
    """Refuse what is no name of a table or view, or reserved."""
    _check_name(name, "table")
    if _RESERVED_TABLE.match(name):
        raise InvalidArgument(
            f"table name {name!r} is reserved.\n  Fix: do not begin it with vdb_, duckdb_ or sqlite_."
        )


def did_you_mean(name: str, names: Collection[str]) -> str:
    """Return ` Did you mean 'x'?` where one of `names` is close to `name`, else nothing."""
    folded = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(str(name).lower(), folded, n=1)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""


def _check_name(name: object, kind: str) -> None:
    if not isinstance(name, str):
        raise InvalidArgument(f"{kind} name {name!r} is a {type(name).__name__}.\n  Fix: pass a string.")
    if not name.strip() or not name.isprintable() or len(name) > _MAX_NAME:
        raise InvalidArgument(
            f"{kind} name {name!r:.80} is not one: expected 1 to {_MAX_NAME} printable characters.\n"
            f"  Fix: choose another name."
        )


def _split(text: object, where: str) -> tuple[str, set[str]]:
    """Separate a type from the constraints behind it."""
    if not isinstance(text, str) or len(text) > _MAX_TYPE:
        raise InvalidArgument(f"type {text!r:.80} of {where} is not one.\n  Fix: pass a string, such as 'VARCHAR'.")
    constraints = set()
    while (match := _CONSTRAINT.search(text)) is not None:
        constraints.add(" ".join(match[1].upper().split()))
        text = text[: match.start()]
    return text.strip(), constraints


def read_column(where: str, name: str, text: str, nullable: bool = True) -> Column | VectorColumn:
    """Return the column that a type makes; `where` is how messages name it."""
    length = re.search(r"\[\s*(-?\d{1,20})\s*\]$", text)
    if length is not None and not 1 <= int(length[1]) <= MAX_DIM:
        raise DimensionMismatch(
            f"type {text} of {where} has {length[1]} values.\n  Fix: choose a length from 1 to {MAX_DIM}."
        )
    if _INT8_ARRAY.match(text):  # to DuckDB a BIGINT of 8 bytes, to whoever stores vectors a single byte
        raise InvalidArgument(
            f"type {text!r:.80} of {where}: INT8 is BIGINT in SQL.\n"
            f"  Fix: TINYINT[384] for vectors of int8 values, or BIGINT[384] for a plain list of integers."
        )
    half = _HALF.match(text)
    if half is not None:
        dim, dtype = _read_half(where, text, half[0].upper())
        return VectorColumn(name, dim, nullable=nullable, dtype=dtype)
    spelled, kind, item = _read_type(where, text)
    for dtype, forms in DTYPES.items():
        if kind == "array" and item == forms.sql:
            return VectorColumn(name, _length(spelled), nullable=nullable, dtype=dtype)
    if spelled == "FLOAT[]":
        raise InvalidArgument(
            f"type {text} of {where} has no length.\n"
            f"  Fix: FLOAT[384] for vectors of 384 values, or DOUBLE[] for a plain list of numbers."
        )
    if kind == "array" and item == "DOUBLE":
        raise InvalidArgument(
            f"type {text} of {where}: vectors are stored as float32 at most.\n"
            f"  Fix: {spelled.replace('DOUBLE', 'FLOAT')} for a vector, or DOUBLE[] for a plain list of numbers."
        )
    return Column(name, spelled, nullable)


def _read_half(where: str, text: str, word: str) -> tuple[int, Dtype]:
    """Read a type that begins with `word`, of half precision, with DuckDB's help, which has no such types."""
    spelled, kind, item = _read_type(where, text, "FLOAT" + text[len(word) :])
    if kind != "array" or item != "FLOAT":
        raise InvalidArgument(
            f"type {text!r:.80} of {where}: {word} is for vectors of a fixed length.\n"
            f"  Fix: {word}[384] for vectors of 384 values, FLOAT for a number, or DOUBLE[] for a list of them."
        )
    return _length(spelled), "float16" if word == "FLOAT16" else "bfloat16"


def _length(spelled: str) -> int:
    return int(spelled[spelled.rindex("[") + 1 : -1])


def _read_type(where: str, text: str, read_as: str | None = None) -> tuple[str, str, str | None]:
    """Let DuckDB read a type: its spelling, its kind and the spelling of its items where it has them.

    `read_as` is what DuckDB gets for a `text` that it does not know.
    """
    connection = parser_connection()
    sql = text if read_as is None else read_as
    reason = ""
    try:
        found = connection.sqltype(sql)  # reads a whole column definition, silently dropping DEFAULT, CHECK and such
        rows = connection.execute(f"SELECT typeof(CAST(NULL AS {sql}))").fetchall()  # reads a type and nothing else
    except duckdb.CatalogException as error:
        rows, reason = [], " " + str(error).partition("\n")[2].partition("\n")[0].strip()
    except duckdb.Error:
        rows = []
    if not rows or rows[0][0] != str(found) or "NULL" in rows[0][0]:
        raise InvalidArgument(
            f"type {text!r:.80} of {where} is unknown.{reason.rstrip()}\n"
            f"  Fix: give a DuckDB type, followed by NOT NULL or PRIMARY KEY or nothing."
        )
    children = dict(found.children) if found.id in ("array", "list") else {}
    return str(found), found.id, str(children["child"]) if children else None


def _metrics(name: str, vectors: list[str], metric: Metric | Mapping[str, Metric]) -> dict[str, Metric]:
    chosen = dict(metric) if isinstance(metric, Mapping) else dict.fromkeys(vectors, metric)
    for column, value in chosen.items():
        if column not in vectors:
            raise InvalidArgument(
                f"metric is given for {column!r}, not a vector column of table {name}: {', '.join(vectors)}.\n"
                f"  Fix: name one of them.{did_you_mean(column, vectors)}"
            )
        if value not in METRICS:
            raise InvalidArgument(
                f"unknown metric {value!r} for {name}.{column}.\n"
                f"  Fix: one of {', '.join(METRICS)}; HNSW and search also take one written in Python."
            )
    return chosen


def _with_metric(column: VectorColumn, metrics: Mapping[str, Metric]) -> VectorColumn:
    return replace(column, metric=metrics.get(column.name, "l2"))


def _as_key(table: str, column: Column | VectorColumn) -> Column:
    if isinstance(column, VectorColumn) or column.type not in INTEGER_TYPES | {"VARCHAR"}:
        raise InvalidArgument(
            f"{table}.{column.name} is {column.type}, which cannot be a primary key.\n"
            f"  Fix: use BIGINT or a shorter integer, or VARCHAR."
        )
    return Column(column.name, column.type, nullable=False)
