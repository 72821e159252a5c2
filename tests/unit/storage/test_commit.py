from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest
from papers import MakeRows, contents

from vdb.errors import CommitOutcomeUnknown, DiskFull, InvalidState, OutOfMemory
from vdb.storage import files
from vdb.storage.files import FlushError
from vdb.storage.store import Store
from vdb.storage.vector_file import VectorFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NO_ROOM = OSError(errno.ENOSPC, "No space left on device")
FLUSH = FlushError(errno.EIO, "Input/output error")


@pytest.fixture
def disk(path: Path) -> Store:
    return Store.open(path)


def steps_of(monkeypatch: pytest.MonkeyPatch, call: Callable[[], None], root: Path) -> list[str]:
    seen: list[str] = []
    monkeypatch.setattr(files, "hook", lambda step, at: seen.append(f"{step} {at.replace(str(root), '')}".strip()))
    call()
    monkeypatch.setattr(files, "hook", lambda _step, _at: None)
    return seen


def add(store: Store, rows: object) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", rows)  # type: ignore[arg-type]


def test_the_steps_of_a_commit_are_in_order(
    disk: Store, batch: MakeRows, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = disk.state.table("papers").vectors["embedding"].source.identity.file
    add(disk, batch([50]))
    steps = steps_of(monkeypatch, lambda: add(disk, batch([51])), path)
    vectors = f"/vectors/{file.hex}.vec"
    assert steps == [
        f"write {vectors}",  # rows
        f"write {vectors}",  # witness
        f"sync {vectors}",
        "commit",
        "sync-directory",
        "write /WITNESS",
    ]
    disk.close()


def assert_goes_on(disk: Store, batch: MakeRows) -> None:
    """What is added after a refused commit is there after a reopening, and nothing of that commit."""
    add(disk, batch([51]))
    disk.close()
    again = Store.open(disk.path)
    assert sorted(contents(again)) == [*range(10), 51]
    again.check()
    again.close()


@pytest.mark.parametrize("step", ["allocate", "write"])
def test_a_full_disk_changes_nothing_and_leaves_the_handle_usable(
    disk: Store, batch: MakeRows, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = contents(disk)

    def hook(name: str, at: str) -> None:
        if name == step and at.endswith(".vec"):
            raise NO_ROOM

    with monkeypatch.context() as patch:
        patch.setattr(files, "hook", hook)
        with pytest.raises(DiskFull, match="No room left"):
            add(disk, batch([50]))
        assert contents(disk) == before
    assert_goes_on(disk, batch)


class Refusing:
    """A cursor whose COMMIT is rolled back by DuckDB, for that reason."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, reason: str) -> None:
        self._cursor = cursor
        self._reason = reason

    def execute(self, statement: str, *values: object) -> object:
        if statement == "COMMIT":
            self._cursor.execute("ROLLBACK")
            raise duckdb.TransactionException(f"TransactionContext Error: Failed to commit: {self._reason}")
        return self._cursor.execute(statement, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._cursor, name)


@pytest.mark.parametrize(
    ("reason", "expected", "fix"),
    [
        ("could not allocate block of size 256.0 KiB (1.6 MiB/1.9 MiB used)", OutOfMemory, "raise it in vdb.connect"),
        ('Could not write file "catalog.duckdb.wal": File too large', DiskFull, "raise the limit on the length"),
        ('Could not write file "catalog.duckdb.wal": No space left on device', DiskFull, "free some space"),
    ],
)
def test_what_a_commit_finds_no_room_for_changes_nothing_and_leaves_the_handle_usable(
    disk: Store, batch: MakeRows, monkeypatch: pytest.MonkeyPatch, reason: str, expected: type[Exception], fix: str
) -> None:
    before, engine = contents(disk), disk._handle.engine
    with monkeypatch.context() as patch:
        patch.setattr(engine, "writer", Refusing(engine.writer, reason))
        with pytest.raises(expected, match=fix):
            add(disk, batch([50]))
    assert contents(disk) == before
    assert_goes_on(disk, batch)


@pytest.mark.parametrize(("step", "present"), [("sync", False), ("sync-directory", True)])
def test_a_failed_flush_ends_the_handle_and_the_outcome_is_told_after_a_reopen(
    disk: Store,
    batch: MakeRows,
    fail_at: Callable[[str, BaseException], None],
    step: str,
    present: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_at(step, FLUSH)
    with pytest.raises(CommitOutcomeUnknown, match="has_commit") as caught:
        add(disk, batch([50]))
    for call in (lambda: disk.state, disk.begin, lambda: disk.has_commit(1)):
        with pytest.raises(InvalidState, match="open it again"):
            call()
    disk.close()
    monkeypatch.setattr(files, "hook", lambda _step, _at: None)
    again = Store.open(disk.path)
    assert again.has_commit(caught.value.seq) is present
    assert (50 in contents(again)) is present
    again.close()


def test_an_interrupt_before_the_commit_point_rolls_back(
    disk: Store, batch: MakeRows, fail_at: Callable[[str, BaseException], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(disk)
    fail_at("commit", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        add(disk, batch([50]))
    monkeypatch.setattr(files, "hook", lambda _step, _at: None)
    assert contents(disk) == before
    add(disk, batch([50]))
    disk.close()


def test_an_interrupt_after_the_commit_point_keeps_the_commit(
    disk: Store, batch: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupts = [KeyboardInterrupt()]

    def hook(step: str, _path: str) -> None:
        if step == "sync-directory" and interrupts:
            raise interrupts.pop()

    monkeypatch.setattr(files, "hook", hook)
    with pytest.raises(KeyboardInterrupt):
        add(disk, batch([50]))
    assert contents(disk)[50][0] == "t50"
    add(disk, batch([51]))
    disk.close()


def test_an_attempted_sequence_is_never_used_again(
    disk: Store, batch: MakeRows, fail_at: Callable[[str, BaseException], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    seq = disk.state.seq
    fail_at("commit", NO_ROOM)
    with pytest.raises(CommitOutcomeUnknown):
        add(disk, batch([50]))
    disk.close()
    monkeypatch.setattr(files, "hook", lambda _step, _at: None)
    again = Store.open(disk.path)
    assert not again.has_commit(seq + 1)
    add(again, batch([51]))
    assert again.state.seq == seq + 2
    source = again.state.table("papers").vectors["embedding"].source
    assert isinstance(source, VectorFile)
    assert [(record.seq, record.last_seq) for record in source.witnesses()] == [(seq + 1, seq), (seq + 2, seq)]
    again.close()


def test_a_delete_on_a_full_disk_gives_up_the_reserve_and_room_restores_it(
    disk: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "free_bytes", lambda _path: 0)
        with disk.begin() as transaction:
            transaction.delete("papers", np.array([1], np.uint32))
        assert not (path / "RESERVE").exists()
    with disk.begin() as transaction:
        transaction.delete("papers", np.array([2], np.uint32))
    assert (path / "RESERVE").stat().st_size == 1 << 20
    disk.close()


def test_a_log_is_not_folded_where_there_may_be_no_room(
    disk: Store, batch: MakeRows, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(disk, batch([50]))
    with monkeypatch.context() as patch:
        patch.setattr(files, "free_bytes", lambda _path: 0)
        disk.close()
    assert (path / "catalog.duckdb.wal").exists()
    again = Store.open(path)
    assert 50 in contents(again)
    again.close()
    assert not (path / "catalog.duckdb.wal").exists()


def test_a_long_log_is_folded_after_the_commit(
    disk: Store, batch: MakeRows, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(disk, batch([50]))
    assert (path / "catalog.duckdb.wal").exists()
    monkeypatch.setattr("vdb.storage.commit._LONG_LOG_BYTES", 1)
    add(disk, batch([51]))
    assert not (path / "catalog.duckdb.wal").exists()
    disk.close()


def test_rolling_back_a_large_batch_leaves_no_rows(disk: Store, batch: MakeRows) -> None:
    transaction = disk.begin()
    transaction.insert("papers", batch(range(1000, 200_000)))
    transaction.rollback()
    assert sorted(contents(disk)) == list(range(10))
    size = disk.state.table("papers").vectors["embedding"].data.shape[0]
    add(disk, batch([50]))
    assert disk.state.table("papers").next_slot == size + 1
    disk.close()
