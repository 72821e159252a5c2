"""Every call that changes a file or a directory, in one place, so that a test can stop or fail any of them.

`hook(step, path)` runs before each step; the crash tests put a kill or an error there. Short writes and EINTR are
handled here (Python restarts interrupted calls itself); what an `OSError` means to a user is decided by `io_errors`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from vdb.errors import Corrupted, DiskFull, InvalidArgument, InvalidState, VdbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_FREE: Final = "free some space, or delete rows"
_SHORTEN: Final = "raise the limit on the length of a file (ulimit -f), or delete rows"
_DISK_FULL: Final = {errno.ENOSPC: _FREE, errno.EDQUOT: _FREE, errno.EFBIG: _SHORTEN}  # and what helps
NO_ROOM: Final = {os.strerror(number): fix for number, fix in _DISK_FULL.items()}  # as DuckDB tells of them
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_COPY_BYTES: Final = 1 << 22
_FULL_FSYNC: Final[int | None] = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync stops at the drive's cache
_FLAGS: Final = {
    "read": os.O_RDONLY,
    "write": os.O_RDWR,
    "create": os.O_RDWR | os.O_CREAT | os.O_EXCL,
}


class FlushError(OSError):
    """The system could not flush: what is on disk is unknown, and a second try may report success falsely."""


def _proceed(step: str, path: str) -> None:
    """Let every step happen."""


hook: Callable[[str, str], None] = _proceed


class File:
    """An open file with positioned reads and writes."""

    __slots__ = ("fd", "path")

    def __init__(self, path: Path, mode: Literal["read", "write", "create"]) -> None:
        if mode == "create":
            hook("create", str(path))
        self.path = path
        self.fd = os.open(path, _FLAGS[mode] | os.O_CLOEXEC, 0o644)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self.fd).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes; fewer only at the end of the file."""
        parts = []
        while length > 0:
            part = os.pread(self.fd, length, offset)
            if not part:
                break
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of `data`."""
        hook("write", str(self.path))
        rest = memoryview(data)
        while len(rest) > 0:
            written = os.pwrite(self.fd, rest, offset)
            rest, offset = rest[written:], offset + written

    def allocate(self, size: int) -> None:
        """Extend the file to `size` bytes backed by disk blocks, so that no later write to them lacks room."""
        hook("allocate", str(self.path))
        begin = self.size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self.fd, begin, size - begin)
        else:
            os.ftruncate(self.fd, size)

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""
        hook("truncate", str(self.path))
        os.ftruncate(self.fd, size)

    def sync(self, metadata: bool = False) -> None:
        """Flush the data, and the length where it changed; with `metadata` everything. FlushError on any error."""
        hook("sync", str(self.path))
        try:
            if _FULL_FSYNC is not None:
                fcntl.fcntl(self.fd, _FULL_FSYNC)
            elif metadata or not hasattr(os, "fdatasync"):
                os.fsync(self.fd)
            else:
                os.fdatasync(self.fd)
        except OSError as error:
            raise FlushError(error.errno, error.strerror, str(self.path)) from error

    def close(self) -> None:
        """Close once; later calls do nothing."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)


def sync_directory(path: Path) -> None:
    """Flush a directory's entries. FlushError on any error."""
    hook("sync-directory", str(path))
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        raise FlushError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(fd)


def sync_path(path: Path) -> None:
    """Flush a closed file that somebody else wrote."""
    file = File(path, "write")
    try:
        file.sync(metadata=True)
    finally:
        file.close()


def write_file(path: Path, data: bytes) -> None:
    """Create, fill and flush a file that does not exist."""
    file = File(path, "create")
    try:
        file.write_at(0, data)
        file.sync(metadata=True)
    finally:
        file.close()


def copy(source: Path, target: Path) -> None:
    """Make a copy of a file and flush it."""
    with closing(File(source, "read")) as file:
        copy_open(file, target)


def copy_open(source: File, target: Path, length: int | None = None) -> None:
    """Make a file of the first `length` bytes of an open one, all of them by default, and flush it.

    An OSError of EIO where the source is shorter than that.
    """
    with closing(File(target, "create")) as new:
        end = source.size if length is None else length
        for begin in range(0, end, _COPY_BYTES):
            part = source.read_at(begin, min(_COPY_BYTES, end - begin))
            if len(part) < min(_COPY_BYTES, end - begin):
                raise OSError(errno.EIO, f"it ends at byte {begin + len(part)} of {end}", str(source.path))
            new.write_at(begin, part)
        new.sync(metadata=True)


def make_directory(path: Path) -> None:
    """Create one directory."""
    hook("mkdir", str(path))
    path.mkdir()


def make_missing(directories: Iterable[Path]) -> None:
    """Create those that are not there."""
    for path in directories:
        if not path.is_dir():
            make_directory(path)


def rename(old: Path, new: Path) -> None:
    """Rename atomically, replacing a file or an empty directory."""
    hook("rename", str(new))
    old.rename(new)


def remove(path: Path) -> None:
    """Delete a file if it is there."""
    hook("remove", str(path))
    path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Delete a directory and everything in it, if it is there."""
    hook("remove-tree", str(path))
    with suppress(FileNotFoundError):
        shutil.rmtree(path)


def length(path: Path) -> int:
    """Bytes of a file, 0 where it is missing; it is not opened."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def free_bytes(path: Path) -> int:
    """Bytes an ordinary user may still write on the file system of `path`."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


@contextmanager
def io_errors(action: str, path: Path) -> Iterator[None]:
    """Turn an `OSError` of the body into the error a user can act on."""
    try:
        yield
    except VdbError:
        raise
    except OSError as error:
        raise translated(error, action, path) from error


def translated(error: OSError, action: str, path: Path | None) -> VdbError:
    """Return the user's form of `error`, raised while doing `action` to `path`."""
    if isinstance(error, VdbError):
        return error
    if error.errno in _DISK_FULL:
        return DiskFull(f"No room left to {action} {path}; nothing was changed. Fix: {_DISK_FULL[error.errno]}.")
    if error.errno in _REFUSED:
        return InvalidState(
            f"May not {action} {path}: {error.strerror}. Fix: correct the permissions, or open with read_only=True."
        )
    if error.errno == errno.ENAMETOOLONG:
        return InvalidArgument(f"Could not {action} {path}: {error.strerror}. Fix: choose a shorter name.")
    if error.errno in (errno.EIO, errno.ENOENT):
        return Corrupted(
            f"Could not {action} {path}: {error.strerror}. Fix: restore it from a backup.", path=path or ""
        )
    return InvalidState(f"Could not {action} {path}: {error.strerror}.")


def file_system(path: Path) -> str | None:
    """The type of the file system that holds `path`, such as ext4, where the system tells."""
    with suppress(OSError, ValueError):
        device = path.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            mount, _, rest = line.partition(" - ")
            if mount.split()[2] == wanted:
                return rest.split()[0]
    return None
