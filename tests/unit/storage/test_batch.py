"""Rows in every form arrive in DuckDB as they were meant, or are refused before anything is touched."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

from vdb.errors import DimensionMismatch, InvalidArgument
from vdb.storage.batch import Batch, make_batch
from vdb.storage.schema import parse_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vdb.types import TableSchema

X = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
ITEMS = parse_schema(
    "items",
    {"id": "BIGINT PRIMARY KEY", "lang": "VARCHAR", "price": "DOUBLE", "tags": "VARCHAR[]", "embedding": "FLOAT[3]"},
)
NO_KEY = parse_schema("notes", {"text": "VARCHAR", "embedding": "FLOAT[3]"})


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, Any] = {"enable_external_access": "false", "pandas_analyze_sample": 2**31}
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET python_enable_replacements = false")
        yield connection


def stored(connection: duckdb.DuckDBPyConnection, batch: Batch, schema: TableSchema) -> list[tuple[Any, ...]]:
    """What an INSERT of the batch puts into a table of the schema's types, as text."""
    casts = ", ".join(f'CAST(CAST("{name}" AS {schema.by_name[name].type}) AS VARCHAR)' for name in batch.columns)
    connection.register("batch", batch.relation)
    return connection.execute(f"SELECT {casts} FROM batch").fetchall()


def column_as(connection: duckdb.DuckDBPyConnection, declared: str, values: Any) -> list[Any]:
    schema = parse_schema("items", {"x": declared, "embedding": "FLOAT[3]"})
    batch = make_batch(schema, {"x": values}, {"embedding": np.ones((len(values), 3))})
    return [row[0] for row in stored(connection, batch, schema)]


def frame_of(library: str, columns: dict[str, list[Any]]) -> Any:
    module = pytest.importorskip(library)
    return module.table(columns) if library == "pyarrow" else module.DataFrame(columns)


