"""A write's rows, validated: everything that can be said of them without asking the database has been said.

What the rows mean to the table (is the key taken, does a text cast to a date) is for the transaction to decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vdb.arrays import as_optional_matrix
from vdb.dtypes import zero_rows
from vdb.errors import InvalidArgument
from vdb.storage.schema import did_you_mean
from vdb.storage.tabular import is_one_vector, read_tabular
from vdb.types import StoredMatrix, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.storage.tabular import Tabular


@dataclass(frozen=True)
class VectorBatch:
    """The vectors of one column.

    Attributes
    ----------
    values : StoredMatrix
        (n, dim) of the column's dtype, C-contiguous, finite; zeros where a vector is missing.
    present : ndarray of bool or None
        (n,), whether each row has a vector; None where all have.
    """

    values: StoredMatrix
    present: npt.NDArray[np.bool_] | None


@dataclass(frozen=True)
class Batch:
    """Rows to write, at least one.

    Attributes
    ----------
    n : int
        The number of rows.
    relation : dict of ndarray, pyarrow.Table, WrittenRows or None
        The attribute columns given and no others, as DuckDB's `register` takes them; None where there are none. The
        connection must look at every value of a list or dict column: `SET pandas_analyze_sample` to its maximum.
    columns : tuple of str
        The names of the columns in `relation`.
    vectors : dict of str to VectorBatch
        The vector columns given.
    """

    n: int
    relation: Any
    columns: tuple[str, ...]
    vectors: dict[str, VectorBatch]


def make_batch(schema: TableSchema, data: Any, vectors: Mapping[str, Any], partial: bool = False) -> Batch:
    """Read and check the rows of a write.

    Parameters
    ----------
    schema : TableSchema
        The table.
    data : object or None
        A dict of columns or, where any value is a single one, of one row; a list of dicts, where a missing name is
        NULL; a pandas or polars frame; an Arrow table. NaN is NULL, except in Arrow and polars.
    vectors : mapping of str to array_like
        Vector columns given beside `data`.
    partial : bool
        Whether columns without a NULL may be left out, as in an upsert of rows that exist. The key may not.

    Raises
    ------
    DimensionMismatch
        A vector has the wrong number of values.
    InvalidArgument
        There are no rows; lengths differ; a column is unknown, missing or given twice; a value is of the wrong kind;
        a vector is not finite, is zero under cosine, or is missing where the column is NOT NULL.
    """
    table = read_tabular(data)
    given = _vectors_given(schema, table, vectors)
    n = _count_rows(schema, table, given)
    _check_names(schema, table, given, partial)
    columns = tuple(name for name in table.lengths if name not in given)
    _check_key(schema, table)
    relation = table.relation(schema.name, {name: schema.by_name[name].type for name in columns}) if columns else None
    checked = {name: vector_batch(schema, name, values) for name, values in given.items()}
    return Batch(n, relation, columns, checked)


def _vectors_given(schema: TableSchema, table: Tabular, vectors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of every vector column, from the data and from beside it."""
    by_name = {column.name: column for column in schema.vectors}
    given = {name: table.raw(name) for name in table.lengths if name in by_name}
    one_row = set(table.lengths.values()) <= {1}
    for name, values in vectors.items():
        if name not in by_name:
            hint = "put attribute columns into the data" if name in schema.by_name else "name a vector column"
            raise InvalidArgument(
                f"{name!r} is not a vector column of table {schema.name}: {', '.join(by_name)}.\n"
                f"  Fix: {hint}.{did_you_mean(name, by_name)}"
            )
        if name in given:
            raise InvalidArgument(f"{schema.name}.{name} is given twice.\n  Fix: leave it out of the data.")
        given[name] = [values] if one_row and is_one_vector(values) else values
    return given


def _check_names(schema: TableSchema, table: Tabular, given: Mapping[str, Any], partial: bool) -> None:
    names = table.lengths.keys() | given.keys()
    for name in table.lengths:
        if name not in schema.by_name:
            raise InvalidArgument(
                f"no column {name!r} in table {schema.name}: {', '.join(schema.by_name)}.\n"
                f"  Fix: drop or rename it.{did_you_mean(name, schema.by_name)}"
            )
    for column in schema.columns:
        if column.name not in names and (column.name == schema.key or (column.is_required and not partial)):
            rule = "the primary key" if column.name == schema.key else "NOT NULL"
            raise InvalidArgument(
                f"{schema.name}.{column.name} is {rule} and is not in the data: {', '.join(names) or 'nothing'}.\n"
                f"  Fix: add it."
            )


def _count_rows(schema: TableSchema, table: Tabular, given: Mapping[str, Any]) -> int:
    lengths = dict(table.lengths)
    lengths |= {name: len(values) if hasattr(values, "__len__") else 1 for name, values in given.items()}
    n = next(iter(lengths.values()), 0)
    if any(length != n for length in lengths.values()):
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        cause = f" The dict is one row, since its {table.single!r} is a single value." if table.single else ""
        raise InvalidArgument(
            f"columns differ in their number of rows: {listed}.{cause}\n  Fix: pass one value per row in each column."
        )
    if n == 0:
        raise InvalidArgument(f"no rows for table {schema.name}.\n  Fix: pass at least one row.")
    return n


def _check_key(schema: TableSchema, table: Tabular) -> None:
    """Refuse keys that are missing, or that DuckDB would turn into other keys by a cast."""
    key = schema.key_column
    if key is None:
        return
    where = f"{schema.name}.{key.name}"
    values = table.column(schema.name, key.name, None)
    missing = np.ma.getmaskarray(values)
    if values.dtype.kind == "O":
        missing = np.fromiter((value is None for value in values), dtype=np.bool_, count=len(values))
    elif values.dtype.kind == "f":
        missing = missing | np.isnan(np.ma.getdata(values))
    if missing.any():
        raise InvalidArgument(f"row {int(np.argmax(missing))} has no {where}, the primary key.\n  Fix: give one.")
    if schema.integer_key is None:
        wrong = values.dtype.kind != "O" or not all(isinstance(value, str) for value in values)
    else:
        wrong = values.dtype.kind not in "iu"
    if wrong:
        found = type(values[0]).__name__ if values.dtype.kind == "O" else str(values.dtype)
        raise InvalidArgument(f"{where} is a key of type {key.type}, got {found} values.\n  Fix: convert them.")


def vector_batch(schema: TableSchema, name: str, values: Any) -> VectorBatch:
    """The vectors of one column, checked as `make_batch` does."""
    column = schema.by_name[name]
    assert isinstance(column, VectorColumn)
    where = f"{schema.name}.{name}"
    matrix, present = as_optional_matrix(values, column.dim, where, column.dtype)
    if present is not None and not column.nullable:
        raise InvalidArgument(f"row {int(np.argmin(present))} has no {where}, which is NOT NULL.\n  Fix: give one.")
    if column.metric == "cosine":
        zero = zero_rows(matrix, column.dtype)
        zero = zero if present is None else zero[present[zero]]
        if len(zero):
            raise InvalidArgument(
                f"row {int(zero[0])} of {where} is a zero vector in {column.dtype}, without a direction for cosine.\n"
                f"  Fix: leave that vector NULL (None), or use metric l2 or ip."
            )
    return VectorBatch(matrix, present)
