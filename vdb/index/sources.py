"""What an index is made of: the rows that have a distance, and what some kinds need beside their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdb import _core
from vdb.attributes.keeper import Outdated
from vdb.index.build import OVER_ATTRIBUTES
from vdb.index.label_spec import Label
from vdb.index.place import Superseded
from vdb.index.view import measurable, vector_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vdb.attributes.column import ColumnIndex
    from vdb.attributes.keeper import Attributes
    from vdb.index.build import Built
    from vdb.index.spec import Spec
    from vdb.metrics.custom import AnyMetric
    from vdb.storage.state import IndexRecord, TableState


def codes_first(records: Iterable[IndexRecord]) -> list[IndexRecord]:
    """The records in an order in which each comes after those whose codes it reads."""
    return sorted(records, key=lambda record: record.kind in OVER_ATTRIBUTES)


class Sources:
    """The inputs of the indexes of one database; `built` gives an index, as `IndexManager.built` does."""

    def __init__(self, attributes: Attributes, built: Callable[[TableState, IndexRecord], Built], threads: int) -> None:
        self._attributes = attributes
        self._built = built
        self._threads = threads

    def check(self, spec: Spec, state: TableState) -> None:
        """InvalidArgument where the rows of a table are not what a spec is for."""
        if isinstance(spec, Label):
            spec.check_column(state.schema)
            _, labels = self._column(state, spec.attribute).memberships()
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
        rows = measurable(state, record.column, metric)
        view = vector_view(state, record.column, metric)
        if isinstance(built, _core.RangeGraph):
            column = self._column(state, str(record.params["attribute"]))
            keys, codes = column.order_keys(), self.walk_codes(state, record)
            built.extend(view, rows - column.null, self._threads, progress, keys, codes)
        elif isinstance(built, _core.LabelGraph):
            offsets, labels = self._column(state, str(record.params["attribute"])).memberships()
            built.extend(view, rows, self._threads, progress, offsets, labels, self.walk_codes(state, record))
        else:
            built.extend(view, rows, self._threads, progress)

    def walk_codes(self, state: TableState, record: IndexRecord) -> _core.Hnsw | None:
        """The graph of the same column and metric whose codes walks of this index read, None where there is none."""
        for other in state.indexes.values():
            alike = other.column == record.column and other.params["metric"] == record.params["metric"]
            if alike and other.params.get("codes", "none") != "none":
                built = self._built(state, other)
                if isinstance(built, _core.Hnsw):
                    return built
        return None

    def _column(self, state: TableState, name: str) -> ColumnIndex:
        try:
            return self._attributes.column(state, name)
        except Outdated as error:
            raise Superseded(str(error)) from error
