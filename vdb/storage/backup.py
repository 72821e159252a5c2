"""A copy of a database as of one commit, made while it is used (durability.md 5.4): a database directory of its own.

Committed vectors and index snapshots never change, and the catalog's file only in a checkpoint. So under the writer
mutex files are only opened, and copied while commits go on. Restoring is the same from a copy that was checked.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import duckdb

from vdb.errors import AlreadyExists, DiskFull, InvalidArgument, InvalidState
from vdb.storage import files
from vdb.storage.connection import wrapped
from vdb.storage.create import build
from vdb.storage.files import File, io_errors
from vdb.storage.home import DiskHome, write_reserve, write_witness
from vdb.storage.vector_file import VectorFile
from vdb.storage.vector_header import DATA_OFFSET, WITNESS_OFFSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vdb.storage.handle import Handle
    from vdb.storage.layout import Layout

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 5.0  # for searches and statements that run; results nobody reads would be waited for forever
_NO_WITNESS: Final = bytes(DATA_OFFSET - WITNESS_OFFSET)


@dataclass(frozen=True)
class _Pinned:
    """An open file, how much of it belongs to the commit, and its name in the copy."""

    file: File
    length: int
    target: Path
    has_witness: bool


def back_up(handle: Handle, target: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Copy the newest commit to `target`, a free path or an empty directory, and make it durable.

    Only what changes a schema waits while the catalog is copied. `progress` is called with bytes copied and bytes in
    all, those of the catalog not counted. AlreadyExists where something is at `target`, InvalidState inside a
    transaction and in memory, MetadataLost where commits are missing, which the copy could not tell, DiskFull where
    either disk lacks room; nothing is left of a copy that failed.
    """
    home = handle.home
    handle.check()
    if not isinstance(home, DiskHome):
        raise InvalidState('A ":memory:" database has no files to copy. Fix: export its tables.')
    if handle.own_transaction() is not None:
        raise InvalidState("A transaction is open in this thread. Fix: back up after the commit.")
    handle.recovery.demand_all(home.catalog_path)
    with io_errors("back up to", target), ExitStack() as opened:
        _check_target(home, target)
        build(target, lambda built: _fill(handle, home, built, opened, progress)).release()


def _check_target(home: DiskHome, target: Path) -> None:
    if home.layout.root in (target, *target.parents):
        raise InvalidArgument(f"{target} is inside the database. Fix: choose a path beside it, or on another disk.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AlreadyExists(f"There is something at {target}. Fix: choose a path that does not exist.")
    if not target.parent.is_dir():
        raise InvalidArgument(f"There is no directory {target.parent}. Fix: create it first.")


def _fill(
    handle: Handle, home: DiskHome, built: Layout, opened: ExitStack, progress: Callable[[int, int], None] | None
) -> None:
    for directory in built.directories:
        files.make_directory(directory)
    with copying(handle, home, lambda: (_pin(handle, home, built, opened), handle.state.seq)) as (pinned, seq):
        files.copy_open(home.catalog_file(), built.catalog)
    write_witness(built, home.uuid, seq)
    if home.read_only and home.log_bytes():
        files.copy(home.layout.log, built.log)
    files.copy(home.layout.format, built.format)
    write_reserve(built)
    total, done = sum(pin.length for pin in pinned), 0
    for pin in pinned:
        files.copy_open(pin.file, pin.target, pin.length)
        if pin.has_witness:  # it is of commits that came meanwhile
            with closing(File(pin.target, "write")) as file:
                file.write_at(WITNESS_OFFSET, _NO_WITNESS)
                file.sync()
        done += pin.length
        if progress is not None:
            progress(done, total)
    for directory in (*built.directories, built.root):
        files.sync_directory(directory)


def _pin(handle: Handle, home: DiskHome, built: Layout, opened: ExitStack) -> list[_Pinned]:
    """Open every file of the newest commit but the catalog; they stay readable though they are deleted."""
    pinned = []
    for table in handle.state.tables.values():
        for vectors in table.vectors.values():
            source = vectors.source
            assert isinstance(source, VectorFile)
            file = opened.enter_context(closing(File(source.path, "read")))
            pinned.append(_Pinned(file, source.committed_bytes, built.vector_file(source.identity.file), True))
        for record in table.all_indexes.values():
            path = None if record.file is None else home.index_path(record.file)
            if path is not None and record.file is not None:
                file = opened.enter_context(closing(File(path, "read")))
                pinned.append(_Pinned(file, file.size, built.index_file(record.file), False))
    return pinned


@contextmanager
def copying(handle: Handle, home: DiskHome, begin: Callable[[], T]) -> Iterator[T]:
    """Yield what `begin` notes of the newest commit, and let the catalog's file be as of that while the body copies it.

    Writers wait for `begin` only, or until the end of the body where they change a schema. The file is to be read
    through `DiskHome.catalog_file`: closing another descriptor would drop DuckDB's lock. DiskFull where there is no
    room to fold the log into it.
    """
    with ExitStack() as held:
        with handle.writing():
            held.enter_context(handle.reading())
            held.enter_context(handle.unfolded())
            if not home.read_only:
                _fold_log(handle, home)
            begun = begin()
        yield begun


def _fold_log(handle: Handle, home: DiskHome) -> None:
    try:
        handle.fold_log(patience=_PATIENCE_SECONDS)
    except duckdb.TransactionException as error:
        raise InvalidState(
            f"Reads of {home.path} that began before its last commits are still open, so its log cannot be folded for a"
            " copy. Fix: read or close the results of statements, then try again."
        ) from error
    except duckdb.Error as error:
        raise wrapped(error, "to fold the log before a copy") from error
    if home.log_bytes():
        raise DiskFull(f"No room in {home.path} to fold the log before a copy. Fix: free some space.")
