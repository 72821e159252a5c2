"""What an index is made of: the rows that have a distance, and what some kinds need beside their vectors."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from vdb import _core
from vdb.attributes.column import NOTHING, Since
from vdb.attributes.keeper import Outdated, Unreadable
from vdb.attributes.keys import KEY_MAX, KEY_MIN
from vdb.attributes.source import Holds, columns_of
from vdb.index.build import OVER_ATTRIBUTES
from vdb.index.label_spec import Label
from vdb.index.overlay_curves import measure_overlays
from vdb.index.partial_spec import PARTIAL
from vdb.index.place import Superseded
from vdb.index.view import measurable, vector_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vdb.attributes.column import ColumnIndex
    from vdb.attributes.keeper import Attributes
    from vdb.attributes.source import Source
    from vdb.index.build import Built
    from vdb.index.measure import Vectors
    from vdb.index.recall import RecallCurve
    from vdb.index.spec import Spec
    from vdb.metrics.custom import AnyMetric
    from vdb.storage.state import IndexRecord, TableState

# Of overlays that are made anew, after a commit: as many rows as it has, four times, so that one is there before its
# label has changed much, and after a commit of one row some hundredths of a second's worth.
_ROWS_PER_ROW: Final = 4
_LEAST_ROWS: Final = 64


def codes_first(records: Iterable[IndexRecord]) -> list[IndexRecord]:
    """The records in an order in which each comes after those whose codes it reads."""
    return sorted(records, key=lambda record: record.kind in OVER_ATTRIBUTES)


def attribute_of(record: IndexRecord) -> Source:
    """What an index over an attribute goes by."""
    return Holds.of(record) if record.kind == PARTIAL else str(record.params["attribute"])


@dataclass
class _Seen:
    """What an index has seen of its attribute; `meaning` is what its keys or labels mean, None before it saw any."""

    meaning: object = None
    rewrites: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)  # one thread at a time brings it along

    def since(self, covered: int, attribute: Source, state: TableState, meaning: object) -> Since | None:
        """What is to be brought along to `state`, None where that is everything."""
        if covered == 0 or self.meaning is not meaning:
            return None
        changed = state.rewrites.since(columns_of(attribute), self.rewrites)
        return None if changed is None else Since(covered, self.rewrites, changed[changed < covered])

    def is_ahead(self, state: TableState) -> bool:
        """Whether another thread has brought it further than to `state`."""
        return self.meaning is not None and self.rewrites > state.rewrites.count

    def note(self, state: TableState, meaning: object) -> None:
        """It has all of `state`."""
        self.meaning, self.rewrites = meaning, state.rewrites.count


class _Goal(NamedTuple):
    """The state that an index is to be brought up to."""

    metric: AnyMetric
    record: IndexRecord
    state: TableState

    @property
    def view(self) -> _core.VectorView:
        return vector_view(self.state, self.record.column, self.metric)

    @property
    def rows(self) -> _core.RowSet:
        return measurable(self.state, self.record.column, self.metric)

    @property
    def attribute(self) -> Source:
        return attribute_of(self.record)


class Sources:
    """The inputs of the indexes of one database; `built` gives an index, as `IndexManager.built` does."""

    def __init__(self, attributes: Attributes, built: Callable[[TableState, IndexRecord], Built], threads: int) -> None:
        self._attributes = attributes
        self._built = built
        self._threads = threads
        self._seen: WeakKeyDictionary[Built, _Seen] = WeakKeyDictionary()

    def check(self, spec: Spec, state: TableState) -> None:
        """InvalidArgument where the rows of a table are not what a spec is for."""
        if isinstance(spec, Label):
            spec.check_column(state.schema)
            _, _, labels = self._column(state, spec.attribute).memberships()
            spec.check_counts(state.schema.name, labels, state.live.count)

    def extend(
        self,
        built: Built,
        metric: AnyMetric,
        record: IndexRecord,
        state: TableState,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Bring an index up to a table state: its new rows, and those whose key or labels were changed too.

        Superseded where the values of its attribute in that state are nowhere any more.
        """
        goal = _Goal(metric, record, state)
        if isinstance(built, _core.RangeGraph):
            self._extend_range(built, goal, progress)
        elif isinstance(built, _core.LabelGraph):
            self._extend_overlays(built, goal, progress)
        else:
            built.extend(goal.view, goal.rows, self._threads, progress)

    def follow(self, built: Built, metric: AnyMetric, record: IndexRecord, state: TableState) -> None:
        """`extend` after a commit, in proportion to its rows: overlays that are made anew get some of theirs."""
        if isinstance(built, _core.LabelGraph):
            self._extend_overlays(built, _Goal(metric, record, state), None, in_slices=True)
        else:
            self.extend(built, metric, record, state)

    def measured(
        self, built: _core.RangeGraph | _core.LabelGraph, vectors: Vectors, record: IndexRecord
    ) -> RecallCurve | None:
        """The curve of an index over an attribute; None where there are few rows."""
        column = self._column(vectors.state, attribute_of(record))
        return measure_overlays(built, vectors, column, self.walk_codes(vectors.state, record))

    def members(self, state: TableState, record: IndexRecord) -> _core.RowSet | None:
        """The slots of a state that belong into a partial index, dead ones among them.

        None where that is known nowhere any more, or memory is too short.
        """
        try:
            return self._attributes.column(state, Holds.of(record)).between(KEY_MIN, KEY_MAX)
        except (Outdated, Unreadable):
            return None

    def walk_codes(self, state: TableState, record: IndexRecord) -> _core.Hnsw | None:
        """The graph of the same column and metric whose codes walks of this index read, None where there is none."""
        for other in state.indexes.values():
            alike = other.column == record.column and other.params["metric"] == record.params["metric"]
            if alike and other.params.get("codes", "none") != "none":
                built = self._built(state, other)
                if isinstance(built, _core.Hnsw):
                    return built
        return None

    def _extend_range(self, built: _core.RangeGraph, goal: _Goal, progress: Callable[[int, int], None] | None) -> None:
        state, attribute = goal.state, goal.attribute
        column, codes = self._column(state, attribute), self.walk_codes(state, goal.record)
        seen = self._seen.setdefault(built, _Seen())
        with seen.lock:
            if seen.is_ahead(state):
                return
            since = seen.since(built.covered, attribute, state, column.meaning)
            keys, slots = column.order_keys(since or NOTHING)
            rows, whole = goal.rows - column.null, since is None
            built.extend(goal.view, rows, self._threads, progress, slots, keys, codes, whole)
            seen.note(state, column.meaning)

    def _extend_overlays(
        self,
        built: _core.LabelGraph,
        goal: _Goal,
        progress: Callable[[int, int], None] | None,
        in_slices: bool = False,
    ) -> None:
        state, attribute = goal.state, goal.attribute
        column, codes = self._column(state, attribute), self.walk_codes(state, goal.record)
        seen = self._seen.setdefault(built, _Seen())
        with seen.lock:
            if seen.is_ahead(state):
                return
            since = seen.since(built.covered, attribute, state, column.meaning.labels)
            slots, offsets, labels = column.memberships(since or NOTHING)
            most = max(_LEAST_ROWS, _ROWS_PER_ROW * len(slots)) if in_slices and since is not None else 0
            whole = since is None
            built.extend(goal.view, goal.rows, self._threads, progress, slots, offsets, labels, codes, whole, most)
            seen.note(state, column.meaning.labels)

    def _column(self, state: TableState, name: Source) -> ColumnIndex:
        try:
            return self._attributes.column(state, name)
        except Outdated as error:
            raise Superseded(str(error)) from error
