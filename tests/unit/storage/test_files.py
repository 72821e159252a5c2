from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from vdb.errors import Corrupted, DiskFull, InvalidState, Locked
from vdb.storage import files
from vdb.storage.files import File, FlushError, io_errors

if TYPE_CHECKING:
    from pathlib import Path


def test_short_writes_and_reads_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, read = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, data[:3], at))
    monkeypatch.setattr(os, "pread", lambda fd, n, at: read(fd, min(n, 2), at))
    file = File(tmp_path / "f", "create")
    file.write_at(5, b"0123456789")
    assert file.read_at(5, 10) == b"0123456789"
    assert file.read_at(12, 100) == b"789"
    file.close()


def test_create_refuses_a_file_that_exists(tmp_path: Path) -> None:
    files.write_file(tmp_path / "f", b"x")
    with pytest.raises(FileExistsError):
        File(tmp_path / "f", "create")


def test_allocated_bytes_are_zeros(tmp_path: Path) -> None:
    file = File(tmp_path / "f", "create")
    file.write_at(0, b"x")
    file.allocate(100)
    assert file.size == 100
    assert file.read_at(0, 100) == b"x" + bytes(99)
    file.close()


def test_a_failed_flush_has_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(os, "fdatasync", fail, raising=False)
    file = File(tmp_path / "f", "create")
    for flush in (file.sync, lambda: file.sync(metadata=True), lambda: files.sync_directory(tmp_path)):
        with pytest.raises(FlushError):
            flush()
    file.close()


def test_closing_twice_closes_once(tmp_path: Path) -> None:
    file = File(tmp_path / "f", "create")
    other = File(tmp_path / "g", "create")
    fd = file.fd
    file.close()
    reused = os.dup2(other.fd, fd)
    file.close()
    os.fstat(reused)
    os.close(reused)
    other.close()


@pytest.mark.parametrize(
    ("number", "expected", "words"),
    [
        (errno.ENOSPC, DiskFull, "No room left to write"),
        (errno.EDQUOT, DiskFull, "No room left"),
        (errno.EFBIG, DiskFull, "Fix: raise the limit on the length of a file"),
        (errno.EACCES, InvalidState, "read_only=True"),
        (errno.EROFS, InvalidState, "read_only=True"),
        (errno.EIO, Corrupted, "Could not write"),
        (errno.EMFILE, InvalidState, "Could not write"),
    ],
)
def test_an_os_error_becomes_what_the_user_can_act_on(
    number: int, expected: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(expected, match=words) as caught, io_errors("write", tmp_path):
        raise OSError(number, os.strerror(number))
    assert isinstance(caught.value.__cause__, OSError)


def test_errors_of_ours_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(Locked), io_errors("open", tmp_path):
        raise Locked("held")


def test_remove_forgives_what_is_gone(tmp_path: Path) -> None:
    files.remove(tmp_path / "none")
    files.remove_tree(tmp_path / "none")
    assert files.length(tmp_path / "none") == 0


def test_file_system_of_a_directory_is_known_on_linux(tmp_path: Path) -> None:
    assert files.file_system(tmp_path)
    assert files.file_system(tmp_path / "none") is None