COLUMNS: dict[str, list[Any]] = {
    "id": [7, 8],
    "lang": ["en", None],
    "price": [1.5, 2.0],
    "tags": [["a", None], []],
    "embedding": X.tolist(),
}
EXPECTED = [("7", "en", "1.5", "[a, NULL]"), ("8", None, "2.0", "[]")]
FORMS: dict[str, Callable[[], Any]] = {
    "dict of lists": lambda: COLUMNS,
    "dict of arrays": lambda: {
        "id": np.array([7, 8]),
        "lang": np.array(["en", None], dtype=object),
        "price": np.array([1.5, 2.0]),
        "tags": COLUMNS["tags"],
        "embedding": X,
    },
    "list of dicts": lambda: [
        {"id": 7, "lang": "en", "price": 1.5, "tags": ["a", None], "embedding": X[0]},
        {"id": 8, "price": 2, "tags": [], "embedding": [4, 5, 6]},
    ],
    "pandas": lambda: frame_of("pandas", COLUMNS),
    "polars": lambda: frame_of("polars", COLUMNS),
    "Arrow table": lambda: frame_of("pyarrow", COLUMNS),
    "Arrow batch": lambda: frame_of("pyarrow", COLUMNS).to_batches()[0],
    "dict of pandas Series": lambda: dict(frame_of("pandas", COLUMNS).items()),
    "dict of polars Series": lambda: frame_of("polars", COLUMNS).to_dict(),
    "dict of Arrow columns": lambda: dict(zip(COLUMNS, frame_of("pyarrow", COLUMNS).columns, strict=True)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_rows_is_the_same_batch(form: str, connection: duckdb.DuckDBPyConnection) -> None:
    batch = make_batch(ITEMS, FORMS[form](), {})
    assert batch.n == 2
    assert batch.columns == ("id", "lang", "price", "tags")
    assert stored(connection, batch, ITEMS) == EXPECTED
    np.testing.assert_array_equal(batch.vectors["embedding"].values, X)
    assert batch.vectors["embedding"].present is None


def test_vectors_may_stand_beside_the_data() -> None:
    batch = make_batch(ITEMS, {"id": [7, 8]}, {"embedding": X})
    assert batch.columns == ("id",)
    assert np.shares_memory(batch.vectors["embedding"].values, X)


def test_vectors_alone_are_rows_of_a_table_without_a_key() -> None:
    batch = make_batch(NO_KEY, None, {"embedding": X})
    assert (batch.n, batch.columns, batch.relation) == (2, (), None)


@pytest.mark.parametrize("vector", [X[0], X[:1], [1.0, 2.0, 3.0]])
def test_a_dict_of_single_values_is_one_row(vector: Any, connection: duckdb.DuckDBPyConnection) -> None:
    row = {"id": 7, "lang": "en", "price": None, "tags": ["a", "b"]}
    for batch in (make_batch(ITEMS, row, {"embedding": vector}), make_batch(ITEMS, [row], {"embedding": vector})):
        assert stored(connection, batch, ITEMS) == [("7", "en", None, "[a, b]")]
        np.testing.assert_array_equal(batch.vectors["embedding"].values, X[:1])
    inside = make_batch(ITEMS, row | {"embedding": X[0]}, {})
    np.testing.assert_array_equal(inside.vectors["embedding"].values, X[:1])


def test_missing_vectors_are_marked_where_the_column_may_be_null() -> None:
    batch = make_batch(ITEMS, [{"id": 1, "embedding": X[0]}, {"id": 2}], {})
    present = batch.vectors["embedding"].present
    assert present is not None
    assert present.tolist() == [True, False]
    np.testing.assert_array_equal(batch.vectors["embedding"].values[1], 0)


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        ("INTEGER", np.array([1, 2], dtype=np.int8), ["1", "2"]),
        ("INTEGER", np.array([1, 2], dtype=">i4"), ["1", "2"]),
        ("INTEGER", np.ma.array([1, 2], mask=[0, 1]), ["1", None]),
        ("INTEGER", [1, None], ["1", None]),
        ("INTEGER", np.array([1.0, np.nan]), ["1", None]),
        ("INTEGER", range(2), ["0", "1"]),
        ("BIGINT", [2**62 + 1, float("nan")], [str(2**62 + 1), None]),
        ("BIGINT", [np.int64(3), None], ["3", None]),
        ("UBIGINT", [2**64 - 1, 0], [str(2**64 - 1), "0"]),
        ("HUGEINT", [2**100, -1], [str(2**100), "-1"]),
        ("DOUBLE", np.array([1.5, np.nan]), ["1.5", None]),
        ("DOUBLE", [1, 2.5, None], ["1.0", "2.5", None]),
        ("FLOAT", np.array([1.5, 2.5], dtype=np.float16), ["1.5", "2.5"]),
        ("DOUBLE", np.array([1.5, 2.5], dtype=np.longdouble), ["1.5", "2.5"]),
        ("DECIMAL(12,2)", [Decimal("1.50"), None, Decimal("1E+5")], ["1.50", None, "100000.00"]),
        ("BOOLEAN", [True, None], ["true", None]),
        ("BOOLEAN", np.array([True, False]), ["true", "false"]),
        ("BOOLEAN", [np.bool_(True), None], ["true", None]),
        ("VARCHAR", np.array(["ab", "c"]), ["ab", "c"]),
        ("VARCHAR", np.ma.array(["ab", "c"], mask=[1, 0]), [None, "c"]),
        ("VARCHAR", ["a", float("nan"), None, "a\x00b"], ["a", None, None, "a\x00b"]),
        ("VARCHAR", [1, "a", 2.5, None], ["1", "a", "2.5", None]),
        ("VARCHAR", [None, None], [None, None]),
        ("BLOB", [b"\x00a", None], ["\\x00a", None]),
        ("BLOB", np.array([b"ab", b"c"]), ["ab", "c"]),
        ("DATE", np.array(["2020-01-02", "NaT"], dtype="datetime64[D]"), ["2020-01-02", None]),
        ("DATE", [dt.date(2020, 1, 2), None], ["2020-01-02", None]),
        ("DATE", np.array(["2020-01"], dtype="datetime64[M]"), ["2020-01-01"]),
        ("DATE", [np.datetime64("2020-01-02"), np.datetime64("NaT")], ["2020-01-02", None]),
        ("TIMESTAMP", np.array(["2020-01-02T03:04:05"], dtype="datetime64[s]"), ["2020-01-02 03:04:05"]),
        ("TIMESTAMP", np.array(["2020-01-02T03:04:05.5"], dtype="datetime64[ns]"), ["2020-01-02 03:04:05.5"]),
        (
            "TIMESTAMP",
            [dt.datetime(2020, 1, 2, 3), dt.date(2020, 1, 2)],
            ["2020-01-02 03:00:00", "2020-01-02 00:00:00"],
        ),
        ("TIME", [dt.time(3, 4), None], ["03:04:00", None]),
        ("INTERVAL", [dt.timedelta(days=1), None], ["1 day", None]),
        ("INTERVAL", np.array([5], dtype="timedelta64[s]"), ["00:00:05"]),
        ("UUID", [uuid.UUID(int=5), None], ["00000000-0000-0000-0000-000000000005", None]),
        ("VARCHAR[]", [[], []], ["[]", "[]"]),
        ("VARCHAR[]", [["a", None], None], ["[a, NULL]", None]),
        ("VARCHAR[]", np.array([["a", "b"], ["c", "d"]]), ["[a, b]", "[c, d]"]),
        ("VARCHAR[]", [np.array(["a"]), ("b", "c")], ["[a]", "[b, c]"]),
        ("BIGINT[]", [[np.int64(1)], [2**40]], ["[1]", f"[{2**40}]"]),
        ("VARCHAR[][]", [[["a"], []], [None]], ["[[a], []]", "[NULL]"]),
        ("DATE[]", np.array([["2020-01-02"]], dtype="datetime64[ns]"), ["[2020-01-02]"]),
        ("STRUCT(a INTEGER, b VARCHAR)", [{"b": "x", "a": 1}, {"a": 2}], ["{'a': 1, 'b': x}", "{'a': 2, 'b': NULL}"]),
        ("MAP(VARCHAR, INTEGER)", [{"k": 1}, {"l": 2, "m": 3}], ["{k=1}", "{l=2, m=3}"]),
        ("JSON", [{"a": [1, None]}, [2], '"s"', None], ['{"a": [1, null]}', "[2]", '"s"', None]),
        ("ENUM('a', 'b')", ["a", None], ["a", None]),
    ],
)
def test_values_arrive_as_they_were_meant(
    declared: str, values: Any, expected: list[str | None], connection: duckdb.DuckDBPyConnection
) -> None:
    assert column_as(connection, declared, values) == expected


