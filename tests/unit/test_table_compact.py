"""`Table.compact`: what the user sees, indexes that follow, results found before, and compaction by itself."""

from __future__ import annotations

import errno
import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from brute_force import assert_allowed, assert_exact, by_id

import vdb
from vdb.errors import InvalidArgument, InvalidState
from vdb.index import manager
from vdb.index.recall import LEAST_ROWS
from vdb.query.request import SearchOptions, make_request
from vdb.storage import compact, files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIM = 6
ROWS = 300
GRAPH = vdb.HNSW(M=8, ef_construction=60)
Vectors = dict[int, np.ndarray]


@pytest.fixture(params=["disk", "memory"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[vdb.Database]:
    with vdb.connect(tmp_path / "d" if request.param == "disk" else ":memory:", threads=2) as opened:
        yield opened


def fill(db: vdb.Database) -> tuple[vdb.Table, Vectors]:
    """Rows 0 to 299 without every third, and a replaced vector: a table with holes."""
    x = np.random.default_rng(3).normal(size=(ROWS, DIM)).astype(np.float32)
    table = db.create_table("t", {"id": np.arange(ROWS), "name": [f"n{i}" for i in range(ROWS)]}, e=x, key="id")
    rows = dict(enumerate(x))
    table.delete("id % 3 = 0")
    table.update({"e": x[0]}, where="id = 4")
    return table, {key: row for key, row in rows.items() if key % 3} | {4: x[0]}


def assert_found(table: vdb.Table, rows: Vectors) -> None:
    """Wide enough walks find what a scan finds, and every row comes with its own columns."""
    for query in np.random.default_rng(5).normal(size=(4, DIM)):
        hits = table.search(query, 10, strategy="scan")
        assert_exact(hits, by_id(query, rows), 10)
        assert [row["name"] for row in hits] == [f"n{row['id']}" for row in hits]
        if any(info.kind == "hnsw" for info in table.list_indexes()):
            assert_exact(table.search(query, 10, strategy="graph", ef_search=500), by_id(query, rows), 10)
            assert_exact(table.search(query, 500, strategy="graph"), by_id(query, rows), 500)


def test_it_says_what_it_gave_back_and_so_do_the_stats(database: vdb.Database) -> None:
    table, rows = fill(database)
    before = table.stats()
    assert (before["dead_slots"], before["dead_bytes"]) == (101, {"e": 101 * DIM * 4})
    done = table.compact()
    assert done == vdb.Compaction(200, 101, 301 * DIM * 4, 200 * DIM * 4)
    after = table.stats()
    assert (after["rows"], after["dead_slots"], after["dead_bytes"]) == (200, 0, {"e": 0})
    assert after["vector_bytes"] == {"e": 200 * DIM * 4}
    assert_found(table, rows)


@pytest.mark.parametrize("spec", [GRAPH, vdb.Flat(codes="sq8"), vdb.Flat()], ids=["hnsw", "sq8", "flat"])
def test_an_index_follows_and_is_saved(
    tmp_path: Path, spec: vdb.HNSW | vdb.Flat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table, rows = fill(db)
        table.create_index("e", spec, name="i")
        table.add({"id": [900], "name": ["n900"]}, e=np.zeros((1, DIM)))
        table.delete(ids=[900, 5])
        del rows[5]
        table.compact()
        (info,) = table.list_indexes()
        assert info.covered == 199
        assert_found(table, rows)
        state = db.store.state.table("t")
        assert state.indexes["i"].covers_slots == 199
        assert [file.stem for file in (tmp_path / "d" / "index").iterdir()] == [state.indexes["i"].file]
    with vdb.connect(tmp_path / "d") as db:
        monkeypatch.setattr(db.indexes, "_rebuild", None)
        assert_found(db.table("t"), rows)
        assert db.table("t").list_indexes()[0].covered == 199
    assert caplog.text == ""


def test_an_index_that_nobody_used_since_the_open_follows_too(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table, rows = fill(db)
        table.create_index("e", GRAPH, name="i")
    with vdb.connect(tmp_path / "d") as db:
        db.table("t").compact()
    with vdb.connect(tmp_path / "d") as db:
        assert_found(db.table("t"), rows)


def test_an_index_goes_on_after_it(database: vdb.Database) -> None:
    table, rows = fill(database)
    table.create_index("e", GRAPH, name="i")
    table.compact()
    x = np.random.default_rng(8).normal(size=(50, DIM)).astype(np.float32)
    table.add({"id": np.arange(1000, 1050), "name": [f"n{i}" for i in range(1000, 1050)]}, e=x)
    table.delete("id BETWEEN 100 AND 120")
    rows = {key: row for key, row in rows.items() if not 100 <= key <= 120} | dict(enumerate(x, 1000))
    assert_found(table, rows)
    table.compact()
    assert_found(table, rows)
    assert table.list_indexes()[0].covered == len(rows)


def test_a_kind_that_can_be_renumbered_is_not_built_again(
    database: vdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, rows = fill(database)
    table.create_index("e", GRAPH, name="i")
    state = database.store.state.table("t")
    other = database.indexes._rebuild
    asked = []

    def renumbered(built: object, new_slot_of: np.ndarray, view: object, alive: vdb._core.RowSet) -> object:
        assert alive.count == 200
        asked.append((built, new_slot_of.tolist()))
        after = database.store.state.table("t")  # in the transaction: the new generation
        return other("l2", after.indexes["i"], after)

    old = database.indexes.built(state, state.indexes["i"])
    monkeypatch.setattr("vdb.index.manager.renumbered", renumbered)
    monkeypatch.setattr(database.indexes, "_rebuild", None)
    table.compact()
    ((built, moved),) = asked
    assert built is old
    assert [slot for slot in moved if slot != 2**32 - 1] == list(range(200))
    assert_found(table, rows)


def test_results_found_before_are_read_after_it(database: vdb.Database) -> None:
    table, rows = fill(database)
    hits = table.search(np.zeros(DIM), 20, select=["id", "name", "e"])
    batch = table.search(np.zeros((2, DIM)), 20)
    got = table.get([1, 2, 4])
    table.compact()
    table.delete(ids=[299])
    table.compact()
    assert [row["name"] for row in hits] == [f"n{key}" for key in hits.ids.tolist()]
    assert all(np.array_equal(row["e"], rows[row["id"]]) for row in hits)
    assert [row["name"] for row in batch[1]] == [row["name"] for row in hits]
    assert [row["name"] for row in got] == ["n1", "n2", "n4"]


@pytest.mark.parametrize("first", [True, False], ids=["change, compact", "compact, change"])
@pytest.mark.parametrize("change", ["delete", "replace"])
def test_a_row_that_changed_before_it_is_read_is_an_error(database: vdb.Database, change: str, first: bool) -> None:
    table, _ = fill(database)
    hits = table.search(np.zeros(DIM), 200)
    if not first:
        table.compact()
    if change == "delete":
        table.delete(ids=[7])
    else:
        table.upsert({"id": [7], "name": ["other"]}, e=np.ones((1, DIM)))
    table.compact()
    with pytest.raises(InvalidState, match="Row 7 of table t was deleted or replaced"):
        hits.to_dicts()
    assert 7 in hits.ids


def test_a_search_that_began_before_it_answers(database: vdb.Database) -> None:
    table, rows = fill(database)
    table.create_index("e", GRAPH, name="i")
    state = database.store.state.table("t")
    options = SearchOptions(None, None, None, None, None, 500, "graph")
    request = make_request(state.schema, np.zeros(DIM), 10, options)
    table.compact()
    hits = database.executor.search(state, request)
    assert_exact(hits, by_id(np.zeros(DIM), rows), 10)
    kept = [key[1] for key, slot in database.indexes._slots.items() if slot.built is not None]
    assert kept == [1]  # the old graph was not built again


def test_an_index_built_while_the_table_is_compacted_is_of_the_new_slots(database: vdb.Database) -> None:
    table, rows = fill(database)
    compacted = []

    def progress(done: int, total: int) -> None:
        if not compacted:
            compacted.append(True)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(table.compact).result()

    table.create_index("e", GRAPH, name="i", progress=progress)
    assert compacted
    assert table.stats()["dead_slots"] == 0
    assert_found(table, rows)


def test_an_index_measured_while_the_table_is_compacted_is_there_afterwards(
    db: vdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).normal(size=(LEAST_ROWS + 100, DIM)).astype(np.float32)
    table = db.create_table("t", {"id": np.arange(len(x))}, e=x, key="id")
    table.delete("id < 50")
    measure = manager.measure_curve

    def compact_and_measure(*args: Any) -> object:
        monkeypatch.setattr(manager, "measure_curve", measure)
        table.compact()
        return measure(*args)

    monkeypatch.setattr(manager, "measure_curve", compact_and_measure)
    table.create_index("e", GRAPH, name="i")
    assert table.stats()["dead_slots"] == 0
    assert table.search(x[60], 1, strategy="graph").ids.tolist() == [60]


def test_an_index_saved_while_the_table_is_compacted_is_not_listed(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table, rows = fill(db)
        table.create_index("e", GRAPH, name="i")
        table.add({"id": [500], "name": ["n500"]}, e=np.ones((1, DIM)))
        saved = db.indexes._snapshots.save

        def compact_too(*args: object) -> object:
            record = saved(*args)  # type: ignore[arg-type]
            db.indexes._snapshots.save = saved  # type: ignore[method-assign]
            table.compact()
            return record

        db.indexes._snapshots.save = compact_too  # type: ignore[method-assign,assignment]
        db.indexes.save()
        assert db.store.state.table("t").indexes["i"].covers_slots == 201
        assert_found(table, rows | {500: np.ones(DIM, np.float32)})


def test_it_is_refused_inside_a_transaction(database: vdb.Database) -> None:
    table, rows = fill(database)
    with database.transaction():
        with pytest.raises(InvalidState, match="compact it after the commit"):
            table.compact()
        table.delete(ids=[1])
    del rows[1]
    assert_found(table, rows)


def test_it_is_refused_where_nothing_may_be_written(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d") as db:
        fill(db)
    with vdb.connect(tmp_path / "d", read_only=True) as db, pytest.raises(InvalidState, match="read-only"):
        db.table("t").compact()


def test_progress_must_be_callable(database: vdb.Database) -> None:
    table, _ = fill(database)
    with pytest.raises(InvalidArgument, match="progress"):
        table.compact(progress=3)  # type: ignore[arg-type]


def test_progress_that_raises_undoes_it_with_its_indexes(database: vdb.Database) -> None:
    table, rows = fill(database)
    table.create_index("e", GRAPH, name="i")

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        table.compact(progress=stop)
    assert table.stats()["dead_slots"] == 101
    assert_found(table, rows)


def test_a_full_disk_while_an_index_is_saved_undoes_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(step: str, at: str) -> None:
        if step == "rename" and at.endswith(".idx"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with vdb.connect(tmp_path / "d") as db:
        table, rows = fill(db)
        table.create_index("e", GRAPH, name="i")
        folders = {name: sorted((tmp_path / "d" / name).iterdir()) for name in ("vectors", "index")}
        with monkeypatch.context() as patch:
            patch.setattr(files, "hook", hook)
            with pytest.raises(vdb.DiskFull):
                table.compact()
        assert {name: sorted((tmp_path / "d" / name).iterdir()) for name in folders} == folders
        assert [key[1] for key in db.indexes._slots] == [0]
        assert_found(table, rows)
        assert table.compact().dead_slots == 101


def test_every_step_leaves_rows_and_an_index_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the directory before any step opens with the index of its own slots, which is not built again."""
    copies: list[Path] = []

    def copy(step: str, at: str) -> None:
        copies.append(tmp_path / f"at{len(copies)}")
        shutil.copytree(tmp_path / "d", copies[-1])

    with vdb.connect(tmp_path / "d") as db:
        table, rows = fill(db)
        table.create_index("e", GRAPH, name="i")
        with monkeypatch.context() as patch:
            patch.setattr(files, "hook", copy)
            table.compact()
    slots = set()
    for path in copies:
        with vdb.connect(path) as db:
            monkeypatch.setattr(db.indexes, "_rebuild", None)
            assert_found(db.table("t"), rows)
            assert len(list((path / "index").iterdir())) == 1
            slots.add(db.table("t").list_indexes()[0].covered)
    assert slots == {301, 200}


def test_a_table_of_mostly_dead_slots_is_compacted_by_the_commit(
    database: vdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "_LEAST_DEAD_SLOTS", 150)
    table, rows = fill(database)
    assert table.stats()["dead_slots"] == 101
    table.delete("id < 100")
    assert table.stats()["dead_slots"] == 0
    rows = {key: row for key, row in rows.items() if key >= 100}
    assert_found(table, rows)
    with database.transaction():
        table.upsert({"id": np.arange(101, 300, 3)}, e=np.ones((67, DIM)))
        table.delete("id % 3 = 2")
        assert table.stats()["dead_slots"] == 134
    assert table.stats()["dead_slots"] == 134
    table.delete("id > 250")
    assert table.stats()["dead_slots"] == 0


def test_a_compaction_by_itself_that_fails_leaves_the_commit_and_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    def hook(step: str, at: str) -> None:
        if step == "create" and at.endswith(".vec"):
            tries.append(at)
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compact, "_LEAST_DEAD_SLOTS", 10)
    with vdb.connect(tmp_path / "d") as db:
        table, rows = fill(db)
        with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
            patch.setattr(files, "hook", hook)
            assert table.delete("id < 100") == 66
            assert table.delete("id < 103") == 2
        assert (len(tries), caplog.text.count("was not compacted")) == (1, 1)
        assert table.stats()["dead_slots"] == 169
        rows = {key: row for key, row in rows.items() if key >= 103}
        assert_found(table, rows)
        table.add({"id": np.arange(1000, 1200)}, e=np.zeros((200, DIM)))
        table.delete("id >= 1000")
        assert table.stats()["dead_slots"] == 0


def test_searches_beside_compactions_are_right(database: vdb.Database) -> None:
    """Readers search and read columns while a writer deletes, adds and compacts: no row is another row."""
    table, _ = fill(database)
    table.create_index("e", GRAPH, name="i")
    done = threading.Event()

    def write() -> None:
        try:
            for round_ in range(15):
                keys = np.arange(2000 + 20 * round_, 2020 + 20 * round_)
                x = np.random.default_rng(round_).normal(size=(20, DIM))
                table.add({"id": keys, "name": [f"n{key}" for key in keys]}, e=x)
                table.delete("id >= 2000 AND id < ?", [2000 + 20 * round_ - 40])
                table.compact()
        finally:
            done.set()

    def read(seed: int) -> int:
        rng, count = np.random.default_rng(seed), 0
        while not done.is_set() or count == 0:
            for strategy, where in (("graph", None), ("scan", None), ("auto", "id % 2 = 0")):
                hits = table.search(rng.normal(size=DIM), 5, strategy=strategy, where=where)
                assert len(hits) == 5
                try:
                    rows = hits.to_dicts()
                except InvalidState as error:
                    if "was deleted or replaced" not in str(error):
                        raise
                    continue
                assert [row["name"] for row in rows] == [f"n{row['id']}" for row in rows]
                assert [row["id"] for row in rows] == hits.ids.tolist()
                count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        writer = pool.submit(write)
        assert all(future.result() for future in [pool.submit(read, seed) for seed in range(3)])
        writer.result()
    rows = {row["id"]: row["e"] for row in table.get(list(range(3000)), select=["id", "e"])}
    assert_allowed(table.search(np.zeros(DIM), 10), by_id(np.zeros(DIM), rows), 10)
