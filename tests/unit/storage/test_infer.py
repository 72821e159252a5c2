"""A table made from data can hold that data, and the rows that are likely to follow."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from vdb.errors import DimensionMismatch, InvalidArgument
from vdb.storage.batch import make_batch
from vdb.storage.infer import infer_schema
from vdb.types import Column, Dtype, VectorColumn

X = np.arange(32, dtype=np.float32).reshape(2, 16)


def inferred(values: Any) -> Any:
    return infer_schema("items", {"x": values}, {"embedding": X}).by_name["x"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], "BIGINT"),
        ([1, None], "BIGINT"),
        ([2**100, 1], "HUGEINT"),
        (np.array([1, 2], dtype=np.int32), "INTEGER"),
        ([1.5, 2], "DOUBLE"),
        (np.array([1, 2], dtype=np.float32), "FLOAT"),
        (["a", None], "VARCHAR"),
        (np.array(["a", "b"]), "VARCHAR"),
        ([None, None], "VARCHAR"),
        ([True, None], "BOOLEAN"),
        ([b"a", None], "BLOB"),
        ([Decimal("1.50"), None], "DECIMAL(18,2)"),
        ([Decimal("12345678901234567890.50"), None], "DECIMAL(38,2)"),
        ([dt.date(2020, 1, 1), None], "DATE"),
        ([dt.datetime(2020, 1, 1), None], "TIMESTAMP"),
        (np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"), "DATE"),
        (np.array(["2020-01-01", "NaT"], dtype="datetime64[s]"), "TIMESTAMP"),
        ([["a"], []], "VARCHAR[]"),
        ([[], []], "VARCHAR[]"),
        ([[1], [2]], "BIGINT[]"),
        ([[0.5, 0.25], [0.5, 0.5]], "DOUBLE[]"),
        ([{"a": 1}, None], "STRUCT(a BIGINT)"),
        (np.array([["a", "b"], ["c", "d"]]), "VARCHAR[]"),
    ],
)
def test_types_are_those_of_the_values_with_room_for_more(values: Any, expected: str) -> None:
    assert inferred(values) == Column("x", expected)


@pytest.mark.parametrize(
    ("values", "dim"),
    [
        (X, 16),
        (X.astype(np.float64), 16),
        (X.astype(np.uint8), 16),
        (X[:, :2], 2),
        (list(X), 16),
        (X.tolist(), 16),
        ([X[0], None], 16),
        (X[:, :8].tolist(), 8),
    ],
)
def test_arrays_and_long_lists_of_floats_are_vectors(values: Any, dim: int) -> None:
    assert inferred(values) == VectorColumn("x", dim)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [("float16", "float16"), (">f2", "float16"), ("int8", "int8"), ("int16", "float32"), ("float64", "float32")],
)
def test_narrow_numpy_arrays_keep_their_dtype(given: str, dtype: Dtype) -> None:
    values = X.astype(given)
    assert inferred(values) == VectorColumn("x", 16, dtype=dtype)
    assert infer_schema("items", None, {"v": values}, metric="ip").columns == (
        VectorColumn("v", 16, "ip", dtype=dtype),
    )
    assert infer_schema("items", {"id": 1}, {"v": values[0]}).columns[1] == VectorColumn("v", 16, dtype=dtype)


def test_bfloat16_arrays_of_ml_dtypes_keep_their_dtype() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = X.astype(ml_dtypes.bfloat16)
    assert inferred(values) == VectorColumn("x", 16, dtype="bfloat16")
    assert infer_schema("items", {"id": 1}, {"v": values[0]}).columns[1] == VectorColumn("v", 16, dtype="bfloat16")


@pytest.mark.parametrize(
    "values",
    [
        X[:, :7].tolist(),
        [[1] * 16, [2] * 16],
        [[0.5] * 16, [0.5] * 15],
        [["a"] * 16, ["b"] * 16],
        [None, None],
    ],
)
def test_other_lists_are_attributes(values: Any) -> None:
    assert isinstance(inferred(values), Column)


def test_kind_of_a_rare_value_deep_in_a_column_is_seen() -> None:
    values: list[Any] = [[1]] * 5_000
    values[2_503] = [2.5]
    assert infer_schema("items", {"x": values}, {"v": np.zeros((5_000, 2))}).by_name["x"] == Column("x", "DOUBLE[]")


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_are_inferred_by_their_types(library: str) -> None:
    module = pytest.importorskip(library)
    columns = {
        "id": [1, 2],
        "lang": ["a", None],
        "tags": [["x"], []],
        "at": [dt.date(2020, 1, 1), None],
        "v": X.tolist(),
    }
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    schema = infer_schema("items", frame, {}, key="id", metric="cosine")
    assert schema.columns == (
        Column("id", "BIGINT", nullable=False),
        Column("lang", "VARCHAR"),
        Column("tags", "VARCHAR[]"),
        Column("at", "DATE"),
        VectorColumn("v", 16, "cosine"),
    )
    assert schema.key == "id"
    assert make_batch(schema, frame, {}).n == 2


def test_fixed_size_lists_of_floats_are_vectors_of_any_length() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table(
        {
            "v": pa.array([[1, 2], None], pa.list_(pa.float64(), 2)),
            "half": pa.array([[1, 2], None], pa.list_(pa.float16(), 2)),
            "bytes": pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
            "tiny": pa.array([[1, 2], None], pa.list_(pa.int8())),
            "box": pa.array([[1, 2], None], pa.list_(pa.int32(), 2)),
            "names": pa.array(["a", "b"]).dictionary_encode(),
            "weights": pa.array([[1.0], [2.0]], pa.list_(pa.float32())),
        }
    )
    assert infer_schema("items", table, {}).columns == (
        VectorColumn("v", 2),
        VectorColumn("half", 2, dtype="float16"),
        VectorColumn("bytes", 2, dtype="int8"),
        Column("tiny", "TINYINT[]"),
        Column("box", "INTEGER[2]"),
        Column("names", "VARCHAR"),
        Column("weights", "DOUBLE[]"),
    )


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
@pytest.mark.parametrize("fixed", [True, False])
def test_frames_of_half_precision_keep_their_dtype_and_values(library: str, fixed: bool) -> None:
    module = pytest.importorskip(library)
    values = (X / 3).astype(np.float16)
    if library == "pyarrow":
        kind = module.list_(module.float16(), 16) if fixed else module.list_(module.float16())
        frame = module.table({"v": module.array([*map(list, values), None], kind)})
    elif hasattr(module, "Float16"):
        kind = module.Array(module.Float16, 16) if fixed else module.List(module.Float16)
        frame = module.DataFrame({"v": module.Series([*values.tolist(), None], dtype=kind)})
    else:
        pytest.skip("polars of this version has no Float16")
    schema = infer_schema("items", frame, {})
    assert schema.columns == (VectorColumn("v", 16, dtype="float16"),)
    stored = make_batch(schema, frame, {}).vectors["v"].values
    assert stored.dtype == np.float16
    assert np.array_equal(stored[:2], values)


def test_a_column_named_id_is_no_key_unless_said() -> None:
    assert infer_schema("items", {"id": [1, 2]}, {"v": X}).key is None


def test_vectors_beside_the_data_come_last_whatever_their_length() -> None:
    schema = infer_schema("items", {"id": [1, 2]}, {"v": [[1, 2], [3, 4]], "w": X[:, :3]}, metric={"w": "ip"})
    assert schema.columns[1:] == (VectorColumn("v", 2), VectorColumn("w", 3, "ip"))
    assert infer_schema("items", None, {"v": X}).columns == (VectorColumn("v", 16),)
    assert infer_schema("items", {"id": 1}, {"v": [0.5, 0.25]}).columns[1] == VectorColumn("v", 2)


def test_inferred_table_takes_the_rows_it_was_inferred_from() -> None:
    rows = [{"id": 1, "name": "a", "v": X[0]}, {"id": 2, "v": X[1]}]
    batch = make_batch(infer_schema("items", rows, {}, key="id"), rows, {})
    assert batch.columns == ("id", "name")
    np.testing.assert_array_equal(batch.vectors["v"].values, X)


@pytest.mark.parametrize(
    ("data", "vectors", "options", "message"),
    [
        ({"id": [1]}, {}, {}, "table items has no vector column"),
        ({"id": [1]}, {"v": [None]}, {}, r"items\.v has no vector to take its length from"),
        ({"id": [1]}, {"v": X}, {"key": "ids"}, "(?s)key 'ids' is not a column of table items: id, v.*Did you mean"),
        ({"id": [1.5]}, {"v": X}, {"key": "id"}, r"items\.id is DOUBLE, which cannot be a primary key"),
        ({"id": [1]}, {"v": X}, {"key": "v"}, r"items\.v is FLOAT\[16\], which cannot be a primary key"),
        ({"_slot": [1]}, {"v": X}, {}, "'_slot' of table items is reserved"),
        ({"v": [1]}, {"v": X}, {}, "which are one name"),
        ({"x": [[1], "a"]}, {"v": X}, {}, "items.x mixes values of kind list, str"),
        ({"x": [{1, 2}]}, {"v": X}, {}, r"row 0 of items\.x is a set"),
        ("abc", {"v": X}, {}, "cannot read rows from a str"),
    ],
)
def test_what_cannot_be_a_table_is_refused(data: Any, vectors: Any, options: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        infer_schema("items", data, vectors, **options)


def test_length_of_vectors_is_bounded() -> None:
    with pytest.raises(DimensionMismatch, match="from 1 to 65535"):
        infer_schema("items", None, {"v": np.zeros((1, 65536), dtype=np.float32)})
