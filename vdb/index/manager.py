"""The graphs in memory: built, loaded, extended after commits, saved as snapshots, dropped.

A graph is derived data. A snapshot that is missing, damaged or of other vectors is rebuilt, never an error.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from vdb import _core
from vdb.errors import AlreadyExists, Corrupted, InvalidArgument, InvalidState, VdbError
from vdb.index.spec import HNSW, check_name
from vdb.storage.state import IndexRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vdb.storage.state import TableState
    from vdb.storage.store import Store
    from vdb.types import Metric

_log = logging.getLogger(__name__)


@dataclass
class _Slot:
    """The place of one index: its graph once somebody needed it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    graph: _core.Hnsw | None = None


class IndexManager:
    """Every index of an open database. Thread-safe."""

    def __init__(self, store: Store, threads: int = 0) -> None:
        self._store = store
        self._threads = threads
        self._slots: dict[tuple[int, str], _Slot] = {}
        self._slots_lock = threading.Lock()

    def create(
        self,
        table: str,
        column: str,
        spec: HNSW,
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
        declared = state.schema.by_name[column]
        chosen = f"{table}_{column}_{spec.kind}" if name is None else check_name("the name of an index", name)
        record = IndexRecord(chosen, table, column, spec.kind, spec.params(declared.metric))  # type: ignore[union-attr]
        if progress is not None and not callable(progress):
            raise InvalidArgument(f"progress must be callable, got {progress!r}.\n  Fix: pass f(done, total), or None.")
        _check_free(record, state)
        graph = _new_graph(record, state)
        self._extend(graph, record, state, progress)
        record = self._saved(graph, record, state)
        with self._store.begin() as transaction:
            _check_free(record, transaction.state.table(table))  # building takes long enough for another to be there
            transaction.put_index(record)
        self._slot(state.id, record.name).graph = graph
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

    def graph(self, state: TableState, record: IndexRecord) -> _core.Hnsw:
        """The graph of an index, loaded from its snapshot or rebuilt when first needed.

        It may cover fewer rows than `state` (the caller scans the rest) or more (the caller passes a limit).
        """
        slot = self._slot(state.id, record.name)
        if (graph := slot.graph) is not None:
            return graph
        with slot.lock:
            if slot.graph is None:
                # Rows of an open transaction may be rolled back, and their slots given to others: never index those.
                newest = self._store.committed.tables.get(record.table)
                committed = newest if newest is not None and newest.id == state.id else state
                slot.graph = self._load(record, committed) or self._rebuild(record, committed)
            return slot.graph

    def follow(self, *tables: str) -> None:
        """After a commit: insert what the graphs of these tables do not have yet, free those of dropped indexes."""
        database = self._store.state
        known = {(table.id, name) for table in database.tables.values() for name in table.indexes}
        with self._slots_lock:
            for key in self._slots.keys() - known:
                del self._slots[key]
        for state in (database.tables[name] for name in tables if name in database.tables):
            for record in state.indexes.values():
                graph = self._slot(state.id, record.name).graph
                if graph is not None and graph.covered < state.next_slot:
                    self._extend(graph, record, state)

    def save(self) -> None:
        """Save every graph that covers more than its snapshot, in one commit.

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
                graph = self._slot(table.id, record.name).graph
                if graph is not None and (record.file is None or graph.covered > record.covers_slots):
                    grown.append(self._saved(graph, record, table))
        if grown:
            with self._store.begin() as transaction:
                for record in grown:
                    transaction.put_index(record)

    def _slot(self, table_id: int, name: str) -> _Slot:
        key = (table_id, name)
        slot = self._slots.get(key)
        if slot is None:
            with self._slots_lock:
                slot = self._slots.setdefault(key, _Slot())
        return slot

    def _extend(
        self,
        graph: _core.Hnsw,
        record: IndexRecord,
        state: TableState,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        rows = state.live
        present = state.vectors[record.column].present
        if present is not None:
            rows = rows & present
        if graph.metric == "cosine":
            rows = rows & nonzero(state, record.column)
        view = vector_view(state, record.column, graph.metric)  # type: ignore[arg-type]
        graph.extend(view, rows, self._threads, progress)

    def _rebuild(self, record: IndexRecord, state: TableState) -> _core.Hnsw:
        graph = _new_graph(record, state)
        self._extend(graph, record, state)
        return graph

    def _load(self, record: IndexRecord, state: TableState) -> _core.Hnsw | None:
        """The graph of the record's snapshot, None where there is no usable one."""
        if record.file is None:
            return None
        path = self._store.index_path(record.file)
        if path is None:
            _log.warning("index %s of table %s: its snapshot is missing; rebuilding it", record.name, record.table)
            return None
        try:
            graph = _core.Hnsw.load(str(path))
        except (Corrupted, OSError, MemoryError) as error:
            _log.warning("index %s of table %s: %s; rebuilding it", record.name, record.table, error)
            return None
        if graph.identity != self._identity(record, state) or graph.covered > state.next_slot:
            _log.warning("index %s of table %s: %s is of other vectors; rebuilding it", record.name, record.table, path)
            return None
        self._extend(graph, record, state)
        return graph

    def _saved(self, graph: _core.Hnsw, record: IndexRecord, state: TableState) -> IndexRecord:
        covered = 0

        def write(path: Path) -> None:
            nonlocal covered
            covered = graph.covered
            graph.save(str(path), self._identity(record, state))

        file = self._store.save_index(write)
        return replace(record, file=file, covers_slots=covered, covers_seq=self._store.state.seq)

    def _identity(self, record: IndexRecord, state: TableState) -> bytes:
        """Whose snapshot it is: other vectors or parameters make another identity."""
        source = state.vectors[record.column].source.identity
        parts = {"database": self._store.uuid, "vectors": source.file.hex, "kind": record.kind, **record.params}
        return json.dumps(parts, sort_keys=True).encode()


def _check_free(record: IndexRecord, state: TableState) -> None:
    if record.name in state.indexes:
        raise AlreadyExists(f"Table {record.table} has an index {record.name!r}. Fix: drop it first, or pass name=.")


def _new_graph(record: IndexRecord, state: TableState) -> _core.Hnsw:
    spec = HNSW.from_params(record.params)
    assert spec.metric is not None
    dim = state.vectors[record.column].data.shape[1]
    return _core.Hnsw(dim, spec.metric, spec.M, spec.ef_construction, spec.seed)


def vector_view(state: TableState, column: str, metric: Metric) -> _core.VectorView:
    """The vectors of a table state bound to a metric."""
    vectors = state.vectors[column]
    return _core.VectorView(vectors.data, metric, vectors.inverse_norms() if metric == "cosine" else None)


def nonzero(state: TableState, column: str) -> _core.RowSet:
    """The slots whose vector has a direction: cosine is undefined for the others."""
    return _core.RowSet.from_bools(np.isfinite(state.vectors[column].inverse_norms()))
