"""Where the index manager keeps one index, and what it knows of it."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from vdb import _core
from vdb.errors import AlreadyExists, InvalidArgument, InvalidState
from vdb.index.label_spec import Label
from vdb.index.range_spec import Range
from vdb.index.repair import Repair
from vdb.index.spec import check_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.index.build import Built
    from vdb.index.recall import RecallCurve
    from vdb.index.spec import Spec
    from vdb.metrics.custom import AnyMetric
    from vdb.storage.state import IndexRecord, TableState


P = ParamSpec("P")
T = TypeVar("T")


class Superseded(InvalidState):
    """The table was compacted since that state; the search begins again on the newest one. No caller of vdb sees it."""


@dataclass
class Place:
    """The place of one index once somebody needed it.

    `metric` is None where its function has not been given; `rebuilt` says that the snapshot on disk is not of `built`,
    `new_cells` that it has no `cells`; `rewrites` is how many changes of attributes in place `built` has seen.
    """

    metric: AnyMetric | None
    lock: threading.Lock = field(default_factory=threading.Lock)  # while it is loaded, built or repaired
    built: Built | None = None
    curve: RecallCurve | None = None
    cells: _core.Cells | None = None
    clustering: threading.Lock = field(default_factory=threading.Lock)
    measuring: threading.Lock = field(default_factory=threading.Lock)
    rebuilt: bool = False
    new_cells: bool = False
    repair: Repair = field(default_factory=Repair)
    rewrites: int = 0

    def put(self, built: Built, state: TableState) -> None:
        """Serve searches from now on; `built` was made of `state`."""
        self.repair.start_at(state)
        self.rewrites = state.rewrites.count
        self.new_cells = False
        self.built = built

    def adopt(self, cells: _core.Cells | None) -> None:
        """Take the cells of a snapshot, unless there are some."""
        with self.clustering:
            self.cells = self.cells or cells

    def lags(self, state: TableState) -> bool:
        """Whether `built` lacks rows of `state`, or keys and labels that were changed in place, or makes overlays."""
        built = self.built
        if built is None:
            return False
        if isinstance(built, _core.LabelGraph) and built.lacking > 0:
            return True
        reads_attributes = isinstance(built, _core.RangeGraph | _core.LabelGraph)
        return built.covered < state.next_slot or (reads_attributes and self.rewrites < state.rewrites.count)

    def is_behind(self, record: IndexRecord) -> bool:
        """Whether the snapshot on disk lacks what is in memory."""
        if self.built is None:
            return False
        grown = record.file is None or self.built.covered > record.covers_slots
        return grown or self.rebuilt or self.repair.unsaved or self.new_cells

    def saved(self) -> None:
        """The snapshot on disk is that of `built` and `cells`."""
        self.rebuilt = self.new_cells = self.repair.unsaved = False


def default_name(table: str, column: str, spec: Spec) -> str:
    """The name of an index that was given none: a table may have one of each kind, and one for each attribute."""
    attribute = [spec.attribute] if isinstance(spec, Range | Label) else []
    return "_".join([table, column, *attribute, spec.kind])


def check_asked(state: TableState, column: str, progress: object) -> None:
    """InvalidArgument where there is no such vector column, or where progress cannot be told."""
    if column not in state.vectors:
        known = ", ".join(state.vectors)
        raise InvalidArgument(f"{state.schema.name}.{column} is not a vector column. Vector columns: {known}.")
    check_progress(progress)


def check_free(name: str, state: TableState) -> None:
    """AlreadyExists where the table has an index of that name."""
    if name in state.all_indexes:
        raise AlreadyExists(f"Table {state.schema.name} has an index {name!r}. Fix: drop it first, or pass name=.")


def weakly(method: Callable[P, T]) -> Callable[P, T]:
    """A bound method as a function that does not keep its object: what that holds is let go of with it, at once."""
    reference = weakref.WeakMethod(method)

    def call(*given: P.args, **named: P.kwargs) -> T:
        found = reference()
        assert found is not None
        return found(*given, **named)

    return call
