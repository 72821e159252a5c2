"""The indexes in memory: built, loaded, extended after commits, saved as snapshots, dropped.

An index is derived data. A snapshot that is missing, damaged or of other vectors is rebuilt, never an error.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

from vdb import _core
from vdb.errors import InvalidState, MetricError, NotFound, VdbError
from vdb.index.build import MEASURED, can_move, fault_of, make, renumbered, settled
from vdb.index.cells import current_cells, follow_cells, moved_cells
from vdb.index.filtered import FILTERED_ARMS
from vdb.index.info import IndexInfo, describe
from vdb.index.measure import Vectors, measure_curve
from vdb.index.place import Place, Superseded, check_asked, check_free, default_name, weakly
from vdb.index.probes import measure_probes, trained_since
from vdb.index.recall import LEAST_ROWS, RecallCurve
from vdb.index.room import Room
from vdb.index.snapshot import Snapshots
from vdb.index.sources import Sources, codes_first
from vdb.index.spec import check_name
from vdb.index.view import measurable, vector_view
from vdb.metrics.registry import MetricRegistry
from vdb.storage.state import IndexRecord

if TYPE_CHECKING:
    from vdb.attributes.keeper import Attributes
    from vdb.index.build import Built
    from vdb.index.spec import Progress, Spec
    from vdb.metrics.custom import AnyMetric
    from vdb.storage.state import TableState
    from vdb.storage.store import Store, WriteTransaction

_log = logging.getLogger(__name__)

T = TypeVar("T")
_SlotKey: TypeAlias = tuple[int, int, str, str, frozenset[tuple[str, int | float | str]], "AnyMetric | None"]


class IndexManager:
    """Every index of an open database. Thread-safe."""

    def __init__(self, store: Store, attributes: Attributes, threads: int = 0) -> None:
        store.leave_out(fault_of)
        self._store = store
        self._snapshots = Snapshots(store)
        self._threads = threads
        self._sources = Sources(attributes, weakly(self.built), threads)
        self.metrics = MetricRegistry()
        self._slots: dict[_SlotKey, Place] = {}
        self._slots_lock = threading.Lock()
        self._room = Room(store, self._slots, weakly(self._slot))

    def create(
        self, table: str, column: str, spec: Spec, name: str | None = None, progress: Progress = None
    ) -> IndexRecord:
        """Build an index over the committed rows, save it and list it; returns its record.

        AlreadyExists where the name is taken, NotFound for the column, InvalidState inside a transaction, MetricError
        where a distance written in Python fails.
        """
        if self._store.transaction is not None:
            raise InvalidState("An index cannot be created inside a transaction. Fix: create it after the commit.")
        if self._store.read_only:
            raise InvalidState("The database is open read-only. Fix: open it without read_only=True to write.")
        state = self._store.state.table(table)
        check_asked(state, column, progress)
        chosen = default_name(table, column, spec) if name is None else check_name("the name of an index", name)
        check_free(chosen, state)
        declared = state.schema.by_name[column].metric  # type: ignore[union-attr]
        metric = self.metrics.resolve(spec.metric or declared)
        try:
            self._sources.check(spec, state)
            record = IndexRecord(chosen, table, column, spec.kind, settled(spec, state, column).params(declared))
            self._room.demand(state, record)
            built = make(record, state.vectors[record.column].data.shape[1])
            self._sources.extend(built, metric, record, state, progress)
            curve = self._measured(built, metric, record, state)
        except Superseded:  # by a compaction meanwhile
            return self.create(table, column, spec, name, progress)
        saved = self._snapshots.save(built, metric, record, state, self._slot(state, record).cells)
        record = replace(saved, recall=None if curve is None else curve.to_json())
        with self._store.begin() as transaction:
            newest = transaction.state.table(table)
            check_free(chosen, newest)  # building takes long enough for another to be there, or for a compaction
            if newest.id != state.id:
                raise InvalidState(f"Table {table} was dropped while its index was built. Fix: build it again.")
            if newest.generation is not state.generation:
                built = self._moved(built, metric, record, state, newest)
                record = self._snapshots.save(built, metric, record, newest)
            transaction.put_index(record)
        slot = self._slot(newest, record)
        if slot.metric == metric:  # it was not replaced meanwhile
            slot.put(built, state if newest.generation is state.generation else newest)
            slot.curve = curve
        self.follow(table)
        return record

    def drop(self, table: str, name: str) -> None:
        """Forget an index and its snapshot."""
        if (transaction := self._store.transaction) is not None:
            transaction.drop_index(table, name)
        else:
            with self._store.begin() as own:
                own.drop_index(table, name)
            self.follow()

    def built(self, state: TableState, record: IndexRecord) -> Built:
        """An index, loaded from its snapshot or rebuilt when first needed.

        It may cover fewer rows than `state` (the caller scans the rest) or more (the caller passes a limit).
        InvalidState where it was built with a distance whose function has not been given since the database was opened,
        OutOfMemory where the memory limit has no room for it, Superseded where the index is of other slots by now.
        """
        slot = self._slot(state, record)
        if (built := slot.built) is not None:
            return built
        metric = slot.metric
        if metric is None:
            raise InvalidState(
                f"Index {record.name} of table {record.table} needs its {self.unusable(record)}."
                " Fix: db.register_metric(vdb.metric(function)), or drop the index."
            )
        with slot.lock:
            if slot.built is None:
                committed = self._committed(state)
                self._room.demand(committed, record)
                built = self._load(metric, record, committed)
                slot.rebuilt = built is None
                slot.put(built or self._rebuild(metric, record, committed), committed)
            assert slot.built is not None
            return slot.built

    def info(self, table: str, name: str) -> IndexInfo:
        """What is known of an index, which is loaded or built for it; NotFound where there is none of that name."""
        state = self._store.state.table(table)
        record = state.indexes.get(name)
        if record is None:
            raise NotFound(f"Table {table} has no index {name!r}. Indexes: {', '.join(state.indexes) or 'none'}.")
        unusable = self.unusable(record) or self.lacks_room(state, record)
        try:
            built = None if unusable else self.built(state, record)
        except Superseded:  # by a compaction between the two
            return self.info(table, name)
        metric = self._slot(state, record).metric
        alive = None if metric is None else measurable(state, record.column, metric)
        return replace(describe(record, built, self.known_curve(state, record), alive), unusable=unusable)

    def unusable(self, record: IndexRecord) -> str:
        """Why an index cannot be used now; empty where it can."""
        name = str(record.params["metric"])
        missing = f"metric {name!r}, written in Python, which is not registered since the database was opened"
        return missing if self.metrics.find(name) is None else ""

    def lacks_room(self, state: TableState, record: IndexRecord) -> str:
        """Why the memory limit keeps an index from being loaded; empty where it does not."""
        return self._room.lacks(state, record)

    def built_as(self, state: TableState, record: IndexRecord, kind: type[T], what: str) -> T:
        """`built`; InvalidState where it has no such thing as `what`, being of another kind."""
        built = self.built(state, record)
        if not isinstance(built, kind):
            raise InvalidState(f"Index {record.name} is of kind {record.kind!r}, which has no {what}.")
        return built

    def graph(self, state: TableState, record: IndexRecord) -> _core.Hnsw:
        """`built` of a record of a graph."""
        return self.built_as(state, record, _core.Hnsw, "graph")

    def codes(self, state: TableState, record: IndexRecord) -> _core.Codes:
        """`built` of a record of codes."""
        return self.built_as(state, record, _core.Codes, "codes")

    def cells(self, state: TableState, record: IndexRecord) -> _core.Cells | None:
        """The k-means cells of the vectors of an index, made when first asked for; None under a metric in Python."""
        slot = self._slot(state, record)
        return slot.cells or current_cells(slot, self._committed(state), record.column, self._threads)

    def overlays(self, state: TableState, record: IndexRecord) -> tuple[_core.LabelGraph, _core.Hnsw | None] | None:
        """`built` of a record of overlays and the graph whose codes they are walked by, if any.

        None while a row of `state` may have a label it has not seen, as inside a transaction that changes some, and
        where they are not in memory and a transaction keeps the labels from being read.
        """
        if self._store.transaction is not None and self._slot(state, record).built is None:
            return None
        built = self.built_as(state, record, _core.LabelGraph, "overlays")
        current = self._slot(state, record).rewrites == state.rewrites.count
        return (built, self._sources.walk_codes(state, record)) if current else None

    def members(self, state: TableState, record: IndexRecord) -> _core.RowSet | None:
        """The slots of a state that belong into a partial index, dead ones among them.

        None where nobody knows: of rows that a transaction has changed, of an old state, where memory is too short.
        """
        if self._store.transaction is not None and state is not self._store.committed.tables.get(record.table):
            return None
        return self._sources.members(state, record)

    def move(self, transaction: WriteTransaction, before: TableState) -> None:
        """In the transaction that compacts a table, bring its indexes to the new slots, save and list them.

        They are at hand before the commit is, so no search finds the table without them. `discard` after a rollback.
        """
        after = transaction.state.table(before.schema.name)
        for record in codes_first(before.indexes.values()):
            metric = self._slot(before, record).metric
            if metric is None:  # nothing to measure by: it is built anew once its function is given
                transaction.put_index(replace(record, file=None, covers_slots=0))
                continue
            at_hand = self._at_hand(before, metric, record) if can_move(record) else None
            self._room.demand(after, record)
            built = self._moved(at_hand, metric, record, before, after)
            slot = self._slot(after, record)
            slot.put(built, after)
            slot.curve = self.known_curve(before, record)
            slot.cells = moved_cells(self._slot(before, record), before, after)
            transaction.put_index(self._snapshots.save(built, metric, record, after, slot.cells))

    def discard(self, before: TableState) -> None:
        """Forget what `move` made of a compaction that was rolled back."""
        with self._slots_lock:
            for key in [key for key in self._slots if key[0] == before.id and key[1] > before.generation.number]:
                del self._slots[key]

    def nodes(self, state: TableState, record: IndexRecord) -> int:
        """Nodes a walk may meet, rows that are still to be indexed among them; of a graph not in memory, all slots."""
        built = self._slot(state, record).built
        known, covered = (built.size, built.covered) if isinstance(built, _core.Hnsw) else (0, 0)
        return known + max(0, state.next_slot - covered)

    def follow(self, *tables: str) -> None:
        """After a commit: insert what the indexes of these tables do not have yet, free those of dropped indexes.

        Graphs with many dead nodes are repaired, a slice after each commit, and stale recall curves are measured again:
        by the thread that committed, while searches go on.
        """
        database = self._store.state
        known = {self._slot_key(table, index) for table in database.tables.values() for index in table.indexes.values()}
        newest = {table.id: table.generation.number for table in database.tables.values()}
        with self._slots_lock:
            for key in self._slots.keys() - known:
                if key[1] <= newest.get(key[0], key[1]):  # else a compaction is about to commit it
                    del self._slots[key]
        for state in (database.tables[name] for name in tables if name in database.tables):
            for record in codes_first(state.indexes.values()):
                slot = self._slot(state, record)
                built, metric = slot.built, slot.metric
                if built is not None and metric is not None and slot.lags(state):
                    try:
                        self._sources.follow(built, metric, record, state)
                        slot.rewrites = max(slot.rewrites, state.rewrites.count)
                    except (MetricError, Superseded) as error:  # the commit stands; what has a distance is covered
                        _log.warning("index %s of table %s: %s", record.name, record.table, error)
                follow_cells(slot, record, state, self._threads)
                if isinstance(built, _core.Hnsw | _core.Ivf) and metric is not None:
                    self._repair(slot, metric, record, state)
                if built is not None:
                    with suppress(Superseded):  # then it is measured under the new slots
                        self.recall_curve(state, record)

    def recall_curve(self, state: TableState, record: IndexRecord) -> RecallCurve | None:
        """The recall curve of a graph, measured now where there is none that fits the committed table.

        While another thread measures, the curve before, which may be None, as it is for codes and for few rows.
        """
        newest = self._store.committed.tables.get(record.table)
        if newest is not None and newest.id == state.id and record.name in newest.indexes:
            state = newest
        curve, live = self.known_curve(state, record), state.live.count
        if record.kind not in MEASURED or live < LEAST_ROWS:
            return None
        slot = self._slot(state, record)
        if curve is not None and not curve.is_stale(state.next_slot, live) and not trained_since(slot.built, curve):
            return curve
        metric = slot.metric
        if metric is None or not slot.measuring.acquire(blocking=False):
            return curve
        try:
            slot.curve = self._measured(self.built(state, record), metric, record, state) or curve
            return slot.curve
        finally:
            slot.measuring.release()

    def known_curve(self, state: TableState, record: IndexRecord) -> RecallCurve | None:
        """The recall curve as it was measured last, None where it never was."""
        slot = self._slot(state, record)
        if slot.curve is None and record.recall is not None:
            slot.curve = RecallCurve.from_json(record.recall)
        return slot.curve

    def save(self) -> None:
        """Save every index that is ahead of its snapshot, and every new recall curve, in one commit.

        A failure is logged: what a snapshot lacks is indexed again when it is loaded.
        """
        if self._store.transaction is None and self._store.path is not None:
            try:
                self._snapshots.save_grown(self._slot)
            except (VdbError, OSError) as error:
                _log.warning("the indexes of %s were not saved: %s", self._store.path, error)

    def _slot(self, state: TableState, record: IndexRecord) -> Place:
        key = self._slot_key(state, record)
        if (slot := self._slots.get(key)) is None:
            with self._slots_lock:
                slot = self._slots.setdefault(key, Place(key[-1]))
        return slot

    def _slot_key(self, state: TableState, record: IndexRecord) -> _SlotKey:
        """Whose place it is: an index made anew under the name of a dropped one may be of another kind.

        So may its metric: a function registered under the name of another one starts anew.
        """
        metric = self.metrics.find(str(record.params["metric"]))
        return state.id, state.generation.number, record.name, record.kind, frozenset(record.params.items()), metric

    def _measured(self, built: Built, metric: AnyMetric, record: IndexRecord, state: TableState) -> RecallCurve | None:
        vectors = Vectors(state, record.column, metric, self._threads)
        if isinstance(built, _core.Ivf):
            return measure_probes(vectors, built, refine=bool(record.params.get("refine", True)))
        if isinstance(built, _core.Hnsw):
            cells = partial(current_cells, self._slot(state, record), state, record.column, self._threads)
            return measure_curve(vectors, built, FILTERED_ARMS[record.kind], cells)
        return None if isinstance(built, _core.Codes) else self._sources.measured(built, vectors, record)

    def _committed(self, state: TableState) -> TableState:
        """The newest committed state with the slots of `state`.

        Rows of an open transaction may be rolled back, and their slots given to others: never index those.
        """
        newest = self._store.committed.tables.get(state.schema.name)
        if newest is None or newest.id != state.id or newest.generation.number < state.generation.number:
            return state
        if newest.generation is not state.generation:
            raise Superseded(f"Table {state.schema.name} was compacted meanwhile. Fix: search again.")
        return newest

    def _at_hand(self, state: TableState, metric: AnyMetric, record: IndexRecord) -> Built | None:
        """The index where it is in memory or has a usable snapshot."""
        slot = self._slot(state, record)
        with slot.lock:
            return slot.built or self._load(metric, record, state)

    def _moved(
        self, built: Built | None, metric: AnyMetric, record: IndexRecord, before: TableState, after: TableState
    ) -> Built:
        """An index over the slots of `before` as one over those of `after`, a later generation."""
        everywhere = np.arange(before.next_slot, dtype=np.uint32)
        new_slot_of = before.generation.moved(everywhere, after.generation)
        moved = None
        if built is not None and new_slot_of is not None and can_move(record):
            self._sources.extend(built, metric, record, before)
            view, alive = vector_view(before, record.column, metric), measurable(before, record.column, metric)
            moved = renumbered(built, new_slot_of, view, alive)
        if moved is None:
            return self._rebuild(metric, record, after)
        self._sources.extend(moved, metric, record, after)
        return moved

    def _repair(self, slot: Place, metric: AnyMetric, record: IndexRecord, state: TableState) -> None:
        graph = slot.built
        assert isinstance(graph, _core.Hnsw | _core.Ivf)
        with slot.lock:
            if graph.covered == state.next_slot:  # else a later commit has come in between, and repairs
                rows = measurable(state, record.column, metric)
                slot.repair.go_on(graph, state, vector_view(state, record.column, metric), rows, self._threads)

    def _rebuild(self, metric: AnyMetric, record: IndexRecord, state: TableState) -> Built:
        built = make(record, state.vectors[record.column].data.shape[1])
        self._sources.extend(built, metric, record, state)
        return built

    def _load(self, metric: AnyMetric, record: IndexRecord, state: TableState) -> Built | None:
        """The index of the record's snapshot with the rows that came after it, None where there is no usable one."""
        built, cells = self._snapshots.load(metric, record, state) or (None, None)
        if built is None:
            return None
        try:
            self._sources.extend(built, metric, record, state)
        except MetricError as error:  # perhaps at a row that is dead by now, which one built anew does not have
            _log.warning("index %s of table %s: %s; rebuilding it", record.name, record.table, error)
            return None
        self._slot(state, record).adopt(cells)
        return built
