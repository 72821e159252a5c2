from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from vdb.errors import Locked, NotFound
from vdb.storage.lock import DirectoryLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from vdb.storage.lock import DirectoryLock
lock = DirectoryLock.acquire(Path(sys.argv[1]), shared=sys.argv[2] == "shared")
print("held", flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that holds the lock until `end`."""

    def __init__(self, path: Path, mode: str) -> None:
        command = [sys.executable, "-c", HOLD, str(path), mode]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    DirectoryLock.acquire(tmp_path / "LOCK", shared=False).release()
    return tmp_path / "LOCK"


@pytest.fixture
def writer(path: Path) -> Iterator[Holder]:
    holder = Holder(path, "exclusive")
    yield holder
    holder.end()


@pytest.fixture
def reader(path: Path) -> Iterator[Holder]:
    holder = Holder(path, "shared")
    yield holder
    holder.end()


@pytest.mark.parametrize("shared", [False, True])
def test_a_writer_in_another_process_is_named(path: Path, writer: Holder, shared: bool) -> None:
    with pytest.raises(Locked, match=rf"for writing in another process \(pid {writer.process.pid} on "):
        DirectoryLock.acquire(path, shared)


def test_the_lock_is_free_after_its_holder_was_killed(path: Path, writer: Holder) -> None:
    writer.end()
    DirectoryLock.acquire(path, shared=False).release()


def test_readers_share_and_keep_a_writer_out(path: Path, reader: Holder) -> None:
    DirectoryLock.acquire(path, shared=True).release()
    with pytest.raises(Locked, match="read-only in another process"):
        DirectoryLock.acquire(path, shared=False)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_a_second_open_in_one_process_is_refused(path: Path, first: bool, second: bool) -> None:
    lock = DirectoryLock.acquire(path, shared=first)
    with pytest.raises(Locked, match="already open in this process"):
        DirectoryLock.acquire(path, shared=second)
    lock.release()
    DirectoryLock.acquire(path, shared=second).release()


def test_another_name_of_the_same_directory_is_the_same_lock(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path.parent)
    lock = DirectoryLock.acquire(path, shared=False)
    with pytest.raises(Locked):
        DirectoryLock.acquire(link / "LOCK", shared=False)
    lock.release()


def test_releasing_twice_does_not_free_another_holder(path: Path) -> None:
    first = DirectoryLock.acquire(path, shared=False)
    first.release()
    second = DirectoryLock.acquire(path, shared=False)
    first.release()
    with pytest.raises(Locked):
        DirectoryLock.acquire(path, shared=False)
    second.release()


def test_a_reader_needs_the_file_and_does_not_write_it(tmp_path: Path, path: Path) -> None:
    before = path.read_bytes()
    DirectoryLock.acquire(path, shared=True).release()
    assert path.read_bytes() == before
    with pytest.raises(NotFound, match="not a complete vdb database"):
        DirectoryLock.acquire(tmp_path / "none" / "LOCK", shared=True)
