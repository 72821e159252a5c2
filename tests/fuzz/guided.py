"""A small coverage-guided fuzzer of Python code.

An input that goes a way between two lines of the watched files that no input went before is kept and changed further.
Lines are seen by `sys.settrace`, which takes longer than the use itself, so only some of the inputs are traced. The
input under way stands in memory shared with a parent process, so that one that kills the interpreter is known.
"""

from __future__ import annotations

import mmap
import os
import random
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

SHARED_BYTES = 1 << 20
TRACED = 8  # one in so many inputs is traced; the first ones all are


class Target(Protocol):
    """What is fuzzed: seeds, a change of an input, and a use of it that returns what is wrong, or None."""

    watched: tuple[str, ...]  # parts of the paths of the files whose lines count

    def seeds(self) -> list[bytes]: ...
    def change(self, data: bytes, other: bytes, chance: random.Random) -> bytes: ...
    def use(self, data: bytes, chance: random.Random) -> str | None: ...


class Ways:
    """The ways from line to line of the watched files that one call goes."""

    def __init__(self, watched: tuple[str, ...]) -> None:
        self._watched = watched
        self._known: dict[CodeType, bool] = {}
        self.ways: set[tuple[CodeType, int, int]] = set()

    def of(self, call: Callable[[], Any]) -> tuple[Any, set[tuple[CodeType, int, int]]]:
        """What the call returns, and its ways."""
        self.ways = set()
        sys.settrace(self._enter)
        try:
            return call(), self.ways
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        code = frame.f_code
        known = self._known.get(code)
        if known is None:
            known = self._known[code] = any(part in code.co_filename for part in self._watched)
        if not known:
            return None
        add, before = self.ways.add, 0

        def line(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
            nonlocal before
            number = frame.f_lineno
            add((code, before, number))
            before = number
            return line

        return line


@dataclass
class Found:
    """What a run did."""

    executions: int = 0
    kept: int = 0
    ways: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


def run(target: Target, count: int, seed: int, seconds: float) -> Found:
    """Run in a child process; a child that a signal ends is a failure with the input it had."""
    shared = mmap.mmap(-1, SHARED_BYTES)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        found = _run(target, count, seed, time.monotonic() + seconds, shared)
        with os.fdopen(writing, "w") as out:
            out.write(repr(vars(found)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    _, status = os.waitpid(child, 0)
    if status != 0 or not text:
        size = int.from_bytes(shared[:8], "little")
        return Found(failures=[f"status {status} at {bytes(shared[8 : 8 + size])!r}"])
    return Found(**eval(text, {"__builtins__": {}}))


def _run(target: Target, count: int, seed: int, end: float, shared: mmap.mmap) -> Found:
    chance = random.Random(seed)
    trace = Ways(target.watched)
    kept: list[bytes] = []
    ways: set[tuple[CodeType, int, int]] = set()
    found = Found()
    waiting = target.seeds()
    traced = True
    while found.executions < count and time.monotonic() < end and len(found.failures) < 10:
        if waiting:
            data = waiting.pop()
        else:
            traced = chance.randrange(TRACED) == 0
            # Half of the time one of the last that went a new way.
            recent = kept[-50:] if chance.random() < 0.5 else kept
            data = target.change(chance.choice(recent), chance.choice(kept), chance)
        if len(data) > SHARED_BYTES - 8:
            continue
        shared[:8] = len(data).to_bytes(8, "little")
        shared[8 : 8 + len(data)] = data
        begin = time.monotonic()
        if traced:
            wrong, gone = trace.of(lambda data=data: _use(target, data, chance))
        else:
            wrong, gone = _use(target, data, chance), ways
        found.slowest = max(found.slowest, time.monotonic() - begin)
        found.executions += 1
        if wrong is not None:
            found.failures.append(f"{wrong} at {data!r}")
        if not kept or not gone <= ways:
            ways |= gone
            kept.append(data)
    found.kept, found.ways = len(kept), len(ways)
    return found


def _use(target: Target, data: bytes, chance: random.Random) -> str | None:
    try:
        return target.use(data, chance)
    except Exception as error:  # whatever it is, it should not have come out
        return f"{type(error).__name__}: {error}"
