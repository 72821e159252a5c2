from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from papers import PAPERS, MakeRows, contents

from vdb.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound
from vdb.storage.state import IndexRecord
from vdb.types import Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from pathlib import Path

    from vdb.storage.store import Store

OTHER = TableSchema('Other "q" ; --', (Column("a b", "INTEGER"), VectorColumn("v", 2)))


def test_an_exception_rolls_everything_back(store: Store, batch: MakeRows) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", batch([1, 2]))
    before = store.state

    def change_and_fail() -> None:
        with store.begin() as transaction:
            transaction.insert("papers", batch([3, 4]))
            transaction.delete("papers", np.array([0], np.uint32))
            transaction.create_table(OTHER)
            transaction.put_index(IndexRecord("h", "papers", "embedding", "hnsw", {}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert store.state is before
    assert sorted(contents(store)) == [1, 2]
    with store.begin() as transaction:
        transaction.insert("papers", batch([5], fill=1))
    assert contents(store)[5][1] == [6.0] * 8


def test_several_writes_are_one_commit(store: Store, batch: MakeRows) -> None:
    seq = store.state.seq
    with store.begin() as transaction:
        transaction.insert("papers", batch([1, 2]))
        transaction.insert("papers", batch([3]))
        transaction.delete("papers", transaction.slots_of_keys("papers", [2]))
        transaction.upsert("papers", batch([1, 4], title="n"), "id")
    assert store.state.seq == seq + 1
    assert {key: row[0] for key, row in contents(store).items()} == {1: "n1", 3: "t3", 4: "n4"}


def test_commit_returns_its_sequence(store: Store, batch: MakeRows) -> None:
    transaction = store.begin()
    transaction.insert("papers", batch([1]))
    seq = transaction.commit()
    assert seq == store.state.seq
    assert store.has_commit(seq)
    assert not store.has_commit(seq + 1)


def test_an_ended_transaction_is_of_no_more_use(store: Store, batch: MakeRows) -> None:
    transaction = store.begin()
    transaction.rollback()
    transaction.rollback()
    for call in (transaction.commit, lambda: transaction.insert("papers", batch([1]))):
        with pytest.raises(InvalidState, match="has ended"):
            call()


def test_transactions_do_not_nest(store: Store) -> None:
    with store.begin():
        with pytest.raises(InvalidState, match="do not nest"):
            store.begin()
        with pytest.raises(InvalidState, match="transaction is open"):
            store.close()


def test_a_second_writer_waits_for_the_first(store: Store, batch: MakeRows) -> None:
    order: list[str] = []

    def write() -> None:
        with store.begin() as transaction:
            order.append("second")
            transaction.insert("papers", batch([2]))

    thread = threading.Thread(target=write)
    with store.begin() as transaction:
        thread.start()
        transaction.insert("papers", batch([1]))
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert sorted(contents(store)) == [1, 2]


def test_a_transaction_belongs_to_its_thread(store: Store, batch: MakeRows) -> None:
    caught: list[BaseException] = []
    with store.begin() as transaction:

        def write() -> None:
            try:
                transaction.insert("papers", batch([1]))
            except InvalidState as error:
                caught.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert "another thread" in str(caught[0])


@pytest.mark.parametrize("name", ["papers", "PAPERS"])
def test_a_table_name_is_taken_in_any_case(store: Store, name: str) -> None:
    with pytest.raises(AlreadyExists, match="table 'papers' already"), store.begin() as transaction:
        transaction.create_table(TableSchema(name, (Column("a", "INTEGER"),)))


def test_names_that_need_quoting_work(store: Store) -> None:
    from vdb.storage.batch import make_batch

    with store.begin() as transaction:
        transaction.create_table(OTHER)
        transaction.insert(OTHER.name, make_batch(OTHER, {"a b": [1]}, {"v": np.ones((1, 2))}))
    with store.read() as session:
        assert session.fetch(OTHER.name, np.array([0], np.uint32), ["a b"]).fetchall() == [(1,)]
    with store.begin() as transaction:
        transaction.drop_table(OTHER.name)
    assert list(store.state.tables) == ["papers"]


def test_a_dropped_table_is_gone_with_its_file(store: Store, batch: MakeRows) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", batch(range(3)))
    old = store.state.table("papers")
    with store.begin() as transaction:
        transaction.drop_table("papers")
        transaction.create_table(PAPERS)
        transaction.insert("papers", batch([7]))
    assert sorted(contents(store)) == [7]
    assert store.state.table("papers").id != old.id
    assert old.vectors["embedding"].data[2, 0] == 2.0
    if store.path is not None:
        assert len(list((store.path / "vectors").iterdir())) == 1
    with pytest.raises(NotFound, match="no table 'x'"), store.begin() as transaction:
        transaction.drop_table("x")


def test_rolling_back_a_new_table_removes_its_file(store: Store) -> None:
    with store.begin() as transaction:
        transaction.create_table(OTHER)
        transaction.rollback()
    assert list(store.state.tables) == ["papers"]
    if store.path is not None:
        assert len(list((store.path / "vectors").iterdir())) == 1


def test_indexes_are_listed_replaced_and_dropped(store: Store) -> None:
    record = IndexRecord("h", "papers", "embedding", "hnsw", {"M": 16})
    with store.begin() as transaction:
        transaction.put_index(record)
    assert store.state.table("papers").indexes == {"h": record}
    with pytest.raises(NotFound, match=r"no index 'g'\. Indexes: h"), store.begin() as transaction:
        transaction.drop_index("papers", "g")
    with pytest.raises(InvalidArgument, match="title is not a vector column"), store.begin() as transaction:
        transaction.put_index(IndexRecord("x", "papers", "title", "hnsw", {}))
    with store.begin() as transaction:
        transaction.drop_index("papers", "h")
    assert store.state.table("papers").indexes == {}


def test_a_replaced_index_snapshot_is_deleted(path: Path) -> None:
    from vdb.storage.store import Store as Opened

    store = Opened.open(path)
    files = []
    for content in (b"one", b"two"):
        file = store.save_index(lambda target, content=content: target.write_bytes(content))
        assert file is not None
        with store.begin() as transaction:
            transaction.put_index(IndexRecord("h", "papers", "embedding", "hnsw", {}, file, 10, store.state.seq))
        files.append(store.index_path(file))
    assert files[1] is not None
    assert files[1].read_bytes() == b"two"
    assert [entry.name for entry in (path / "index").iterdir()] == [files[1].name]
    store.close()
