from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from papers import DIM, MakeRows, contents

from vdb.errors import DimensionMismatch, InvalidArgument
from vdb.storage.batch import make_batch
from vdb.types import Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from vdb.storage.store import Store

TWO = TableSchema("two", (Column("n", "INTEGER", False), VectorColumn("a", 2), VectorColumn("b", 2, nullable=False)))


@pytest.fixture(autouse=True)
def _filled(store: Store, batch: MakeRows) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", batch(range(5)))


def slots(*values: int) -> np.ndarray:
    return np.array(values, np.uint32)


def test_attributes_change_in_place(store: Store) -> None:
    before = store.state.table("papers")
    with store.begin() as transaction:
        assert transaction.update("papers", slots(3, 1), {"title": "x"}, {}) == 2
    assert {key: row[0] for key, row in contents(store).items()} == {0: "t0", 1: "x", 2: "t2", 3: "x", 4: "t4"}
    after = store.state.table("papers")
    assert after.next_slot == before.next_slot
    assert after.live == before.live


def test_a_new_vector_takes_a_new_slot_and_keeps_the_row_id(store: Store) -> None:
    old = store.state.table("papers")
    with store.begin() as transaction:
        assert transaction.update("papers", slots(4, 2), {}, {"embedding": np.full(DIM, 9, np.float32)}) == 2
    table = store.state.table("papers")
    assert table.next_slot == 7
    assert table.live.to_slots().tolist() == [0, 1, 3, 5, 6]
    assert table.row_ids[5:].tolist() == [2, 4]
    assert contents(store)[2] == ("t2", [9.0] * DIM)
    assert contents(store)[4] == ("t4", [9.0] * DIM)
    assert old.vectors["embedding"].data[2].tolist() == [2.0] * DIM


def test_a_vector_can_be_removed(store: Store) -> None:
    with store.begin() as transaction:
        transaction.update("papers", slots(0), {"title": None}, {"embedding": None})
    assert contents(store)[0] == (None, None)


def test_other_vectors_of_an_updated_row_are_kept(store: Store) -> None:
    a, b = np.array([[1, 1], [0, 0]], np.float32), np.array([[3, 3], [4, 4]], np.float32)
    with store.begin() as transaction:
        transaction.create_table(TWO)
        transaction.insert("two", make_batch(TWO, {"n": [10, 20]}, {"a": [a[0], None], "b": b}))
        transaction.update("two", slots(0, 1), {}, {"b": np.array([7, 8], np.float32)})
    table = store.state.table("two")
    assert table.vectors["a"].data[2:].tolist() == a.tolist()
    assert table.vectors["b"].data[2:].tolist() == [[7, 8], [7, 8]]
    assert table.vectors["a"].present is not None
    assert (table.live & table.vectors["a"].present).to_slots().tolist() == [2]
    assert table.vectors["b"].present is None


def test_a_deleted_row_is_never_returned(store: Store) -> None:
    with store.begin() as transaction:
        assert transaction.delete("papers", slots(1, 1, 4)) == 2
        assert transaction.delete("papers", slots(1)) == 0
    assert sorted(contents(store)) == [0, 2, 3]
    with store.read() as session:
        assert sorted(session.slots("papers").tolist()) == [0, 2, 3]


def test_dead_slots_are_not_updated(store: Store) -> None:
    with store.begin() as transaction:
        transaction.delete("papers", slots(1))
        assert transaction.update("papers", slots(1), {"title": "x"}, {"embedding": None}) == 0
    assert store.state.table("papers").next_slot == 5


def test_nothing_to_change_makes_no_commit(store: Store) -> None:
    seq = store.state.seq
    with store.begin() as transaction:
        transaction.update("papers", slots(), {"title": "x"}, {})
        transaction.delete("papers", slots())
    assert store.state.seq == seq


@pytest.mark.parametrize(
    ("values", "vectors", "error", "words"),
    [
        ({"id": 3}, {}, InvalidArgument, "primary key and cannot be set"),
        ({"titel": 3}, {}, InvalidArgument, "Did you mean 'title'"),
        ({"embedding": None}, {}, InvalidArgument, r"papers.embedding is FLOAT\[8\]"),
        ({}, {"title": np.ones(DIM, np.float32)}, InvalidArgument, "papers.title is VARCHAR"),
        ({}, {"embedding": np.ones(3, np.float32)}, DimensionMismatch, r"shape \(3,\); papers.embedding is FLOAT\[8\]"),
    ],
)
def test_a_bad_update_changes_nothing(
    store: Store, values: dict[str, object], vectors: dict[str, np.ndarray], error: type[Exception], words: str
) -> None:
    before = contents(store)
    with pytest.raises(error, match=words), store.begin() as transaction:
        transaction.update("papers", slots(0), values, vectors)
    assert contents(store) == before


def test_null_is_refused_where_none_may_be(store: Store) -> None:
    with store.begin() as transaction:
        transaction.create_table(TWO)
        transaction.insert("two", make_batch(TWO, {"n": [1]}, {"b": np.ones((1, 2), np.float32)}))
    for values, vectors in (({"n": None}, {}), ({}, {"b": None})):
        with pytest.raises(InvalidArgument, match="declared NOT NULL"), store.begin() as transaction:
            transaction.update("two", slots(0), values, vectors)


def test_numpy_and_list_values_are_set(store: Store) -> None:
    kinds = TableSchema("kinds", (Column("n", "INTEGER"), Column("tags", "VARCHAR[]")))
    with store.begin() as transaction:
        transaction.create_table(kinds)
        transaction.insert("kinds", make_batch(kinds, {"n": [1]}, {}))
        transaction.update("kinds", slots(0), {"n": np.int64(5), "tags": np.array(["a", "b"])}, {})
    with store.read() as session:
        assert session.fetch("kinds", slots(0), ["n", "tags"]).fetchall() == [(5, ["a", "b"])]
