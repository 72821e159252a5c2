"""A process held to so much resident memory: what it has, and pages of mapped files given back before it has more.

A kernel with memory cgroups does this by itself (bench/README.md has the command). Without one a thread drops the pages
of files that are mapped shared and read-only, as reclaim would: they are clean, and come back from the disk or the page
cache when they are read again. They come back as small pages: the page cache may hold a file in pages of 2 MB, each
of which a single read would bring back whole, faster than they can be dropped. Where anonymous memory
is too much it ends the process, as the kernel would.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

_STATUS = Path("/proc/self/status")
_MAPS = Path("/proc/self/maps")
_CLEAR = Path("/proc/self/clear_refs")
_PEAK = "5"  # what is written there, of proc(5)
_DONTNEED, _NOHUGEPAGE = 4, 15  # of madvise(2)
_EVERY_S = 0.005
_KILLED = 137  # as a shell says of a process that the kernel killed
_DROPPED_AT = 0.8  # of the limit


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
    """While entered, this process stays below `limit` resident bytes, as far as files mapped below `folder` go."""

    def __init__(self, limit: int, folder: Path) -> None:
        self._limit, self._folder = limit, str(folder.resolve())
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._madvise = ctypes.CDLL(None, use_errno=True).madvise
        self._madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        self.drops = 0
        self.most_anonymous = 0  # bytes, as far as looking every few milliseconds shows

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_EVERY_S):
            self.most_anonymous = max(self.most_anonymous, resident_bytes("RssAnon"))
            if resident_bytes() > _DROPPED_AT * self._limit:
                self._drop()
                self.drops += 1
                if (left := resident_bytes("RssAnon")) > self._limit:
                    os.write(2, f"{left:,} bytes are anonymous, the limit is {self._limit:,}\n".encode())
                    os._exit(_KILLED)

    def _drop(self) -> None:
        for line in os.fsdecode(_MAPS.read_bytes()).splitlines():
            span, flags, *_, path = line.split(maxsplit=5) if line.count(" ") > 4 else (line, "", "")
            if flags == "r--s" and path.startswith(self._folder):
                begin, end = (int(address, 16) for address in span.split("-"))
                for advice in (_NOHUGEPAGE, _DONTNEED):
                    self._madvise(begin, end - begin, advice)
