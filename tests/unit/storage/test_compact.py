"""Compaction of one table: what it keeps, gives back and refuses, and what every step of it leaves on the disk."""

from __future__ import annotations

import errno
import gc
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from papers import DIM, PAPERS, contents

from vdb._core import ABSENT_SLOT, RowSet
from vdb.errors import Corrupted, DiskFull, InvalidState
from vdb.storage import catalog, compact, files, verify
from vdb.storage.batch import make_batch
from vdb.storage.state import Generation, IndexRecord, TableState
from vdb.storage.store import Store
from vdb.storage.vector_file import VectorFile
from vdb.types import Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from papers import MakeRows

    from vdb.storage.compact import Compaction

NO_ROOM = OSError(errno.ENOSPC, "No space left on device")
MAPS = Path("/proc/self/maps")


def delete(store: Store, keys: list[int]) -> None:
    with store.begin() as transaction:
        transaction.delete("papers", transaction.slots_of_keys("papers", keys))


def squeeze(store: Store, progress: Callable[[int, int], None] | None = None) -> Compaction:
    with store.begin() as transaction:
        return transaction.compact("papers", progress)


def papers(store: Store) -> TableState:
    return store.state.table("papers")


def vector_files(root: Path) -> list[str]:
    return sorted(file.stem for file in (root / "vectors").iterdir())


def named_file(store: Store) -> str:
    return papers(store).vectors["embedding"].source.identity.file.hex


@pytest.fixture
def holed(store: Store, batch: MakeRows) -> Store:
    """Rows 0 to 19 of which 5 were deleted and 4 replaced: 24 slots, 15 rows."""
    with store.begin() as transaction:
        transaction.insert("papers", batch(range(20)))
    with store.begin() as transaction:
        transaction.upsert("papers", batch([2, 3, 17, 19], "new", 0.5), "id")
    delete(store, [0, 1, 7, 8, 18])
    return store


@pytest.fixture
def disk(path: Path, batch: MakeRows) -> Store:
    """Rows 0 to 9 on disk without 2, 3 and 9, opened anew."""
    store = Store.open(path)
    delete(store, [2, 3, 9])
    store.close()
    return Store.open(path)


def test_rows_move_to_dense_slots_and_stay_what_they_are(holed: Store) -> None:
    before, old = contents(holed), papers(holed)
    in_order = old.row_ids[old.live.to_slots()]
    done = squeeze(holed)
    state = papers(holed)
    assert contents(holed) == before
    assert (state.next_slot, state.live) == (15, RowSet.all(15))
    assert state.row_ids.tolist() == in_order.tolist()
    assert (state.generation.number, state.next_row_id, state.id) == (1, old.next_row_id, old.id)
    assert (done.rows, done.dead_slots) == (15, 9)
    assert (done.bytes_before, done.bytes_after) == (24 * DIM * 4, 15 * DIM * 4)
    holed.check()


def test_the_old_state_goes_on_telling_the_old_slots(holed: Store) -> None:
    old = papers(holed)
    slots = old.live.to_slots()
    rows, ids, live = old.vectors["embedding"].data.copy(), old.row_ids.copy(), slots.tolist()
    squeeze(holed)
    with holed.begin() as transaction:
        transaction.insert("papers", make_batch(PAPERS, {"id": [50], "title": ["t"]}, {"embedding": np.ones((1, DIM))}))
    assert np.array_equal(old.vectors["embedding"].data, rows)
    assert np.array_equal(old.row_ids, ids)
    assert old.live.to_slots().tolist() == live
    moved = old.generation.moved(slots, papers(holed).generation)
    assert moved is not None
    assert papers(holed).row_ids[moved].tolist() == ids[slots].tolist()


def test_a_session_that_began_before_reads_the_old_rows(holed: Store) -> None:
    with holed.read() as session:
        old = session.state.table("papers")
        slots = old.live.to_slots()
        before = session.fetch("papers", slots, ["id", "title", "embedding"]).fetchall()

        def compact_in_another_thread() -> None:
            squeeze(holed)

        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            pool.submit(compact_in_another_thread).result()
        assert session.state.table("papers") is old
        assert session.fetch("papers", slots, ["id", "title", "embedding"]).fetchall() == before
    assert papers(holed).dead_slots == 0


