"""Every dtype in becomes every dtype out: rounded once to nearest, or a message that names row, column and fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vdb.arrays import as_matrix, as_optional_matrix, as_queries
from vdb.dtypes import dtype_of, shown, zero_rows
from vdb.errors import DimensionMismatch, InvalidArgument
from vdb.types import DTYPES

if TYPE_CHECKING:
    import numpy.typing as npt

    from vdb.types import Dtype

WHAT = "items.embedding"
STORED: tuple[Dtype, ...] = ("float32", "float16", "bfloat16", "int8")
ROUNDED: tuple[Dtype, ...] = ("float32", "float16", "bfloat16")
GIVEN = (
    "float16",
    "float32",
    "float64",
    "longdouble",
    "int8",
    "uint8",
    "int16",
    "int32",
    "int64",
    "uint64",
    ">f4",
    ">i2",
)
BITS = {"float32": 24, "float16": 11, "bfloat16": 8}  # of a significand
VALUES = [[1, 2, 3], [4, 5, 6], [127, 0, 77]]


def nearest(values: npt.ArrayLike, dtype: Dtype) -> npt.NDArray[np.float64]:
    """The nearest value with the dtype's significand, ties to even; for values in its normal range."""
    significand, exponent = np.frexp(np.asarray(values, np.float64))
    bits = BITS[dtype]
    return np.ldexp(np.rint(np.ldexp(significand, bits)), exponent - bits)


def is_form_of(matrix: npt.NDArray[Any], dtype: Dtype) -> bool:
    return matrix.dtype == DTYPES[dtype].memory and matrix.dtype.isnative and matrix.flags.c_contiguous


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("given", GIVEN)
def test_every_dtype_becomes_every_other(given: str, dtype: Dtype) -> None:
    values = np.array(VALUES, given)
    for form in (values, np.asfortranarray(values), np.repeat(values, 2, axis=0)[::2], list(values)):
        matrix = as_matrix(form, 3, WHAT, dtype)
        assert is_form_of(matrix, dtype)
        np.testing.assert_array_equal(shown(matrix, dtype).astype(np.float64), VALUES)


@pytest.mark.parametrize("dtype", STORED)
def test_what_has_the_form_is_not_copied_unless_its_bits_stand_for_it(dtype: Dtype) -> None:
    values = np.array(VALUES, DTYPES[dtype].memory)
    assert np.shares_memory(as_matrix(values, 3, WHAT, dtype), values) == (dtype != "bfloat16")


@pytest.mark.parametrize("dtype", ROUNDED)
@pytest.mark.parametrize("given", ["float32", "float64"])
def test_values_are_rounded_to_nearest(given: str, dtype: Dtype, rng: np.random.Generator) -> None:
    values = (rng.normal(size=(300, 1001)) * 2.0 ** rng.integers(-13, 15, (300, 1001))).astype(given)
    values[np.abs(values) < 2.0**-14] = 0  # below it float16 has fewer bits
    np.testing.assert_array_equal(shown(as_matrix(values, 1001, WHAT, dtype), dtype), nearest(values, dtype))


@pytest.mark.parametrize("dtype", ROUNDED)
def test_float64_is_rounded_once_and_ties_go_to_even(dtype: Dtype) -> None:
    half = 2.0 ** -BITS[dtype]  # of the distance from 1 to the next value
    near = [1 + half, 1 + half + 2.0**-50, 1 + half - 2.0**-50, 1 + 3 * half, 1 + 3 * half - 2.0**-50]
    expected = [1, 1 + 2 * half, 1, 1 + 4 * half, 1 + 2 * half]
    for sign in (1, -1):
        found = shown(as_matrix([[sign * x for x in near]], 5, WHAT, dtype), dtype)
        np.testing.assert_array_equal(found[0], [sign * x for x in expected])


@pytest.mark.parametrize("dtype", ROUNDED)
def test_tiny_values_round_to_zero_and_keep_their_sign(dtype: Dtype) -> None:
    found = shown(as_matrix([[1e-60, -1e-60, 0.0]], 3, WHAT, dtype), dtype)
    assert found.tolist() == [[0, 0, 0]]
    assert np.signbit(found).tolist() == [[False, True, False]]


