"""The DuckDB connections: the catalog's, one cursor per thread, and a private in-memory one for parsing.

DuckDB's objects are not safe to share between threads, and a forked child must neither use nor close them: closing
checkpoints the parent's database. So each thread gets its own, and a child keeps the inherited ones alive, unused.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from vdb.errors import Corrupted, DiskFull, InvalidArgument, InvalidState, Locked, OutOfMemory, VdbError
from vdb.storage.files import NO_ROOM
from vdb.storage.stop import current, stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.types import Durability

_NEVER: Final = 2**62  # bytes
_FSYNC_MODES: Final = {"full": "FULL", "normal": "STANDARD", "off": "NONE"}  # they differ on macOS, and for NONE
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
# Else a table that a catalog lacks is looked for among the system's views: 20 ms of each open.
_UNADVISED: Final = "SET catalog_error_max_schemas = 0"
FATAL: Final = (duckdb.FatalException, duckdb.InternalException)  # the instance is of no more use
_FAILED_IO: Final = ("Input/output error", "fsync failed", "Read-only file system")
_DAMAGED: Final = "Corrupt database file"
_HELD_UP: Final = "Cannot CHECKPOINT"
_PAUSE_SECONDS: Final = 0.002
_NO_MEMORY: Final = ("could not allocate", "failed to allocate", "failed to pin")  # a COMMIT says so in another class

_DELETED: Final = (
    "{path} was opened in this process before, and is still in use here though its files were moved or deleted."
    " Fix: close the database that was opened there, then open this one."
)
_INHERITED: Final = (
    "{path} was open in the process that this one was forked from, and DuckDB opens it in here only where it is and was"
    " open read-only. Fix: start processes with the 'spawn' method."
)
_TYPED: Final = "duckdb:"  # before a path: the same file, but another instance

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
    """The catalog's DuckDB instance; `memory` and `threads` are what it was given, None where DuckDB chooses."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path | None = None,
        read_only: bool = False,
        memory: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._connection = connection
        self.path = path
        self.read_only = read_only
        self.memory = memory
        self.threads = threads
        self.pid = os.getpid()
        self.writer = connection.cursor()  # of whoever holds the writer mutex
        self._cursors: list[tuple[threading.Thread, duckdb.DuckDBPyConnection]] = []
        self._lent: list[duckdb.DuckDBPyConnection] = []  # every cursor that was ever lent
        self._free: list[duckdb.DuckDBPyConnection] = []  # of those, the ones that are back
        self._guard = threading.Lock()
        self._pool = threading.local()

    @classmethod
    def open(
        cls,
        path: Path | None,
        read_only: bool = False,
        memory_limit: int | str | None = None,
        threads: int | None = None,
        durability: Durability = "full",
    ) -> Engine:
        """Open the catalog at `path`, in memory where it is None, and confine it.

        InvalidState where this process has an instance of that path already, or inherited one that stands in the way.
        """
        # A checkpoint that meets a full disk ends the instance, so none happens inside a COMMIT: see `Handle.fold_log`.
        config: dict[str, str | bool | int | float | list[str]] = {
            "checkpoint_threshold": f"{_NEVER}B",
            "auto_checkpoint_skip_wal_threshold": _NEVER,
            "fsync_mode": _FSYNC_MODES[durability],
        }
        size = f"{memory_limit}B" if isinstance(memory_limit, int) else memory_limit
        given = {"memory_limit": size, "threads": threads}
        config |= {name: value for name, value in given.items() if value is not None}
        name = ":memory:" if path is None else _name_of_its_own(path, read_only)
        try:
            connection = duckdb.connect(name, read_only=read_only, config=config)
            if path is None or read_only:  # the default is beside the catalog, or in the working directory
                spill = Path(tempfile.gettempdir()) / f"vdb-{os.getpid()}-{id(connection):x}"
                connection.execute("SET temp_directory = ?", [str(spill)])
            for statement in (_UNADVISED, *_CONFINED):
                connection.execute(statement)
        except duckdb.Error as error:
            raise _refused(error, path, given) from error
        memory = memory_limit if isinstance(memory_limit, int) else None
        engine = cls(connection, path, read_only, memory, threads)
        _instances[id(engine)] = engine
        return engine

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """The cursor of the calling thread; what runs on it stops with the call that the thread is in."""
        stop = current()
        if stop is None:
            return self._own_cursor()
        stop.check()
        return stop.add(self._own_cursor())

    def _own_cursor(self) -> duckdb.DuckDBPyConnection:
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

    def lend(self) -> duckdb.DuckDBPyConnection:
        """A cursor for a statement and its result, until `take_back`; any thread may have it.

        What runs on it stops with the call that the thread is in.
        """
        stop = current()
        if stop is not None:
            stop.check()
        try:
            cursor = self._free.pop()
        except IndexError:
            with self._guard:
                cursor = self._connection.cursor()
                self._lent.append(cursor)
        return cursor if stop is None else stop.add(cursor)

    def end(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Roll back what is open on a cursor, which is not stopped any more."""
        stop = current()
        if stop is not None:
            stop.drop(cursor)
        with suppress(duckdb.Error):
            cursor.execute("ROLLBACK")

    def take_back(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Have a lent cursor for the next statement; nothing of its last one may be open.

        It takes no lock: a result may be collected while this thread is in `lend`.
        """
        self._free.append(cursor)

    def checkpoint(self, patience: float = 0.0) -> None:
        """Fold the log into the catalog file.

        DuckDB refuses while a read is open that began before a commit with updates. For `patience` seconds that is
        waited for, then it is TransactionException.
        """
        end = time.monotonic() + patience
        while True:
            try:
                self._own_cursor().execute("CHECKPOINT")
                return
            except duckdb.TransactionException as error:
                if _HELD_UP not in str(error) or time.monotonic() >= end:
                    raise
            time.sleep(_PAUSE_SECONDS)

    def metadata_blocks(self) -> list[tuple[int, int]]:
        """Number and bytes of the blocks that a checkpoint may write over in place."""
        cursor = self._own_cursor()
        ((size,),) = cursor.execute("SELECT block_size FROM pragma_database_size()").fetchall()
        found = cursor.execute("SELECT block_id FROM pragma_metadata_info()").fetchall()
        return [(number, size) for (number,) in found]

    def close(self) -> None:
        """Close every cursor, then the catalog."""
        _instances.pop(id(self), None)
        with self._guard:
            for cursor in [*(cursor for _, cursor in self._cursors), *self._lent]:
                with suppress(duckdb.Error):
                    cursor.close()
            self._cursors.clear()
            self._lent.clear()
            self._free.clear()
            with suppress(duckdb.Error):  # an instance that failed before says so again
                self._connection.close()

    def abandon(self) -> None:
        """In a forked child: keep every connection alive for good, so that nothing closes the parent's catalog."""
        _make_immortal((self, self._connection, self.writer, self._cursors, self._lent))


# By id: what DuckDB hands out again for the same path, whatever is there now and whoever has it.
_instances: weakref.WeakValueDictionary[int, Engine] = weakref.WeakValueDictionary()


def _instances_of(path: Path) -> list[Engine]:
    known = [reference() for reference in _instances.valuerefs()]
    return [engine for engine in known if engine is not None and engine.path == path]


def _name_of_its_own(path: Path, read_only: bool) -> str:
    """What DuckDB is to call the catalog: for a name that it has an instance of, it makes no other."""
    check_unused(path)
    inherited = _instances_of(path)
    if not inherited:
        return str(path)
    if len(inherited) > 1 or not (read_only and inherited[0].read_only):
        raise InvalidState(_INHERITED.format(path=path))
    return f"{_TYPED}{path}"


def check_unused(path: Path) -> None:
    """InvalidState where this process uses the catalog at `path` already: it would write into what is there now."""
    if any(engine.pid == os.getpid() for engine in _instances_of(path)):
        raise InvalidState(_DELETED.format(path=path))


def wrapped(error: duckdb.Error, doing: str) -> VdbError:
    """Return the user's form of a DuckDB error raised while `doing` something with the user's values."""
    reason = first_part(error)
    for text, fix in NO_ROOM.items():
        if text in reason:
            return DiskFull(f"No room left for {doing}; nothing was changed. Fix: {fix}.")
    if isinstance(error, duckdb.OutOfMemoryException) or any(text in reason for text in _NO_MEMORY):
        return _too_little_memory(reason)
    if isinstance(error, duckdb.InterruptException):
        return stopped()
    if reason.startswith(_DAMAGED):
        return Corrupted(
            f"The catalog is damaged: DuckDB failed {doing}: {reason}. Fix: restore the database from a backup.",
            section="catalog",
            found=reason,
        )
    if isinstance(error, (*FATAL, duckdb.IOException)) or any(text in reason for text in _FAILED_IO):
        return InvalidState(f"DuckDB failed {doing}: {reason}. Fix: look after the disk, then try again.")
    if isinstance(error, duckdb.ConstraintException):
        reason += ". Fix: give values that satisfy it."
    return InvalidArgument(f"DuckDB refused {doing}: {reason}")


@contextmanager
def duckdb_errors(doing: str) -> Iterator[None]:
    """Turn an error of DuckDB's raised by the body into the error a user can act on."""
    try:
        yield
    except duckdb.Error as error:
        raise wrapped(error, doing) from error


def first_part(error: duckdb.Error) -> str:
    """The error without the advice and the SQL, which is not the user's, that follow it."""
    return str(error).split("\n\n")[0].strip()


def _too_little_memory(reason: str) -> OutOfMemory:
    return OutOfMemory(f"memory_limit is too small: {reason}. Fix: raise it in vdb.connect, or lower threads.")


def _refused(error: duckdb.Error, path: Path | None, given: dict[str, str | int | None]) -> VdbError:
    reason = first_part(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return _too_little_memory(reason)
    if path is None or isinstance(error, (duckdb.InvalidInputException, duckdb.ParserException)):
        settings = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
        return InvalidArgument(
            f"DuckDB refused {settings}: {reason}. Fix: pass a size such as '2GB', threads of 1 or more."
        )
    if any(text in reason for text in NO_ROOM):
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
