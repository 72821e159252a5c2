"""Threads: searches beside writes see one state each, and never a row that fails their predicate."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable

READERS = 8
ROUNDS = 10
DIM = 8


def together(db: vdb.Database, write: Callable[[], None], read: Callable[[int, int], None]) -> int:
    """Run `write` in one thread and `read(thread, turn)` in eight until it ends; how many reads there were."""
    done = threading.Event()

    def reader(number: int) -> int:
        turn = 0
        while not done.is_set() or turn < 3:
            read(number, turn)
            turn += 1
        return turn

    with ThreadPoolExecutor(READERS) as pool:
        turns = [pool.submit(reader, number) for number in range(READERS)]
        try:
            write()
        finally:
            done.set()
        return sum(turn.result() for turn in turns)


@pytest.mark.parametrize("strategy", ["auto", "scan", "graph", "post"])
def test_searches_beside_writes_return_only_rows_that_satisfy_their_predicate(strategy: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, DIM)).astype(np.float32)
    with vdb.connect(":memory:") as db:
        schema = {"id": "BIGINT PRIMARY KEY", "part": "INTEGER", "e": f"FLOAT[{DIM}]"}
        table = db.create_table("t", schema)
        table.add({"id": np.arange(300), "part": np.arange(300) % 3}, e=x[:300])
        table.create_index("e", vdb.HNSW(M=6, ef_construction=30))

        def write() -> None:
            for turn in range(ROUNDS):
                ids = np.arange(300 + turn * 20, 320 + turn * 20)
                table.add({"id": ids, "part": ids % 3}, e=x[ids])
                table.delete(ids=ids[:7] - 300)
                table.update({"e": x[turn]}, where="id = ?", params=[int(ids[8])])

        def read(number: int, turn: int) -> None:
            part = (number + turn) % 3
            hits = table.search(x[turn % 2000], 15, where="part = ?", params=[part], strategy=strategy)
            assert len(hits) == 15
            assert (hits.ids % 3 == part).all()
            assert (np.diff(hits.distances) >= 0).all()
            hits = table.search(x[:2], 5, strategy=strategy)
            assert hits.ids.shape == (2, 5)
            assert (hits.ids >= 0).all()

        assert together(db, write, read) >= 3 * READERS
        left = [i for i in range(300 + 20 * ROUNDS) if i >= 20 * ROUNDS or i % 20 >= 7]
        assert sorted(table.search(x[0], 5000, strategy=strategy).ids.tolist()) == left


def test_reader_sees_all_of_a_commit_or_nothing() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "turn": "INTEGER", "e": "FLOAT[2]"})
        table.add({"id": np.arange(10), "turn": [0] * 10}, e=np.zeros((10, 2)))

        def write() -> None:
            for turn in range(1, ROUNDS):
                with db.transaction():
                    table.delete("turn = ?", [turn - 1])
                    table.add({"id": np.arange(turn * 10, turn * 10 + 10), "turn": [turn] * 10}, e=np.zeros((10, 2)))

        def read(number: int, turn: int) -> None:
            for where in (None, "TRUE"):
                ids = table.search([0, 0], 50, where=where).ids
                assert len(ids) == 10
                assert len(set((ids // 10).tolist())) == 1
            assert table.count("TRUE") == len(table) == 10

        together(db, write, read)


def test_writers_take_turns() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[2]"})
        table.create_index("e", vdb.HNSW(M=4, ef_construction=20))

        def write(number: int) -> None:
            for turn in range(10):
                table.add({"id": [number * 100 + turn]}, e=[[number, turn]])

        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(write, range(READERS)))
        assert len(table) == 10 * READERS
        assert table.list_indexes()[0].covered == 10 * READERS
        hits = table.search([0, 0], 100, strategy="graph")
        assert sorted(hits.ids.tolist()) == [number * 100 + turn for number in range(READERS) for turn in range(10)]


def test_first_use_of_an_index_by_many_threads_loads_it_once(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(500, DIM)).astype(np.float32)
    with vdb.connect(f"{tmp_path}/d") as db:
        db.create_table("t", {"id": np.arange(500)}, e=x, key="id").create_index("e", vdb.HNSW(M=6))
    with vdb.connect(f"{tmp_path}/d") as db:
        loads = []
        load = db.indexes._load
        monkeypatch.setattr(db.indexes, "_load", lambda *a: loads.append(1) or load(*a))
        gate = threading.Barrier(READERS)

        def read(number: int) -> list[int]:
            gate.wait()
            return db.table("t").search(x[number], 1, strategy="graph").ids.tolist()

        with ThreadPoolExecutor(READERS) as pool:
            assert list(pool.map(read, range(READERS))) == [[i] for i in range(READERS)]
        assert len(loads) == 1


def test_close_waits_for_running_searches_and_refuses_later_ones() -> None:
    x = np.random.default_rng(0).normal(size=(500, DIM)).astype(np.float32)
    db = vdb.connect(":memory:")
    table = db.create_table("t", {"id": np.arange(500)}, e=x, key="id")
    started = threading.Barrier(5)

    def read(number: int) -> type[BaseException] | None:
        started.wait()
        try:
            while True:
                assert len(table.search(x[number], 3, where="id >= 0").to_dicts()) == 3
        except vdb.VdbError as error:
            return type(error)

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, number) for number in range(4)]
        started.wait()
        db.close()
        assert {reader.result() for reader in readers} == {vdb.InvalidState}
