from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from papers import DIM, PAPERS, MakeRows, contents

from vdb.errors import AlreadyExists, InvalidArgument, InvalidState
from vdb.storage.batch import Batch, VectorBatch, make_batch
from vdb.types import Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.storage.store import Store

BY_NAME = TableSchema(
    "by_name", (Column("name", "VARCHAR", False), Column("n", "INTEGER"), VectorColumn("v", 2, nullable=False)), "name"
)
LOOSE = TableSchema("loose", (Column("n", "SMALLINT", False), VectorColumn("a", 2), VectorColumn("b", 3)))


def add(store: Store, table: str, batch: Batch) -> int:
    with store.begin() as transaction:
        return transaction.insert(table, batch)


def upsert(store: Store, table: str, batch: Batch, on: str) -> int:
    with store.begin() as transaction:
        return transaction.upsert(table, batch, on)


def create(store: Store, schema: TableSchema) -> None:
    with store.begin() as transaction:
        transaction.create_table(schema)


def named(names: list[str], **columns: Any) -> Batch:
    vectors = np.arange(len(names) * 2, dtype=np.float32).reshape(-1, 2) + 1
    return make_batch(BY_NAME, {"name": names, **columns}, {"v": vectors})


def test_row_i_of_a_batch_is_slot_i(store: Store, rng: np.random.Generator) -> None:
    n = 300_000  # several DuckDB row groups
    ids = rng.permutation(n)
    data = {"id": ids, "title": ids.astype(str).astype(object)}
    vectors = np.repeat(ids[:, None].astype(np.float32), DIM, axis=1)
    assert add(store, "papers", make_batch(PAPERS, data, {"embedding": vectors})) == n
    table = store.state.table("papers")
    assert np.array_equal(table.row_ids, ids)
    assert np.array_equal(table.vectors["embedding"].data[:, 0], ids)
    with store.read() as session:
        found = session.fetch("papers", np.arange(n, dtype=np.uint32), ["id", "title"]).fetchnumpy()
    assert np.array_equal(found["id"], ids)
    assert np.array_equal(found["title"].astype(np.int64), ids)


@pytest.mark.parametrize("convert", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_missing_vectors_are_marked_whatever_the_batch_is_made_of(
    store: Store, convert: Callable[[dict[str, list[Any]]], Any]
) -> None:
    relation = {"id": np.array([3, 1, 2]), "title": np.array(["c", "a", "b"], object)}
    present = np.array([True, False, True])
    values = np.ones((3, DIM), np.float32) * present[:, None].astype(np.float32)
    batch = Batch(3, convert(relation), ("id", "title"), {"embedding": VectorBatch(values, present)})
    add(store, "papers", batch)
    add(store, "papers", Batch(1, {"id": np.array([9])}, ("id",), {}))
    assert {key: row[1] is not None for key, row in contents(store).items()} == {3: True, 1: False, 2: True, 9: False}
    table = store.state.table("papers")
    assert table.vectors["embedding"].present is not None
    assert table.vectors["embedding"].present.to_slots().tolist() == [0, 2]
    assert contents(store)[9] == (None, None)


@pytest.mark.parametrize("ids", [[5], [20, 5], [5, 20]])
def test_a_taken_key_is_refused_by_name(store: Store, batch: MakeRows, ids: list[int]) -> None:
    add(store, "papers", batch([20 - 10, 5, 7]))
    before = contents(store)
    with pytest.raises(AlreadyExists, match=r"papers.id = 5 is in the table already.*upsert"):
        add(store, "papers", batch(ids))
    assert contents(store) == before
    assert add(store, "papers", batch([20])) == 1


def test_a_key_twice_in_a_batch_is_refused(store: Store, batch: MakeRows) -> None:
    for ids in ([1, 2, 1], [2, 2]):
        with pytest.raises(AlreadyExists, match=r"comes twice in the batch"):
            add(store, "papers", batch(ids))
    assert contents(store) == {}


def test_a_deleted_key_can_be_used_again(store: Store, batch: MakeRows) -> None:
    add(store, "papers", batch([1, 2]))
    with store.begin() as transaction:
        transaction.delete("papers", np.array([0], np.uint32))
    add(store, "papers", batch([1], title="new"))
    assert contents(store)[1] == ("new1", [1.0] * DIM)


def test_the_largest_and_smallest_keys_are_keys_like_others(store: Store, batch: MakeRows) -> None:
    ends = [2**63 - 1, -(2**63), 0]
    add(store, "papers", batch(ends))
    assert sorted(contents(store)) == sorted(ends)
    for key in ends:
        with pytest.raises(AlreadyExists):
            add(store, "papers", batch([key]))


def test_text_keys_are_unique_too(store: Store) -> None:
    create(store, BY_NAME)
    add(store, "by_name", named(["a", "", "A"]))
    with pytest.raises(AlreadyExists, match=r"by_name\.name = '' is in the table"):
        add(store, "by_name", named(["x", ""]))
    with pytest.raises(AlreadyExists, match=r"by_name\.name = 'x' comes twice"):
        add(store, "by_name", named(["x", "y", "x"]))
    assert store.state.table("by_name").row_ids.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("relation", "columns", "words"),
    [
        ({"id": np.array([1]), "colour": np.array([1])}, ("id", "colour"), "no column 'colour'"),
        ({"title": np.array(["x"], object)}, ("title",), "no column 'id', its primary key"),
        ({"id": np.array([None], object)}, ("id",), "Row 0 of the batch has no papers.id"),
        ({"id": np.ma.masked_array([1], [True])}, ("id",), "Row 0 of the batch has no papers.id"),
        ({"id": np.array(["one"], object)}, ("id",), "Could not convert string 'one'"),
    ],
)
def test_a_bad_batch_changes_nothing(
    store: Store, relation: dict[str, Any], columns: tuple[str, ...], words: str
) -> None:
    seq = store.state.seq
    with pytest.raises(InvalidArgument, match=words):
        add(store, "papers", Batch(1, relation, columns, {}))
    assert contents(store) == {}
    assert store.state.seq == seq