@pytest.mark.parametrize(
    ("declared", "common", "rare", "expected"),
    [
        ("BIGINT", 1, 2**40, str(2**40)),
        ("DOUBLE", 1, 2.5, "2.5"),
        ("VARCHAR", 1, "q", "q"),
        ("DECIMAL(18,3)", Decimal("1.5"), Decimal("12345.678"), "12345.678"),
        ("VARCHAR", None, "q", "q"),
        ("VARCHAR[]", [], ["x"], "[x]"),
        ("BIGINT[]", [1], [2**40], f"[{2**40}]"),
        ("DOUBLE[]", [1], [2.5], "[2.5]"),
    ],
)
@pytest.mark.parametrize("library", [None, "pandas"])
def test_a_rare_value_deep_in_a_column_is_not_bent_to_the_common_kind(
    declared: str, common: Any, rare: Any, expected: str, library: str | None, connection: duckdb.DuckDBPyConnection
) -> None:
    values = [common] * 20_000
    values[10_007] = rare
    series = values if library is None else pytest.importorskip(library).Series(values, dtype=object)
    assert column_as(connection, declared, series)[10_007] == expected


def test_pandas_types_arrive_as_they_were_meant(connection: duckdb.DuckDBPyConnection) -> None:
    pd = pytest.importorskip("pandas")
    for declared, series, expected in [
        ("BIGINT", pd.Series([2**62 + 1, None], dtype="Int64"), [str(2**62 + 1), None]),
        ("VARCHAR", pd.Series(["a", None], dtype="category"), ["a", None]),
        ("VARCHAR", pd.Series(["a", pd.NA], dtype=object), ["a", None]),
        ("BOOLEAN", pd.Series([True, None], dtype="boolean"), ["true", None]),
        ("TIMESTAMP", pd.Series(pd.to_datetime(["2020-01-02", None])), ["2020-01-02 00:00:00", None]),
        ("TIMESTAMP", pd.Series([pd.Timestamp(2020, 1, 2), pd.NaT], dtype=object), ["2020-01-02 00:00:00", None]),
        ("DOUBLE", pd.Series([1.5, np.nan]), ["1.5", None]),
    ]:
        assert column_as(connection, declared, series) == expected, series.dtype
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    zoned = pd.Series(pd.to_datetime(["2020-01-02 00:00"], utc=True))
    assert column_as(connection, "TIMESTAMPTZ", zoned) == ["2020-01-02 09:00:00+09"]


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_typed_frames_keep_nan_apart_from_null(library: str, connection: duckdb.DuckDBPyConnection) -> None:
    frame = frame_of(library, {"id": [1, 2, 3], "price": [1.0, float("nan"), None]})
    batch = make_batch(ITEMS, frame, {})
    assert [row[1] for row in stored(connection, batch, ITEMS)] == ["1.0", "nan", None]


