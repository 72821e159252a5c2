"""One open database, shared by its facade, read sessions and transactions: is it usable, and what is its state.

The state is swapped by one attribute write, so readers take no lock. A commit announces the state it is about to make
before DuckDB commits: a reader that already sees the new rows finds the state that goes with them.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import duckdb

from vdb.errors import InvalidState, VdbError
from vdb.storage.report import RecoveryReport
from vdb.storage.writer import Owner, WriterMutex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.storage.connection import Engine
    from vdb.storage.home import Home
    from vdb.storage.memory import Account
    from vdb.storage.read import ReadSession
    from vdb.storage.state import DatabaseState
    from vdb.storage.transaction import WriteTransaction

_RECENT_STATES: Final = 8  # a reader that falls further behind between two statements starts again
_ROOM_PER_LOG_BYTE: Final = 4  # folding writes new row groups before it frees the old ones
_ROOM_BYTES: Final = 4 << 20
_EXIT_SECONDS: Final = 5.0  # that the end of the process waits for its daemon threads, which are not joined
_CLOSED: Final = "The database is closed. Fix: open it again with vdb.connect."
_FORKED: Final = (
    "This database was opened before a fork; a child process cannot use it."
    " Fix: start processes with the 'spawn' method, and open it there."
)

_log = logging.getLogger(__name__)
_open_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


class Handle:
    """An open database.

    Attributes
    ----------
    state : DatabaseState
        The newest committed state.
    newest : DatabaseState
        `state`, or while DuckDB commits the one that follows it.
    memory : Account
        What is held of the memory limit.
    recovery : RecoveryReport
        What opening it had to put in order.
    ended : str or None
        Why the handle is of no more use.
    transaction : WriteTransaction or None
        The one that holds the writer mutex.
    """

    def __init__(self, home: Home, engine: Engine, state: DatabaseState, attempted: int, memory: Account) -> None:
        self.home = home
        self.engine = engine
        self.state = self.newest = state
        self.memory = memory
        memory.hold(self._held_bytes)
        self.recovery = RecoveryReport()
        self.pid = os.getpid()
        self.ended: str | None = None
        self.transaction: WriteTransaction | None = None
        self.writer = WriterMutex()
        self.publishing = threading.Lock()  # taken before `writer`
        self._unfolded = threading.RLock()  # taken after it: no checkpoint then
        self._attempted = attempted
        self._last_table_id = max((table.id for table in state.tables.values()), default=0)
        self._recent = {state.seq: state}
        self._sessions = threading.local()
        self._reading = 0
        self._closing = False
        self._idle = threading.Condition()
        _open_handles.add(self)

    def check(self) -> None:
        """InvalidState where the handle is closed, failed or inherited."""
        if self.is_inherited:
            raise InvalidState(_FORKED)
        if self.ended is not None:
            raise InvalidState(self.ended)

    def check_session(self) -> None:
        """As `check`, but let a session that `close` waits for go on."""
        if self.is_inherited or not self._closing:
            self.check()

    @property
    def is_inherited(self) -> bool:
        """Whether this is a copy in a forked child."""
        return self.pid != os.getpid()

    def end(self, reason: str) -> None:
        """Refuse every later call: what is on disk is not certain any more."""
        self.ended = reason

    def own_transaction(self) -> WriteTransaction | None:
        """The open transaction of this thread."""
        transaction = self.transaction
        return transaction if transaction is not None and transaction.owner.is_current else None

    def take_writer(self, patience: float = math.inf) -> Owner | None:
        """Acquire the writer mutex, and roll back what was left open by a thread that has ended; as for `patience`."""
        owner = self.writer.acquire(patience)
        if owner is not None and (left := self.transaction) is not None:
            try:
                left.abandon()
            except BaseException:
                self.writer.release(owner)
                raise
        return owner

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer mutex around the body."""
        owner = self.take_writer()
        assert owner is not None
        try:
            yield
        finally:
            self.writer.release(owner)

    def next_seq(self) -> int:
        """A sequence number for one attempt to commit; none is given out twice."""
        self._attempted += 1
        return self._attempted

    def next_table_id(self) -> int:
        """A number that no table has or had while this database was open."""
        self._last_table_id += 1
        return self._last_table_id

    def announce(self, state: DatabaseState) -> None:
        """Make a state known that DuckDB is about to commit."""
        self._recent[state.seq] = state
        self.newest = state
        while len(self._recent) > _RECENT_STATES:
            del self._recent[min(self._recent)]

    def withdraw(self) -> None:
        """Take back an announced state that was not committed."""
        if self.newest is not self.state:
            self._recent.pop(self.newest.seq, None)
            self.newest = self.state

    def swap(self) -> None:
        """Make the announced state the current one."""
        self.state = self.newest

    def forget_older(self) -> None:
        """Let go of the states before this one: they hold the files of dropped tables and generations on the disk.

        A reader that is about to begin on one of them finds it gone and begins on this one.
        """
        for seq in [seq for seq in self._recent if seq < self.state.seq]:
            self._recent.pop(seq, None)

    def state_of(self, seq: int) -> DatabaseState | None:
        """The state of commit `seq`, if it is recent."""
        return self._recent.get(seq)

    @property
    def session(self) -> ReadSession | None:
        """The open read session of this thread."""
        return getattr(self._sessions, "current", None)

    @session.setter
    def session(self, session: ReadSession | None) -> None:
        self._sessions.current = session

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep `close` waiting for the body."""
        with self._idle:
            self.check()
            self._reading += 1
        try:
            yield
        finally:
            with self._idle:
                self._reading -= 1
                self._idle.notify_all()

    def _held_bytes(self) -> int:
        """Bytes in memory of the newest state: row ids, and of vectors what is not in their files."""
        tables = self.newest.tables.values()
        vectors = sum(column.source.memory_bytes for table in tables for column in table.vectors.values())
        return vectors + sum(table.row_id_buffer.memory_bytes for table in tables)

    def close(self, abort: bool = False, patience: float = math.inf) -> None:
        """Finish running reads and transactions and close; a second call does nothing.

        `abort` rolls a transaction of this thread back instead of refusing. What other threads do for longer than
        `patience` is left to end with the process, as in a crash: what is committed stays.
        """
        if self.ended == _CLOSED or self.is_inherited:
            return
        if (transaction := self.own_transaction()) is not None:
            if not abort:
                raise InvalidState("A transaction is open in this thread. Fix: commit it or roll it back, then close.")
            transaction.rollback()
        if self.session is not None and not abort:
            raise InvalidState("A read is open in this thread. Fix: finish it, then close.")
        end = time.monotonic() + patience
        owner = self.take_writer(patience)
        try:
            with self._idle:
                failed, self.ended, self._closing = self.ended, _CLOSED, True
                is_idle = owner is not None and self._idle.wait_for(
                    lambda: self._reading <= (self.session is not None),
                    None if patience == math.inf else max(end - time.monotonic(), 0.0),
                )
                self._closing = False
            if not is_idle:
                self._leave_open()
                return
            if failed is None and not self.home.read_only:
                self._leave_clean()
            self._let_go(truncate=failed is None)
        finally:
            if owner is not None:
                self.writer.release(owner)
        _open_handles.discard(self)

    @contextmanager
    def unfolded(self, waits: bool = True) -> Iterator[bool]:
        """Keep the catalog's file as it is, for a copy or a checkpoint of one's own, while commits go to the log.

        Where it does not wait for another thread that does so, it yields whether there was none.
        """
        mine = self._unfolded.acquire(blocking=waits)
        try:
            yield mine
        finally:
            if mine:
                self._unfolded.release()

    def fold_log(self, clean: bool = False, waits: bool = True, patience: float = 0.0) -> None:
        """Checkpoint the catalog and flush WITNESS, where there is a log and certainly room for what is in it.

        DuckDB would checkpoint inside a COMMIT, and a full disk there ends the instance; so it is left to this. Where
        the catalog is being copied it waits, or leaves the log as it is; `patience` is for reads, as for
        `Engine.checkpoint`.
        """
        with self.unfolded(waits) as mine:
            if mine:
                self._fold_log(clean, patience)

    def _fold_log(self, clean: bool, patience: float) -> None:
        log_bytes = self.home.log_bytes()
        if log_bytes and self.home.free_bytes() > _ROOM_PER_LOG_BYTE * log_bytes + _ROOM_BYTES:
            try:
                self.home.save_undo(self.engine.metadata_blocks())
            except OSError as error:  # every commit is in the log: without a way back it stays there
                _log.warning("%s: no checkpoint was made: %s", self.home.path, error)
                return
            self.engine.checkpoint(patience)
            self.home.flush_witness(self.state.seq, clean)
            self.home.remove_undo()

    def _leave_clean(self) -> None:
        try:
            self.fold_log(clean=True)
            if not self.home.log_bytes():
                self.home.leave_clean(self.state.seq)
        except (duckdb.Error, OSError) as error:  # every commit is durable already; the next open replays the log
            _log.warning("%s: the last checkpoint failed: %s", self.home.path, error)

    def _leave_open(self) -> None:
        _log.warning("%s: left open, for a thread is still in it; what it has not committed is lost", self.home.path)
        self.engine.abandon()

    def _let_go(self, truncate: bool) -> None:
        self.engine.close()
        for table in self.state.tables.values():
            for column in table.vectors.values():
                with suppress(OSError):
                    column.source.close(truncate and not self.home.read_only)
        self.home.close()

    def _enter_child(self) -> None:
        self.ended = _FORKED
        self.engine.abandon()
        for table in self.state.tables.values():
            for column in table.vectors.values():
                with suppress(OSError):
                    column.source.close(truncate=False)
        self.home.close_in_child()


def _close_all() -> None:
    end = time.monotonic() + _EXIT_SECONDS
    for handle in list(_open_handles):
        with suppress(VdbError, OSError, duckdb.Error):
            handle.close(abort=True, patience=max(end - time.monotonic(), 0.0))


def _end_all_in_child() -> None:
    for handle in list(_open_handles):
        with suppress(OSError):
            handle._enter_child()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_end_all_in_child)
