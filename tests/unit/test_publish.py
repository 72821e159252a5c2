"""Readers beside a writer: published commits, whole and in order; snapshots go when nobody reads them."""

from __future__ import annotations

import errno
import gc
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb.storage import backup, files
from vdb.storage.sealed import seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

READER = """
import json, sys
import vdb
with vdb.connect(sys.argv[1], read_only=True) as db:
    table = db.table("t")
    for line in sys.stdin:
        if line.strip() == "refresh":
            db.refresh()
        found = table.search([0.0], 1000, strategy="scan").ids.tolist()
        near = table.search([0.0], 3, strategy="graph").ids.tolist()
        even = table.count("id % 2 = 0")
        db.check()
        print(json.dumps([found, near, even]), flush=True)
"""


class Reader:
    """A process that has the database open and answers what it sees."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-W", "error", "-c", READER, str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ids(self, word: str = "look") -> list[int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        found, near, even = json.loads(self._process.stdout.readline())
        assert near == found[:3]
        assert even == len([key for key in found if key % 2 == 0])
        return found  # type: ignore[no-any-return]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0
        self._let_go()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(10)}, e=np.arange(10.0)[:, None], key="id")
        table.create_index("e", vdb.HNSW(M=4), name="h")
    return tmp_path / "d"


@pytest.fixture
def db(path: Path) -> Iterator[vdb.Database]:
    with vdb.connect(path) as opened:
        yield opened


def add(db: vdb.Database, *keys: int) -> None:
    db.table("t").add({"id": list(keys)}, e=[[float(key)] for key in keys])


def snapshots(path: Path) -> list[str]:
    return sorted(entry.name for entry in (path / "snapshots").iterdir() if entry.name.startswith("s-"))


def test_reader_sees_what_was_published_and_moves_on_when_it_refreshes(db: vdb.Database, path: Path) -> None:
    assert "publish()" in refusal_in_child(path)
    assert db.publish() == db.store.state.seq
    add(db, 20)
    reader = Reader(path)
    assert reader.ids() == list(range(10))
    db.table("t").delete("id < 5")
    db.table("t").compact()
    assert reader.ids("refresh") == list(range(10))
    db.publish()
    assert reader.ids() == list(range(10))
    assert reader.ids("refresh") == [5, 6, 7, 8, 9, 20]
    reader.close()
    db.check()


def refusal_in_child(path: Path) -> str:
    code = "import sys, vdb\ntry: vdb.connect(sys.argv[1], read_only=True)\nexcept vdb.Locked as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return done.stdout


def test_snapshots_go_when_nobody_reads_them(db: vdb.Database, path: Path) -> None:
    db.publish()
    reader = Reader(path)
    assert reader.ids() == list(range(10))
    first = snapshots(path)
    for key in range(30, 34):
        add(db, key)
        db.table("t").delete(ids=[key - 30])
        db.table("t").compact()
        db.publish()
    assert len(snapshots(path)) == 2
    assert set(first) < set(snapshots(path))
    assert len(list((path / "vectors").iterdir())) == 2
    assert reader.ids() == list(range(10))
    reader.kill()
    add(db, 40)
    db.publish()
    assert len(snapshots(path)) == 1
    assert len(list((path / "vectors").iterdir())) == 1
    assert len(list((path / "index").iterdir())) == 1


def beside_the_copy(patch: pytest.MonkeyPatch, call: Callable[[], object], ends: bool = True) -> list[Future[object]]:
    """Let another thread run `call` while the catalog is copied; end the copy only after it, unless it is to wait."""
    copied = files.copy_open
    pool = ThreadPoolExecutor(1)
    futures: list[Future[object]] = []

    def copy(source: files.File, target: Path, length: int | None = None) -> None:
        futures.append(pool.submit(call))
        if ends:
            futures[-1].result(60)
        copied(source, target, length)
        pool.shutdown(wait=False)

    patch.setattr(files, "copy_open", copy)
    return futures


def test_commits_go_on_while_the_catalog_is_copied(
    db: vdb.Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        add(db, 20)
        db.table("t").delete(ids=[0])
        db.table("t").drop_index("h")

    with monkeypatch.context() as patch:
        beside_the_copy(patch, write)
        assert db.publish() < db.store.state.seq
    reader = Reader(path)
    assert reader.ids() == list(range(10))  # by the graph too, though it was dropped
    reader.close()
    db.publish()
    assert list((path / "index").iterdir()) == []
    with vdb.connect(path, read_only=True) as newer:
        assert newer.table("t").search([0.0], 100).ids.tolist() == [*range(1, 10), 20]


def test_a_compaction_beside_the_copy_waits_for_it(
    db: vdb.Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.table("t").delete("id < 5")
    with monkeypatch.context() as patch:
        compactions = beside_the_copy(patch, db.table("t").compact, ends=False)
        db.publish()
    compactions[0].result(60)
    reader = Reader(path)
    assert reader.ids() == [5, 6, 7, 8, 9]
    reader.close()
    db.publish()
    assert len(list((path / "vectors").iterdir())) == 1


def test_what_is_dropped_beside_a_copy_that_fails_is_deleted(
    db: vdb.Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop() -> None:
        db.table("t").drop_index("h")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        beside_the_copy(patch, drop)
        with pytest.raises(vdb.DiskFull):
            db.publish()
    assert list((path / "index").iterdir()) == []
    assert list((path / "snapshots").iterdir()) == []


def test_a_publication_waits_for_reads_that_began_before_the_last_commit(
    db: vdb.Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = db.sql("SELECT id FROM t")
    db.table("t").update({"e": [9.0]}, where="id = 3")
    with monkeypatch.context() as patch:
        patch.setattr(backup, "_PATIENCE_SECONDS", 0.0)
        for call in (db.publish, lambda: db.backup(path.with_name("copy"))):
            with pytest.raises(vdb.InvalidState, match="still open"):
                call()
    assert list((path / "snapshots").iterdir()) == []
    assert not path.with_name("copy").exists()
    reading = threading.Timer(0.1, result.fetchall)
    reading.start()
    assert db.publish() == db.store.state.seq
    reading.join()


def test_a_refresh_lets_go_of_the_older_snapshot_at_once(db: vdb.Database, path: Path) -> None:
    db.publish()
    with vdb.connect(path, read_only=True) as reader:
        gc.disable()
        try:
            assert [info.name for info in reader.table("t").list_indexes()] == ["h"]
            for strategy in ("scan", "graph", "auto"):
                assert len(reader.table("t").search([1.0], 3, where="id > 1", strategy=strategy).to_dicts()) == 3
            assert reader.sql("SELECT count(*) FROM t").fetchall() == [(10,)]
            add(db, 20)
            db.publish()
            assert reader.refresh()
            add(db, 21)
            db.publish()
            assert len(snapshots(path)) == 2
        finally:
            gc.enable()


def test_publishing_twice_the_same_commit_does_nothing(db: vdb.Database, path: Path) -> None:
    seq = db.publish()
    before = snapshots(path)
    assert db.publish() == seq
    assert snapshots(path) == before


def test_a_closed_database_is_published_and_leaves_room_for_a_writer(path: Path) -> None:
    with vdb.connect(path) as db:
        db.publish()
        add(db, 50)
    with vdb.connect(path, read_only=True) as reader:
        assert len(reader.table("t")) == 11
        with vdb.connect(path) as writer:
            add(writer, 60)
            assert len(reader.table("t")) == 11
            assert not reader.refresh()
            writer.publish()
            hits = reader.table("t").search([0.0], 20)
            assert reader.refresh()
            assert len(reader.table("t")) == 12
            assert len(hits.to_dicts()) == 11
            with pytest.raises(vdb.InvalidState, match="read-only"):
                reader.table("t").add({"id": [1]}, e=[[1.0]])
            with pytest.raises(vdb.InvalidState, match="open for writing"):
                writer.refresh()
            with pytest.raises(vdb.Locked, match="already open in this process"):
                vdb.connect(path, read_only=True)


def test_what_cannot_publish_says_so(db: vdb.Database, tmp_path: Path) -> None:
    with db.transaction(), pytest.raises(vdb.InvalidState, match="after the commit"):
        db.store.publish()
    with vdb.connect(":memory:") as memory, pytest.raises(vdb.InvalidState, match="on disk"):
        memory.publish()


@pytest.mark.parametrize("step", ["mkdir", "write", "sync", "rename", "sync-directory", "create"])
def test_a_publication_that_fails_leaves_the_one_before(
    db: vdb.Database, path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    db.publish()
    add(db, 20)
    before = snapshots(path)

    def full(name: str, at: str) -> None:
        if name == step and "snapshots" in at:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "hook", full)
        with pytest.raises(vdb.DiskFull):
            db.publish()
    reader = Reader(path)
    assert reader.ids() in (list(range(10)), [*range(10), 20])
    add(db, 21)
    db.publish()
    assert reader.ids("refresh") == [*range(10), 20, 21]
    reader.close()
    assert not set(before) & set(snapshots(path)) or len(snapshots(path)) <= 2


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST", "catalog.duckdb"])
def test_a_damaged_snapshot_is_an_error_to_readers_and_published_again(path: Path, name: str) -> None:
    with vdb.connect(path) as db:
        db.publish()
        (folder,) = (path / "snapshots" / found for found in snapshots(path))
        target = path / "snapshots" / name if name == "CURRENT" else folder / name
        data = bytearray(target.read_bytes())
        data[len(data) // 2] ^= 0x55
        target.write_bytes(data)
        with pytest.raises(vdb.Corrupted, match="publish again"):
            vdb.connect(path, read_only=True)
        add(db, 20)
        db.publish()
        with vdb.connect(path, read_only=True) as reader:
            assert len(reader.table("t")) == 11
    with vdb.connect(path) as db:
        assert len(db.table("t")) == 11
        db.check()


def test_a_forged_manifest_deletes_nothing_outside_of_the_database(path: Path) -> None:
    """What an old snapshot names is deleted with it: that may be nothing but files of the database."""
    precious = path.parent / "precious.vec"
    precious.write_bytes(b"mine")
    with vdb.connect(path) as db:
        db.publish()
    (folder,) = (path / "snapshots" / found for found in snapshots(path))
    line = (folder / "MANIFEST").read_bytes().partition(b"\n")[0]
    fields = {**json.loads(line), "vectors": {"../../precious.vec": 4}}
    (folder / "MANIFEST").write_bytes(seal(fields))
    with vdb.connect(path) as db:
        for key in (20, 21, 22):
            add(db, key)
            db.publish()
        db.check()
    assert precious.read_bytes() == b"mine"


def test_an_older_catalog_than_what_was_published_is_metadata_lost(path: Path, tmp_path: Path) -> None:
    import shutil

    for name in ("catalog.duckdb", "WITNESS"):
        shutil.copy(path / name, tmp_path / name)
    with vdb.connect(path) as db:
        db.table("t").delete(ids=[3])
        db.publish()
    for name in ("catalog.duckdb", "WITNESS"):
        shutil.copy(tmp_path / name, path / name)
    with pytest.raises(vdb.MetadataLost, match="CURRENT proves"):
        vdb.connect(path)


def test_readers_of_many_threads_see_whole_commits_while_one_writes(db: vdb.Database, path: Path) -> None:
    """Each commit takes a row away and brings one: a state has ten rows, and later states higher ones."""
    db.publish()
    failures: list[str] = []
    stop = threading.Event()
    with vdb.connect(path, read_only=True) as reader:

        def read() -> None:
            newest = 0
            try:
                while not stop.is_set():
                    found = reader.table("t").search([0.0], 1000).ids.tolist()
                    if len(found) != 10 or max(found) - min(found) != 9 or max(found) < newest:
                        failures.append(f"{newest}: {found}")
                    newest = max(found)
            except vdb.VdbError as error:
                failures.append(repr(error))

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for key in range(10, 40):
            with db.transaction():
                add(db, key)
                db.table("t").delete(ids=[key - 10])
            if key % 3 == 0:
                db.publish()
                assert reader.refresh()
            if key % 10 == 0:
                db.table("t").compact()
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_reader_is_refused_and_its_parent_keeps_the_snapshot(db: vdb.Database, path: Path) -> None:
    db.publish()
    with vdb.connect(path, read_only=True) as reader:
        child = os.fork()
        if child == 0:
            try:
                reader.tables()
            except vdb.InvalidState:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        add(db, 20)
        db.publish()
        assert len(snapshots(path)) == 2
        assert len(reader.table("t")) == 10
