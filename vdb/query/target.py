"""What a search is of: the vectors of one table state under one metric, and the rows that a predicate chose of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vdb import _core
from vdb.index.filtered import SEEDS
from vdb.index.partial_spec import PARTIAL
from vdb.query.resolve import BY_CACHE, PartTerm

if TYPE_CHECKING:
    from vdb.index.manager import IndexManager
    from vdb.metrics.custom import AnyMetric
    from vdb.query.candidates import Bound
    from vdb.query.plan import Plan, Question
    from vdb.query.resolve import LabelTerm, RangeTerm, Resolved
    from vdb.query.result import RowSource
    from vdb.storage.state import IndexRecord, TableState
    from vdb.types import FloatMatrix, Slots, StoredMatrix, VectorColumn

_CHOSEN_KEPT: Final = 16  # row sets of one target, each a bit a slot


@dataclass(slots=True)
class Chosen:
    """The rows a search may return, and what follows from them.

    Attributes
    ----------
    rows : RowSet or None
        None: every slot.
    ranges, labels : tuple
        The terms of the predicate that an index over an attribute may serve.
    parts : tuple
        Which of the partial indexes of the column have all of them.
    plans : dict
        The plans made for them that hold for any query, by what the caller asked for.
    """

    rows: _core.RowSet | None
    count: int
    ranges: tuple[RangeTerm, ...] = ()
    labels: tuple[LabelTerm, ...] = ()
    parts: tuple[PartTerm, ...] = ()
    plans: dict[Question, Plan] = field(default_factory=dict)
    _populations: dict[str, _core.Population] = field(default_factory=dict)

    def near(self, index: str, cells: _core.Cells, view: _core.VectorView, queries: StoredMatrix) -> Near:
        """What of these rows lies near the queries; `cells` are those of the graph of that name."""
        population = self._populations.get(index)
        if population is None:
            rows = _core.RowSet.all(view.n) if self.rows is None else self.rows
            population = self._populations[index] = cells.population(rows)
        return Near(*population.seeds(view, queries, SEEDS, 1))


@dataclass(frozen=True, slots=True)
class Near:
    """(nq, s) rows near each query, padded with ABSENT_SLOT, and (nq,) the share of the rows there that are allowed."""

    seeds: Slots
    density: FloatMatrix

    @property
    def mean_density(self) -> float:
        """Of all queries."""
        return float(self.density[0] if len(self.density) == 1 else self.density.mean())


@dataclass(frozen=True)
class Target:
    """What a search without a predicate searches: the vectors of one table state under one metric.

    Attributes
    ----------
    everything : Chosen
        Live rows with a vector that has a distance.
    source : RowSource
        Where results read their columns, outside a transaction.
    bound : dict
        The methods bound to each question, and to whether a predicate comes with it.
    chosen : dict
        What predicates chose that were asked before, by the identity of the row set each was resolved to, which is kept
        beside it.
    """

    name: str
    state: TableState
    column: VectorColumn
    metric: AnyMetric
    view: _core.VectorView
    everything: Chosen
    source: RowSource
    indexes: OpenIndexes
    bound: dict[tuple[Question, bool], Bound] = field(default_factory=dict)
    chosen: dict[int, tuple[_core.RowSet, Chosen]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows a search without a predicate may return."""
        return self.everything.count

    def choose(self, resolved: Resolved) -> Chosen:
        """What a predicate chooses of the rows with a distance."""
        rows = resolved.rows
        known = self.chosen.get(id(rows))
        if known is not None and known[0] is rows:
            return known[1]
        allowed = rows if self.everything.rows is None else rows & self.everything.rows
        parts = self.indexes.parts(self.column.name, allowed)
        found = Chosen(allowed, allowed.count, resolved.ranges, resolved.labels, parts)
        if resolved.how != BY_CACHE:  # the same row set does not come again
            return found
        if len(self.chosen) >= _CHOSEN_KEPT:
            self.chosen.clear()
        self.chosen[id(rows)] = rows, found
        return found


class OpenIndexes:
    """The indexes of one table state by name, kept once they were asked for.

    Superseded where one is of other slots by then.
    """

    def __init__(self, manager: IndexManager, state: TableState) -> None:
        self._manager = manager
        self._state = state
        self._graphs: dict[str, _core.Hnsw] = {}
        self._lists: dict[str, _core.Ivf] = {}
        self._range_graphs: dict[str, _core.RangeGraph] = {}
        self._label_graphs: dict[str, _core.LabelGraph] = {}
        self._cells: dict[str, _core.Cells] = {}
        self._members: dict[str, _core.RowSet] = {}
        self._partial = tuple(record for record in state.indexes.values() if record.kind == PARTIAL)

    def parts(self, column: str, rows: _core.RowSet) -> tuple[PartTerm, ...]:
        """Which of the partial indexes of a column have all of some rows, as far as that is known."""
        found = []
        for record in self._partial:
            if record.column == column:
                members = self._members_of(record)
                if members is not None:
                    found.append(PartTerm(record.name, members.count, (rows - members).count == 0))
        return tuple(found)

    def _members_of(self, record: IndexRecord) -> _core.RowSet | None:
        known = self._members.get(record.name)
        if known is None:
            members = self._manager.members(self._state, record)
            if members is None:
                return None
            known = self._members[record.name] = members & self._state.live
        return known

    def graph(self, name: str) -> _core.Hnsw:
        """That of an HNSW or ACORN."""
        known = self._graphs.get(name)
        if known is None:
            known = self._graphs[name] = self._manager.graph(self._state, self._state.indexes[name])
        return known

    def codes(self, name: str) -> _core.Codes:
        """That of a Flat."""
        return self._manager.codes(self._state, self._state.indexes[name])

    def lists(self, name: str) -> _core.Ivf:
        """That of an IVFPQ or IVFRaBitQ."""
        known = self._lists.get(name)
        if known is None:
            known = self._lists[name] = self._manager.built_as(
                self._state, self._state.indexes[name], _core.Ivf, "lists"
            )
        return known

    def range_graph(self, name: str) -> _core.RangeGraph:
        """That of a Range."""
        known = self._range_graphs.get(name)
        if known is None:
            record = self._state.indexes[name]
            known = self._range_graphs[name] = self._manager.built_as(self._state, record, _core.RangeGraph, "ranges")
        return known

    def label_graph(self, name: str) -> _core.LabelGraph:
        """That of a Label, or of a partial index."""
        known = self._label_graphs.get(name)
        if known is None:
            record = self._state.indexes[name]
            known = self._label_graphs[name] = self._manager.built_as(self._state, record, _core.LabelGraph, "overlays")
        return known

    def cells(self, name: str) -> _core.Cells | None:
        """The cells of the vectors of a graph, where it has any."""
        known = self._cells.get(name)
        if known is None:
            found = self._manager.cells(self._state, self._state.indexes[name])
            if found is None:
                return None
            known = self._cells[name] = found
        return known
