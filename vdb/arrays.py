"""The only conversions of the caller's arrays to what the core takes: a column's dtype, C order, finite.

Everything else in vdb may rely on that form. A refusal names the column and the row, and says how to fix it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vdb.dtypes import as_real, first_misfit, first_misfit_value, is_real, rounded
from vdb.errors import DimensionMismatch, InvalidArgument
from vdb.types import DTYPES

if TYPE_CHECKING:
    from vdb.types import Dtype, StoredMatrix

Presence: TypeAlias = npt.NDArray[np.bool_]

_AS_GIVEN: Final[dict[Dtype, np.dtype[Any]]] = {
    name: forms.memory for name, forms in DTYPES.items() if name != "bfloat16"
}  # the dtypes of arrays that are vectors of a column as they are
_LARGEST: Final[dict[Dtype, str]] = {"float32": "3.4e38", "float16": "65504", "bfloat16": "3.39e38"}


class _Column(NamedTuple):
    """What the values are for: the length and dtype of a vector, and the column as messages name it."""

    dim: int
    what: str
    dtype: Dtype

    @property
    def type(self) -> str:
        return f"{DTYPES[self.dtype].sql}[{self.dim}]"


def as_matrix(values: Any, dim: int, what: str, dtype: Dtype = "float32") -> StoredMatrix:
    """Return `values` as vectors, one per row, without a copy where they already have the form.

    Parameters
    ----------
    values : array_like
        (n, dim) of any real numeric dtype, bfloat16 of ml_dtypes too, order and byte order; a list of lists; an Arrow
        list array; a pandas or polars Series of lists.
    dim : int
        The number of values each row must have.
    what : str
        The column as messages name it, such as `items.embedding`.
    dtype : Dtype
        The column's: values are rounded to nearest, except that int8 takes whole numbers only.

    Returns
    -------
    StoredMatrix
        (n, dim) in the column's form, bfloat16 as its bits; C-contiguous, finite.

    Raises
    ------
    DimensionMismatch
        A row does not have `dim` values.
    InvalidArgument
        A row is missing, not numeric, NaN, infinite, or has a value that the dtype cannot hold.
    """
    matrix, present = as_optional_matrix(values, dim, what, dtype)
    if present is not None:
        raise InvalidArgument(
            f"row {int(np.argmin(present))} of {what} is missing.\n  Fix: give every row a vector of {dim} values."
        )
    return matrix


def as_optional_matrix(
    values: Any, dim: int, what: str, dtype: Dtype = "float32"
) -> tuple[StoredMatrix, Presence | None]:
    """Return vectors as `as_matrix` does, and which rows have one; missing rows are None and become zeros.

    Returns
    -------
    tuple of StoredMatrix and (Presence or None)
        (n, dim) and (n,) bool; None means that every row has a vector.
    """
    column = _Column(dim, what, dtype)
    if isinstance(values, np.ma.MaskedArray):
        return _from_masked(values, column)
    module = type(values).__module__.partition(".")[0]
    if module == "pyarrow" and hasattr(values, "is_valid"):
        return _from_arrow(values, column)
    if module == "polars" and hasattr(values, "is_not_null"):
        return _from_polars(values, column)
    if module == "pandas" and hasattr(values, "isna"):
        values = values.to_numpy(dtype=object)
    array = _as_array(values, what)
    if array is None or (array.dtype.kind == "O" and array.ndim == 1):
        return _from_rows(values if array is None else array, column)
    if array.ndim != 2 or array.shape[1] != dim:
        raise _wrong_shape(array, column)
    return _as_stored(array, column), None


def as_queries(values: Any, dim: int, what: str, dtype: Dtype = "float32") -> tuple[StoredMatrix, bool]:
    """Return query vectors as a matrix, and whether the caller gave a batch.

    Parameters
    ----------
    values : array_like
        (dim,) for one query, (nq, dim) for a batch; dtypes as in `as_matrix`.
    dim : int
        The number of values each query must have.
    what : str
        The searched column as messages name it, such as `items.embedding`.
    dtype : Dtype
        The column's, to which queries are rounded as its vectors are.

    Returns
    -------
    tuple of StoredMatrix and bool
        (nq, dim) in the column's form, C-contiguous, finite; False for one query, which has nq == 1.

    Raises
    ------
    DimensionMismatch
        A query does not have `dim` values.
    InvalidArgument
        A query is not numeric, NaN, infinite, or has a value that the dtype cannot hold.
    """
    # The hot path of a search. A NaN or an infinity always survives the product with itself, so a finite one clears
    # all values at once; `vdot` because `dot` warns when finite values overflow. That of int8 is always finite.
    if (
        type(values) is np.ndarray
        and values.dtype is _AS_GIVEN.get(dtype)
        and values.shape == (dim,)
        and values.flags.c_contiguous
        and math.isfinite(np.vdot(values, values))
    ):
        return values[None], False
    array = _as_array(values, "query")
    if array is not None and array.ndim == 1 and array.dtype.kind != "O":
        column = _Column(dim, "query", dtype)
        if len(array) != dim:
            raise DimensionMismatch(
                f"query has {len(array)} values; {what} is {column.type}.\n"
                f"  Fix: pass {dim} values, or shape (m, {dim}) for a batch."
            )
        return _as_stored(array[None], column), False
    return as_matrix(values, dim, f"the queries of {what}", dtype), True


def is_missing(row: Any) -> bool:
    """Whether `row` is None or NaN, NA or NaT, which pandas uses for it."""
    return row is None or (isinstance(row, float) and row != row) or type(row).__name__ in ("NAType", "NaTType")


def _as_array(values: Any, what: str) -> npt.NDArray[Any] | None:
    """Return `values` as numpy sees them, or None where they are ragged."""
    if values is None or isinstance(values, (str, bytes, dict, set)):
        raise InvalidArgument(f"{what} must be numbers, got {type(values).__name__}.\n  Fix: pass a numpy array.")
    if np.ma.is_masked(values):
        raise InvalidArgument(f"{what} has masked values; vectors must be finite.\n  Fix: fill or drop them.")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor that cannot leave its device
        if isinstance(values, Sequence):
            return None
        raise InvalidArgument(f"{what} cannot be read as an array: {error}.\n  Fix: pass a numpy array.") from error
    if array.ndim == 0:
        raise InvalidArgument(f"{what} must be numbers in rows, got {values!r:.40}.\n  Fix: pass a numpy array.")
    return as_real(array)


def _as_stored(array: npt.NDArray[Any], column: _Column, rows: npt.NDArray[np.intp] | None = None) -> StoredMatrix:
    """Convert a (n, dim) array and check its values; `rows` are the numbers the caller knows its rows by."""
    what = column.what
    if not is_real(array):
        raise InvalidArgument(
            f"{what} holds {_kind_name(array)} values; vectors are real numbers.\n"
            f"  Fix: convert them, for example X.astype(numpy.float32)."
        )
    array = as_real(array)
    matrix = rounded(array, column.dtype)
    bad = first_misfit(array, matrix, column.dtype)
    if bad < 0:
        return matrix
    row = bad if rows is None else int(rows[bad])
    place = what if len(matrix) == 1 and what == "query" else f"row {row} of {what}"
    raise _does_not_fit(place, first_misfit_value(array[bad], matrix[bad], column.dtype), column)


def _does_not_fit(place: str, value: Any, column: _Column) -> InvalidArgument:
    if not np.isfinite(value):
        return InvalidArgument(f"{place} holds {value!s}; vectors must be finite.\n  Fix: drop or repair that row.")
    if column.dtype == "int8":
        return InvalidArgument(
            f"{place} holds {value!s}; the column is {column.type}, whole numbers from -128 to 127.\n"
            f"  Fix: scale and round the values, or declare FLOAT16[{column.dim}]."
        )
    wider = f", or declare BFLOAT16[{column.dim}]" if column.dtype == "float16" else ""
    return InvalidArgument(
        f"{place} holds {value!s}, too large for {column.dtype} ({_LARGEST[column.dtype]}).\n"
        f"  Fix: scale the vectors{wider}."
    )


def _from_rows(values: Sequence[Any] | npt.NDArray[Any], column: _Column) -> tuple[StoredMatrix, Presence | None]:
    """Stack rows that numpy could not: some are missing, or of the wrong length, or arrays inside an object array."""
    present = np.fromiter((not is_missing(row) for row in values), dtype=np.bool_, count=len(values))
    arrays = []
    for row in np.flatnonzero(present).tolist():
        try:
            array = as_real(np.asarray(values[row]))
        except ValueError:
            array = np.empty(0, dtype=np.object_)  # ragged within the row: refused below by its type
        if is_real(array) and array.shape != (column.dim,):
            raise _wrong_row(row, array, column)
        if not is_real(array) or array.ndim != 1:
            raise InvalidArgument(
                f"row {row} of {column.what} holds {_kind_name(array)} values; vectors are real numbers.\n"
                f"  Fix: pass {column.dim} numbers in each row."
            )
        arrays.append(array)
    stacked = np.stack(arrays) if arrays else np.empty((0, column.dim), dtype=np.float32)
    return _spread(_as_stored(stacked, column, np.flatnonzero(present)), present)


def _from_masked(values: np.ma.MaskedArray[Any, Any], column: _Column) -> tuple[StoredMatrix, Presence | None]:
    """Read a masked array, where a row is missing if all its values are masked."""
    mask = np.ma.getmaskarray(values)
    if values.ndim != 2 or values.shape[1] != column.dim:
        raise _wrong_shape(values.data, column)
    present = np.logical_not(mask.all(axis=1))
    partly = present & mask.any(axis=1)
    if partly.any():
        raise InvalidArgument(
            f"row {int(np.argmax(partly))} of {column.what} is masked in part.\n"
            f"  Fix: mask the whole row, or none of it."
        )
    rows = np.flatnonzero(present)
    return _spread(_as_stored(values.data[present], column, rows), present)


def _from_arrow(values: Any, column: _Column) -> tuple[StoredMatrix, Presence | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(values.type):
        return _spread(_no_rows(column), np.zeros(len(values), dtype=np.bool_))
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_kind(values.type) for is_kind in lists):
        raise _not_lists(values.type, column)
    valid = values.drop_null()
    present = np.asarray(values.is_valid())
    return _from_flat(pc.list_flatten(valid), pc.list_value_length(valid), present, column)


def _from_polars(values: Any, column: _Column) -> tuple[StoredMatrix, Presence | None]:
    valid = values.drop_nulls()
    kind = str(values.dtype.base_type())
    present = values.is_not_null().to_numpy()
    if kind == "Null":
        return _spread(_no_rows(column), present)
    if kind not in ("List", "Array"):
        raise _not_lists(values.dtype, column)
    lengths = valid.list.len() if kind == "List" else valid.arr.len()
    return _from_flat(valid.explode(), lengths, present, column)


def _from_flat(flat: Any, lengths: Any, present: Presence, column: _Column) -> tuple[StoredMatrix, Presence | None]:
    """Shape the values of all lists of a column, given end to end, into rows."""
    rows = np.flatnonzero(present)
    wrong = np.flatnonzero(np.asarray(lengths) != column.dim)
    if len(wrong):
        length = int(np.asarray(lengths)[wrong[0]])
        raise _wrong_row(int(rows[wrong[0]]), np.empty(length), column)
    nulls = np.asarray(flat.is_null()) if flat.null_count else np.empty(0, dtype=np.bool_)  # of polars or Arrow
    if nulls.any():
        row = int(rows[int(np.argmax(nulls)) // column.dim])
        raise InvalidArgument(
            f"row {row} of {column.what} holds a NULL; vectors must be finite.\n  Fix: fill or drop it."
        )
    return _spread(_as_stored(np.asarray(flat).reshape(-1, column.dim), column, rows), present)


def _no_rows(column: _Column) -> StoredMatrix:
    return np.empty((0, column.dim), DTYPES[column.dtype].memory)


def _spread(matrix: StoredMatrix, present: Presence) -> tuple[StoredMatrix, Presence | None]:
    """Put the rows of `matrix` where `present` is true and zeros elsewhere."""
    if len(matrix) == len(present):
        return matrix, None
    full = np.zeros((len(present), matrix.shape[1]), dtype=matrix.dtype)
    full[present] = matrix
    return full, present


def _kind_name(array: npt.NDArray[Any]) -> str:
    if array.dtype.kind != "O":
        return {"U": "str", "S": "bytes", "b": "bool"}.get(array.dtype.kind) or str(array.dtype)
    return f"object ({type(array.flat[0]).__name__})" if array.size else "object"


def _wrong_shape(array: npt.NDArray[Any], column: _Column) -> InvalidArgument:
    dim, what, _ = column
    if not is_real(array):
        return InvalidArgument(
            f"{what} holds {_kind_name(array)} values; vectors are real numbers.\n  Fix: pass a float array (n, {dim})."
        )
    if array.ndim == 2 and len(array):
        return _wrong_row(0, array[0], column)
    return DimensionMismatch(
        f"{what} got an array of shape {array.shape}; the column is {column.type}.\n"
        f"  Fix: pass shape (n, {dim}), one row per vector."
    )


def _wrong_row(row: int, array: npt.NDArray[Any], column: _Column) -> DimensionMismatch:
    has = f"{len(array)} values" if array.ndim == 1 else f"shape {array.shape}"
    return DimensionMismatch(
        f"row {row} of {column.what} has {has}; the column is {column.type}.\n"
        f"  Fix: pass {column.dim} values in each row."
    )


def _not_lists(kind: object, column: _Column) -> InvalidArgument:
    what = column.what
    return InvalidArgument(f"{what} holds {kind} values, not lists of numbers.\n  Fix: pass lists or a numpy array.")


def as_keys(ids: Any) -> tuple[Any, bool]:
    """The ids as a flat sequence, and whether the caller gave a single one; InvalidArgument where they are nested."""
    if isinstance(ids, (str, bytes)):
        return [ids], True
    if not isinstance(ids, (Sequence, np.ndarray)) and isinstance(ids, Iterable) and not hasattr(ids, "__array__"):
        ids = list(ids)
    try:
        dimensions = np.ndim(ids)
    except ValueError:  # ragged
        dimensions = 2
    if dimensions > 1:
        raise InvalidArgument("ids are nested.\n  Fix: pass one id, or a flat list of them.")
    return ([ids], True) if dimensions == 0 else (ids, False)
