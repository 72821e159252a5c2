"""A process held to so much memory, anonymous and of files: by the kernel, or by a thread that gives pages back.

Where the process may make a memory cgroup (root, on most machines; bench/README.md has the command for others) the
kernel holds it, and counts pages of files that were read through the page cache and are mapped nowhere, too. What of
the files was in the cache before belongs to nobody, and is dropped first.

Elsewhere a thread drops the pages of files that are mapped shared and read-only, as reclaim would: they are clean, and
come back from the disk or the page cache when they are read again. They come back as small pages: the page cache may
hold a file in pages of 2 MB, each of which a single read would bring back whole, faster than they can be dropped.
Where anonymous memory is too much it ends the process, as the kernel would.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from vdb.storage.available import control_groups

if TYPE_CHECKING:
    from typing_extensions import Self

    from vdb.storage.available import ControlGroup

_STATUS = Path("/proc/self/status")
_MAPS = Path("/proc/self/maps")
_CLEAR = Path("/proc/self/clear_refs")
_PEAK = "5"  # what is written there, of proc(5)
_DONTNEED, _NOHUGEPAGE = 4, 15  # of madvise(2)
_EVERY_S = 0.005
_KILLED = 137  # as a shell says of a process that the kernel killed
_DROPPED_AT = 0.8  # of the limit
_MOST = {"memory.limit_in_bytes": "memory.max_usage_in_bytes", "memory.max": "memory.peak"}  # of cgroups, 1 and 2


def resident_bytes(field: str = "VmRSS") -> int:
    """Memory that is resident now, anonymous and of files; `RssAnon`: anonymous; `VmHWM`: both, at most so far."""
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def reset_peak() -> bool:
    """Let `VmHWM` begin anew with what is resident now; False where the system does not let a process do so."""
    try:
        _CLEAR.write_text(_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


class Held:
    """While entered, this process has at most `limit` bytes, as far as files below `folder` go.

    Attributes
    ----------
    by : str
        "cgroup" or "thread".
    drops : int
        How often the thread gave pages back.
    most_anonymous : int
        Bytes, as far as looking every few milliseconds shows.
    """

    def __init__(self, limit: int, folder: Path) -> None:
        self._limit, self._folder = limit, folder.resolve()
        self._group: _Group | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._madvise = ctypes.CDLL(None, use_errno=True).madvise
        self._madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        self._before = 0  # bytes that a group does not count, since the process had them before it was in it
        self.by = "thread"
        self.drops = 0
        self.most_anonymous = 0

    def __enter__(self) -> Self:
        forget(self._folder)
        self._before = resident_bytes()
        self._group = _Group.made(self._limit - self._before)
        self.by = "thread" if self._group is None else "cgroup"
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._group is not None:
            self._group.leave()

    @property
    def most(self) -> int:
        """Bytes at most so far, by the kernel's count: of the group and before it, or resident."""
        return resident_bytes("VmHWM") if self._group is None else self._before + self._group.most()

    def _watch(self) -> None:
        while not self._done.wait(_EVERY_S):
            self.most_anonymous = max(self.most_anonymous, resident_bytes("RssAnon"))
            if self._group is None and resident_bytes() > _DROPPED_AT * self._limit:
                self._drop()
                self.drops += 1
                if (left := resident_bytes("RssAnon")) > self._limit:
                    os.write(2, f"{left:,} bytes are anonymous, the limit is {self._limit:,}\n".encode())
                    os._exit(_KILLED)

    def _drop(self) -> None:
        for line in os.fsdecode(_MAPS.read_bytes()).splitlines():
            span, flags, *_, path = line.split(maxsplit=5) if line.count(" ") > 4 else (line, "", "")
            if flags == "r--s" and path.startswith(str(self._folder)):
                begin, end = (int(address, 16) for address in span.split("-"))
                for advice in (_NOHUGEPAGE, _DONTNEED):
                    self._madvise(begin, end - begin, advice)


def forget(folder: Path) -> None:
    """Drop the files below a folder from the page cache, as far as they are on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class _Group:
    """A memory cgroup of its own for this process, within the one it is in."""

    def __init__(self, parent: ControlGroup) -> None:
        self._parent = parent.folder
        self._folder = parent.folder / f"held-{os.getpid()}"
        self._limit, self._most = parent.limit, _MOST[parent.limit]

    @classmethod
    def made(cls, limit: int) -> _Group | None:
        """One with that limit and this process in it; None where the system does not let it be made."""
        for parent in control_groups():
            group = cls(parent)
            try:
                group._folder.mkdir()
            except OSError:
                continue
            try:
                (group._folder / group._limit).write_text(str(limit), encoding="ascii")
                group.most()  # older kernels do not count it
                group._enter(group._folder)
            except OSError:
                group._folder.rmdir()
                continue
            return group
        return None

    def leave(self) -> None:
        """Go back to the group this process was in."""
        self._enter(self._parent)
        self._folder.rmdir()

    def most(self) -> int:
        """Bytes it had at most."""
        return int((self._folder / self._most).read_text(encoding="ascii"))

    def _enter(self, folder: Path) -> None:
        (folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
