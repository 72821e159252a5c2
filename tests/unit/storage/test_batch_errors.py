"""What is wrong with a batch is said by name, row and fix, before anything is touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vdb.errors import InvalidArgument, InvalidState
from vdb.storage.batch import make_batch
from vdb.storage.schema import parse_schema

X = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
ITEMS = parse_schema(
    "items", {"id": "BIGINT PRIMARY KEY", "lang": "VARCHAR", "year": "INTEGER", "embedding": "FLOAT[3]"}
)
TEXT_KEY = parse_schema("docs", {"name": "VARCHAR PRIMARY KEY", "embedding": "FLOAT[3]"})


class Opaque:
    pass


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"id": [1, 2], "lng": ["a", "b"]}, r"(?s)no column 'lng' in table items: id, lang.*Did you mean 'lang'"),
        ({"id": [1, 2], "_slot": [1, 2]}, "no column '_slot'"),
        ({"id": [1, 2], "lang": ["a"]}, "number of rows: id has 2, lang has 1, embedding has 2"),
        ({"id": [1]}, "number of rows: id has 1, embedding has 2"),
        ({"lang": ["a", "b"]}, r"items\.id is the primary key and is not in the data"),
        ({"id": [1, None]}, r"row 1 has no items\.id, the primary key"),
        ({"id": np.array([1.0, np.nan])}, r"row 1 has no items\.id, the primary key"),
        ({"id": np.ma.array([1, 2], mask=[1, 0])}, r"row 0 has no items\.id"),
        ({"id": [1.0, 2.0]}, r"items\.id is a key of type BIGINT, got float64 values"),
        ({"id": [True, False]}, r"items\.id is a key of type BIGINT, got bool values"),
        ({"id": ["1", "2"]}, r"items\.id is a key of type BIGINT, got str values"),
        ({"id": [1, 2], "year": [2020, 2020.5]}, r"row 1 of items\.year is 2020.5; the column is INTEGER"),
        ({"id": [1, 2], "lang": [["a"], "b"]}, r"row 0 of items\.lang is a list, but the column is VARCHAR"),
        ({"id": [1, 2], "lang": [{"a": 1}, None]}, r"row 0 of items\.lang is a dict"),
        ({"id": [1, 2], "lang": ["a", b"b"]}, r"(?s)row 1 of items\.lang is a bytes.*decode"),
        ({"id": [1, 2], "lang": ["a", Opaque()]}, r"row 1 of items\.lang is a Opaque, which DuckDB cannot store"),
        ({"id": [1, 2], "lang": [{"a"}, {"b"}]}, r"row 0 of items\.lang is a set"),
        ({"id": [1, 2], "year": np.array([1j, 2])}, r"items\.year got an array of complex128"),
        ({"id": [1, 2], "lang": "en"}, "embedding has 2. The dict is one row, since its 'lang' is a single value"),
        ({1: [1, 2]}, "column name 1 is a int"),
        ([{"id": 1}, 7], "row 1 is a int, not a dict"),
        ([{"id": 1}, {2: 3}], "column name 2 is a int"),
        ("id", "cannot read rows from a str"),
        (7, "cannot read rows from a int"),
        (np.zeros((2, 2)), "cannot read rows from a ndarray"),
    ],
)
def test_bad_data_is_named_and_answered(data: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        make_batch(ITEMS, data, {"embedding": X})
    assert "Fix:" in str(caught.value)


@pytest.mark.parametrize("data", [None, [], {}, {"id": []}, {"id": np.array([], dtype=int), "embedding": X[:0]}])
def test_an_empty_batch_is_refused(data: Any) -> None:
    with pytest.raises(InvalidArgument, match="no rows for table items"):
        make_batch(ITEMS, data, {})


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({"embeding": X}, r"(?s)'embeding' is not a vector column of table items: embedding.*Did you mean 'embedding'"),
        ({"year": [1, 2]}, r"(?s)'year' is not a vector column.*put attribute columns into the data"),
        ({"embedding": X[:1]}, "id has 2, embedding has 1"),
        ({"embedding": None}, "number of rows"),
        ({"embedding": X.astype(str)}, "holds str values"),
        ({"embedding": X * np.nan}, r"row 0 of items\.embedding holds nan"),
    ],
)
def test_bad_vectors_are_named_and_answered(vectors: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        make_batch(ITEMS, {"id": [1, 2]}, vectors)
    assert "Fix:" in str(caught.value)


def test_a_list_in_one_row_is_refused_where_the_column_is_a_single_value() -> None:
    with pytest.raises(InvalidArgument, match=r"(?s)row 0 of items\.year is a list, .* in a dict every column is"):
        make_batch(ITEMS, {"id": 1, "year": [1, 2]}, {"embedding": X[0]})


def test_a_vector_column_is_given_once() -> None:
    with pytest.raises(InvalidArgument, match=r"items\.embedding is given twice"):
        make_batch(ITEMS, {"id": [1, 2], "embedding": X}, {"embedding": X})


@pytest.mark.parametrize("names", [[1, 2], ["a", None], [b"a", b"b"]])
def test_text_keys_are_text(names: list[Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"docs\.name"):
        make_batch(TEXT_KEY, {"name": names}, {"embedding": X})
    assert make_batch(TEXT_KEY, {"name": np.array(["a", "b"])}, {"embedding": X}).n == 2


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_are_checked_like_dicts(library: str) -> None:
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    for columns, message in [
        ({"id": [1, 2], "year": [2020.0, 2020.5]}, r"row 1 of items\.year is 2020.5"),
        ({"id": [1, 2], "lang": [["a"], ["b"]]}, r"items\.lang is .*the column is VARCHAR"),
        ({"id": [1, 2], "lang": [b"a", b"b"]}, r"items\.lang is .*the column is VARCHAR"),
        ({"id": ["1", "2"]}, r"items\.id is a key of type BIGINT, got str values"),
        ({"id": [1, None]}, r"row 1 has no items\.id"),
        ({"id": [1, 2], "other": [1, 2]}, "no column 'other'"),
    ]:
        with pytest.raises(InvalidArgument, match=message):
            make_batch(ITEMS, make(columns), {"embedding": X})


def test_columns_of_one_name_are_refused() -> None:
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=["id", "id"])
    table = pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4])], names=["id", "id"])
    for data in (frame, table):
        with pytest.raises(InvalidArgument, match="two columns 'id'"):
            make_batch(ITEMS, data, {"embedding": X})


def test_lazy_frame_is_told_to_collect() -> None:
    pl = pytest.importorskip("polars")
    with pytest.raises(InvalidArgument, match=r"collect\(\)"):
        make_batch(ITEMS, pl.LazyFrame({"id": [1, 2]}), {"embedding": X})


def test_polars_without_pyarrow_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"id": [1, 2]})
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InvalidState, match=r"pip install 'vdb\[arrow\]'"):
        make_batch(ITEMS, frame, {"embedding": X})
