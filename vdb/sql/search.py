"""The steps of a compiled query: rows chosen, nearest ones found, distances and vectors put where DuckDB sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vdb import _core
from vdb.arrays import as_queries
from vdb.dtypes import zero_rows
from vdb.errors import InvalidArgument
from vdb.query.parameters import to_values
from vdb.query.parse import parse_predicate
from vdb.query.request import SearchOptions, make_request
from vdb.query.result import found_in
from vdb.storage.vector_stream import VectorStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from vdb.query.result import Hits
    from vdb.sql.engine import Engine
    from vdb.sql.settings import Settings
    from vdb.sql.steps import Fragment, Measured, TableUse
    from vdb.storage.session import Statement
    from vdb.storage.state import TableState
    from vdb.types import Slots


class Outdated(Exception):
    """The table moved on while a statement ran; it is to run again."""


@dataclass
class Found:
    """Rows of one table, nearest first, and their distances: NaN where there is no direction, masked without vector."""

    slots: Slots
    distances: list[npt.NDArray[Any]] = field(default_factory=list)

    def relation(self) -> dict[str, npt.NDArray[Any]]:
        """As DuckDB sees it."""
        columns: dict[str, npt.NDArray[Any]] = {"slot": self.slots}
        columns["pos"] = np.arange(len(self.slots), dtype=np.int64)
        return columns | {f"d{i}": distances for i, distances in enumerate(self.distances)}


class Steps:
    """Carries out what one call of a compiled query needs."""

    def __init__(self, engine: Engine, statement: Statement, values: Mapping[str, object], settings: Settings) -> None:
        self._engine = engine
        self._statement = statement
        self._values = values
        self._settings = settings
        self._queries: dict[tuple[int, str, Fragment | str], Any] = {}
        self.plans: list[tuple[TableUse, list[Hits]]] = []

    def run(self, use: TableUse) -> None:
        """Let DuckDB see the rows, distances and vectors that a use needs."""
        state = self._statement.state.table(use.schema.name)
        hits: list[Hits] = []
        if not use.measured:
            slots = self._allowed(use, state).to_slots()
        else:
            found = self._everything(use, state, hits) if use.top is None else self._nearest(use, state, hits)
            slots = found.slots
            self._statement.bind(use.hits, found.relation())
        if use.vectors:
            self._statement.bind(use.values, VectorStream(state, use.vectors, np.sort(slots)))
        self.plans.append((use, hits))

    def bound(self, fragment: Fragment) -> Any:
        """The values a fragment binds."""
        return bound(fragment, self._values)

    def _allowed(self, use: TableUse, state: TableState) -> _core.RowSet:
        """The live rows that the statement's conditions leave."""
        if use.candidates is not None:
            found = self._statement.ask(use.candidates.sql, self.bound(use.candidates)).fetchnumpy()["s"]
            if np.ma.isMaskedArray(found):
                found = found.compressed()
            return _core.RowSet.from_slots(np.ascontiguousarray(found, np.uint32), state.next_slot)
        if use.where is None:
            return state.live
        predicate = parse_predicate(use.where.sql, self._raw(use.where), use.schema)
        resolved = self._engine.resolver.resolve(predicate, state)
        if resolved.state is not state:
            raise Outdated
        return resolved.rows

    def _raw(self, fragment: Fragment) -> dict[str, object] | None:
        return {name: self._values[name] for name in fragment.parameters} or None

    def _everything(self, use: TableUse, state: TableState, hits: list[Hits]) -> Found:
        allowed = self._allowed(use, state)
        found = Found(allowed.to_slots())
        for measured in use.measured:
            found.distances.append(self._distances(use, state, measured, found.slots, hits))
        return found

    def _nearest(self, use: TableUse, state: TableState, hits: list[Hits]) -> Found:
        top, first = use.top, use.measured[0]
        assert top is not None
        limit, offset = self._number(top.limit, "LIMIT"), self._number(top.offset or 0, "OFFSET")
        wanted = state.live.count if limit is None else min(limit + (offset or 0), state.live.count)
        query = self._query(use, first)
        rows = self._allowed(use, state) if use.candidates is not None else None
        slots, distances = np.empty(0, np.uint32), np.empty(0, np.float32)
        if not self._is_undefined(use, first, query) and wanted:
            slots, distances = self._search(use, state, rows, wanted, hits)
        if len(slots) < wanted or top.falls:
            rows = self._allowed(use, state) if rows is None else rows
            without = (rows - _core.RowSet.from_slots(slots, state.next_slot)).to_slots()
            if top.falls and len(without):  # rows without a direction come first, and only a look at all tells them
                return self._everything(use, state, hits)
            missing = self._missing(state, first.column, without)
            by_id = without[np.lexsort((state.row_ids[without], missing))][: wanted - len(slots)]
            slots = np.concatenate([slots, by_id])
            distances = self._filled(state, first, slots, distances, query)
        found = Found(np.ascontiguousarray(slots, np.uint32), [distances])
        for measured in use.measured[1:]:
            found.distances.append(self._distances(use, state, measured, found.slots, hits))
        return found

    def _search(
        self, use: TableUse, state: TableState, rows: _core.RowSet | None, wanted: int, hits: list[Hits]
    ) -> tuple[Slots, npt.NDArray[np.float32]]:
        """The nearest rows; where further keys order ties, all rows at the last distance."""
        assert use.top is not None
        width = wanted
        while True:
            found = self._ask(use, state, use.measured[0], rows, width + use.top.ties)
            slots, distances = found_in(found)[1], found.distances
            if not use.top.ties or len(slots) <= width or distances[width] != distances[wanted - 1]:
                break
            width *= 4
        hits.append(found)
        return slots[: max(width, wanted)], distances[: max(width, wanted)]

    def _ask(self, use: TableUse, state: TableState, measured: Measured, rows: _core.RowSet | None, k: int) -> Hits:
        settings = self._settings
        where = use.where if rows is None else None
        options = SearchOptions(
            where=None if where is None else where.sql,
            params=None if where is None else self._raw(where),
            column=measured.column,
            select=(),
            metric=measured.metric,
            ef_search=settings.ef_search,
            strategy=settings.strategy,
            recall=settings.recall,
        )
        request = make_request(state.schema, self._query(use, measured), k, options)._replace(rows=rows)
        found = self._engine.executor.search(state, request)
        if found_in(found)[0] is not state:
            raise Outdated
        return found

    def _distances(
        self, use: TableUse, state: TableState, measured: Measured, slots: Slots, hits: list[Hits]
    ) -> npt.NDArray[Any]:
        """The distance of each of some slots, exactly."""
        query = self._query(use, measured)
        if self._is_undefined(use, measured, query) or not len(slots):
            return self._filled(state, measured, slots, np.empty(0, np.float32), query)
        rows = _core.RowSet.from_slots(np.sort(slots), state.next_slot)
        options = SearchOptions(column=measured.column, select=(), metric=measured.metric, strategy="scan")
        request = make_request(state.schema, query, len(slots), options)._replace(rows=rows)
        found = self._engine.executor.search(state, request)
        hits.append(found)
        known = np.full(state.next_slot, np.nan, np.float32)
        known[found_in(found)[1]] = found.distances
        return self._filled(state, measured, slots, known[slots], query)

    def _filled(
        self, state: TableState, measured: Measured, slots: Slots, known: npt.NDArray[Any], query: Any
    ) -> npt.NDArray[Any]:
        """Distances of all slots, of which the first are known: NaN for the others, masked where there is no vector."""
        distances = np.full(len(slots), np.nan, np.float32)
        distances[: len(known)] = known
        missing = np.ones(len(slots), np.bool_) if query is None else self._missing(state, measured.column, slots)
        return np.ma.masked_array(distances, mask=missing) if missing.any() else distances

    def _missing(self, state: TableState, column: str, slots: Slots) -> npt.NDArray[np.bool_]:
        """Which of some slots have no vector."""
        present = state.vectors[column].present
        if present is None or not len(slots):
            return np.zeros(len(slots), np.bool_)
        having = _core.RowSet.from_slots(np.sort(slots), state.next_slot) & present
        missing: npt.NDArray[np.bool_] = ~np.isin(slots, having.to_slots())
        return missing

    def _query(self, use: TableUse, measured: Measured) -> Any:
        """The query vector, as it was given or as a query says, which is asked once; None for NULL."""
        key = use.number, measured.column, measured.query
        if key not in self._queries:
            self._queries[key] = self._vector(measured)
        return self._queries[key]

    def _vector(self, measured: Measured) -> Any:
        if isinstance(measured.query, str):
            value = self._values[measured.query]
            if not isinstance(value, str):
                return value
            rows = self._statement.ask("SELECT CAST($1 AS FLOAT[])", [value]).fetchall()
        else:
            rows = self._statement.ask(measured.query.sql, self.bound(measured.query)).fetchall()
        value = rows[0][0] if rows else None
        return None if value is None else np.asarray(value, np.float32)

    def _is_undefined(self, use: TableUse, measured: Measured, query: Any) -> bool:
        """Whether no row has a distance to a query: it is NULL, or zero under cosine.

        DimensionMismatch where it is of another length than the column.
        """
        if query is None:
            return True
        column = next(c for c in use.schema.vectors if c.name == measured.column)
        vectors, _ = as_queries(query, column.dim, f"{use.schema.name}.{column.name}", column.dtype)
        return measured.metric == "cosine" and bool(len(zero_rows(vectors, column.dtype)))

    def _number(self, value: int | str, what: str) -> int | None:
        """A number of LIMIT or OFFSET; None for NULL, which is no limit."""
        found: Any = self._values[value] if isinstance(value, str) else value
        if found is None:
            return None
        try:
            number = int(found)
        except (TypeError, ValueError):
            number = -1
        if number < 0:
            raise InvalidArgument(f"{what} must be a whole number of rows, got {found!r}.\n  Fix: pass 0 or more.")
        return number


def bound(fragment: Fragment, values: Mapping[str, object]) -> Any:
    """The values a fragment binds, as DuckDB takes them."""
    if not fragment.parameters:
        return None
    return to_values({name: values[name] for name in fragment.parameters})
