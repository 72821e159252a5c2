"""Calls that can be stopped: from another thread, or at a deadline.

The core looks at the `_core.Stop` of its thread every 20 ms. DuckDB has no deadlines, so its cursors are interrupted by
another thread, again and again until the call has ended: an interrupt between two statements is lost. What commits is
never interrupted: its cursor is not added here.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from vdb import _core
from vdb.errors import Cancelled, InvalidArgument, QueryTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    import duckdb
    from typing_extensions import Self

_AGAIN_SECONDS: Final = 0.05
_LONGEST_SECONDS: Final = threading.TIMEOUT_MAX / 2  # what threads can wait for; more is for ever

_thread = threading.local()


class Stop:
    """The calls of one thread into one database, one at a time: a context manager around each.

    Where calls are nested, the outer one is what is stopped.

    Attributes
    ----------
    deadline : float
        When the call ends at the latest, by `time.monotonic`.
    """

    def __init__(self, stops: Stops) -> None:
        self.stops = stops
        self.deadline = math.inf
        self._core = _core.Stop()
        self._depth = 0
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        self._guard = threading.RLock()  # a result may be collected, and drop its cursor, while this thread holds it
        self._ended: threading.Event | None = None  # of the thread that interrupts them
        self._outer: Stop | None = None  # of another database, that this thread is in

    def until(self, deadline: float) -> Self:
        """Set the deadline of the call that is about to begin."""
        if self._depth == 0:
            self.deadline = deadline
        return self

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1:
            self._outer = current()
            self._core.begin(self.deadline - time.monotonic())
            _watch(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._depth -= 1
        if self._depth:
            return
        _watch(self._outer)
        self._outer = None
        with self._guard:
            self._cursors.clear()
            if self._ended is not None:
                self._ended.set()
                self._ended = None
        if isinstance(error, Cancelled) and time.monotonic() >= self.deadline:
            raise QueryTimeout("The call took longer than its timeout. Fix: give it more, or ask for less.") from error

    def check(self) -> None:
        """Cancelled where the call was stopped."""
        if self._core.stopped:
            raise stopped()

    def add(self, cursor: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Interrupt this cursor too, until it is dropped or the call ends; returns it."""
        with self._guard:
            if cursor not in self._cursors:
                self._cursors.append(cursor)
            if self.deadline < math.inf:
                self._begin_interrupting(self.deadline - time.monotonic())
        return cursor

    def holds(self, cursor: duckdb.DuckDBPyConnection) -> bool:
        """Whether it is one of those that are interrupted."""
        return cursor in self._cursors

    def drop(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Interrupt this cursor no longer."""
        with self._guard:
            if cursor in self._cursors:
                self._cursors.remove(cursor)

    def stop(self) -> None:
        """End the call that runs, from any thread; nothing where none does."""
        with self._guard:
            if self._depth:
                self._core.stop()
                if self._ended is not None:  # it waits for the deadline
                    self._ended.set()
                    self._ended = None
                self._begin_interrupting(0.0)

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Let nothing stop the body."""
        with self._guard:
            self._cursors.clear()
        _watch(None)
        try:
            yield
        finally:
            _watch(self)

    def _begin_interrupting(self, seconds: float) -> None:
        """Interrupt the cursors from then on, under the lock."""
        if self._ended is None:
            self._ended = threading.Event()
            threading.Thread(target=self._interrupt, args=(self._ended, seconds), name="vdb-stop", daemon=True).start()

    def _interrupt(self, ended: threading.Event, seconds: float) -> None:
        while not ended.wait(max(seconds, 0.0)):
            with self._guard:
                if not ended.is_set():
                    for cursor in self._cursors:
                        cursor.interrupt()
            seconds = _AGAIN_SECONDS


class Stops:
    """The calls into one database, by thread."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._guard = threading.Lock()
        self._all: list[tuple[threading.Thread, Stop]] = []

    def running(self, timeout: float | None = None) -> Stop:
        """The context manager of a call of this thread; it raises QueryTimeout after `timeout` seconds."""
        return self.until(math.inf if timeout is None else time.monotonic() + _checked(timeout))

    def until(self, deadline: float) -> Stop:
        """As `running`, up to a moment of `time.monotonic`."""
        stop: Stop | None = getattr(self._local, "stop", None)
        if stop is None:
            stop = self._local.stop = Stop(self)
            with self._guard:
                self._all = [pair for pair in self._all if pair[0].is_alive()]
                self._all.append((threading.current_thread(), stop))
        return stop.until(deadline)

    def interrupt(self) -> None:
        """Stop what runs, in every thread."""
        with self._guard:
            running = [stop for _, stop in self._all]
        for stop in running:
            stop.stop()


def current() -> Stop | None:
    """What may stop the call that this thread is in."""
    found: Stop | None = getattr(_thread, "stop", None)
    return found


def held_off() -> AbstractContextManager[None]:
    """Around what follows a commit: nothing stops it."""
    stop = current()
    return nullcontext() if stop is None else stop.held_off()


@contextmanager
def interruptible(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let what stops the call of this thread stop what runs on a cursor, in the body and no longer."""
    stop = current()
    if stop is None:
        yield
        return
    was_there = stop.holds(cursor)
    stop.add(cursor)
    try:
        yield
    finally:
        if not was_there:
            stop.drop(cursor)


def renewal() -> Callable[[], AbstractContextManager[Stop | None]]:
    """What makes a context manager for a later part of the call that this thread is in, with the same deadline."""
    stop = current()
    if stop is None:
        return nullcontext
    stops, deadline = stop.stops, stop.deadline
    return lambda: stops.until(deadline)


def stopped() -> Cancelled:
    """The error of a call that was stopped."""
    return Cancelled("The call was stopped. Fix: start it again, if it is still wanted.")


def _watch(stop: Stop | None) -> None:
    _thread.stop = stop
    _core.watch(None if stop is None else stop._core)


def _checked(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise InvalidArgument(
            f"timeout must be a number of seconds above 0, got {timeout!r}.\n  Fix: pass one, or None for no limit."
        )
    return timeout if timeout <= _LONGEST_SECONDS else math.inf