def test_a_value_out_of_range_of_its_column_changes_nothing(store: Store) -> None:
    create(store, LOOSE)
    with pytest.raises(InvalidArgument, match="INT16"):
        add(store, "loose", Batch(2, {"n": np.array([1, 70_000])}, ("n",), {}))
    assert store.state.table("loose").next_slot == 0


def test_columns_that_must_be_given_are_asked_for(store: Store) -> None:
    create(store, BY_NAME)
    create(store, LOOSE)
    with pytest.raises(InvalidArgument, match="no column 'v', which is declared NOT NULL"):
        add(store, "by_name", Batch(1, {"name": np.array(["x"], object)}, ("name",), {}))
    with pytest.raises(InvalidArgument, match="no column 'n', which is declared NOT NULL"):
        add(store, "loose", Batch(1, None, (), {"a": VectorBatch(np.ones((1, 2), np.float32), None)}))
    with pytest.raises(InvalidArgument, match=r"Row 1 of the batch has no loose\.n"):
        add(store, "loose", Batch(2, {"n": np.array([1, None], object)}, ("n",), {}))


def test_a_table_of_vectors_only_takes_batches(store: Store) -> None:
    create(store, TableSchema("bare", (VectorColumn("v", 2),)))
    add(store, "bare", Batch(2, None, (), {"v": VectorBatch(np.ones((2, 2), np.float32), None)}))
    table = store.state.table("bare")
    assert table.row_ids.tolist() == [0, 1]
    assert table.live.count == 2


def test_upsert_replaces_and_adds(store: Store, batch: MakeRows) -> None:
    add(store, "papers", batch([1, 2, 3]))
    assert upsert(store, "papers", batch([3, 4, 1], title="new", fill=100), "id") == 3
    assert contents(store) == {
        1: ("new1", [101.0] * DIM),
        2: ("t2", [2.0] * DIM),
        3: ("new3", [103.0] * DIM),
        4: ("new4", [104.0] * DIM),
    }


def test_upsert_keeps_what_it_is_not_given(store: Store, batch: MakeRows) -> None:
    add(store, "papers", batch([1, 2]))
    upsert(store, "papers", make_batch(PAPERS, {"id": [2, 3], "title": ["x", "y"]}, {}, partial=True), "id")
    vectors = {"embedding": np.full((1, DIM), 7, np.float32)}
    upsert(store, "papers", make_batch(PAPERS, {"id": [1]}, vectors, partial=True), "id")
    assert contents(store) == {1: ("t1", [7.0] * DIM), 2: ("x", [2.0] * DIM), 3: ("y", None)}


def test_upsert_keeps_the_row_id(store: Store) -> None:
    create(store, BY_NAME)
    add(store, "by_name", named(["a", "b"], n=[1, 2]))
    upsert(store, "by_name", named(["c", "b"]), "name")
    table = store.state.table("by_name")
    with store.read() as session:
        slots = session.slots_of_keys("by_name", ["a", "b", "c"])
        found = session.fetch("by_name", slots, ["name", "n"]).fetchall()
    assert table.row_ids[slots[:2]].tolist() == [0, 1]
    assert len(set(table.row_ids[slots].tolist())) == 3
    assert found == [("a", 1), ("b", 2), ("c", None)]


def test_upsert_of_a_new_row_needs_the_required_columns(store: Store) -> None:
    create(store, BY_NAME)
    add(store, "by_name", named(["a"]))
    upsert(store, "by_name", make_batch(BY_NAME, {"name": ["a"], "n": [9]}, {}, partial=True), "name")
    with pytest.raises(InvalidArgument, match="no column 'v'"):
        upsert(store, "by_name", make_batch(BY_NAME, {"name": ["a", "z"], "n": [9, 9]}, {}, partial=True), "name")


def test_upsert_refuses_a_key_twice(store: Store, batch: MakeRows) -> None:
    with pytest.raises(InvalidArgument, match=r"papers.id = 4 comes twice in the batch: which row"):
        upsert(store, "papers", batch([4, 5, 4]), "id")


def test_upsert_needs_the_primary_key(store: Store, batch: MakeRows) -> None:
    with pytest.raises(InvalidArgument, match="got on='title'"):
        upsert(store, "papers", batch([1]), "title")
    create(store, LOOSE)
    with pytest.raises(InvalidArgument, match="declare one as PRIMARY KEY"):
        upsert(store, "loose", Batch(1, {"n": np.array([1])}, ("n",), {}), "n")


def test_a_refused_batch_leaves_the_transaction_open_and_a_failed_one_does_not(store: Store, batch: MakeRows) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", batch([1]))
        with pytest.raises(AlreadyExists):
            transaction.insert("papers", batch([1]))
        transaction.insert("papers", batch([2]))
    assert sorted(contents(store)) == [1, 2]
    bad = Batch(1, {"id": np.array(["x"], object)}, ("id",), {})
    transaction = store.begin()
    transaction.insert("papers", batch([3]))
    with pytest.raises(InvalidArgument):
        transaction.insert("papers", bad)
    with pytest.raises(InvalidState, match="An earlier call"):
        transaction.insert("papers", batch([4]))
    with pytest.raises(InvalidState, match="rolled back"):
        transaction.__exit__(None, None, None)
    assert sorted(contents(store)) == [1, 2]