def test_rows_are_added_changed_and_deleted_after_it_as_before(holed: Store, batch: MakeRows) -> None:
    expected = contents(holed)
    squeeze(holed)
    with holed.begin() as transaction:
        transaction.insert("papers", batch([30, 31]))
        transaction.upsert("papers", batch([2], "again", 0.25), "id")
    delete(holed, [5, 30])
    expected |= {31: ("t31", [31.0] * DIM), 2: ("again2", [2.25] * DIM)}
    del expected[5]
    assert contents(holed) == expected
    squeeze(holed)
    assert contents(holed) == expected
    assert papers(holed).generation.number == 2
    holed.check()


def test_every_row_may_be_dead(holed: Store, batch: MakeRows) -> None:
    delete(holed, list(contents(holed)))
    assert squeeze(holed).dead_slots == 24
    assert papers(holed).next_slot == 0
    with holed.begin() as transaction:
        transaction.insert("papers", batch([1]))
    assert contents(holed) == {1: ("t1", [1.0] * DIM)}


def test_without_dead_slots_nothing_is_committed(holed: Store) -> None:
    squeeze(holed)
    state = holed.state
    assert squeeze(holed).dead_slots == 0
    assert holed.state is state


def test_missing_vectors_stay_missing_until_all_are_there(store: Store) -> None:
    with store.begin() as transaction:
        vectors = [None, [1.0] * DIM, None, [3.0] * DIM]
        transaction.insert("papers", make_batch(PAPERS, {"id": range(4)}, {"embedding": vectors}))
    delete(store, [1])
    squeeze(store)
    assert {key: vector for key, (_, vector) in contents(store).items()} == {0: None, 2: None, 3: [3.0] * DIM}
    delete(store, [0, 2])
    squeeze(store)
    assert papers(store).vectors["embedding"].present is None


def test_row_ids_of_a_table_without_a_key_stay_and_are_not_given_out_again(store: Store) -> None:
    notes = TableSchema("notes", (Column("text", "VARCHAR"), VectorColumn("v", 2), VectorColumn("w", 3, dtype="int8")))
    with store.begin() as transaction:
        transaction.create_table(notes)
        vectors = {"v": np.arange(8).reshape(4, 2), "w": np.arange(12, dtype=np.int8).reshape(4, 3)}
        transaction.insert("notes", make_batch(notes, {"text": list("abcd")}, vectors))
    with store.begin() as transaction:
        transaction.delete("notes", np.array([1, 3], np.uint32))
    with store.begin() as transaction:
        transaction.compact("notes")
    with store.begin() as transaction:
        transaction.insert("notes", make_batch(notes, {"text": ["e"]}, {"v": [[9, 9]]}))
    with store.read() as session:
        slots = session.slots_of_keys("notes", [0, 2, 4, 1, 3])
        assert slots[:3].tolist() == [0, 1, 2]
        assert set(slots[3:].tolist()) == {ABSENT_SLOT}
        found = session.fetch("notes", slots[:3], ["text", "v", "w"]).fetchall()
    assert found == [("a", (0, 1), (0, 1, 2)), ("c", (4, 5), (6, 7, 8)), ("e", (9, 9), None)]


def test_progress_counts_vectors_and_blocks_are_small(holed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "_COPY_BYTES", 4 * DIM * 4)
    before = contents(holed)
    seen: list[tuple[int, int]] = []
    squeeze(holed, lambda done, total: seen.append((done, total)))
    assert seen == [(4, 15), (8, 15), (12, 15), (15, 15)]
    assert contents(holed) == before


@pytest.mark.parametrize("error", [ValueError("stop"), InvalidState("stop"), KeyboardInterrupt()])
def test_an_error_of_progress_undoes_it_and_reaches_the_caller(holed: Store, error: BaseException) -> None:
    def stop(done: int, total: int) -> None:
        raise error

    before, state = contents(holed), papers(holed)
    with pytest.raises(type(error)):
        squeeze(holed, stop)
    assert papers(holed) is state
    assert contents(holed) == before
    assert squeeze(holed).dead_slots == 9
    assert contents(holed) == before


