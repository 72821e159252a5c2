"""The DuckDB connections: the catalog's, one cursor per thread, and a private in-memory one for parsing.

DuckDB's objects are not safe to share between threads, and a forked child must neither use nor close them: closing
checkpoints the parent's database. So each thread gets its own, and a child keeps the inherited ones alive, unused.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb

from vdb.errors import Corrupted, DiskFull, InvalidArgument, Locked, VdbError

_NEVER: Final = 2**62  # bytes
_CONFINED: Final = (
    "PRAGMA disable_checkpoint_on_shutdown",
    "SET pandas_analyze_sample = 9223372036854775807",  # a column of lists is typed by all of them, not by a sample
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET enable_progress_bar = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",  # last: nothing after it can be set, by us or by a query
)
FATAL: Final = (duckdb.FatalException, duckdb.InternalException)  # the instance is of no more use
_NO_ROOM: Final = ("No space left on device", "Disk quota exceeded")

_parsers = threading.local()
_opened: list[tuple[threading.Thread, duckdb.DuckDBPyConnection]] = []  # parser connections
_opened_guard = threading.Lock()


def parser_connection() -> duckdb.DuckDBPyConnection:
    """Return this thread's private, confined in-memory connection; it never sees a database's tables."""
    if getattr(_parsers, "pid", None) != os.getpid():
        connection = duckdb.connect(":memory:", config={"threads": 1})
        for statement in _CONFINED:
            connection.execute(statement)
        with _opened_guard:
            _opened[:] = [pair for pair in _opened if pair[0].is_alive()]
            _opened.append((threading.current_thread(), connection))
        _parsers.pid, _parsers.connection = os.getpid(), connection
    found: duckdb.DuckDBPyConnection = _parsers.connection
    return found


class Engine:
    """The catalog's DuckDB instance."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.writer = connection.cursor()  # of whoever holds the writer mutex
        self._cursors: list[tuple[threading.Thread, duckdb.DuckDBPyConnection]] = []
        self._guard = threading.Lock()
        self._pool = threading.local()

    @classmethod
    def open(
        cls,
        path: Path | None,
        read_only: bool = False,
        memory_limit: str | None = None,
        threads: int | None = None,
    ) -> Engine:
        """Open the catalog at `path`, in memory where it is None, and confine it."""
        # A checkpoint that meets a full disk ends the instance, so none happens inside a COMMIT: see `Handle.fold_log`.
        config: dict[str, str | bool | int | float | list[str]] = {
            "checkpoint_threshold": f"{_NEVER}B",
            "auto_checkpoint_skip_wal_threshold": _NEVER,
        }
        given = {"memory_limit": memory_limit, "threads": threads}
        config |= {name: value for name, value in given.items() if value is not None}
        try:
            connection = duckdb.connect(":memory:" if path is None else str(path), read_only=read_only, config=config)
        except duckdb.Error as error:
            raise _refused(error, path, given) from error
        if path is None or read_only:  # the default is beside the catalog, or in the working directory
            spill = Path(tempfile.gettempdir()) / f"vdb-{os.getpid()}-{id(connection):x}"
            connection.execute("SET temp_directory = ?", [str(spill)])
        for statement in _CONFINED:
            connection.execute(statement)
        return cls(connection)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """The cursor of the calling thread."""
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._pool, "cursor", None)
        if cursor is None:
            cursor = self._pool.cursor = self.new_cursor()
        return cursor

    def new_cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor for the caller alone, such as a transaction."""
        with self._guard:
            cursor = self._connection.cursor()
            self._cursors = [pair for pair in self._cursors if pair[0].is_alive()]
            self._cursors.append((threading.current_thread(), cursor))
            return cursor

    def checkpoint(self) -> None:
        """Fold the log into the catalog file."""
        self.cursor().execute("CHECKPOINT")

    def close(self) -> None:
        """Close every cursor, then the catalog."""
        with self._guard:
            for _, cursor in self._cursors:
                with suppress(duckdb.Error):
                    cursor.close()
            self._cursors.clear()
            with suppress(duckdb.Error):  # an instance that failed before says so again
                self._connection.close()

    def abandon(self) -> None:
        """In a forked child: keep every connection alive for good, so that nothing closes the parent's catalog."""
        _make_immortal((self._connection, self.writer, self._cursors))


def wrapped(error: duckdb.Error, doing: str) -> VdbError:
    """Return the user's form of a DuckDB error raised while `doing` something with the user's values."""
    reason = _first_part(error)
    if any(text in reason for text in _NO_ROOM):
        return DiskFull(f"No room left for {doing}; nothing was changed. Fix: free some space, or delete rows.")
    if isinstance(error, duckdb.OutOfMemoryException):
        return _too_little_memory(reason)
    return InvalidArgument(f"DuckDB refused {doing}: {reason}")


def _first_part(error: duckdb.Error) -> str:
    """The error without the advice and the SQL, which is not the user's, that follow it."""
    return str(error).split("\n\n")[0].strip()


def _too_little_memory(reason: str) -> InvalidArgument:
    return InvalidArgument(f"memory_limit is too small: {reason}. Fix: raise it in vdb.connect, or lower threads.")


def _refused(error: duckdb.Error, path: Path | None, given: dict[str, str | int | None]) -> VdbError:
    reason = _first_part(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return _too_little_memory(reason)
    if path is None or isinstance(error, (duckdb.InvalidInputException, duckdb.ParserException)):
        settings = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
        return InvalidArgument(
            f"DuckDB refused {settings}: {reason}. Fix: pass a size such as '2GB', threads of 1 or more."
        )
    if any(text in reason for text in _NO_ROOM):
        return DiskFull(f"No room left to open {path.parent}. Fix: free some space, or open with read_only=True.")
    if "lock on file" in reason:
        return Locked(f"Another program has {path} open: {reason}. Fix: close it there.")
    return Corrupted(
        f"DuckDB refused {path}: {reason}. Nothing was changed. Fix: restore the database from a backup.",
        path=path,
        section="catalog",
        found=reason,
    )


def _make_immortal(connections: object) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connections))


def _keep_parsers_in_child() -> None:
    global _opened_guard
    _opened_guard = threading.Lock()  # another thread may have held it
    _make_immortal(list(_opened))
    _opened.clear()


os.register_at_fork(after_in_child=_keep_parsers_in_child)
