"""The steps of a compiled query: rows chosen, nearest ones found, distances and vectors put where DuckDB sees them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vdb import _core
from vdb.arrays import as_queries
from vdb.dtypes import zero_rows
from vdb.errors import InvalidArgument
from vdb.query.parameters import to_values
from vdb.query.parse import parse_predicate
from vdb.query.request import SearchOptions, make_request
from vdb.query.result import found_each, found_in
from vdb.sql.batch import search_batch
from vdb.sql.explain import unplanned
from vdb.sql.found import NO_DISTANCES, NO_SLOTS, Found, Outdated
from vdb.storage.vector_stream import VectorStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from vdb.query.request import Request
    from vdb.query.result import Hits
    from vdb.sql.engine import Engine
    from vdb.sql.found import Nearest
    from vdb.sql.settings import Settings
    from vdb.sql.steps import Fragment, Measured, TableUse
    from vdb.storage.session import Statement
    from vdb.storage.state import TableState
    from vdb.types import Slots


class Steps:
    """Carries out what one call of a compiled query needs."""

    def __init__(self, engine: Engine, statement: Statement, values: Mapping[str, object], settings: Settings) -> None:
        self._engine = engine
        self.statement = statement
        self.values = values
        self._settings = settings
        self._queries: dict[tuple[int, str, Fragment | str], Any] = {}
        self.plans: list[tuple[TableUse, list[Callable[[], str]]]] = []

    def given(self, values: Mapping[str, object]) -> Steps:
        """The same with more values."""
        return Steps(self._engine, self.statement, {**self.values, **values}, self._settings)

    def run(self, use: TableUse) -> None:
        """Let DuckDB see the rows, distances and vectors that a use needs."""
        state = self.statement.state.table(use.schema.name)
        hits: list[Hits] = []
        if not use.measured:
            slots = self.allowed(use, state).to_slots()
        else:
            if use.batch is not None:
                found = search_batch(self, use, state, hits)
            elif use.top is None:
                found = self._everything(use, state, self._query(use, use.measured[0]), hits)
            else:
                found = self.nearest(use, state, self._query(use, use.measured[0]), hits)
            slots = found.slots
            self.statement.bind(use.hits, found.relation())
        if use.vectors:
            self.statement.bind(use.values, VectorStream(state, use.vectors, np.unique(slots)))
        self.plans.append((use, [found.explain for found in hits]))

    def rehearse(self, use: TableUse) -> None:
        """Let DuckDB see the same without rows, and plan what would be searched."""
        if not use.measured:
            self.run(use)  # a query vector may be among what it shows, and nothing is read before it is asked for
            return
        state = self.statement.state.table(use.schema.name)
        plans: list[Callable[[], str]] = []
        if use.batch is not None:
            self.statement.ask(f"CREATE OR REPLACE TEMP TABLE {use.needles} AS {use.batch.stub}")
        if use.batch is not None or (use.top is not None and use.reads_others):
            plans = [partial(unplanned, use)]
        elif use.top is not None:
            plans = self._planned(use, state)
        needle = None if use.batch is None else np.empty(0, np.int64)
        nothing = Found(NO_SLOTS, [NO_DISTANCES] * len(use.measured), needle)
        self.statement.bind(use.hits, nothing.relation())
        if use.vectors:
            self.statement.bind(use.values, VectorStream(state, use.vectors, NO_SLOTS))
        self.plans.append((use, plans))

    def bound(self, fragment: Fragment) -> Any:
        """The values a fragment binds."""
        return bound(fragment, self.values)

    def allowed(self, use: TableUse, state: TableState) -> _core.RowSet:
        """The live rows that the statement's conditions leave."""
        if use.candidates is not None:
            found = self.statement.ask(use.candidates.sql, self.bound(use.candidates)).fetchnumpy()["s"]
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
        return {name: self.values[name] for name in fragment.parameters} or None

    def _everything(self, use: TableUse, state: TableState, query: Any, hits: list[Hits]) -> Found:
        """Every row that the conditions leave; `query` is that of the first distance."""
        found = Found(self.allowed(use, state).to_slots())
        for number, measured in enumerate(use.measured):
            vector = self._query(use, measured) if number else query
            found.distances.append(self._distances(use, state, (measured, vector), found.slots, hits))
        return found

    def wanted(self, use: TableUse, state: TableState) -> int:
        """How many of the nearest rows count."""
        assert use.top is not None
        limit, offset = self._number(use.top.limit, "LIMIT"), self._number(use.top.offset or 0, "OFFSET")
        return state.live.count if limit is None else min(limit + (offset or 0), state.live.count)

    def nearest(self, use: TableUse, state: TableState, query: Any, hits: list[Hits]) -> Found:
        """The nearest rows to one query, those without a distance last where there are too few."""
        wanted = self.wanted(use, state)
        rows = self.allowed(use, state) if use.candidates is not None else None
        found: Nearest = (NO_SLOTS, NO_DISTANCES)
        if not self.is_undefined(use, use.measured[0], query) and wanted:
            (found,) = self.search(use, state, (query, rows), wanted, hits)
        return self.completed(use, state, (query, rows), found, hits)

    def completed(
        self,
        use: TableUse,
        state: TableState,
        asked: tuple[Any, _core.RowSet | None],
        nearest: Nearest,
        hits: list[Hits],
    ) -> Found:
        """What was found, and as many rows without a distance as are wanted beside it."""
        assert use.top is not None
        (query, rows), (slots, distances), first = asked, nearest, use.measured[0]
        wanted = self.wanted(use, state)
        if len(slots) < wanted or use.top.falls:
            rows = self.allowed(use, state) if rows is None else rows
            without = (rows - _core.RowSet.from_slots(np.sort(slots), state.next_slot)).to_slots()
            if use.top.falls and len(without):  # rows without a direction come first, and only a look at all tells them
                return self._everything(use, state, query, hits)
            missing = self._missing(state, first.column, without)
            by_id = without[np.lexsort((state.row_ids[without], missing))]
            slots = np.concatenate([slots, by_id if use.top.ties else by_id[: wanted - len(slots)]])
            distances = self._filled(state, first, slots, distances, query)
        found = Found(np.ascontiguousarray(slots, np.uint32), [distances])
        for measured in use.measured[1:]:
            asked = (measured, self._query(use, measured))
            found.distances.append(self._distances(use, state, asked, found.slots, hits))
        return found

    def search(
        self, use: TableUse, state: TableState, asked: tuple[Any, _core.RowSet | None], wanted: int, hits: list[Hits]
    ) -> list[Nearest]:
        """The rows nearest to each query; where further keys order ties, all rows at the last distance."""
        assert use.top is not None
        width = wanted
        while True:
            found = self._engine.executor.search(state, self._request(use, state, asked, width + use.top.ties))
            if found_in(found)[0] is not state:
                raise Outdated
            each = found_each(found)
            if not use.top.ties or not any(_is_cut(distances, wanted, width) for _, distances in each):
                break
            width *= 4
        hits.append(found)
        return [(slots[: max(width, wanted)], distances[: max(width, wanted)]) for slots, distances in each]

    def _request(self, use: TableUse, state: TableState, asked: tuple[Any, _core.RowSet | None], k: int) -> Request:
        query, rows = asked
        settings, measured = self._settings, use.measured[0]
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
        return make_request(state.schema, query, k, options)._replace(rows=rows)

    def _planned(self, use: TableUse, state: TableState) -> list[Callable[[], str]]:
        wanted, query = self.wanted(use, state), self._query(use, use.measured[0])
        if self.is_undefined(use, use.measured[0], query) or not wanted:
            return []
        rows = self.allowed(use, state) if use.candidates is not None else None
        plan = self._engine.executor.explain(state, self._request(use, state, (query, rows), wanted))
        return [plan.__str__]

    def _distances(
        self, use: TableUse, state: TableState, asked: tuple[Measured, Any], slots: Slots, hits: list[Hits]
    ) -> npt.NDArray[Any]:
        """The distance of each of some slots to a query, exactly."""
        measured, query = asked
        if self.is_undefined(use, measured, query) or not len(slots):
            return self._filled(state, measured, slots, NO_DISTANCES, query)
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
            value = self.values[measured.query]
            if not isinstance(value, str):
                return value
            rows = self.statement.ask("SELECT CAST($1 AS FLOAT[])", [value]).fetchall()
        else:
            rows = self.statement.ask(measured.query.sql, self.bound(measured.query)).fetchall()
        value = rows[0][0] if rows else None
        return None if value is None else np.asarray(value, np.float32)

    def is_undefined(self, use: TableUse, measured: Measured, query: Any) -> bool:
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
        found: Any = self.values[value] if isinstance(value, str) else value
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


def _is_cut(distances: npt.NDArray[np.float32], wanted: int, width: int) -> bool:
    """Whether rows at the last wanted distance may be missing from the nearest `width` and one more."""
    return len(distances) > width and bool(distances[width] == distances[wanted - 1])