def test_rows_of_a_frame_keep_their_order_whatever_its_index(connection: duckdb.DuckDBPyConnection) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"id": [7, 8], "embedding": list(X)}, index=[8, 0])
    batch = make_batch(ITEMS, frame, {})
    assert stored(connection, batch, ITEMS) == [("7",), ("8",)]
    np.testing.assert_array_equal(batch.vectors["embedding"].values, X)


def test_an_upsert_may_leave_out_what_an_insert_may_not() -> None:
    schema = parse_schema("t", {"id": "BIGINT PRIMARY KEY", "lang": "VARCHAR NOT NULL", "v": "FLOAT[3] NOT NULL"})
    assert make_batch(schema, {"id": [1]}, {}, partial=True).columns == ("id",)
    with pytest.raises(InvalidArgument, match=r"t\.lang is NOT NULL and is not in the data: id"):
        make_batch(schema, {"id": [1]}, {})
    with pytest.raises(InvalidArgument, match=r"t\.id is the primary key and is not in the data"):
        make_batch(schema, {"lang": ["x"]}, {}, partial=True)
    with pytest.raises(InvalidArgument, match=r"row 1 has no t\.v, which is NOT NULL"):
        make_batch(schema, {"id": [1, 2], "v": [X[0], None]}, {}, partial=True)


def test_vector_of_wrong_dimension_names_its_row_and_column() -> None:
    with pytest.raises(DimensionMismatch, match=r"row 1 of items\.embedding has 2 values; the column is FLOAT\[3\]"):
        make_batch(ITEMS, {"id": [1, 2], "embedding": [[1, 2, 3], [1, 2]]}, {})


def test_zero_vector_under_cosine_is_refused_by_its_row() -> None:
    schema = parse_schema("t", {"v": "FLOAT[3]"}, metric="cosine")
    with pytest.raises(InvalidArgument, match=r"row 2 of t\.v is a zero vector"):
        make_batch(schema, None, {"v": [[0, 0, 1], None, [0, 0, 0]]})
    assert make_batch(schema, None, {"v": [[0, 0, 1], None]}).n == 2
    assert make_batch(NO_KEY, None, {"embedding": np.zeros((2, 3))}).n == 2
