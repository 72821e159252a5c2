"""The preloaded recorder of file calls (shim.cpp): build it, plan with it, read its tape; and forked children."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import subprocess
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("shim.cpp")
_RECORD: Final = struct.Struct("<IIIIQQ")


class Kind(IntEnum):
    """What a call does; the numbers are those of shim.cpp."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    ALLOCATE = 4
    SYNC = 5
    RENAME = 6
    UNLINK = 7
    MKDIR = 8
    RMDIR = 9
    MARK = 10


class Action(IntEnum):
    """What happens at the planned call."""

    NONE = 0
    KILL_BEFORE = 1
    KILL_AFTER = 2
    KILL_MIDDLE = 3
    FAIL_ONCE = 4
    FAIL_ON = 5  # that call and every later one
    SHORT = 6


@dataclass(frozen=True)
class Call:
    """One call of the tape; `size` is the new length, the allocated end, the bytes written or the value of a mark."""

    kind: Kind
    path: str
    other: str
    data: bytes
    offset: int
    size: int


def build(folder: Path) -> Path:
    """Compile the shim; returns the library."""
    library = folder / "shim.so"
    compiler = os.environ.get("CXX", "c++")
    options = ["-std=c++20", "-O1", "-fno-exceptions", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, "-o", str(library), str(SOURCE)], check=True)
    return library


def environment(library: Path) -> dict[str, str]:
    """For a process that is to be watched: preloaded, single-threaded, the same hashes every time."""
    fixed = {"LD_PRELOAD": str(library), "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    return {**os.environ, **fixed, "PYTHONPATH": str(ROOT)}


class Shim:
    """The functions of the library that is loaded in this process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        for name in ("tape_count", "tape_fired"):
            getattr(self._library, name).restype = ctypes.c_long

    def start(self, folder: Path, log: int = -1) -> None:
        """Watch the calls below a folder."""
        self._library.tape_start(str(folder).encode(), log)

    def plan(self, at: int, action: Action, error: int = 0) -> None:
        """Act at the call of that number; the first is 1."""
        self._library.tape_plan(ctypes.c_long(at), int(action), error)

    def mark(self, value: int) -> None:
        """Put a mark on the tape."""
        self._library.tape_mark(ctypes.c_long(value))

    @property
    def count(self) -> int:
        """Calls seen so far."""
        return int(self._library.tape_count())

    @property
    def fired(self) -> int:
        """Calls made to fail, or cut short, so far."""
        return int(self._library.tape_fired())


def read_tape(path: Path) -> Iterator[Call]:
    """Every call on a tape, in order."""
    data = path.read_bytes()
    at = 0
    while at < len(data):
        kind, path_bytes, other_bytes, data_bytes, offset, size = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        parts = []
        for length in (path_bytes, other_bytes, data_bytes):
            parts.append(data[at : at + length])
            at += length
        yield Call(Kind(kind), parts[0].decode(), parts[1].decode(), parts[2], offset, size)


def in_child(call: Callable[[Callable[[object], None]], None]) -> tuple[list[Any], int]:
    """Run `call` in a forked child; returns what it reported and the status it ended with (0, code << 8, or a signal).

    An exception is reported as text, and makes the code 1.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        code = 1
        try:
            call(lambda value: send(write, value))
            code = 0
        except BaseException as error:
            send(write, f"{type(error).__name__}: {error}")
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as pipe:
        reported = [json.loads(line) for line in pipe]
    return reported, os.waitpid(child, 0)[1]


def send(pipe: int, value: object) -> None:
    """Write a value for the other end of a pipe to read as a line."""
    data = json.dumps(value).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


def was_killed(status: int) -> bool:
    """Whether a child ended by the kill that was planned."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