@pytest.mark.parametrize(
    ("dtype", "largest", "beyond"),
    [
        ("float32", float(np.finfo(np.float32).max), 3.5e38),
        ("float16", 65504.0, 65520.0),
        ("bfloat16", float(np.uint32(0x7F7F0000).view(np.float32)), float(np.finfo(np.float32).max)),
    ],
)
def test_largest_value_fits_and_what_rounds_beyond_it_is_refused(dtype: Dtype, largest: float, beyond: float) -> None:
    matrix = as_matrix([[largest, -largest]], 2, WHAT, dtype)
    assert shown(matrix, dtype).tolist() == [[largest, -largest]]
    for sign in (1, -1):
        with pytest.raises(InvalidArgument) as caught:
            as_matrix([[0, 1], [1, sign * beyond]], 2, WHAT, dtype)
        assert f"row 1 of {WHAT} holds {sign * beyond!s}, too large for {dtype} (" in str(caught.value)
        assert "Fix: scale the vectors" in str(caught.value)
    with pytest.raises(InvalidArgument, match=f"^query holds .* too large for {dtype}"):
        as_queries([0, beyond], 2, WHAT, dtype)


def test_integer_too_large_for_float16_is_refused_with_the_wider_type() -> None:
    with pytest.raises(InvalidArgument, match=r"(?s)row 0 .* holds 70000, too large for float16 .*BFLOAT16\[2\]"):
        as_matrix(np.array([[70000, 1]]), 2, WHAT, "float16")


@pytest.mark.parametrize("bad", [0.5, -0.25, 127.5, 128, -129, 300, 1e30, 2**63, -(2**62)])
def test_what_is_no_int8_is_refused_with_the_row_and_the_fix(bad: float) -> None:
    values = np.ones((4000, 300), np.asarray(bad).dtype)
    values[3456, 299] = bad
    values[3900, 0] = bad
    for form in (values, list(values)):
        with pytest.raises(InvalidArgument) as caught:
            as_matrix(form, 300, WHAT, "int8")
        assert str(caught.value) == (
            f"row 3456 of {WHAT} holds {values[3456, 299]!s}; the column is TINYINT[300], whole numbers from -128 to "
            "127.\n  Fix: scale and round the values, or declare FLOAT16[300]."
        )


def test_int8_takes_its_whole_range_of_any_dtype() -> None:
    for given in (np.int8, np.int64, np.float16, np.float32, np.float64):
        values = np.arange(-128, 128, dtype=given)[None]
        assert as_matrix(values, 256, WHAT, "int8").tolist() == [list(range(-128, 128))]