def test_a_table_this_transaction_changed_is_refused(holed: Store, batch: MakeRows) -> None:
    with holed.begin() as transaction:
        transaction.insert("papers", batch([40]))
        with pytest.raises(InvalidState, match="changed in this transaction"):
            transaction.compact("papers")
    assert 40 in contents(holed)


def test_a_rollback_leaves_the_old_generation(holed: Store) -> None:
    before, state = contents(holed), papers(holed)
    transaction = holed.begin()
    transaction.compact("papers")
    assert transaction.state.table("papers").next_slot == 15
    transaction.rollback()
    assert papers(holed) is state
    assert contents(holed) == before
    assert state.generation.moved(np.arange(3, dtype=np.uint32), Generation(1)) is None


def test_rows_may_be_added_in_the_transaction_that_compacts(holed: Store, batch: MakeRows) -> None:
    expected = contents(holed) | {60: ("t60", [60.0] * DIM)}
    with holed.begin() as transaction:
        transaction.compact("papers")
        transaction.insert("papers", batch([60]))
    assert contents(holed) == expected
    holed.check()


def test_an_index_is_listed_without_a_snapshot_of_the_old_slots(disk: Store) -> None:
    file = disk.save_index(lambda at: at.write_bytes(b"old slots"))
    record = IndexRecord("h", "papers", "embedding", "hnsw", {"M": 8}, file, 10, 1)
    with disk.begin() as transaction:
        transaction.put_index(record)
    squeeze(disk)
    assert papers(disk).indexes == {"h": replace(record, file=None, covers_slots=0)}
    assert list((disk.path / "index").iterdir()) == []  # type: ignore[operator]
    disk.close()


def test_it_is_there_after_a_reopen(disk: Store) -> None:
    before = contents(disk)
    squeeze(disk)
    disk.close()
    again = Store.open(disk.path)
    assert contents(again) == before
    assert (papers(again).generation.number, papers(again).next_slot) == (1, 7)
    assert (disk.path / "vectors" / f"{named_file(again)}.vec").stat().st_size == 16_384 + 7 * DIM * 4  # type: ignore[operator]
    again.check()
    squeeze(again)
    again.close()


def test_the_old_file_is_off_the_disk_when_its_last_reader_is(disk: Store) -> None:
    old, state = named_file(disk), papers(disk)
    squeeze(disk)
    assert vector_files(disk.path) == [named_file(disk)] != [old]  # type: ignore[arg-type]
    if MAPS.exists():
        assert old in MAPS.read_text()
    del state
    gc.collect()
    if MAPS.exists():
        assert old not in MAPS.read_text()
    disk.close()


