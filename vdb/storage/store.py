"""The facade of the storage layer: open a database, read its state, read and write rows, close it."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from vdb.errors import InvalidState, VdbError
from vdb.storage import backup, catalog, publish, read, session, snapshot, verify
from vdb.storage.beside import beside, opened
from vdb.storage.connection import wrapped
from vdb.storage.files import io_errors
from vdb.storage.home import DiskHome
from vdb.storage.layout import checked_path
from vdb.storage.memory import Account, parse_size
from vdb.storage.opening import open_directory, open_live, open_memory, open_published
from vdb.storage.read import Reader
from vdb.storage.recovery import Options
from vdb.storage.snapshot import SnapshotHome
from vdb.storage.state import DatabaseState, IndexRecord, TableState, VectorState
from vdb.storage.transaction import WriteTransaction

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from vdb.storage.handle import Handle
    from vdb.storage.report import RecoveryReport
    from vdb.storage.session import Statement
    from vdb.types import Durability, Predicate, Slots, TableSchema

__all__ = [
    "DatabaseState",
    "IndexRecord",
    "Reader",
    "Store",
    "TableState",
    "VectorState",
    "WriteTransaction",
    "all_or_none",
]

_log = logging.getLogger(__name__)


class Store:
    """An open database. Any thread may use it; one transaction writes at a time."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None,
        read_only: bool = False,
        memory_limit: str | None = None,
        threads: int | None = None,
        durability: Durability = "full",
    ) -> Store:
        """Open the database at `path`, creating it where there is none; in memory where `path` is None.

        Parameters
        ----------
        read_only : bool
            Write nothing at all; any number of processes may, while none writes.
        memory_limit : str, optional
            Such as "2GB"; `vdb.connect` says of what.
        threads : int, optional
            DuckDB's setting.
        durability : {"full", "normal", "off"}
            What a commit flushes; `vdb.connect` says what each promises.

        Raises
        ------
        Locked, NotFound (read-only and missing), InvalidArgument (not a database), Corrupted, MetadataLost,
        FormatVersionError, DiskFull, AlreadyExists (created by somebody else at the same moment)
        """
        options = Options(read_only, parse_size(memory_limit), threads, durability)
        if path is None:
            return cls(open_memory(options))
        root = checked_path(path)
        with io_errors("open", root):
            return cls(open_directory(root, options))

    @classmethod
    def open_snapshot(
        cls, path: str | os.PathLike[str], memory_limit: str | None = None, threads: int | None = None
    ) -> Store:
        """Open what was published last at `path`, read-only, whoever has it open; NotFound where nothing was."""
        options = Options(True, parse_size(memory_limit), threads)
        root = checked_path(path)
        with io_errors("open", root):
            return cls(open_published(root, options))

    @property
    def path(self) -> Path | None:
        """The database directory, None in memory."""
        return self._handle.home.path

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self._handle.home.read_only

    @property
    def uuid(self) -> str:
        """The database's own name, 32 hexadecimal digits."""
        return self._handle.home.uuid.hex

    @property
    def recovery(self) -> RecoveryReport:
        """What opening the database had to put in order."""
        self._handle.check()
        return self._handle.recovery

    @property
    def state(self) -> DatabaseState:
        """The newest committed state; in a thread with an open transaction, that transaction's."""
        handle = self._handle
        if handle.ended is not None:  # a fork sets it too, in the child
            handle.check()
        transaction = handle.transaction
        if transaction is not None and transaction.owner.is_current:
            return transaction.state
        return handle.state

    @property
    def committed(self) -> DatabaseState:
        """The newest committed state, in every thread."""
        self._handle.check()
        return self._handle.state

    @property
    def transaction(self) -> WriteTransaction | None:
        """The open transaction of the calling thread."""
        return self._handle.own_transaction()

    @property
    def memory(self) -> Account:
        """What it holds of its memory limit."""
        return self._handle.memory

    @property
    def closed(self) -> bool:
        """Whether the handle is of no more use: closed, failed, or inherited through a fork."""
        return self._handle.ended is not None

    def read(self) -> AbstractContextManager[Reader]:
        """Open a session that sees one committed state in memory and in DuckDB; a transaction of this thread is one."""
        return read.read(self._handle)

    def matching(self, table: str, predicate: Predicate | None) -> tuple[DatabaseState, Slots]:
        """The slots where `predicate` is TRUE and the state they belong to: a session for one question, but cheaper."""
        return read.matching(self._handle, table, predicate)

    def statement(self) -> AbstractContextManager[Statement]:
        """Open a session for one statement of the caller's SQL, whose result may be read after it."""
        return session.running(self._handle)

    @property
    def duckdb_memory(self) -> int | None:
        """Bytes of the memory limit that are DuckDB's."""
        return self._handle.engine.memory

    def unconfined(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB in memory with the limits of the database's, for the caller to close; as `beside.opened`."""
        self._handle.check()
        return opened(self._handle.engine)

    def beside(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Open a DuckDB that sees nothing of the database and may open files; as `beside.beside`."""
        self._handle.check()
        return beside(self._handle.engine)

    def begin(self) -> WriteTransaction:
        """Begin the write transaction, once no other thread has one; that of a thread that has ended is rolled back.

        InvalidState where the database is read-only or closed, or this thread is inside a transaction already.
        """
        handle = self._handle
        handle.check()
        if handle.home.read_only:
            raise InvalidState("The database is open read-only. Fix: open it without read_only=True to write.")
        if handle.own_transaction() is not None:
            raise InvalidState("A transaction is open in this thread. Fix: transactions do not nest; use that one.")
        owner = handle.take_writer()
        assert owner is not None
        try:
            handle.check()
            handle.transaction = WriteTransaction(handle, owner)
        except BaseException as error:
            handle.writer.release(owner)
            if isinstance(error, duckdb.Error):
                raise wrapped(error, "a new transaction") from error
            raise
        return handle.transaction

    def has_commit(self, seq: int) -> bool:
        """Whether commit `seq` is in the database."""
        self._handle.check()
        with self._handle.reading():
            return catalog.has_commit(self._handle.engine.cursor(), seq)

    def save_index(self, write: Callable[[Path], object]) -> str | None:
        """Let `write` make an index snapshot at a path; returns the uuid to list it under, None in memory.

        It is durable on return, but swept at the next open unless a transaction lists it (`put_index`).
        """
        self._handle.check()
        if self.read_only:
            return None
        with io_errors("save an index in", self.path or Path(":memory:")):
            return self._handle.home.save_index(write)

    def index_path(self, file: str) -> Path | None:
        """Where the index snapshot of that uuid is, None where there is none."""
        self._handle.check()
        return self._handle.home.index_path(file)

    def leave_out(self, fault_of: Callable[[IndexRecord, TableSchema], str]) -> None:
        """List no index any more that `fault_of` finds something wrong with; before anything else is asked for."""
        state = self._handle.state
        tables = {name: _without_faulty(table, fault_of) for name, table in state.tables.items()}
        if any(tables[name] is not table for name, table in state.tables.items()):
            self._handle.announce(replace(state, tables=tables))
            self._handle.swap()

    def check(self) -> None:
        """Read all there is and compare it with its checksums; Corrupted names the first damage, as `verify.check`.

        Of a published snapshot, the database itself too, unless somebody has it open for writing.
        """
        self._handle.check()
        home = self._handle.home
        with io_errors("check", self.path or Path(":memory:")):
            verify.check(self._handle)
            live = open_live(home) if isinstance(home, SnapshotHome) else None
            if live is not None:
                with closing(live):
                    verify.check(live)

    @property
    def is_snapshot(self) -> bool:
        """Whether this is a published snapshot, opened beside a writer."""
        return isinstance(self._handle.home, SnapshotHome)

    def newer(self) -> Store | None:
        """A newer snapshot than this one, None where there is none; InvalidState where this is open for writing."""
        self._handle.check()
        if not self.read_only:
            raise InvalidState("A database open for writing is always at its newest commit. Fix: refresh readers.")
        home = self._handle.home
        if not isinstance(home, SnapshotHome):
            return None
        with io_errors("refresh", home.layout.root):
            handle = snapshot.open_newer(home.layout, home.options, self.state.seq)
        return None if handle is None else Store(handle)

    def publish(self) -> int:
        """Let readers in other processes see the newest commit; as `publish.publish`."""
        return publish.publish(self._handle)

    @property
    def has_published(self) -> bool:
        """Whether there is a snapshot that readers use beside a writer."""
        home = self._handle.home
        return isinstance(home, DiskHome) and not home.read_only and bool(home.published)

    def back_up(self, target: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None) -> None:
        """Copy the newest commit to a free path, while commits go on; as `backup.back_up`."""
        backup.back_up(self._handle, checked_path(target), progress)

    def close(self) -> None:
        """Wait for running calls, fold the log into the catalog and let go of the directory; again does nothing."""
        self._handle.close()

    def __del__(self) -> None:
        with suppress(VdbError, OSError, AttributeError):
            self._handle.close(abort=True)


def _without_faulty(table: TableState, fault_of: Callable[[IndexRecord, TableSchema], str]) -> TableState:
    faults = {name: fault for name, record in table.indexes.items() if (fault := fault_of(record, table.schema))}
    for name, fault in faults.items():
        _log.warning("index %s of table %s is left out: %s", name, table.schema.name, fault)
    return table.with_indexes({n: r for n, r in table.all_indexes.items() if n not in faults}) if faults else table


@contextmanager
def all_or_none(store: Store) -> Iterator[None]:
    """Let the open transaction of this thread only be rolled back where the body fails after it has written."""
    transaction = store.transaction
    before = store.state
    try:
        yield
    except BaseException:  # of any class: the body may call what a caller gave
        if transaction is not None and transaction.state is not before:
            transaction._fail()
        raise
