"""The forms a column keeps its values in: rounding to them, what they cannot hold, and what a caller gets back.

A value is rounded once, to nearest, ties to even. numpy has no bfloat16: its bits stand in uint16, and a caller gets
float32, which has every bfloat16. int8 is not rounded to: what is no such integer is for the caller to scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vdb import _core
from vdb.types import DTYPES

if TYPE_CHECKING:
    from vdb.types import Dtype, FloatMatrix, StoredMatrix

_BLOCK = 1 << 18  # values converted or compared at a time: what is made on the way stays in the second-level cache
_BFLOAT16_MAGNITUDE = 0x7FFF  # all bits but the sign
_BFLOAT16_EXPONENT = 0x7F80  # all set: an infinity or a NaN


def as_real(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array itself, or float32 where it is bfloat16 of ml_dtypes, which numpy cannot compute with."""
    return array.astype(np.float32) if array.dtype.kind == "V" and array.dtype.name == "bfloat16" else array


def is_real(array: npt.NDArray[Any]) -> bool:
    """Whether the array holds real numbers."""
    return array.dtype.kind in "fiu" or array.dtype.name == "bfloat16"


def dtype_of(values: object) -> Dtype:
    """The dtype of a column made from `values`: that of a numpy array of half precision or int8, else float32."""
    name = values.dtype.name if isinstance(values, np.ndarray) else ""
    known: dict[str, Dtype] = {"float16": "float16", "bfloat16": "bfloat16", "int8": "int8"}
    return known.get(name, "float32")


def rounded(values: npt.NDArray[Any], dtype: Dtype) -> StoredMatrix:
    """Return (n, dim) real numbers C-contiguous in the form of `dtype`, without a copy where they have it.

    A value that does not fit becomes another, which `first_misfit` finds.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype != "bfloat16":
            return np.ascontiguousarray(values, dtype=DTYPES[dtype].memory)
        bits = np.empty(values.shape, np.uint16)
        for block in _blocks(values):
            bits[block] = _core.to_bfloat16(_to_odd(values[block]))
    return bits


def first_misfit(values: npt.NDArray[Any], stored: StoredMatrix, dtype: Dtype) -> int:
    """The first row of `values` that `stored`, its rounded form, does not represent or that is not finite, or -1."""
    if dtype != "int8":
        return _core.first_nonfinite_row(stored)
    if values.dtype == np.int8:
        return -1
    for block in _blocks(values):
        wrong = np.flatnonzero((stored[block] != values[block]).any(axis=1))
        if len(wrong):
            return int(block.start + wrong[0])
    return -1


def first_misfit_value(row: npt.NDArray[Any], stored: StoredMatrix, dtype: Dtype) -> Any:
    """The value that makes a row a misfit."""
    if dtype == "int8":
        wrong = stored != row
    elif dtype == "bfloat16":
        wrong = (stored & _BFLOAT16_EXPONENT) == _BFLOAT16_EXPONENT
    else:
        wrong = ~np.isfinite(stored)
    return row[wrong][0]


def zero_rows(stored: StoredMatrix, dtype: Dtype) -> npt.NDArray[np.intp]:
    """The numbers of the rows that are all zeros, of either sign."""
    suspects = np.flatnonzero(_is_zero(stored[:, 0], dtype))
    return suspects[_is_zero(stored[suspects], dtype).all(axis=1)] if len(suspects) else suspects


def shown(stored: StoredMatrix, dtype: Dtype) -> npt.NDArray[Any]:
    """Return C-contiguous stored rows as numbers: bfloat16 as float32, the others as they are."""
    return _core.from_bfloat16(stored) if dtype == "bfloat16" else stored


def _is_zero(stored: StoredMatrix, dtype: Dtype) -> npt.NDArray[np.bool_]:
    return np.equal(stored & _BFLOAT16_MAGNITUDE if dtype == "bfloat16" else stored, 0)


def _to_odd(values: npt.NDArray[Any]) -> FloatMatrix:
    """Round to float32 such that rounding the result to nearest in fewer bits is rounding `values` once.

    Towards zero, with the last bit set where that was inexact, so that no value becomes a tie (Boldo and Melquiond
    2008, round to odd).
    """
    near = np.ascontiguousarray(values, dtype=np.float32)
    if np.can_cast(values.dtype, np.float32):
        return near
    wide = values.astype(np.float64)
    inexact, beyond = near != wide, np.abs(near) > np.abs(wide)
    bits = near.view(np.uint32)
    bits -= beyond
    bits |= inexact
    return near


def _blocks(values: npt.NDArray[Any]) -> list[slice]:
    step = max(1, _BLOCK // max(1, values.shape[1]))
    return [slice(begin, begin + step) for begin in range(0, len(values), step)]
