"""Who may write: one thread at a time, and none beyond its life.

A thread cannot be told by its ident, which the system gives to a later one again, nor its end by `threading`, which
does not see that of a thread it did not start. What stands in a `threading.local` goes with its thread in any case.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from typing import Final

_LOOK_SECONDS: Final = 0.1  # between two looks at whether the owner lives

_of_thread = threading.local()


class _Mark:
    """Lives as long as the thread it stands in."""


class Owner:
    """The thread that made this."""

    def __init__(self) -> None:
        if not hasattr(_of_thread, "mark"):
            _of_thread.mark = _Mark()
        self._mark = weakref.ref(_of_thread.mark)

    @property
    def is_current(self) -> bool:
        """Whether it is the calling thread."""
        mark = self._mark()
        return mark is not None and mark is getattr(_of_thread, "mark", None)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._mark() is not None


class WriterMutex:
    """A lock that is free again once its owner has ended, though nobody released it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owner: Owner | None = None

    def acquire(self, patience: float = math.inf) -> Owner | None:
        """Wait for at most `patience` seconds and return the owner, this thread; None where another one still is."""
        owner, end = Owner(), time.monotonic() + patience
        with self._changed:
            while self._owner is not None and self._owner.is_alive:
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(min(left, _LOOK_SECONDS))
            self._owner = owner
        return owner

    def release(self, owner: Owner) -> None:
        """Let go; nothing where `owner` has been followed by another one."""
        with self._changed:
            if self._owner is owner:
                self._owner = None
                self._changed.notify()
