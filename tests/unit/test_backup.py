"""Backups: one commit, whole, while others write; restored as a database that holds exactly that."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb.storage import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def fill(db: vdb.Database, n: int = 200) -> vdb.Table:
    table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "n": "INTEGER", "e": "FLOAT[2]"})
    table.add({"id": np.arange(n), "n": np.arange(n) % 7}, e=np.repeat(np.arange(float(n))[:, None], 2, axis=1))
    table.create_index("e", vdb.HNSW(M=4), name="h")
    table.delete("id < 20")
    return table


def rows(path: Path) -> list[int]:
    with vdb.connect(path, read_only=True) as db:
        assert db.check() == []
        table = db.table("t")
        found = table.search([0, 0], 10_000, strategy="scan").ids.tolist()
        assert len(found) == len(table)
        assert table.search([0, 0], 5, strategy="graph").ids.tolist() == found[:5]
    return sorted(found)


def test_backup_is_the_newest_commit_and_a_database_of_its_own(db: vdb.Database, tmp_path: Path) -> None:
    table = fill(db)
    seen: list[tuple[int, int]] = []
    db.backup(tmp_path / "copy", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0
    table.add({"id": [500], "n": [1]}, e=[[500, 500]])
    assert rows(tmp_path / "copy") == list(range(20, 200))
    with vdb.connect(tmp_path / "copy") as copy:
        assert copy.recovery_report().was_clean
        copy.table("t").add({"id": [600], "n": [1]}, e=[[600, 600]])
    assert rows(tmp_path / "copy") == [*range(20, 200), 600]
    assert len(table) == 181
    db.check()


def test_restore_makes_the_same_database_again(db: vdb.Database, tmp_path: Path) -> None:
    fill(db)
    db.backup(tmp_path / "copy")
    vdb.restore(tmp_path / "copy", tmp_path / "again")
    assert rows(tmp_path / "again") == list(range(20, 200))
    assert rows(tmp_path / "copy") == list(range(20, 200))


def test_restore_refuses_a_damaged_backup_and_leaves_nothing(db: vdb.Database, tmp_path: Path) -> None:
    fill(db, 20_000)
    db.backup(tmp_path / "copy")
    (vectors,) = (tmp_path / "copy" / "vectors").iterdir()
    with vectors.open("r+b") as file:
        file.seek(16_384 + 1000)
        file.write(b"\x55")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(vdb.Corrupted):
        vdb.restore(tmp_path / "copy", tmp_path / "again")
    assert sorted(tmp_path.iterdir()) == before


def test_backup_of_a_database_that_is_written_and_compacted_is_one_commit(db: vdb.Database, tmp_path: Path) -> None:
    """Each commit moves a row from one table to the other: every state of both has 50 rows in all."""
    tables = [db.create_table(name, {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[2]"}) for name in ("a", "b")]
    tables[0].add({"id": np.arange(50)}, e=np.ones((50, 2)))
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            source, target = tables if number % 100 < 50 else tables[::-1]
            with db.transaction():
                source.delete(ids=[number % 50])
                target.add({"id": [number % 50]}, e=[[1, number]])
            if number % 9 == 0:
                source.compact()
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(6):
            db.backup(tmp_path / f"copy{number}")
    finally:
        stop.set()
        writer.join()
    for number in range(6):
        with vdb.connect(tmp_path / f"copy{number}") as copy:
            copy.check()
            both = [copy.table(name).search([1, 1], 60, strategy="scan").ids.tolist() for name in ("a", "b")]
            assert sorted([*both[0], *both[1]]) == list(range(50))


def test_backup_is_refused_where_it_cannot_be(db: vdb.Database, tmp_path: Path) -> None:
    fill(db)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    with pytest.raises(vdb.AlreadyExists, match="something at"):
        db.backup(tmp_path / "taken")
    assert db.path is not None
    with pytest.raises(vdb.InvalidArgument, match="inside the database"):
        db.backup(db.path / "copy")
    with pytest.raises(vdb.InvalidArgument, match="no directory"):
        db.backup(tmp_path / "no" / "copy")
    with db.transaction(), pytest.raises(vdb.InvalidState, match="transaction"):
        db.backup(tmp_path / "copy")
    with vdb.connect(":memory:") as memory, pytest.raises(vdb.InvalidState, match="no files"):
        memory.backup(tmp_path / "copy")
    with pytest.raises(vdb.NotFound):
        vdb.restore(tmp_path / "nowhere", tmp_path / "again")
    with pytest.raises(vdb.InvalidArgument, match="progress must be callable"):
        db.backup(tmp_path / "copy", progress=3)  # type: ignore[arg-type]
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("name", ["", ":memory:", "a\0b", "/x/\ud800", b"x", None, 5, "y" * 300, "z" * 240])
def test_a_path_that_can_be_none_is_refused(
    db: vdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    calls: list[Callable[[], object]] = [lambda: db.backup(name), lambda: vdb.restore(db.store.path, name)]  # type: ignore[arg-type]
    if name != ":memory:":
        calls.append(lambda: vdb.connect(name))
    if not str(name).startswith("z"):
        calls.append(lambda: vdb.repair(name))
    db.publish()
    for call in calls:
        with pytest.raises(vdb.InvalidArgument, match="Fix:"):
            call()
    assert sorted(tmp_path.iterdir()) == before


def test_a_backup_that_finds_the_disk_full_leaves_nothing(
    db: vdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db)
    before = sorted(tmp_path.iterdir())

    def full(step: str, path: str) -> None:
        if step == "write" and path.endswith(".vec") and "copy" in path:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "hook", full)
        with pytest.raises(vdb.DiskFull):
            db.backup(tmp_path / "copy")
    assert sorted(tmp_path.iterdir()) == before
    db.table("t").add({"id": [500], "n": [1]}, e=[[500, 500]])


def test_killed_database_can_be_backed_up_read_only(db: vdb.Database, tmp_path: Path) -> None:
    import shutil

    fill(db)
    assert db.path is not None
    shutil.copytree(db.path, tmp_path / "killed")
    with vdb.connect(tmp_path / "killed", read_only=True) as killed:
        killed.backup(tmp_path / "copy")
    assert rows(tmp_path / "copy") == list(range(20, 200))