def test_query_of_an_int8_column_is_of_whole_numbers_too() -> None:
    queries, is_batch = as_queries([1.0, -128, 3], 3, WHAT, "int8")
    assert (queries.dtype, queries.tolist(), is_batch) == (np.int8, [[1, -128, 3]], False)
    with pytest.raises(InvalidArgument, match=r"^query holds 0.5; the column is TINYINT\[3\].*\n.*scale and round"):
        as_queries([0.5, 1, 2], 3, WHAT, "int8")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("given", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dtype", STORED)
def test_nonfinite_value_names_its_row_whatever_is_stored(dtype: Dtype, given: str, bad: float) -> None:
    values = np.ones((2000, 300), given)
    values[1500, 299] = bad
    with pytest.raises(InvalidArgument, match=f"row 1500 of {WHAT} holds {bad}; vectors must be finite"):
        as_matrix(values, 300, WHAT, dtype)
    with pytest.raises(InvalidArgument, match=f"^query holds {bad}; vectors must be finite"):
        as_queries(values[1500], 300, WHAT, dtype)


@pytest.mark.parametrize("dtype", STORED)
def test_missing_rows_are_zeros_of_the_dtype(dtype: Dtype) -> None:
    pa = pytest.importorskip("pyarrow")
    pl = pytest.importorskip("polars")
    rows = [[1, 2, 3], None, [4, 5, 6]]
    masked = np.ma.array([[1, 2, 3], [9, 9, 9], [4, 5, 6]], mask=[[0] * 3, [1] * 3, [0] * 3])
    for form in (rows, masked, pa.array(rows), pa.array(rows, pa.list_(pa.int8(), 3)), pl.Series(rows)):
        matrix, present = as_optional_matrix(form, 3, WHAT, dtype)
        assert is_form_of(matrix, dtype)
        assert shown(matrix, dtype).tolist() == [[1, 2, 3], [0, 0, 0], [4, 5, 6]]
        assert present is not None
        assert present.tolist() == [True, False, True]
    for nothing in ([None, None], pa.nulls(2), pl.Series([None, None])):
        matrix, present = as_optional_matrix(nothing, 3, WHAT, dtype)
        assert is_form_of(matrix, dtype)
        assert matrix.shape == (2, 3)


@pytest.mark.parametrize("dtype", STORED)
def test_wrong_length_is_answered_with_the_type_of_the_column(dtype: Dtype) -> None:
    expected = f"{DTYPES[dtype].sql}\\[3\\]"
    with pytest.raises(DimensionMismatch, match=f"row 0 .* has 2 values; the column is {expected}"):
        as_matrix(np.ones((1, 2)), 3, WHAT, dtype)
    with pytest.raises(DimensionMismatch, match=f"shape \\(3,\\); the column is {expected}"):
        as_matrix(np.ones(3), 3, WHAT, dtype)
    with pytest.raises(DimensionMismatch, match=f"query has 2 values; items.embedding is {expected}"):
        as_queries([1, 2], 3, WHAT, dtype)


@pytest.mark.parametrize("dtype", STORED)
def test_bfloat16_of_ml_dtypes_is_read_without_importing_it(dtype: Dtype) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.array(VALUES, ml_dtypes.bfloat16)
    for form in (values, list(values), [values[0], None, values[2]]):
        matrix, _ = as_optional_matrix(form, 3, WHAT, dtype)
        assert is_form_of(matrix, dtype)
        np.testing.assert_array_equal(shown(matrix, dtype)[[0, 2]], [VALUES[0], VALUES[2]])
    assert as_queries(values[0], 3, WHAT, dtype)[0].shape == (1, 3)
    assert dtype_of(values) == "bfloat16"
    values[1, 1] = np.nan
    with pytest.raises(InvalidArgument, match=f"row 1 of {WHAT} holds nan"):
        as_matrix(values, 3, WHAT, dtype)


@pytest.mark.parametrize("dtype", STORED)
def test_zero_rows_are_found_whatever_the_sign_of_their_zeros(dtype: Dtype) -> None:
    rows = [[0, 0], [0, 1], [-0.0, 0], [1, 0], [-0.0, -0.0], [0, -1]]
    assert zero_rows(as_matrix(rows, 2, WHAT, dtype), dtype).tolist() == [0, 2, 4]
    assert zero_rows(as_matrix(np.empty((0, 2)), 2, WHAT, dtype), dtype).tolist() == []


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.ones((2, 3), np.float16), "float16"),
        (np.ones((2, 3), ">f2"), "float16"),
        (np.ones((2, 3), np.int8), "int8"),
        (np.ones((2, 3), np.uint8), "float32"),
        (np.ones((2, 3), np.uint16), "float32"),
        (np.ones((2, 3), np.float64), "float32"),
        ([[1, 2, 3]], "float32"),
    ],
)
def test_a_column_has_the_dtype_of_a_narrow_numpy_array(values: Any, dtype: Dtype) -> None:
    assert dtype_of(values) == dtype


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_one_query_of_the_column_s_own_dtype_is_not_copied(dtype: Dtype) -> None:
    for value in (3, float(np.finfo(dtype).max) if dtype != "int8" else -128):  # whose product with itself overflows
        query = np.full(300, value, dtype)
        queries, is_batch = as_queries(query, 300, WHAT, dtype)
        assert np.shares_memory(queries, query)
        assert (queries.shape, is_batch) == ((1, 300), False)


def test_integers_for_a_bfloat16_column_are_numbers_and_not_bits() -> None:
    for given in (np.uint16, np.int8):
        queries, _ = as_queries(np.array([1, 2, 3], given), 3, WHAT, "bfloat16")
        assert shown(queries, "bfloat16").tolist() == [[1, 2, 3]]
