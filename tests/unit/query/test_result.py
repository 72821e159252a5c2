"""A result shows its rows in rank order, in every form, and reads no more than it is asked for."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import duckdb
import numpy as np
import pytest

from vdb._core import ABSENT_SLOT, RowSet
from vdb.errors import InvalidArgument, InvalidState
from vdb.query.result import Hits, Neighbors, Rows, RowSource
from vdb.storage.schema import parse_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.types import TableSchema

X = np.arange(12, dtype=np.float32).reshape(4, 3)
TABLE = {"id": [70, 71, 72, 73], "name": ["a", "b", None, "d"], "tags": [["x"], [], None, ["y", None]]}
DECLARED = {"id": "BIGINT PRIMARY KEY", "name": "VARCHAR", "tags": "VARCHAR[]", "embedding": "FLOAT[3]"}
NAMES = ("id", "name", "tags")


class FakeTable:
    """Four rows in slots 0 to 3, the vector of slot 2 missing; counts what is read of it."""

    def __init__(self, schema: TableSchema, columns: dict[str, list[Any]]) -> None:
        vectors = SimpleNamespace(data=X, present=RowSet.from_slots(np.array([0, 1, 3], dtype=np.uint32), 4))
        state = SimpleNamespace(
            schema=schema,
            row_ids=np.array([70, 71, 72, 73], dtype=np.int64),
            vectors={"embedding": vectors},
        )
        self.source = RowSource(cast("Any", state), self.fetch)
        self.columns = columns
        self.deleted: set[int] = set()
        self.reads: list[tuple[str, ...]] = []

    def fetch(self, slots: Any, columns: tuple[str, ...], read: Callable[[Any], Any]) -> Any:
        self.reads.append(columns)
        kept = [int(slot) for slot in slots if slot not in self.deleted]
        with duckdb.connect(":memory:") as connection:
            casts = ", ".join(f'CAST("{c}" AS {self.source.state.schema.by_name[c].type}) AS "{c}"' for c in columns)
            arrays = {name: np.fromiter((self.columns[name][s] for s in kept), object, len(kept)) for name in columns}
            connection.register("picked", arrays)
            return read(connection.execute(f"SELECT {casts} FROM picked"))


@pytest.fixture
def table() -> FakeTable:
    return FakeTable(parse_schema("items", DECLARED), TABLE)


def neighbors(slots: list[list[int]], distances: list[list[float]], is_batch: bool) -> Neighbors:
    return Neighbors(np.array(slots, dtype=np.uint32), np.array(distances, dtype=np.float32), is_batch)


ONE = neighbors([[3, 0, ABSENT_SLOT]], [[0.5, 1.5, np.inf]], is_batch=False)
FULL = neighbors([[3, 0]], [[0.5, 1.5]], is_batch=False)
BATCH = neighbors([[3, 0], [2, ABSENT_SLOT], [0, 3]], [[0.5, 1.5], [2.0, np.inf], [0.0, 9.0]], is_batch=True)
NONE = neighbors([[ABSENT_SLOT] * 2], [[np.inf] * 2], is_batch=False)


@pytest.mark.parametrize("found", [ONE, FULL])
def test_ids_and_distances_need_no_database(table: FakeTable, found: Neighbors) -> None:
    hits = Hits(found, NAMES, table.source)
    keys, distances = hits.to_numpy()
    assert keys.tolist() == hits.row_ids.tolist() == [73, 70]
    assert keys.dtype == np.int64
    assert distances.tolist() == [0.5, 1.5]
    assert distances.dtype == np.float32
    assert len(hits) == 2
    assert not hits.truncated
    assert table.reads == []


def test_batch_is_padded_with_minus_one_and_infinity(table: FakeTable) -> None:
    hits = Hits(BATCH, NAMES, table.source)
    keys, distances = hits.to_numpy()
    assert keys.tolist() == [[73, 70], [72, -1], [70, 73]]
    assert distances.tolist() == [[0.5, 1.5], [2.0, np.inf], [0.0, 9.0]]
    assert len(hits) == 3
    assert table.reads == []


def test_text_keys_are_the_ids_and_row_ids_stay_integers() -> None:
    schema = parse_schema("items", {"name": "VARCHAR PRIMARY KEY", "embedding": "FLOAT[3]"})
    table = FakeTable(schema, {"name": ["a", "b", "c", "d"]})
    assert Hits(ONE, ("name",), table.source).ids.tolist() == ["d", "a"]
    assert Hits(ONE, ("name",), table.source).row_ids.tolist() == [73, 70]
    assert Hits(BATCH, ("name",), table.source).ids.tolist() == [["d", "a"], ["c", None], ["a", "d"]]
    assert Hits(NONE, ("name",), table.source).ids.dtype == object
    assert Rows(np.array([1], dtype=np.uint32), ("name",), table.source).ids.tolist() == ["b"]


def test_row_ids_are_the_ids_where_there_is_no_key() -> None:
    table = FakeTable(parse_schema("items", {"name": "VARCHAR", "embedding": "FLOAT[3]"}), {"name": ["a"] * 4})
    assert Hits(ONE, ("name",), table.source).ids.tolist() == [73, 70]
    assert Hits(ONE, ("_row_id",), table.source).to_dicts() == [
        {"_row_id": 73, "_distance": 0.5},
        {"_row_id": 70, "_distance": 1.5},
    ]


def test_dicts_are_in_rank_order_with_the_distance_last(table: FakeTable) -> None:
    hits = Hits(ONE, NAMES, table.source)
    expected = [
        {"id": 73, "name": "d", "tags": ["y", None], "_distance": 0.5},
        {"id": 70, "name": "a", "tags": ["x"], "_distance": 1.5},
    ]
    assert hits.to_dicts() == expected
    assert list(hits) == expected
    assert hits[-1] == expected[1]
    assert hits[:1] == expected[:1]
    assert list(hits[0])[-1] == "_distance"
    with pytest.raises(IndexError):
        hits[2]


def test_rows_are_read_once_for_all_indexing(table: FakeTable) -> None:
    hits = Hits(ONE, NAMES, table.source)
    assert hits[0]["id"] == 73
    assert [hit["id"] for hit in hits] == [73, 70]
    assert table.reads == [NAMES]


def test_dicts_of_a_batch_are_a_list_per_query(table: FakeTable) -> None:
    hits = Hits(BATCH, ("id",), table.source)
    expected = [
        [{"id": 73, "_distance": 0.5}, {"id": 70, "_distance": 1.5}],
        [{"id": 72, "_distance": 2.0}],
        [{"id": 70, "_distance": 0.0}, {"id": 73, "_distance": 9.0}],
    ]
    assert hits.to_dicts() == expected
    assert [one.to_dicts() for one in hits] == expected
    assert hits[1].ids.tolist() == [72]
    assert hits[-1].distances.tolist() == [0.0, 9.0]
    assert [one.ids.tolist() for one in hits[:2]] == [[73, 70], [72]]


def test_vectors_are_shown_only_where_selected(table: FakeTable) -> None:
    assert "embedding" not in Hits(BATCH, NAMES, table.source)[0][0]
    rows = Hits(BATCH, ("embedding", "id"), table.source).to_dicts()
    assert list(rows[0][0]) == ["embedding", "id", "_distance"]
    np.testing.assert_array_equal(rows[0][0]["embedding"], X[3])
    assert rows[0][0]["embedding"].dtype == np.float32
    assert rows[1][0]["embedding"] is None
    assert table.reads == [NAMES, ("id",)]


def test_only_distances_and_vectors_need_no_database(table: FakeTable) -> None:
    assert Hits(ONE, (), table.source).to_dicts() == [{"_distance": 0.5}, {"_distance": 1.5}]
    assert len(Hits(ONE, ("embedding",), table.source).to_dicts()) == 2
    assert table.reads == []


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "polars"])
def test_frames_have_the_distance_last_and_a_batch_the_query_first(table: FakeTable, library: str) -> None:
    pytest.importorskip(library)
    name = {"pyarrow": "to_arrow"}.get(library, f"to_{library}")
    one = getattr(Hits(ONE, (*NAMES, "embedding"), table.source), name)()
    batch = getattr(Hits(BATCH, ("id", "embedding"), table.source), name)()
    names = batch.column_names if library == "pyarrow" else list(batch.columns)
    assert names == ["query", "id", "embedding", "_distance"]
    read = (lambda column: column.to_pylist()) if library == "pyarrow" else list
    assert read(batch["query"]) == [0, 0, 1, 2, 2]
    assert read(batch["id"]) == [73, 70, 72, 70, 73]
    assert read(batch["_distance"]) == [0.5, 1.5, 2.0, 0.0, 9.0]
    vectors = read(batch["embedding"])
    assert list(vectors[0]) == X[3].tolist()
    assert vectors[2] is None
    assert read(one["name"]) == ["d", "a"]
    assert [list(tags) for tags in read(one["tags"])] == [["y", None], ["x"]]
    assert "float" in str(one["_distance"].type if library == "pyarrow" else one["_distance"].dtype).lower()


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "polars"])
def test_no_hits_are_a_frame_without_rows(table: FakeTable, library: str) -> None:
    pytest.importorskip(library)
    hits = Hits(NONE, (*NAMES, "embedding"), table.source)
    frame = getattr(hits, {"pyarrow": "to_arrow"}.get(library, f"to_{library}"))()
    names = frame.column_names if library == "pyarrow" else list(frame.columns)
    assert len(frame) == 0
    assert names == [*NAMES, "embedding", "_distance"]
    assert hits.to_dicts() == list(hits) == hits.ids.tolist() == []


def test_arrow_and_polars_keep_vectors_typed(table: FakeTable) -> None:
    pa = pytest.importorskip("pyarrow")
    pl = pytest.importorskip("polars")
    hits = Hits(BATCH, ("embedding",), table.source)
    assert hits.to_arrow().schema.field("embedding").type == pa.list_(pa.float32(), 3)
    assert hits.to_polars()["embedding"].dtype == pl.Array(pl.Float32, 3)


def test_a_column_named_query_makes_room_for_itself() -> None:
    schema = parse_schema("items", {"query": "VARCHAR", "embedding": "FLOAT[3]"})
    table = FakeTable(schema, {"query": ["a", "b", "c", "d"]})
    arrow = pytest.importorskip("pyarrow") and Hits(BATCH, ("query",), table.source).to_arrow()
    assert arrow.column_names == ["_query", "query", "_distance"]
    assert Hits(BATCH, ("query",), table.source).to_dicts()[1] == [{"query": "c", "_distance": 2.0}]


def test_times_with_zones_need_no_further_package() -> None:
    schema = parse_schema("items", {"at": "TIMESTAMPTZ", "id": "BIGINT", "embedding": "FLOAT[3]"})
    at = dt.datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=dt.timezone.utc)
    table = FakeTable(schema, {"at": [at, None, None, None], "id": [1, 2, 3, 4]})
    rows = Rows(np.array([0, 1], dtype=np.uint32), ("at", "id"), table.source)
    assert rows.to_dicts() == [{"at": at, "id": 1}, {"at": None, "id": 2}]


def test_rows_of_a_lookup_are_dicts_in_its_order(table: FakeTable) -> None:
    rows = Rows(np.array([2, 0, 2], dtype=np.uint32), NAMES, table.source)
    assert rows.ids.tolist() == [72, 70, 72]
    assert [row["id"] for row in rows] == [72, 70, 72]
    assert rows[1]["name"] == "a"
    assert rows[1:] == list(rows)[1:]
    assert len(rows) == 3
    assert "_distance" not in rows[0]


def test_a_column_selected_twice_is_shown_once(table: FakeTable) -> None:
    assert list(Hits(ONE, ("id", "name", "id"), table.source)[0]) == ["id", "name", "_distance"]


def test_unknown_column_is_refused(table: FakeTable) -> None:
    with pytest.raises(InvalidArgument, match="no column 'nme' in table items"):
        Hits(ONE, ("nme",), table.source).to_dicts()


@pytest.mark.parametrize("form", ["to_dicts", "to_pandas", "to_arrow", "to_polars"])
def test_rows_deleted_since_the_search_are_an_error_not_a_shift(table: FakeTable, form: str) -> None:
    hits = Hits(ONE, NAMES, table.source)
    table.deleted.add(3)
    with pytest.raises(InvalidState, match="1 of 2 rows were deleted or replaced since"):
        getattr(hits, form)()
    assert hits.ids.tolist() == [73, 70]


@pytest.mark.parametrize(
    ("form", "package"), [("to_pandas", "pandas"), ("to_arrow", "pyarrow"), ("to_polars", "polars")]
)
def test_missing_package_is_told_how_to_install(
    table: FakeTable, form: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InvalidState, match=rf"{package} is not installed.\n  Fix: pip install 'vdb\[\w+\]'"):
        getattr(Hits(ONE, NAMES, table.source), form)()


def test_explain_is_the_text_of_the_plan(table: FakeTable) -> None:
    assert Hits(ONE, NAMES, table.source, plan=Path("scan")).explain() == "scan"
    assert Hits(ONE, NAMES, table.source, plan="VECTOR_SEARCH items").explain() == "VECTOR_SEARCH items"


def test_repr_is_a_short_table(table: FakeTable) -> None:
    assert repr(Hits(ONE, ("id", "name"), table.source)) == (
        "2 rows of items\nid  name  _distance\n73  d     0.5\n70  a     1.5"
    )
    assert repr(Hits(BATCH, NAMES, table.source)) == "3 queries, 5 rows of items"
    assert repr(Hits(NONE, NAMES, table.source)) == "0 rows of items"
    many = Rows(np.zeros(11, dtype=np.uint32), ("name", "embedding"), table.source)
    assert repr(many).splitlines()[0] == "11 rows of items"
    assert len(repr(many).splitlines()) == 13
    assert repr(many).endswith("...")


def test_repr_survives_rows_that_are_gone(table: FakeTable) -> None:
    table.deleted.add(3)
    assert repr(Hits(ONE, NAMES, table.source)) == "2 rows of items"


def test_repr_cuts_long_text() -> None:
    schema = parse_schema("items", {"name": "VARCHAR", "embedding": "FLOAT[3]"})
    table = FakeTable(schema, {"name": ["x\ny" * 100] * 4})
    assert max(map(len, repr(Hits(ONE, ("name",), table.source)).splitlines())) < 60
