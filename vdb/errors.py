"""Every error a vdb call can raise, one tree under `VdbError`.

A message has three parts: what was wrong (with the values), what was expected, and what to do. Each class also
derives from the built-in a Python programmer would catch, so `except ValueError` keeps working.
"""

from __future__ import annotations

import os
from typing import Any


class VdbError(Exception):
    """Base of every error raised by vdb on purpose."""


class InvalidArgument(VdbError, ValueError):
    """An argument has the wrong type, shape, range or name. Nothing was changed."""


class DimensionMismatch(InvalidArgument):
    """A vector does not have the number of values its column was declared with."""


class PredicateError(InvalidArgument):
    """A `where` text is not one boolean expression over the table's columns.

    Attributes
    ----------
    position : int or None
        Zero-based character offset in the user's text, where it is known.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class OutOfMemory(InvalidArgument, MemoryError):
    """`memory_limit` has no room for what was asked. Nothing was changed."""


class MetricError(InvalidArgument):
    """A distance written in Python raised an exception or is NaN. What was asked for was not done."""


class NotFound(VdbError, KeyError):
    """A table, column, index or row id does not exist."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0]) if self.args else ""


class AlreadyExists(VdbError, ValueError):
    """A table, index or primary key is taken."""


class InvalidState(VdbError, RuntimeError):
    """The handle cannot do this now: closed, read-only, inherited through fork, inside another transaction."""


class Locked(VdbError, RuntimeError):
    """Another process, or another handle of this one, holds the database."""


class Cancelled(VdbError, RuntimeError):
    """A long call was stopped on request; everything committed before it is intact."""


class QueryTimeout(Cancelled, TimeoutError):
    """A call took longer than the `timeout` it was given; nothing was changed by it."""


class Corrupted(VdbError, IOError):
    """A file does not hold what its checksums and the catalog say it holds.

    Attributes
    ----------
    path, section : str
        The damaged file and the part of it.
    offset : int or None
        Byte offset of the damage where it is known.
    expected, found : object
        What the check wanted and what it saw.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] = "",
        section: str = "",
        offset: int | None = None,
        expected: Any = None,
        found: Any = None,
    ) -> None:
        super().__init__(message)
        self.path = os.fspath(path)
        self.section = section
        self.offset = offset
        self.expected = expected
        self.found = found


class FormatVersionError(Corrupted):
    """The file was written by a format this build does not read."""


class MetadataLost(Corrupted):
    """A witness proves a commit that the catalog no longer holds."""


class DiskFull(VdbError, OSError):
    """There is no room left; the write was rolled back and reads continue."""


class CommitOutcomeUnknown(VdbError, OSError):
    """A flush failed inside a commit. Reopen the database and ask `db.has_commit(seq)`.

    Attributes
    ----------
    seq : int
        Sequence number of the commit in doubt.
    """

    def __init__(self, message: str, seq: int) -> None:
        super().__init__(message)
        self.seq = seq
