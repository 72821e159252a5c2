"""The indexes in memory: built, loaded, extended after commits, saved as snapshots, dropped.

An index is derived data. A snapshot that is missing, damaged or of other vectors is rebuilt, never an error.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from vdb import _core
from vdb.errors import AlreadyExists, Corrupted, InvalidArgument, InvalidState, VdbError
from vdb.index.build import load, make, settled
from vdb.index.spec import check_name
from vdb.index.view import measurable, vector_view
from vdb.storage.state import IndexRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vdb.index.build import Built
    from vdb.index.spec import Spec
    from vdb.storage.state import TableState
    from vdb.storage.store import Store
    from vdb.types import Metric

_log = logging.getLogger(__name__)

_SlotKey: TypeAlias = tuple[int, str, str, frozenset[tuple[str, int | float | str]]]


@dataclass
class _Slot:
    """The place of one index once somebody needed it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    built: Built | None = None


class IndexManager:
    """Every index of an open database. Thread-safe."""

    def __init__(self, store: Store, threads: int = 0) -> None:
        self._store = store
        self._threads = threads
        self._slots: dict[_SlotKey, _Slot] = {}
        self._slots_lock = threading.Lock()

    def create(
        self,
        table: str,
        column: str,
        spec: Spec,
        name: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> IndexRecord:
        """Build an index over the committed rows, save it and list it; returns its record.

        AlreadyExists where the name is taken, NotFound for the column, InvalidState inside a transaction.
        """
        if self._store.transaction is not None:
            raise InvalidState("An index cannot be created inside a transaction. Fix: create it after the commit.")
        if self._store.read_only:
            raise InvalidState("The database is open read-only. Fix: open it without read_only=True to write.")
        state = self._store.state.table(table)
        if column not in state.vectors:
            known = ", ".join(state.vectors)
            raise InvalidArgument(f"{table}.{column} is not a vector column. Vector columns: {known}.")
        chosen = f"{table}_{column}_{spec.kind}" if name is None else check_name("the name of an index", name)
        if progress is not None and not callable(progress):
            raise InvalidArgument(f"progress must be callable, got {progress!r}.\n  Fix: pass f(done, total), or None.")
        _check_free(chosen, state)
        declared = state.schema.by_name[column]
        params = settled(spec, state, column).params(declared.metric)  # type: ignore[union-attr]
        record = IndexRecord(chosen, table, column, spec.kind, params)
        built = make(record, state.vectors[record.column].data.shape[1])
        self._extend(built, record, state, progress)
        record = self._saved(built, record, state)
        with self._store.begin() as transaction:
            _check_free(chosen, transaction.state.table(table))  # building takes long enough for another to be there
            transaction.put_index(record)
        self._slot(state, record).built = built
        self.follow(table)
        return record

    def drop(self, table: str, name: str) -> None:
        """Forget an index and its snapshot."""
        transaction = self._store.transaction
        if transaction is not None:
            transaction.drop_index(table, name)
        else:
            with self._store.begin() as own:
                own.drop_index(table, name)
            self.follow()

    def built(self, state: TableState, record: IndexRecord) -> Built:
        """An index, loaded from its snapshot or rebuilt when first needed.

        It may cover fewer rows than `state` (the caller scans the rest) or more (the caller passes a limit).
        """
        slot = self._slot(state, record)
        if (built := slot.built) is not None:
            return built
        with slot.lock:
            if slot.built is None:
                # Rows of an open transaction may be rolled back, and their slots given to others: never index those.
                newest = self._store.committed.tables.get(record.table)
                committed = newest if newest is not None and newest.id == state.id else state
                slot.built = self._load(record, committed) or self._rebuild(record, committed)
            return slot.built

    def graph(self, state: TableState, record: IndexRecord) -> _core.Hnsw:
        """`built` of a record of a graph."""
        built = self.built(state, record)
        if not isinstance(built, _core.Hnsw):
            raise InvalidState(f"Index {record.name} is of kind {record.kind!r}, which has no graph.")
        return built

    def codes(self, state: TableState, record: IndexRecord) -> _core.Codes:
        """`built` of a record of codes."""
        built = self.built(state, record)
        if not isinstance(built, _core.Codes):
            raise InvalidState(f"Index {record.name} is of kind {record.kind!r}, which has no codes.")
        return built

    def follow(self, *tables: str) -> None:
        """After a commit: insert what the indexes of these tables do not have yet, free those of dropped indexes."""
        database = self._store.state
        known = {_slot_key(table, index) for table in database.tables.values() for index in table.indexes.values()}
        with self._slots_lock:
            for key in self._slots.keys() - known:
                del self._slots[key]
        for state in (database.tables[name] for name in tables if name in database.tables):
            for record in state.indexes.values():
                built = self._slot(state, record).built
                if built is not None and built.covered < state.next_slot:
                    self._extend(built, record, state)

    def save(self) -> None:
        """Save every index that covers more than its snapshot, in one commit.

        A failure is logged: what a snapshot lacks is indexed again when it is loaded.
        """
        if self._store.transaction is None and self._store.path is not None:
            try:
                self._save_grown()
            except (VdbError, OSError) as error:
                _log.warning("the indexes of %s were not saved: %s", self._store.path, error)

    def _save_grown(self) -> None:
        state = self._store.state
        grown = []
        for table in state.tables.values():
            for record in table.indexes.values():
                built = self._slot(table, record).built
                if built is not None and (record.file is None or built.covered > record.covers_slots):
                    grown.append(self._saved(built, record, table))
        if grown:
            with self._store.begin() as transaction:
                for record in grown:
                    transaction.put_index(record)

    def _slot(self, state: TableState, record: IndexRecord) -> _Slot:
        key = _slot_key(state, record)
        slot = self._slots.get(key)
        if slot is None:
            with self._slots_lock:
                slot = self._slots.setdefault(key, _Slot())
        return slot

    def _extend(
        self,
        built: Built,
        record: IndexRecord,
        state: TableState,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        metric: Metric = built.metric  # type: ignore[assignment]
        rows = measurable(state, record.column, metric)
        built.extend(vector_view(state, record.column, metric), rows, self._threads, progress)

    def _rebuild(self, record: IndexRecord, state: TableState) -> Built:
        built = make(record, state.vectors[record.column].data.shape[1])
        self._extend(built, record, state)
        return built

    def _load(self, record: IndexRecord, state: TableState) -> Built | None:
        """The index of the record's snapshot, None where there is no usable one."""
        if record.file is None:
            return None
        path = self._store.index_path(record.file)
        if path is None:
            _log.warning("index %s of table %s: its snapshot is missing; rebuilding it", record.name, record.table)
            return None
        try:
            built = load(record, str(path))
        except (Corrupted, OSError, MemoryError) as error:
            _log.warning("index %s of table %s: %s; rebuilding it", record.name, record.table, error)
            return None
        if built.identity != self._identity(record, state) or built.covered > state.next_slot:
            _log.warning("index %s of table %s: %s is of other vectors; rebuilding it", record.name, record.table, path)
            return None
        self._extend(built, record, state)
        return built

    def _saved(self, built: Built, record: IndexRecord, state: TableState) -> IndexRecord:
        covered = 0

        def write(path: Path) -> None:
            nonlocal covered
            covered = built.covered
            built.save(str(path), self._identity(record, state))

        file = self._store.save_index(write)
        return replace(record, file=file, covers_slots=covered, covers_seq=self._store.state.seq)

    def _identity(self, record: IndexRecord, state: TableState) -> bytes:
        """Whose snapshot it is: other vectors or parameters make another identity."""
        source = state.vectors[record.column].source.identity
        parts = {"database": self._store.uuid, "vectors": source.file.hex, "kind": record.kind, **record.params}
        return json.dumps(parts, sort_keys=True).encode()


def _check_free(name: str, state: TableState) -> None:
    if name in state.indexes:
        raise AlreadyExists(f"Table {state.schema.name} has an index {name!r}. Fix: drop it first, or pass name=.")


def _slot_key(state: TableState, record: IndexRecord) -> _SlotKey:
    """Whose place it is: an index made anew under the name of a dropped one may be of another kind."""
    return state.id, record.name, record.kind, frozenset(record.params.items())
