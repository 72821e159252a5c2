"""Tables whose vectors are float32, float16, bfloat16 or int8: what a search finds, and what a caller gets back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from brute_force import assert_allowed, assert_exact, by_id, recall

import vdb
from vdb.arrays import as_matrix
from vdb.dtypes import shown
from vdb.storage.parquet import read_parquet
from vdb.types import DTYPES

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from vdb.types import Dtype

STORED: tuple[Dtype, ...] = ("float32", "float16", "bfloat16", "int8")
METRICS = ("l2", "cosine", "ip")
SHOWN = {"float32": np.float32, "float16": np.float16, "bfloat16": np.float32, "int8": np.int8}
DIM = 45  # no multiple of what a kernel takes at once
ROWS = 500

every_dtype = pytest.mark.parametrize("dtype", STORED)
every_metric = pytest.mark.parametrize("metric", METRICS)


def given(dtype: Dtype, n: int, dim: int = DIM, seed: int = 0) -> npt.NDArray[np.float64]:
    """(n, dim) normal values; whole numbers where the column takes no others."""
    values = np.random.default_rng(seed).normal(size=(n, dim))
    return np.clip(np.rint(values * 40), -128, 127) if dtype == "int8" else values


def kept(values: npt.ArrayLike, dtype: Dtype) -> npt.NDArray[np.float64]:
    """What a column makes of the values."""
    matrix = np.atleast_2d(np.asarray(values, np.float64))
    return shown(as_matrix(matrix, matrix.shape[1], "v", dtype), dtype).astype(np.float64)


def make(db: vdb.Database, dtype: Dtype, values: Any, metric: str = "l2", ids: Any = None) -> vdb.Table:
    schema = {"id": "BIGINT PRIMARY KEY", "even": "BOOLEAN", "v": f"{DTYPES[dtype].sql}[{values.shape[1]}]"}
    table = db.create_table("items", schema, metric=metric)
    ids = np.arange(len(values)) if ids is None else ids
    table.add({"id": ids, "even": np.asarray(ids) % 2 == 0}, v=values)
    return table


@every_dtype
@every_metric
def test_scan_finds_exactly_the_nearest_of_the_stored_values(dtype: Dtype, metric: str) -> None:
    values, queries = given(dtype, ROWS), given(dtype, 5, seed=1)
    ids = np.random.default_rng(2).permutation(ROWS)
    with vdb.connect(":memory:") as db:
        table = make(db, dtype, values[ids], metric, ids)
        rows = dict(enumerate(kept(values, dtype)))
        found = table.search(queries, 20)
        for number, query in enumerate(kept(queries, dtype)):
            expected = by_id(query, rows, metric)
            assert_exact(table.search(queries[number], 20), expected, 20)
            assert_exact(found[number], expected, 20)
            even = {key: d for key, d in expected.items() if key % 2 == 0}
            assert_exact(table.search(queries[number], 20, where="even"), even, 20)
            for other in METRICS:
                assert_exact(table.search(queries[number], 3, metric=other), by_id(query, rows, other), 3)


@every_dtype
@every_metric
@pytest.mark.parametrize("given_as", ["list", "float32", "float16", "float64", "the column's"])
def test_a_query_of_any_dtype_finds_the_same(dtype: Dtype, metric: str, given_as: str) -> None:
    values = kept(given(dtype, 200), "float16" if dtype != "int8" else dtype)
    with vdb.connect(":memory:") as db:
        table = make(db, dtype, values, metric)
        query = values[17]
        forms = {"list": query.tolist(), "the column's": query.astype(SHOWN[dtype])}
        hits = table.search(forms[given_as] if given_as in forms else query.astype(given_as), 10)
        expected = by_id(kept(query, dtype)[0], dict(enumerate(kept(values, dtype))), metric)
        assert_exact(hits, expected, 10)


@every_dtype
@pytest.mark.parametrize("strategy", ["scan", "graph", "post"])
@pytest.mark.parametrize("k", [1, 3, 8, 20, 64])
def test_equal_distances_are_ordered_by_row_id(dtype: Dtype, strategy: str, k: int) -> None:
    ids = np.random.default_rng(5).permutation(64)
    values = np.repeat(np.arange(8.0), 8)[ids][:, None] * np.ones(3)
    with vdb.connect(":memory:") as db:
        table = make(db, dtype, values, ids=ids)
        table.create_index("v", vdb.HNSW(M=4, ef_construction=30))
        assert table.search(np.zeros(3), k, strategy=strategy).ids.tolist() == list(range(k))


@every_dtype
@every_metric
def test_graph_finds_nearly_all_of_the_nearest_before_and_after_a_reopen(
    dtype: Dtype, metric: str, tmp_path: Path
) -> None:
    values, queries = given(dtype, 3000), given(dtype, 50, seed=1)
    with vdb.connect(tmp_path / "db") as db:
        table = make(db, dtype, values, metric)
        table.create_index("v", vdb.HNSW(M=12, ef_construction=100))
        table.add({"id": [5000], "even": [True]}, v=queries[:1])
        exact = table.search(queries, 10, strategy="scan").ids
        found = table.search(queries, 10, strategy="graph", ef_search=200)
        assert recall(found.ids, exact) >= 0.95
        rows = dict(enumerate(kept(values, dtype))) | {5000: kept(queries[:1], dtype)[0]}
        for number, query in enumerate(kept(queries[:10], dtype)):
            assert_allowed(found[number], by_id(query, rows, metric), 10)
    with vdb.connect(tmp_path / "db") as db:
        assert (db.table("items").search(queries, 10, strategy="scan").ids == exact).all()
        assert (db.table("items").search(queries, 10, strategy="graph", ef_search=200).ids == found.ids).all()


@every_dtype
@every_metric
@pytest.mark.parametrize("codes", ["sq8", "projection"])
def test_scan_of_codes_answers_as_the_scan_of_vectors(dtype: Dtype, metric: str, codes: str, tmp_path: Path) -> None:
    values, queries = given(dtype, 2000), given(dtype, 10, seed=1)
    with vdb.connect(tmp_path / "db") as db:
        table = make(db, dtype, values, metric)
        expected = [by_id(query, dict(enumerate(kept(values, dtype))), metric) for query in kept(queries, dtype)]
        table.create_index("v", vdb.Flat(codes=codes))
        for number, hits in enumerate(table.search(queries, 10)):
            assert_exact(hits, expected[number], 10)
    with vdb.connect(tmp_path / "db") as db:
        for number, hits in enumerate(db.table("items").search(queries, 10)):
            assert_exact(hits, expected[number], 10)


@every_dtype
def test_rows_come_back_in_the_dtype_of_the_column(dtype: Dtype) -> None:
    values = given(dtype, 4)
    with vdb.connect(":memory:") as db:
        table = make(db, dtype, values)
        table.add([{"id": 9, "even": False, "v": None}])
        rows = table.get([0, 9, 3], select=["id", "v"])
        for hit, key in ((rows[0], 0), (rows[2], 3), (table.search(values[3], 1, select=["v"])[0], 3)):
            assert hit["v"].dtype == SHOWN[dtype]
            np.testing.assert_array_equal(hit["v"], kept(values[key], dtype)[0])
        assert rows[1] == {"id": 9, "v": None}
        frame = rows.to_pandas()
        assert frame["v"][0].dtype == SHOWN[dtype]
        assert frame["v"][1] is None
        arrow = rows.to_arrow()["v"]
        names = {"float32": "float", "float16": "halffloat", "bfloat16": "float", "int8": "int8"}
        assert str(arrow.type.value_type) == names[dtype]
        assert arrow.type.list_size == DIM
        assert arrow.to_pylist()[1] is None
        np.testing.assert_array_equal(arrow.to_pylist()[2], kept(values[3], dtype)[0])
        polars = rows.to_polars()["v"]
        assert str(polars.dtype.inner) == {"halffloat": "Float16", "int8": "Int8"}.get(names[dtype], "Float32")
        np.testing.assert_array_equal(polars.to_list()[2], kept(values[3], dtype)[0])


@every_dtype
@pytest.mark.parametrize("form", ["to_arrow", "to_polars", "to_pandas", "to_dicts"])
def test_what_came_back_can_be_added_again(dtype: Dtype, form: str) -> None:
    values = given(dtype, 6)
    with vdb.connect(":memory:") as db:
        table = make(db, dtype, values)
        rows = getattr(table.get(list(range(6)), select=["id", "even", "v"]), form)()
        copy = db.create_table("copy", {"id": "BIGINT", "even": "BOOLEAN", "v": table.schema.by_name["v"].type})
        copy.add(rows)
        again = copy.get(list(range(6)), select=["v"]).to_dicts()
        np.testing.assert_array_equal([row["v"] for row in again], kept(values, dtype))


@pytest.mark.parametrize(
    ("array_dtype", "type_"), [("float16", "FLOAT16[8]"), ("int8", "TINYINT[8]"), ("float64", "FLOAT[8]")]
)
def test_table_made_from_an_array_has_its_dtype(array_dtype: str, type_: str) -> None:
    values = np.arange(-32, 32).reshape(8, 8).astype(array_dtype)
    with vdb.connect(":memory:") as db:
        table = db.create_table("items", {"id": np.arange(8)}, key="id", v=values)
        assert table.schema.by_name["v"].type == type_
        assert f"v {type_}" in repr(table)
        assert table.search(values[5], 1, select=["v"])[0]["v"].tolist() == values[5].tolist()
        assert table.stats()["vector_bytes"]["v"] == 64 * {"float64": 4}.get(array_dtype, values.itemsize)


@every_dtype
def test_parquet_is_read_into_every_dtype(dtype: Dtype, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    values = np.arange(-24, 24).reshape(6, 8)
    for kind in (pa.list_(pa.float32()), pa.list_(pa.float16(), 8), pa.list_(pa.float64()), pa.list_(pa.int8())):
        pq.write_table(pa.table({"id": range(6), "v": pa.array(values.tolist(), kind)}), tmp_path / "x.parquet")
        with vdb.connect(":memory:") as db:
            table = db.create_table("items", {"id": "BIGINT PRIMARY KEY", "v": f"{DTYPES[dtype].sql}[8]"})
            table.add(read_parquet(tmp_path / "x.parquet"))
            assert [row["v"].tolist() for row in table.get(list(range(6)), select=["v"])] == values.tolist()


@every_dtype
def test_update_takes_one_vector_of_any_dtype(dtype: Dtype) -> None:
    values = given(dtype, 5)
    with vdb.connect(":memory:") as db:
        table = make(db, dtype, values, "cosine")
        assert table.update({"v": values[4].tolist()}, where="id < 2") == 2
        assert table.search(values[4], 3).ids.tolist() == [0, 1, 4]
        np.testing.assert_array_equal(table.get(1, select=["v"])["v"], kept(values[4], dtype)[0])
        with pytest.raises(vdb.InvalidArgument, match=f"is zero in {dtype}, without a direction for cosine"):
            table.update({"v": np.full(DIM, -0.0)}, where="id < 2")


@every_dtype
def test_zero_vectors_have_no_direction(dtype: Dtype) -> None:
    values = given(dtype, 3)
    with vdb.connect(":memory:") as db:
        table = make(db, dtype, values, "cosine")
        with pytest.raises(vdb.InvalidArgument, match=f"row 1 of items.v is a zero vector in {dtype}"):
            table.add({"id": [10, 11], "even": [True, True]}, v=np.stack([values[0], np.full(DIM, -0.0)]))
        with pytest.raises(vdb.InvalidArgument, match=f"the query is a zero vector in {dtype}"):
            table.search(np.full(DIM, -0.0))
        plain = db.create_table("plain", {"v": table.schema.by_name["v"].type})
        plain.add(v=np.stack([values[0], np.full(DIM, -0.0), values[1]]))
        assert plain.search(values[1], 5, metric="cosine").ids.tolist() == [2, 0]
        assert len(plain.search(values[1], 5)) == 3


def test_vector_that_rounds_to_zero_is_refused_under_cosine_and_says_where() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("items", {"v": "FLOAT16[2]"}, metric="cosine")
        with pytest.raises(vdb.InvalidArgument, match=r"row 1 of items\.v is a zero vector in float16"):
            table.add(v=[[1e-3, 0], [1e-9, 1e-9]])
        table.add(v=[[1e-7, 0]])
        with pytest.raises(vdb.InvalidArgument, match="query 1 is a zero vector in float16"):
            table.search([[1, 2], [1e-9, 0]])
        assert table.search([1, 0], 1).distances.tolist() == pytest.approx([0], abs=1e-6)


def test_columns_of_several_dtypes_stand_side_by_side(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-100, 100, (50, 6))
    schema = {"id": "BIGINT PRIMARY KEY"} | {name: f"{DTYPES[name].sql}[6]" for name in STORED}
    with vdb.connect(tmp_path / "db") as db:
        table = db.create_table("items", schema)
        table.add({"id": np.arange(50)}, **dict.fromkeys(STORED, values))
        table.upsert({"id": [3]}, float16=[values[9]])
    with vdb.connect(tmp_path / "db") as db:
        table = db.table("items")
        assert [column.dtype for column in table.schema.vectors] == list(STORED)
        expected = by_id(values[9], dict(enumerate(values)))
        for name in STORED:
            assert_exact(
                table.search(values[9], 5, column=name), expected | {3: 0} if name == "float16" else expected, 5
            )
        db.check()


@pytest.mark.parametrize(
    ("dtype", "bad", "message"),
    [
        ("int8", 0.5, r"row 1 of items\.v holds 0\.5; the column is TINYINT\[3\].*scale and round.*FLOAT16\[3\]"),
        ("int8", 128, r"row 1 of items\.v holds 128; the column is TINYINT\[3\]"),
        ("float16", 1e5, r"row 1 of items\.v holds 100000\.0, too large for float16 \(65504\).*BFLOAT16\[3\]"),
        ("bfloat16", 1e39, r"row 1 of items\.v holds 1e\+39, too large for bfloat16"),
        ("float16", np.inf, r"row 1 of items\.v holds inf; vectors must be finite"),
    ],
)
def test_value_that_a_column_cannot_hold_is_one_clear_error(dtype: Dtype, bad: float, message: str) -> None:
    with vdb.connect(":memory:") as db:
        table = make(db, dtype, np.ones((3, 3)))
        with pytest.raises(vdb.InvalidArgument, match="(?s)" + message):
            table.add({"id": [10, 11], "even": [True, True]}, v=[[1, 2, 3], [1, bad, 3]])
        with pytest.raises(vdb.InvalidArgument, match="query holds"):
            table.search([1, bad, 3])
        with pytest.raises(vdb.InvalidArgument, match=r"row 0 of items\.v holds"):
            table.update({"v": [1, bad, 3]}, where="TRUE")
        assert len(table) == 3
