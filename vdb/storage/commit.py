"""The commit protocol, durability.md 4.2: vectors are flushed first, then DuckDB's COMMIT decides, then memory follows.

The numbers in the comments are its steps. A failed flush is never tried again: the second try may lie.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import duckdb

from vdb.errors import CommitOutcomeUnknown, DiskFull, OutOfMemory, VdbError
from vdb.storage import catalog, files
from vdb.storage.connection import FATAL, wrapped
from vdb.storage.files import FlushError, translated
from vdb.storage.state import DatabaseState, TableState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vdb.storage.handle import Handle
    from vdb.storage.vectors import Vectors

_PATIENCE_SECONDS: Final = 0.05  # for reads that keep a long log from being folded; the next commit tries again
_LONG_LOG_BYTES: Final = 16 << 20


@dataclass
class Pending:
    """What a transaction has done so far: its tables and views, and the files that come or go with its commit."""

    handle: Handle
    cursor: duckdb.DuckDBPyConnection
    tables: dict[str, TableState]
    views: Mapping[str, str]
    created: list[Vectors] = field(default_factory=list)
    dropped: list[Vectors] = field(default_factory=list)
    folds_log: bool = False  # the log is not to outlive the commit

    @property
    def changed_tables(self) -> list[TableState]:
        """The tables that are not as the last commit left them."""
        before = self.handle.state.tables
        return [table for name, table in self.tables.items() if before.get(name) is not table]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        before = self.handle.state
        return not self.changed_tables and self.tables.keys() == before.tables.keys() and self.views == before.views


def commit(pending: Pending) -> int:
    """Make the transaction durable and visible and return its sequence number; that of the last where it is empty.

    DiskFull, OutOfMemory, or another error, where it was rolled back; CommitOutcomeUnknown where a flush failed: the
    handle is then of no more use.
    """
    handle = pending.handle
    if pending.is_empty:
        roll_back(pending)
        return handle.state.seq
    seq = handle.next_seq()
    state = DatabaseState(seq, dict(pending.tables), pending.views)
    stale_indexes = _index_files(handle.state.tables.values()) - _index_files(state.tables.values())
    try:
        _prepare(pending, seq)
    except (duckdb.Error, OSError) as error:
        roll_back(pending)
        raise _explained(handle, error, seq) from error
    except BaseException:
        roll_back(pending)
        raise
    try:
        handle.announce(state)
        files.hook("commit", str(handle.home.path))
        pending.cursor.execute("COMMIT")  # 4: the commit point
        _finish(pending, seq)
    except (duckdb.Error, OSError) as error:
        _settle_failure(pending, error, seq)
    except BaseException:  # Ctrl-C can come between any two lines: ask DuckDB which side of the point it was
        if catalog.has_commit(handle.engine.new_cursor(), seq):
            _finish(pending, seq)
        else:
            roll_back(pending)
        raise
    for file in stale_indexes:
        handle.home.remove_index(file)
    _tidy(pending, seq)
    return seq


def roll_back(pending: Pending) -> None:
    """Forget everything the transaction did."""
    handle = pending.handle
    with suppress(duckdb.Error):  # DuckDB has rolled back by itself, or failed for good
        pending.cursor.execute("ROLLBACK")
    handle.withdraw()
    for vectors in _sources(handle.state.tables.values()):
        vectors.roll_back()
    for table in handle.state.tables.values():
        table.generation.stay()
    for vectors in pending.created:
        handle.home.remove_vectors(vectors)
    before = _index_files(handle.state.tables.values())
    for file in _index_files(pending.tables.values()) - before:
        handle.home.remove_index(file)


def _prepare(pending: Pending, seq: int) -> None:
    handle, cursor = pending.handle, pending.cursor
    changed = pending.changed_tables
    appended = [v for v in _sources(changed) if v.pending != v.committed or v in pending.created]
    for vectors in appended:  # 2 and 3; the rows themselves were written as they came
        vectors.seal(seq, handle.state.seq)
    if pending.created:
        handle.home.sync_vectors_directory()
    for table in changed:  # 4
        catalog.update_table(cursor, table)
    for vectors in appended:
        catalog.update_segment(cursor, vectors.identity.file, vectors.segment())
    catalog.add_commit(cursor, seq)
    if pending.folds_log:  # a log with everything in it: now and then is enough
        catalog.forget_commits(cursor, {vectors.witnessed_seq for vectors in _sources(pending.tables.values())})


def _finish(pending: Pending, seq: int) -> None:
    handle = pending.handle
    handle.home.record(seq)  # 5 and 6
    for vectors in _sources(pending.tables.values()):
        vectors.accept()
    handle.swap()  # 7


def _settle_failure(pending: Pending, error: duckdb.Error | OSError, seq: int) -> None:
    handle = pending.handle
    if isinstance(error, duckdb.Error) and not isinstance(error, FATAL):
        failure = wrapped(error, f"commit {seq}")
        roll_back(pending)
        if isinstance(failure, (DiskFull, OutOfMemory)):
            raise failure from error
    handle.end(f"Commit {seq} ended in an unknown state: {error}. Fix: close the database and open it again.")
    raise _unknown(error, seq) from error


def _explained(handle: Handle, error: duckdb.Error | OSError, seq: int) -> VdbError:
    if isinstance(error, (FlushError, *FATAL)):
        handle.end(f"Commit {seq} failed: {error}. Fix: close the database and open it again.")
        return _unknown(error, seq)
    if isinstance(error, duckdb.Error):
        return wrapped(error, f"commit {seq}")
    return translated(error, "write", handle.home.path)


def _unknown(error: BaseException, seq: int) -> CommitOutcomeUnknown:
    return CommitOutcomeUnknown(
        f"Commit {seq} failed while it was made durable: {error}. It is wholly there or not at all."
        f" Fix: close the database, open it again and ask db.has_commit({seq}).",
        seq,
    )


def _tidy(pending: Pending, seq: int) -> None:
    """After the commit: nothing here can undo it."""
    home = pending.handle.home
    for vectors in pending.dropped:
        home.remove_vectors(vectors)
    if pending.dropped:
        pending.handle.forget_older()
    home.restore_reserve()
    if not pending.folds_log and home.log_bytes() < _LONG_LOG_BYTES:
        return
    # Replaying a log with DDL in it is where DuckDB has had its faults, and a compaction's log has every row.
    try:
        pending.handle.fold_log(waits=pending.folds_log, patience=_PATIENCE_SECONDS)
    except (duckdb.Error, OSError) as error:
        if isinstance(error, duckdb.Error) and not isinstance(error, FATAL):
            return
        pending.handle.end(f"The checkpoint after commit {seq} failed: {error}. Fix: close and reopen the database.")
        raise _unknown(error, seq) from error


def _sources(tables: Iterable[TableState]) -> list[Vectors]:
    return [column.source for table in tables for column in table.vectors.values()]


def _index_files(tables: Iterable[TableState]) -> set[str]:
    records = (record for table in tables for record in table.all_indexes.values())
    return {record.file for record in records if record.file is not None}