def test_new_files_are_flushed_before_the_commit_and_old_ones_deleted_after_it(
    disk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    old = named_file(disk)
    monkeypatch.setattr(files, "hook", lambda step, at: steps.append(f"{step} {Path(at).name}"))
    squeeze(disk)
    new, root = f"{named_file(disk)}.vec", disk.path.name  # type: ignore[union-attr]
    at = [
        steps.index(step)
        for step in (
            f"create {new}",
            f"sync {new}",
            "sync-directory vectors",
            f"commit {root}",
            f"sync-directory {root}",
            f"remove {old}.vec",
        )
    ]
    assert at == sorted(at)
    assert max(i for i, step in enumerate(steps) if step == f"write {new}") < at[1]
    disk.close()


def test_every_step_leaves_the_old_generation_or_the_new_one(
    disk: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, steps = contents(disk), []

    def copy(step: str, at: str) -> None:
        steps.append(step)
        shutil.copytree(disk.path, tmp_path / f"at{len(steps)}")  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(files, "hook", copy)
        squeeze(disk)
    disk.close()
    generations = []
    for number in range(1, len(steps) + 1):
        store = Store.open(tmp_path / f"at{number}")
        assert contents(store) == before, steps[number - 1]
        store.check()
        assert vector_files(store.path) == [named_file(store)]  # type: ignore[arg-type]
        generations.append(papers(store).generation.number)
        store.close()
    assert generations == sorted(generations)
    assert {0, 1} == set(generations)
    assert generations[steps.index("commit")] == 0
    assert generations[steps.index("commit") + 1] == 1


@pytest.mark.parametrize("step", ["create", "allocate", "write"])
def test_a_full_disk_changes_nothing(disk: Store, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    before, old = contents(disk), named_file(disk)

    def hook(name: str, at: str) -> None:
        if name == step and at.endswith(".vec"):
            raise NO_ROOM

    with monkeypatch.context() as patch:
        patch.setattr(files, "hook", hook)
        with pytest.raises(DiskFull, match="No room left"):
            squeeze(disk)
    assert contents(disk) == before
    assert vector_files(disk.path) == [old]  # type: ignore[arg-type]
    assert squeeze(disk).dead_slots == 3
    disk.close()


def test_a_damaged_vector_is_not_copied(path: Path, disk: Store) -> None:
    old = papers(disk)
    file = path / "vectors" / f"{named_file(disk)}.vec"
    data = bytearray(file.read_bytes())
    data[16_384 + 5] ^= 0x40
    file.write_bytes(data)
    with pytest.raises(Corrupted, match="damaged"):
        squeeze(disk)
    assert papers(disk) is old
    assert vector_files(path) == [named_file(disk)]
    disk.close()


def test_files_of_another_generation_than_their_table_are_refused(disk: Store) -> None:
    with disk.begin() as transaction:
        transaction._cursor.execute("UPDATE vdb.tables SET generation = 7")
        transaction.delete("papers", np.array([0], np.uint32))
    disk.close()
    with pytest.raises(Corrupted, match="generation"):
        Store.open(disk.path)


def test_a_database_is_checked_while_it_is_compacted(disk: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits come where they would do most harm: before the files are opened, and before they are read."""
    read_all, opened, compacted = verify.read_all, VectorFile.open, []

    def compact_another_time() -> None:
        def work() -> None:
            with disk.begin() as transaction:
                transaction.delete("papers", papers(disk).live.to_slots()[:1])
            compacted.append(squeeze(disk).dead_slots)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    def compact_and_open(*given: Any, **named: Any) -> VectorFile:
        monkeypatch.setattr(VectorFile, "open", opened)
        compact_another_time()
        return opened(*given, **named)

    def compact_and_read(*given: Any) -> None:
        monkeypatch.setattr(verify, "read_all", read_all)
        compact_another_time()
        read_all(*given)

    monkeypatch.setattr(VectorFile, "open", compact_and_open)
    monkeypatch.setattr(verify, "read_all", compact_and_read)
    disk.check()
    assert len(compacted) == 2
    assert all(compacted)
    disk.close()


def test_a_compaction_forgets_commits_but_those_that_files_speak_of(
    disk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "REMEMBERED_COMMITS", 20)
    with disk.begin() as transaction:
        transaction.create_table(replace(PAPERS, name="other"))
    other = disk.state.seq
    for _ in range(catalog.REMEMBERED_COMMITS + 3):
        with disk.begin() as transaction:
            transaction.update("papers", np.array([papers(disk).live.to_slots()[0]], np.uint32), {"title": "x"})
    first = disk.state.seq - catalog.REMEMBERED_COMMITS
    with disk.begin() as transaction:
        transaction.delete("papers", papers(disk).live.to_slots()[:1])
    squeeze(disk)
    assert disk.has_commit(disk.state.seq)
    assert disk.has_commit(other)
    assert not disk.has_commit(first)
    count = disk._handle.engine.cursor().execute("SELECT count(*) FROM vdb.commits").fetchone()
    assert count == (catalog.REMEMBERED_COMMITS + 1,)
    disk.close()
    assert disk.path is not None
    Store.open(disk.path).close()


def test_slots_are_followed_over_many_generations() -> None:
    first, second, third = Generation(), Generation(1), Generation(2)
    slots = np.array([0, 1, 2, 3], np.uint32)
    first.precede(second, np.array([ABSENT_SLOT, 0, 1, 2], np.uint32))
    second.precede(third, np.array([0, ABSENT_SLOT, 1], np.uint32))
    assert first.moved(slots, first) is slots
    moved = first.moved(slots, third)
    assert moved is not None
    assert moved.tolist() == [ABSENT_SLOT, 0, ABSENT_SLOT, 1]
    assert third.moved(slots, first) is None
