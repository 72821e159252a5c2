"""Indexes on disk: a snapshot is of certain vectors and parameters and, for a metric in Python, of its function."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from vdb.errors import Corrupted
from vdb.index.build import load, save
from vdb.metrics.custom import CustomMetric

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vdb import _core
    from vdb.index.build import Built
    from vdb.index.place import Place
    from vdb.metrics.custom import AnyMetric
    from vdb.storage.state import IndexRecord, TableState
    from vdb.storage.store import Store

_log = logging.getLogger(__name__)


class Snapshots:
    """The snapshots of one database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load(
        self, metric: AnyMetric, record: IndexRecord, state: TableState
    ) -> tuple[Built, _core.Cells | None] | None:
        """The index of the record's snapshot, and its cells if it has some.

        None, with a warning in the log, where there is no usable one.
        """
        if record.file is None:
            return None
        path = self._store.index_path(record.file)
        if path is None:
            _log.warning("index %s of table %s: its snapshot is missing; rebuilding it", record.name, record.table)
            return None
        try:
            built, cells = load(record, str(path))
        except (Corrupted, OSError, MemoryError) as error:
            _log.warning("index %s of table %s: %s; rebuilding it", record.name, record.table, error)
            return None
        if built.identity != self._identity(metric, record, state) or built.covered > state.next_slot:
            of = "other vectors" if isinstance(metric, str) else "other vectors, or of another function as the metric"
            _log.warning("index %s of table %s: %s is of %s; rebuilding it", record.name, record.table, path, of)
            return None
        return built, cells if cells is not None and cells.covered <= state.next_slot else None

    def problem(self, record: IndexRecord) -> str | None:
        """What keeps a snapshot from being used, None where it is sound or there is none yet."""
        if record.file is None:
            return None
        path = self._store.index_path(record.file)
        if path is None:
            return f"index {record.name} of table {record.table}: its snapshot is missing"
        try:
            load(record, str(path))
        except (Corrupted, OSError) as error:
            return f"index {record.name} of table {record.table}: {error}"
        return None

    def save(
        self,
        built: Built,
        metric: AnyMetric,
        record: IndexRecord,
        state: TableState,
        cells: _core.Cells | None = None,
    ) -> IndexRecord:
        """Save an index and the cells of its vectors; its record with the new snapshot, still to be listed."""
        covered = 0

        def write(path: Path) -> None:
            nonlocal covered
            covered = built.covered
            save(built, str(path), self._identity(metric, record, state), cells)

        file = self._store.save_index(write)
        return replace(record, file=file, covers_slots=covered, covers_seq=self._store.state.seq)

    def save_grown(self, place_of: Callable[[TableState, IndexRecord], Place]) -> None:
        """Save every index that is ahead of its snapshot, and every new recall curve, and list them in one commit."""
        grown = []
        for table in self._store.state.tables.values():
            for record in table.indexes.values():
                place, changed = place_of(table, record), record
                if place.built is not None and place.metric is not None and place.is_behind(record):
                    changed = self.save(place.built, place.metric, record, table, place.cells)
                    place.saved()
                if place.curve is not None and (text := place.curve.to_json()) != record.recall:
                    changed = replace(changed, recall=text)
                if changed is not record:
                    grown.append((table, changed))
        if grown:
            with self._store.begin() as transaction:
                for table, record in grown:
                    newest = transaction.state.tables.get(record.table)
                    if newest is not None and newest.generation is table.generation and record.name in newest.indexes:
                        transaction.put_index(record)

    def _identity(self, metric: AnyMetric, record: IndexRecord, state: TableState) -> bytes:
        source = state.vectors[record.column].source.identity
        parts = {"database": self._store.uuid, "vectors": source.file.hex, "kind": record.kind, **record.params}
        if isinstance(metric, CustomMetric):
            parts["digest"] = metric.digest
        return json.dumps(parts, sort_keys=True).encode()
