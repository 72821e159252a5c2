"""Graphs of tables whose rows die: repaired by themselves, in slices, beside searches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from brute_force import assert_exact, by_id

import vdb
from vdb import _core
from vdb.index import repair
from vdb.index.repair import Repair, dead_nodes

if TYPE_CHECKING:
    from pathlib import Path

DIM = 6
ROWS = 1200
SPEC = vdb.HNSW(M=6, ef_construction=40)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(2 * ROWS, DIM)).astype(np.float32)


def make(db: vdb.Database, x: np.ndarray) -> vdb.Table:
    table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
    table.create_index("e", SPEC, name="h")
    return table


def graph_of(db: vdb.Database) -> _core.Hnsw:
    state = db.store.state.table("t")
    return db.indexes.graph(state, state.indexes["h"])


def dead(table: vdb.Table) -> int:
    (info,) = table.list_indexes()
    assert info.dead_nodes is not None
    return info.dead_nodes


def test_few_dead_nodes_stay_and_are_shown_and_many_leave(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = make(db, x)
        assert dead(table) == 0
        table.delete("id < 100")
        assert dead(table) == table.stats()["indexes"]["h"].dead_nodes == 100
        assert graph_of(db).size == ROWS
        table.delete("id < 300")
        assert dead(table) == 0
        assert graph_of(db).size == ROWS - 300
        graph_of(db).check()
        expected = {i: x[i] for i in range(300, ROWS)}
        assert_exact(table.search(x[0], 10, strategy="graph", ef_search=ROWS), by_id(x[0], expected), 10)


def test_replaced_rows_die_too(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = make(db, x)
        table.upsert({"id": np.arange(400)}, e=x[ROWS : ROWS + 400])
        assert dead(table) == 0
        assert graph_of(db).size == ROWS
        table.update({"e": x[-1]}, where="id >= 1000")
        table.delete("TRUE")
        assert dead(table) == graph_of(db).size == 0
        assert len(table.search(x[0]).ids) == 0
        table.add({"id": [1, 2]}, e=x[:2])
        assert table.search(x[1], 5, strategy="graph").ids.tolist() == [2, 1]


def test_a_repair_takes_as_many_commits_as_its_slices_need(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "_LEAST_NODES", 1)
    monkeypatch.setattr(repair, "_NODES_PER_ROW", 1)
    with vdb.connect(":memory:") as db:
        table = make(db, x)
        table.delete(f"id < {ROWS // 4}")
        commits = 0
        while dead(table):
            table.add({"id": [ROWS + commits]}, e=x[[ROWS + commits]])
            graph_of(db).check()
            commits += 1
        assert commits > 0
        expected = {i: x[i] for i in range(ROWS // 4, ROWS + commits)}
        assert_exact(table.search(x[0], 10, strategy="graph", ef_search=ROWS), by_id(x[0], expected), 10)


def test_a_slice_is_as_large_as_the_rows_of_its_commit_are_worth(
    x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Recorder:
        size, covered = ROWS, ROWS

        def repair(self, view: object, rows: object, steps: int, threads: int) -> bool:
            asked.append(steps)
            return False

    monkeypatch.setattr(repair, "_LEAST_NODES", 100)
    with vdb.connect(":memory:") as db:
        table = make(db, x)
        progress = Repair()
        progress.start_at(db.store.state.table("t"))
        for where in ("id < 100", "id < 300", "id < 301", "id < 801"):
            table.delete(where)
            state = db.store.state.table("t")
            progress.go_on(Recorder(), state, None, state.live, 1)  # type: ignore[arg-type]
    assert asked == [200 * 16, 100, 500 * 16]  # 100 of 1,200 are too few to begin


def test_dead_nodes_are_counted_among_the_covered_rows(x: np.ndarray) -> None:
    graph = _core.Hnsw(DIM, "l2", M=6, ef_construction=40)
    graph.extend(_core.VectorView(x[:100], "l2"))
    assert dead_nodes(graph, _core.RowSet.from_range(30, 150, 150)) == 30
    assert dead_nodes(graph, _core.RowSet.from_range(0, 150, 150)) == 0


def test_a_repaired_graph_is_saved_although_it_covers_no_more(tmp_path: Path, x: np.ndarray) -> None:
    with vdb.connect(tmp_path / "d") as db:
        make(db, x)
    with vdb.connect(tmp_path / "d") as db:
        db.table("t").list_indexes()
        db.table("t").delete("id < 300")
        assert graph_of(db).size == ROWS - 300
    with vdb.connect(tmp_path / "d", read_only=True) as db:
        assert graph_of(db).size == ROWS - 300
        assert graph_of(db).covered == ROWS
        assert dead(db.table("t")) == 0


def test_searches_beside_deletes_and_repairs_always_get_k_living_rows(x: np.ndarray) -> None:
    k, kept = 5, 2 * ROWS - 20  # ids from `kept` on are never deleted
    wrong: list[object] = []
    done = threading.Event()
    with vdb.connect(":memory:") as db:
        table = make(db, x)
        table.add({"id": np.arange(kept, 2 * ROWS)}, e=x[kept:])

        def read(seed: int) -> None:
            queries = np.random.default_rng(seed).normal(size=(50, DIM))
            while True:
                last = done.is_set()
                for query in queries[:: 1 if last else 10]:
                    gone = deleted[0]
                    found = table.search(query, k, strategy="graph").ids.tolist()
                    if len(found) != k or any(i < gone for i in found):
                        wrong.append((gone, found))
                if last:
                    return

        deleted = [0]  # ids below were deleted by a commit that has ended
        readers = [threading.Thread(target=read, args=(seed,)) for seed in range(2)]
        for reader in readers:
            reader.start()
        for step in range(6):
            table.delete(f"id < {(step + 1) * 200}")
            deleted[0] = (step + 1) * 200
            table.add({"id": np.arange(ROWS + step * 50, ROWS + step * 50 + 50)}, e=x[ROWS + step * 50 :][:50])
        done.set()
        for reader in readers:
            reader.join()
        assert wrong == []
        graph_of(db).check()
        assert graph_of(db).size - dead(table) == table.count()


def test_python_repairs_in_slices_and_renumbers(x: np.ndarray) -> None:
    view = _core.VectorView(x, "l2")
    graph = _core.Hnsw(DIM, "l2", M=6, ef_construction=40)
    graph.extend(view)
    alive = _core.RowSet.from_range(500, 2 * ROWS, 2 * ROWS)
    slices = 1
    while not graph.repair(view, alive, steps=1000):
        slices += 1
    assert slices > 1
    assert graph.size == alive.count
    numbers = np.full(2 * ROWS, _core.ABSENT_SLOT, np.uint32)
    numbers[500:] = np.arange(2 * ROWS - 500)
    dense = graph.renumbered(numbers, 2 * ROWS - 500)
    dense.check()
    assert dense.size == dense.covered == 2 * ROWS - 500
    slots, distances, _ = dense.search(_core.VectorView(x[500:].copy(), "l2"), x[:20], 5, 50)
    then, same, _ = graph.search(view, x[:20], 5, 50)
    assert (slots + 500 == then).all()
    assert (distances == same).all()
    with pytest.raises(vdb.InvalidArgument, match="expected a number"):
        graph.renumbered(numbers[::-1].copy(), 2 * ROWS)
