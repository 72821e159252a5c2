from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from papers import DIM, MakeRows

from vdb._core import ABSENT_SLOT
from vdb.errors import InvalidArgument, InvalidState, NotFound, PredicateError
from vdb.types import Column, Predicate, TableSchema

if TYPE_CHECKING:
    from vdb.storage.store import Store


@pytest.fixture(autouse=True)
def _filled(store: Store, batch: MakeRows) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", batch([10, 11, 12, 13]))
        transaction.delete("papers", np.array([1], np.uint32))


def where(sql: str, *parameters: object) -> Predicate:
    return Predicate(sql, parameters, frozenset())


def test_a_predicate_chooses_slots_and_null_is_not_true(store: Store) -> None:
    with store.begin() as transaction:
        transaction.update("papers", np.array([2], np.uint32), {"title": None}, {})
    with store.read() as session:
        assert session.slots("papers", where("id >= $1", 12)).tolist() == [2, 3]
        assert session.slots("papers", where("NOT (title = 't10')")).tolist() == [3]
        assert session.slots("papers", where("embedding IS NULL")).tolist() == []
        named = Predicate("id = $i", {"i": 13}, frozenset())
        assert session.slots("papers", named).tolist() == [3]


def test_without_a_predicate_every_live_row_is_chosen(store: Store) -> None:
    with store.read() as session:
        assert session.slots("papers").tolist() == [0, 2, 3]
    assert store.matching("papers", None)[1].tolist() == [0, 2, 3]


def test_fetch_keeps_the_order_asked_for_and_repeats(store: Store) -> None:
    asked = np.array([3, 0, 3], np.uint32)
    extra = {"_distance": np.array([0.5, 1.5, 2.5], np.float32), "query": np.array([0, 1, 2])}
    with store.read() as session:
        found = session.fetch("papers", asked, ["title", "id"], extra)
        assert [column[0] for column in found.description] == ["title", "id", "_distance", "query"]
        assert found.fetchall() == [("t13", 13, 0.5, 0), ("t10", 10, 1.5, 1), ("t13", 13, 2.5, 2)]


def test_fetch_gives_vectors_and_frames(store: Store) -> None:
    with store.read() as session:
        (row,) = session.fetch("papers", np.array([2], np.uint32), ["embedding"]).fetchall()
        assert list(row[0]) == [12.0] * DIM
        frame = session.fetch("papers", np.array([0, 2], np.uint32), ["id", "embedding"]).df()
    assert frame["id"].tolist() == [10, 12]
    assert np.stack(frame["embedding"].tolist()).dtype == np.float32


def test_fetch_of_no_rows_has_the_columns(store: Store) -> None:
    with store.read() as session:
        found = session.fetch("papers", np.array([], np.uint32), ["id", "embedding"], {"_distance": np.array([])})
        assert [column[0] for column in found.description] == ["id", "embedding", "_distance"]
        assert found.fetchall() == []


def test_a_column_named_like_an_extra_one_is_not_mixed_up(store: Store) -> None:
    odd = TableSchema("odd", (Column("query", "INTEGER"), Column("b", "INTEGER"), Column("t", "INTEGER")))
    from vdb.storage.batch import make_batch

    with store.begin() as transaction:
        transaction.create_table(odd)
        transaction.insert("odd", make_batch(odd, {"query": [7], "b": [8], "t": [9]}, {}))
    with store.read() as session:
        slots = np.array([0], np.uint32)
        assert session.fetch("odd", slots, ["query", "b", "t"], {"query": np.array([1])}).fetchall() == [(7, 8, 9, 1)]


def test_keys_are_looked_up_in_order(store: Store) -> None:
    with store.read() as session:
        assert session.slots_of_keys("papers", [13, 11, 10, -5]).tolist() == [3, ABSENT_SLOT, 0, ABSENT_SLOT]
        assert session.slots_of_keys("papers", np.array([12], np.int8)).tolist() == [2]
        assert session.slots_of_keys("papers", []).tolist() == []


@pytest.mark.parametrize("keys", [["x"], [1.5], [[1], [2]], [None]])
def test_keys_of_another_kind_are_refused(store: Store, keys: list[object]) -> None:
    with store.read() as session, pytest.raises(InvalidArgument, match="Keys of table papers"):
        session.slots_of_keys("papers", keys)


def test_what_is_missing_is_named(store: Store) -> None:
    with store.read() as session:
        with pytest.raises(NotFound, match=r"no table 'paper'.*Did you mean 'papers'"):
            session.slots("paper")
        with pytest.raises(InvalidArgument, match=r"no column 'titel'.*Did you mean 'title'"):
            session.fetch("papers", np.array([0], np.uint32), ["titel"])


def test_a_predicate_that_fails_on_a_row_is_a_predicate_error(store: Store) -> None:
    with store.read() as session, pytest.raises(PredicateError, match="Could not convert string 't1"):
        session.slots("papers", where("title::INTEGER > 3"))


def test_a_session_sees_one_state_however_many_commits_pass(store: Store, batch: MakeRows) -> None:
    with store.read() as session:
        before = session.slots("papers", where("TRUE")).tolist()
        thread = threading.Thread(target=_commit_many, args=(store, batch))
        thread.start()
        thread.join()
        assert session.slots("papers", where("TRUE")).tolist() == before
        assert session.state is not store.state
        assert session.slots("papers").tolist() == before
    assert len(store.matching("papers", where("TRUE"))[1]) == len(before) + 20


def _commit_many(store: Store, batch: MakeRows) -> None:
    for key in range(100, 120):
        with store.begin() as transaction:
            transaction.insert("papers", batch([key]))


def test_sessions_and_matching_never_mix_states(store: Store, batch: MakeRows) -> None:
    failures: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            with store.read() as session:
                if set(session.slots("papers", where("TRUE")).tolist()) != set(session.slots("papers").tolist()):
                    failures.append("session")
            state, slots = store.matching("papers", where("TRUE"))
            if set(slots.tolist()) != set(state.table("papers").live.to_slots().tolist()):
                failures.append("matching")

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    _commit_many(store, batch)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_nested_session_is_the_outer_one(store: Store) -> None:
    with store.read() as outer, store.read() as inner:
        assert inner is outer


def test_closing_inside_a_session_is_refused(store: Store) -> None:
    with store.read(), pytest.raises(InvalidState, match="read is open"):
        store.close()


def test_a_transaction_reads_its_own_writes(store: Store, batch: MakeRows) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", batch([99]))
        with store.read() as session:
            assert session is transaction
            assert session.slots_of_keys("papers", [99]).tolist() == [4]
        assert store.state.table("papers").live.count == 4
        assert len(store.matching("papers", where("id = 99"))[1]) == 1
        other: list[int] = []
        thread = threading.Thread(target=lambda: other.append(store.state.table("papers").live.count))
        thread.start()
        thread.join()
        assert other == [3]
        transaction.rollback()
    assert store.state.table("papers").live.count == 3


def test_an_unread_result_is_in_nobodys_way(store: Store, batch: MakeRows) -> None:
    with store.read() as session:
        for _ in range(3):
            session.fetch("papers", np.array([3, 0], np.uint32), ["id"]).fetchone()
    with store.begin() as transaction:
        transaction.fetch("papers", np.array([3, 0], np.uint32), ["id"]).fetchone()
        transaction.insert("papers", batch([50]))
        transaction.fetch("papers", np.array([3, 0], np.uint32), ["id"])
    with store.read() as session:
        assert session.slots_of_keys("papers", [50]).tolist() == [4]
