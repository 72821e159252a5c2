"""What a path is opened as: a database in memory, one in a directory, a snapshot of it, or a new one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from vdb.errors import Corrupted, InvalidArgument, Locked, NotFound
from vdb.storage import catalog, recovery, snapshot
from vdb.storage.connection import Engine, check_unused, duckdb_errors
from vdb.storage.create import create, sweep_unfinished
from vdb.storage.files import File
from vdb.storage.handle import Handle
from vdb.storage.home import MemoryHome
from vdb.storage.layout import Layout
from vdb.storage.lock import DirectoryLock
from vdb.storage.memory import Account
from vdb.storage.state import DatabaseState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vdb.storage.recovery import Options
    from vdb.storage.snapshot import SnapshotHome

_KNOWN_FILES: Final = (  # offset, bytes, what it is
    (8, b"DUCK", "a DuckDB database"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"ARROW1", "an Arrow file"),
)


def open_memory(options: Options) -> Handle:
    """An empty database in memory."""
    if options.read_only:
        raise InvalidArgument('A ":memory:" database starts empty and cannot be read-only. Fix: drop read_only=True.')
    engine = Engine.open(None, False, options.duckdb_memory, options.threads)
    try:
        with duckdb_errors("to create a database in memory"):
            catalog.create(engine.cursor())
    except BaseException:
        engine.close()
        raise
    return Handle(MemoryHome(), engine, DatabaseState(0, {}), 0, Account(options.memory_limit))


def open_directory(root: Path, options: Options) -> Handle:
    """The database at `root`, made where its place is free; for a reader a snapshot of it where that sees no less."""
    layout = Layout(root)
    lock = _create_if_free(layout, options.read_only)
    try:
        lock = lock or DirectoryLock.acquire(layout.lock, options.read_only)
    except Locked:
        handle = snapshot.open_current(layout, options) if options.read_only else None
        if handle is None:
            raise
        return handle
    with _released_on_error(lock):
        if options.read_only:
            handle = snapshot.open_settled(layout, options)
            if handle is not None:  # it is all there is, and a writer may begin beside it
                lock.release()
                return handle
        else:
            sweep_unfinished(root)
        handle = recovery.open_directory(layout, lock, options)
        return snapshot.in_place_of(handle, layout, options) if options.read_only else handle


def open_live(home: SnapshotHome) -> Handle | None:
    """The database that a snapshot was published of, read-only; None where somebody has it open for writing."""
    try:
        lock = DirectoryLock.acquire(home.layout.lock, shared=True)
    except Locked:
        return None
    with _released_on_error(lock):
        return recovery.open_directory(home.layout, lock, home.options)


def open_published(root: Path, options: Options) -> Handle:
    """The newest snapshot at `root`, whoever has the database open; NotFound where nothing was published."""
    layout = Layout(root)
    _create_if_free(layout, read_only=True)
    handle = snapshot.open_current(layout, options)
    if handle is None:
        raise NotFound(f"Nothing was published in {root}. Fix: publish() there, or drop snapshot_only=True.")
    return handle


@contextmanager
def _released_on_error(lock: DirectoryLock) -> Iterator[None]:
    try:
        yield
    except BaseException:
        lock.release()
        raise


def _create_if_free(layout: Layout, read_only: bool) -> DirectoryLock | None:
    """Create the database where its place is free and return the lock; None where one is there."""
    root = layout.root
    if root.exists() and not root.is_dir():
        raise InvalidArgument(
            f"{root} is {_what_file(root)}; a vdb database is a directory. Fix: choose another path, and load its rows."
        )
    held = sorted(path.name for path in root.iterdir()) if root.exists() else []
    if layout.format.name in held:
        return None
    if layout.catalog.name in held and layout.lock.name in held:
        raise Corrupted(f"{layout.format} is missing. Fix: restore the database from a backup.", path=layout.format)
    if held:
        raise InvalidArgument(
            f"{root} is not a vdb database: it holds {', '.join(held[:3])}{' ...' if len(held) > 3 else ''}."
            " Fix: choose a path that does not exist or an empty directory."
        )
    if read_only:
        raise NotFound(f"There is no database at {root}. Fix: correct the path, or open without read_only=True.")
    if not root.parent.is_dir():
        raise InvalidArgument(f"There is no directory {root.parent} to create {root.name} in. Fix: create it first.")
    check_unused(layout.catalog)
    return create(root)


def _what_file(path: Path) -> str:
    if not path.is_file():
        return "not a directory"
    file = File(path, "read")
    try:
        head = file.read_at(0, 32)
    finally:
        file.close()
    return next((name for at, magic, name in _KNOWN_FILES if head[at:].startswith(magic)), "a file")
