"""Every form of array a caller may pass becomes the one form the core takes, or a message that names the row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from vdb.arrays import as_matrix, as_optional_matrix, as_queries
from vdb.errors import DimensionMismatch, InvalidArgument

WHAT = "items.embedding"
VALUES = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
EXPECTED = np.array(VALUES, dtype=np.float32)


def reversed_bytes(values: Any) -> Any:
    array = np.array(values, dtype=np.float32)
    return array.astype(array.dtype.newbyteorder(">"))


def object_rows(*rows: Any) -> Any:
    array = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        array[i] = row
    return array


FORMS = {
    "float32": np.array(VALUES, dtype=np.float32),
    "float16": np.array(VALUES, dtype=np.float16),
    "float64": np.array(VALUES),
    "longdouble": np.array(VALUES, dtype=np.longdouble),
    "int8": np.array(VALUES, dtype=np.int8),
    "uint64": np.array(VALUES, dtype=np.uint64),
    "list of lists": VALUES,
    "list of integer lists": [[1, 2, 3], [4, 5, 6]],
    "tuple of tuples": tuple(map(tuple, VALUES)),
    "list of arrays": [np.array(row) for row in VALUES],
    "object array of arrays": object_rows(np.array(VALUES[0]), np.array(VALUES[1], dtype=np.float32)),
    "Fortran order": np.asfortranarray(EXPECTED),
    "every other row": np.repeat(EXPECTED, 2, axis=0)[::2],
    "every other column": np.repeat(EXPECTED, 2, axis=1)[:, ::2],
    "transposed": EXPECTED.T.copy().T,
    "big-endian": reversed_bytes(VALUES),
    "read-only": np.frombuffer(EXPECTED.tobytes(), dtype=np.float32).reshape(2, 3),
    "masked without a mask": np.ma.array(VALUES),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_numeric_form_becomes_c_ordered_float32(form: str) -> None:
    matrix = as_matrix(FORMS[form], 3, WHAT)
    assert matrix.dtype == np.float32
    assert matrix.dtype.isnative
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, EXPECTED)


def test_float32_in_c_order_is_not_copied() -> None:
    assert np.shares_memory(as_matrix(EXPECTED, 3, WHAT), EXPECTED)


def test_no_rows_are_a_matrix_of_no_rows() -> None:
    assert as_matrix(np.empty((0, 3)), 3, WHAT).shape == (0, 3)


@pytest.mark.parametrize("type_name", ["list_", "large_list", "fixed", "half", "chunked"])
def test_arrow_lists_are_read_without_python_objects(type_name: str) -> None:
    pa = pytest.importorskip("pyarrow")
    types = {
        "list_": pa.list_(pa.float64()),
        "large_list": pa.large_list(pa.float32()),
        "fixed": pa.list_(pa.float32(), 3),
        "half": pa.list_(pa.float16()),
    }
    array = pa.chunked_array([VALUES[:1], VALUES[1:]]) if type_name == "chunked" else pa.array(VALUES, types[type_name])
    np.testing.assert_array_equal(as_matrix(array, 3, WHAT), EXPECTED)
    np.testing.assert_array_equal(as_matrix(array.slice(1), 3, WHAT), EXPECTED[1:])


def test_polars_lists_and_arrays_are_read() -> None:
    pl = pytest.importorskip("polars")
    np.testing.assert_array_equal(as_matrix(pl.Series(VALUES), 3, WHAT), EXPECTED)
    np.testing.assert_array_equal(as_matrix(pl.Series(VALUES, dtype=pl.Array(pl.Float32, 3)), 3, WHAT), EXPECTED)


def test_pandas_series_of_lists_or_arrays_is_read() -> None:
    pd = pytest.importorskip("pandas")
    np.testing.assert_array_equal(as_matrix(pd.Series(VALUES), 3, WHAT), EXPECTED)
    np.testing.assert_array_equal(as_matrix(pd.Series(list(EXPECTED)), 3, WHAT), EXPECTED)


def missing_forms() -> dict[str, Any]:
    forms: dict[str, Any] = {
        "list": [VALUES[0], None, VALUES[1]],
        "NaN of pandas": object_rows(np.array(VALUES[0]), float("nan"), VALUES[1]),
        "masked": np.ma.array([VALUES[0], [0, 0, 0], VALUES[1]], mask=[[0] * 3, [1] * 3, [0] * 3]),
    }
    try:
        import pandas as pd
        import polars as pl
        import pyarrow as pa
    except ImportError:
        return forms
    rows = [VALUES[0], None, VALUES[1]]
    return forms | {
        "pandas": pd.Series(rows),
        "pandas NA": pd.Series([VALUES[0], pd.NA, VALUES[1]]),
        "polars": pl.Series(rows),
        "polars array": pl.Series(rows, dtype=pl.Array(pl.Float64, 3)),
        "arrow": pa.array(rows),
        "arrow fixed": pa.array(rows, pa.list_(pa.float32(), 3)),
    }


@pytest.mark.parametrize("form", missing_forms())
def test_missing_vectors_are_zeros_and_marked(form: str) -> None:
    matrix, present = as_optional_matrix(missing_forms()[form], 3, WHAT)
    assert present is not None
    assert present.tolist() == [True, False, True]
    np.testing.assert_array_equal(matrix, [VALUES[0], [0, 0, 0], VALUES[1]])
    with pytest.raises(InvalidArgument, match=r"row 1 of items.embedding is missing"):
        as_matrix(missing_forms()[form], 3, WHAT)


def test_only_missing_vectors_have_no_presence_mark_error() -> None:
    matrix, present = as_optional_matrix([None, None], 3, WHAT)
    assert matrix.shape == (2, 3)
    assert present is not None
    assert not present.any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0, 3.0], [1.0, 2.0]], "row 1 of items.embedding has 2 values; the column is FLOAT\\[3\\]"),
        (object_rows([1.0, 2.0, 3.0], np.zeros(5)), "row 1 of items.embedding has 5 values"),
        (object_rows([1.0, 2.0, 3.0], np.zeros((3, 1))), "row 1 of items.embedding has shape \\(3, 1\\)"),
        (object_rows([1.0, 2.0, 3.0], 7), "row 1 of items.embedding has shape \\(\\)"),
        (np.zeros((4, 2)), "row 0 of items.embedding has 2 values"),
        (np.zeros(3), "got an array of shape \\(3,\\).*Fix: pass shape \\(n, 3\\)"),
        (np.zeros((2, 3, 1)), "got an array of shape \\(2, 3, 1\\)"),
        ([], "got an array of shape \\(0,\\)"),
    ],
)
def test_wrong_dimension_names_the_row_and_the_fix(values: Any, message: str) -> None:
    with pytest.raises(DimensionMismatch, match="(?s)" + message) as caught:
        as_matrix(values, 3, WHAT)
    assert "Fix:" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([["a", "b", "c"]]), "holds str values"),
        (["a", "b"], "holds str values"),
        ([["a", "b", "c"], [1, 2]], "row 0 of items.embedding holds str values"),
        (np.ones((2, 3), dtype=complex), "holds complex128 values"),
        (np.ones((2, 3), dtype=bool), "holds bool values"),
        (np.ones((2, 3), dtype=object), "holds object \\(int\\) values"),
        ([[Decimal(1)] * 3], "holds object \\(Decimal\\) values"),
        ([[1.0, [2.0], 3.0]], "row 0 of items.embedding"),
        ([[1.0, None, 3.0]], "holds object"),
        (np.zeros((2, 3), dtype="datetime64[s]"), "holds datetime64\\[s\\] values"),
        ("abc", "must be numbers, got str"),
        (None, "must be numbers, got NoneType"),
        (3.0, "must be numbers in rows, got 3.0"),
        (np.ma.array(VALUES, mask=[[0, 0, 0], [0, 1, 0]]), "row 1 of items.embedding is masked in part"),
    ],
)
def test_what_is_not_a_real_number_is_refused(values: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        as_matrix(values, 3, WHAT)
    assert "Fix:" in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nonfinite_value_names_its_first_row(bad: float, dtype: type) -> None:
    matrix = np.ones((5000, 300), dtype=dtype)
    matrix[4321, 299] = bad
    matrix[4400, 0] = bad
    with pytest.raises(InvalidArgument, match=f"row 4321 of items.embedding holds {bad}; vectors must be finite"):
        as_matrix(matrix, 300, WHAT)


def test_nonfinite_row_is_counted_with_the_missing_ones() -> None:
    with pytest.raises(InvalidArgument, match=r"row 2 of items.embedding holds nan"):
        as_optional_matrix([VALUES[0], None, [np.nan, 0, 0]], 3, WHAT)


def test_float64_beyond_float32_is_refused_by_its_value() -> None:
    with pytest.raises(InvalidArgument, match=r"row 1 of items.embedding holds 1e\+39, too large for float32"):
        as_matrix([[0.0, 3.4e38, 0.0], [0.0, 1e39, 0.0]], 3, WHAT)


def test_arrow_null_inside_a_vector_names_its_row() -> None:
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(InvalidArgument, match=r"row 2 of items.embedding holds a NULL"):
        as_optional_matrix(pa.array([VALUES[0], None, [1.0, None, 2.0]]), 3, WHAT)
    with pytest.raises(DimensionMismatch, match=r"row 2 of items.embedding has 1 values"):
        as_optional_matrix(pa.array([VALUES[0], None, [1.0]]), 3, WHAT)
    with pytest.raises(InvalidArgument, match="holds string values"):
        as_matrix(pa.array(["a"]), 3, WHAT)


def test_one_query_is_not_a_batch_and_is_not_copied() -> None:
    queries, is_batch = as_queries(EXPECTED[0], 3, WHAT)
    assert not is_batch
    assert queries.shape == (1, 3)
    assert np.shares_memory(queries, EXPECTED)


@pytest.mark.parametrize("query", [[1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3]), EXPECTED[:1].repeat(2)[::2]])
def test_a_query_may_be_any_sequence_of_numbers(query: Any) -> None:
    queries, is_batch = as_queries(query, 3, WHAT)
    assert not is_batch
    assert queries.dtype == np.float32
    assert queries.flags.c_contiguous


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_queries_are_a_batch(form: str) -> None:
    queries, is_batch = as_queries(FORMS[form], 3, WHAT)
    assert is_batch
    np.testing.assert_array_equal(queries, EXPECTED)


def test_finite_query_whose_product_overflows_is_accepted() -> None:
    query = np.full(3, 3e38, dtype=np.float32)
    np.testing.assert_array_equal(as_queries(query, 3, WHAT)[0][0], query)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nonfinite_query_is_refused(bad: float, dtype: type) -> None:
    with pytest.raises(InvalidArgument, match=f"^query holds {bad}; vectors must be finite"):
        as_queries(np.array([1, bad, 3], dtype=dtype), 3, WHAT)


def test_query_of_wrong_length_is_told_what_to_pass() -> None:
    with pytest.raises(DimensionMismatch) as caught:
        as_queries(np.zeros(3, dtype=np.float32), 384, WHAT)
    assert str(caught.value) == (
        "query has 3 values; items.embedding is FLOAT[384].\n  Fix: pass 384 values, or shape (m, 384) for a batch."
    )
    with pytest.raises(DimensionMismatch, match=r"row 0 of the queries of items.embedding has 2 values"):
        as_queries(np.zeros((5, 2)), 384, WHAT)


@pytest.mark.parametrize("query", ["abc", None, {"a": 1}, [True, False, True], ["1", "2", "3"], [1j, 2, 3], 5])
def test_a_query_of_something_else_is_refused(query: Any) -> None:
    with pytest.raises(InvalidArgument):
        as_queries(query, 3, WHAT)


def test_masked_query_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="query has masked values"):
        as_queries(np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]), 3, WHAT)
