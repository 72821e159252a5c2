"""Who may open a database: one writer, or many readers, over processes (flock) and within this one (a registry).

DuckDB's own lock is lost as soon as anything in the process closes its file, so LOCK guards the directory. The lock
belongs to the open file: it ends with the last descriptor, and LOCK_UN, which a forked child would share, is not used.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from vdb.errors import Locked, NotFound
from vdb.storage.files import File

if TYPE_CHECKING:
    from pathlib import Path

_Inode: TypeAlias = tuple[int, int]
_NAME_BYTES: Final = 512

_held: set[_Inode] = set()  # LOCK files this process holds
_held_by = os.getpid()
_registry = threading.Lock()


class HeldHere(Locked):
    """The lock is held by this very process."""


class DirectoryLock:
    """A held lock. `release` ends it; so does the end of the process."""

    def __init__(self, file: File, inode: _Inode) -> None:
        self._file = file
        self._inode = inode

    @classmethod
    def acquire(cls, path: Path, shared: bool) -> DirectoryLock:
        """Lock without waiting; Locked names who holds it. An exclusive lock creates the file where it is missing."""
        with _registry:
            _forget_after_fork()
            file = _open(path, shared)
            status = os.fstat(file.fd)
            inode = (status.st_dev, status.st_ino)
            try:
                if inode in _held:
                    raise HeldHere(
                        f"{path.parent} is already open in this process (pid {os.getpid()})."
                        " Fix: share that handle; it serves any number of threads."
                    )
                _flock(file, path, shared)
            except BaseException:
                file.close()
                raise
            if not shared:
                _sign(file)
            _held.add(inode)
            return cls(file, inode)

    def is_of(self, path: Path) -> bool:
        """Whether `path` still leads to the file that is locked."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def release(self) -> None:
        """Let go; a second call does nothing."""
        with _registry:
            if self._file.fd >= 0:
                self._file.close()
                _held.discard(self._inode)

    def close_in_child(self) -> None:
        """Close the inherited descriptor only: the parent keeps the lock."""
        self._file.close()


def _open(path: Path, shared: bool) -> File:
    try:
        return File(path, "read" if shared else "write")
    except FileNotFoundError:
        if shared:
            raise NotFound(f"{path} is missing: {path.parent} is not a complete vdb database.") from None
        return File(path, "create")


def _flock(file: File, path: Path, shared: bool) -> None:
    try:
        fcntl.flock(file.fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Locked(f"{path.parent} is {_holder(file, shared)}") from None


def _holder(file: File, shared: bool) -> str:
    """Tell a writer, who signed the file, from readers, who may not write and so left no name."""
    if not shared:
        try:
            fcntl.flock(file.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return "open read-only in another process. Fix: close its readers, or open with read_only=True."
    try:
        signed = json.loads(file.read_at(0, _NAME_BYTES))
        name = f"pid {signed['pid']} on {signed['host']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        name = "unknown process"
    fix = "publish() there, for readers beside it, or close it" if shared else "close it there first"
    return f"open for writing in another process ({name}). Fix: {fix}."


def _sign(file: File) -> None:
    name = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
    with suppress(OSError):  # a name for messages only; a full disk must not keep its owner out
        file.write_at(0, name.ljust(_NAME_BYTES))


def _forget_after_fork() -> None:
    global _held_by
    if _held_by != os.getpid():
        _held.clear()
        _held_by = os.getpid()
