"""The schema of a table made from data: which columns are vectors, and the DuckDB type of every other one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from vdb.arrays import is_missing
from vdb.dtypes import dtype_of, is_real
from vdb.errors import InvalidArgument
from vdb.storage.connection import parser_connection
from vdb.storage.schema import make_schema, read_column
from vdb.storage.tabular import is_one_vector, read_tabular
from vdb.types import DTYPES, Column, Metric, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.storage.tabular import Tabular
    from vdb.types import Dtype

MIN_INFERRED_DIM: Final = 8  # shorter lists of floats are more often positions, boxes and colours than embeddings

_FLOATS: Final = ("halffloat", "float", "double")  # as Arrow spells them
_NARROW: Final[dict[str, Dtype]] = {"halffloat": "float16", "int8": "int8"}  # what keeps its dtype
_RELATION: Final = "rows_to_infer"
# What DuckDB makes of the values at hand, and what a column for the values still to come should be.
_WIDENED: Final = (
    (re.compile(r"ENUM\(.*\)"), "VARCHAR"),
    (re.compile(r'"NULL"'), "VARCHAR"),
    (re.compile(r"TIMESTAMP_M?S"), "TIMESTAMP"),
    (re.compile(r"FLOAT(?=\[\])"), "DOUBLE"),
)
_WIDENED_OBJECTS: Final = (
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"DECIMAL\((?:\d|1[0-8]),(\d+)\)"), r"DECIMAL(18,\1)"),
    (re.compile(r"DECIMAL\((?:19|[23]\d),(\d+)\)"), r"DECIMAL(38,\1)"),
)


def infer_schema(
    name: str,
    data: Any,
    vectors: Mapping[str, Any],
    key: str | None = None,
    metric: Metric | Mapping[str, Metric] = "l2",
) -> TableSchema:
    """Return the schema of a table that can hold `data`.

    A column is a vector column if it is given in `vectors`; is a 2-d array of numbers; holds fixed-size lists of
    floats or int8 (Arrow, polars); or holds lists of floats that are all of one length of at least `MIN_INFERRED_DIM`.
    int8, float16 and a numpy array of bfloat16 keep their dtype, all else becomes float32. No column is a key unless
    `key` names it.

    Parameters
    ----------
    name : str
        The table.
    data : object or None
        As for `make_batch`.
    vectors : mapping of str to array_like
        Vector columns given beside `data`.
    key : str, optional
        The primary key.
    metric : {"l2", "cosine", "ip"} or mapping of str to these
        How distances are measured.

    Raises
    ------
    InvalidArgument
        There is no vector column, or a column has values DuckDB cannot store.
    """
    table = read_tabular(data)
    dims = {column: _vector_dim(table.raw(column)) for column in table.lengths}
    types = _attribute_types(name, table, [column for column, dim in dims.items() if dim is None])
    columns: list[Column | VectorColumn] = []
    for column, dim in dims.items():
        columns.append(
            Column(column, types[column]) if dim is None else _vector_column(name, column, dim, table.raw(column))
        )
    for column, values in vectors.items():
        dim = _given_dim(values)
        if dim is None:
            raise InvalidArgument(
                f"{name}.{column} has no vector to take its length from.\n"
                f"  Fix: pass an array (n, dim), or declare the columns, as in {{'{column}': 'FLOAT[384]'}}."
            )
        columns.append(_vector_column(name, column, dim, values))
    return make_schema(name, columns, key, metric)


def _vector_column(table: str, column: str, dim: int, values: Any) -> Column | VectorColumn:
    dtype = _NARROW.get(_arrow_item(values)) or dtype_of(values)
    return read_column(f"{table}.{column}", column, f"{DTYPES[dtype].sql}[{dim}]")


def _arrow_item(values: Any) -> str:
    """Return the type of the items of an Arrow column of lists, "None" for any other column."""
    return str(getattr(getattr(values, "type", None), "value_type", None))


def _attribute_types(name: str, table: Tabular, columns: list[str]) -> dict[str, str]:
    """Ask DuckDB for the types of these columns, and widen them for rows to come."""
    if not columns:
        return {}
    relation = table.relation(name, dict.fromkeys(columns))
    connection = parser_connection()
    try:
        connection.execute("SELECT 1").fetchall()  # a result somebody left unread would refuse the registration
        connection.register(_RELATION, relation)
        described = connection.execute(f"DESCRIBE {_RELATION}").fetchall()
    except duckdb.Error as error:
        raise InvalidArgument(f"the data for table {name} cannot be stored: {error}\n  Fix: declare types.") from error
    finally:
        connection.unregister(_RELATION)
    types = {}
    for column, (_, found, *_) in zip(columns, described, strict=True):
        objects = isinstance(relation, dict) and relation[column].dtype.kind == "O"
        for pattern, wider in _WIDENED + (_WIDENED_OBJECTS if objects else ()):
            found = pattern.sub(wider, found)
        days = str(getattr(table.raw(column), "dtype", "")) == "datetime64[D]"  # reaches DuckDB in seconds
        types[column] = "DATE" if days else found
    return types


def _vector_dim(values: Any) -> int | None:
    """Return the length of the vectors in a column of the data, or None where it does not look like vectors."""
    kind = getattr(values, "type", None)  # Arrow: the type tells, without a look at the values
    if kind is not None:
        item, fixed = _arrow_item(values), hasattr(kind, "list_size")
        if item not in _FLOATS and not (fixed and item == "int8"):
            return None
        if fixed:
            return int(kind.list_size)
    if isinstance(values, np.ndarray) and values.ndim == 2 and is_real(values):
        return int(values.shape[1])
    if getattr(getattr(values, "dtype", None), "kind", "O") != "O":
        return None
    rows = _vectors(values)
    if not rows or any(len(row) != len(rows[0]) for row in rows) or len(rows[0]) < MIN_INFERRED_DIM:
        return None
    return len(rows[0]) if all(isinstance(value, (float, np.floating)) for value in rows[0]) else None


def _given_dim(values: Any) -> int | None:
    """Return the length of vectors given as such, or None where there is not even one."""
    if is_one_vector(values):
        return len(values)
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return int(values.shape[1])
    rows = _vectors(values)
    return len(rows[0]) if rows else None


def _vectors(values: Any) -> list[Any]:
    """Return the rows that are sequences, or nothing where another row is neither that nor missing."""
    listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    rows = [row for row in listed if isinstance(row, (list, tuple)) or getattr(row, "ndim", 0) == 1]
    missing = sum(map(is_missing, listed))
    return rows if len(rows) + missing == len(listed) else []
