"""Carries a request out: row set, plan, candidates, hits. The only place where they meet."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakSet

from vdb import _core
from vdb.errors import InvalidState
from vdb.index.place import Superseded
from vdb.index.view import measurable, vector_view
from vdb.index.walk_codes import code_bytes
from vdb.metrics.custom import name_of
from vdb.query.accuracy import compare
from vdb.query.nearest import Answer, Search, settle
from vdb.query.plan import Actuals, Candidate, CodeCandidate, Explanation, Situation
from vdb.query.planner import make_plan
from vdb.query.result import Hits, Neighbors, RowSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.index.manager import IndexManager
    from vdb.metrics.custom import AnyMetric
    from vdb.query.accuracy import RecallReport
    from vdb.query.export import Fetch
    from vdb.query.plan import Plan
    from vdb.query.request import Request
    from vdb.storage.state import IndexRecord, TableState
    from vdb.storage.store import Store, WriteTransaction
    from vdb.types import Slots, TableSchema

T = TypeVar("T")

_Asked: TypeAlias = tuple[int, int | None, float | None, str]  # k, ef_search, recall, strategy

_PLANS_KEPT = 256  # of one table state


@dataclass(frozen=True)
class Target:
    """What a search without a predicate searches: the vectors of one table state under one metric.

    Attributes
    ----------
    allowed : RowSet or None
        Live rows with a vector that has a distance; None: every slot.
    source : RowSource
        Where results read their columns, outside a transaction.
    plans : dict
        The plans made for it so far, by what the caller asked for.
    """

    name: str

    state: TableState
    metric: AnyMetric
    view: _core.VectorView
    allowed: _core.RowSet | None
    rows: int
    source: RowSource
    plans: dict[_Asked, Plan] = field(default_factory=dict)


class Executor:
    """Searches of one database. Thread-safe."""

    def __init__(self, store: Store, indexes: IndexManager, threads: int = 0) -> None:
        self._store = store
        self._indexes = indexes
        self._threads = threads
        self._rolled_back: WeakSet[WriteTransaction] = WeakSet()
        self._targets: dict[tuple[str, str, str], Target] = {}

    def search(self, state: TableState, request: Request) -> Hits:
        """The min(k, matching) nearest rows to each query; nearest first, equal distances by row id."""
        try:
            return self._search(state, request)
        except Superseded:
            newest = self._store.state.table(state.schema.name)
            return self.search(_of_schema(newest, state.schema), request)

    def forget_older(self) -> None:
        """Let go of the states that are no longer the newest: they keep files on the disk that are deleted already."""
        tables = self._store.committed.tables
        self._targets = {
            key: target for key, target in self._targets.copy().items() if target.state is tables.get(key[0])
        }

    def _search(self, state: TableState, request: Request) -> Hits:
        actuals = Actuals()
        began = time.perf_counter()
        target, allowed = self._resolved(state, request)
        if request.predicate is not None:
            actuals.predicate_seconds = time.perf_counter() - began
            began = time.perf_counter()
        plan = self._plan(target, allowed, request)
        answer = self._run(target, allowed, plan, request, actuals)
        actuals.search_seconds = time.perf_counter() - began
        explanation = Explanation(target.name, name_of(request.metric), answer.slots, plan, actuals)
        neighbors = Neighbors(answer.slots, answer.distances, request.is_batch)
        source = target.source if self._store.transaction is None else self.source(state)
        return Hits(neighbors, request.columns, source, explanation)

    def measure_recall(self, state: TableState, request: Request) -> RecallReport:
        """Search, and scan the same rows of the same state for the truth."""
        target, allowed = self._resolved(state, request)
        plan = self._plan(target, allowed, request)
        found = self._run(target, allowed, plan, request, Actuals())
        exact = request._replace(ef_search=None, recall=None, strategy="scan")
        return compare(found, self._run(target, allowed, self._plan(target, allowed, exact), exact, Actuals()), plan)

    def _resolved(self, state: TableState, request: Request) -> tuple[Target, _core.RowSet | None]:
        """What is searched, and the rows of it that may be found; None: every slot."""
        allowed: _core.RowSet | None = None
        if request.predicate is not None:
            state, allowed = self._matching(state, request)
        target = self._target(state, request)
        if allowed is None:
            allowed = target.allowed
        elif target.allowed is not None:
            allowed = allowed & target.allowed
        return target, allowed

    def source(self, state: TableState) -> RowSource:
        """Where a result over `state` reads its columns."""
        transaction = self._store.transaction
        if transaction is None:
            return RowSource(state, self._fetch(state))

        def check() -> None:
            if transaction in self._rolled_back:
                raise InvalidState(
                    f"This result of table {state.schema.name} was found in a transaction that was rolled back."
                    " Fix: search again."
                )

        return RowSource(state, self._fetch(state), check)

    def _fetch(self, state: TableState) -> Fetch:
        name = state.schema.name

        def fetch(slots: Slots, columns: tuple[str, ...], read: Callable[[Any], T]) -> T:
            with self._store.read() as session:
                return read(session.fetch(name, _slots_now(state, session.state.tables.get(name), slots), columns))

        return fetch

    def disown(self, transaction: WriteTransaction) -> None:
        """Refuse what was found in a transaction that was rolled back: others get its slots and row ids."""
        self._rolled_back.add(transaction)

    def _matching(self, state: TableState, request: Request) -> tuple[TableState, _core.RowSet]:
        """The rows that the predicate allows and the state they were found in, which may be a newer one."""
        name = state.schema.name
        database, slots = self._store.matching(name, request.predicate)
        found = _of_schema(database.table(name), state.schema)
        return found, _core.RowSet.from_slots(slots, found.next_slot)

    def _target(self, state: TableState, request: Request) -> Target:
        key = (state.schema.name, request.column.name, name_of(request.metric))
        target = self._targets.get(key)
        if target is None or target.state is not state or target.metric != request.metric:
            target = self._targets[key] = self._make_target(state, request.column.name, request.metric)
        return target

    def _make_target(self, state: TableState, column: str, metric: AnyMetric) -> Target:
        allowed = measurable(state, column, metric)
        return Target(
            name=f"{state.schema.name}.{column}",
            state=state,
            metric=metric,
            view=vector_view(state, column, metric),
            allowed=None if allowed.count == state.next_slot else allowed,
            rows=allowed.count,
            source=RowSource(state, self._fetch(state)),
        )

    def _plan(self, target: Target, allowed: _core.RowSet | None, request: Request) -> Plan:
        asked = (request.k, request.ef_search, request.recall, request.strategy)
        if allowed is target.allowed and (known := target.plans.get(asked)) is not None:
            return known
        matching = target.rows if allowed is None else allowed.count
        candidates = tuple(
            self._candidate(target, record, request)
            for record in target.state.indexes.values()
            if record.column == request.column.name and record.kind == "hnsw"
        )
        codes = self._codes(target, request)
        plan = make_plan(
            Situation(
                rows=target.rows,
                matching=matching,
                k=request.k,
                ef_search=request.ef_search,
                strategy=request.strategy,
                candidates=candidates,
                codes=codes,
                row_bytes=target.view.row_bytes,
                recall=request.recall,
            )
        )
        lasting = allowed is target.allowed and all(c.lasting for c in codes)
        if request.recall is not None:
            lasting = lasting and all(_has_lasting_curve(c, target.state) for c in candidates)
        if lasting and len(target.plans) < _PLANS_KEPT:
            target.plans[asked] = plan
        return plan

    def _candidate(self, target: Target, record: IndexRecord, request: Request) -> Candidate:
        metric, wanted = record.params["metric"], name_of(request.metric)
        curve = None
        if request.recall is not None and request.recall < 1.0 and metric == wanted:
            curve = self._indexes.recall_curve(target.state, record)
        codes, bits = str(record.params.get("codes", "none")), int(record.params.get("bits", 0))
        return Candidate(
            name=record.name,
            M=int(record.params["M"]),
            nodes=self._indexes.nodes(target.state, record),
            unusable="" if metric == wanted else f"metric is {metric}",
            read=code_bytes(codes, bits, target.view.dim),
            curve=curve,
        )

    def _codes(self, target: Target, request: Request) -> tuple[CodeCandidate, ...]:
        return tuple(
            self._code_candidate(target, record, name_of(request.metric))
            for record in target.state.indexes.values()
            if record.column == request.column.name and record.kind == "flat"
        )

    def _code_candidate(self, target: Target, record: IndexRecord, metric: str) -> CodeCandidate:
        if record.params["metric"] != metric:  # codes that cannot serve are not loaded
            return CodeCandidate(record.name, 0.0, f"metric is {record.params['metric']}", lasting=True)
        codes = self._indexes.codes(target.state, record)
        lasting = codes.covered >= target.view.n  # read before the size, which another thread may change by extending
        size, row_bytes = codes.record_bytes, target.view.row_bytes
        unusable = f"a code of {size} bytes is no shorter than a vector of {row_bytes}" if size >= row_bytes else ""
        return CodeCandidate(record.name, size / row_bytes, unusable, lasting)

    def _run(
        self, target: Target, allowed: _core.RowSet | None, plan: Plan, request: Request, actuals: Actuals
    ) -> Answer:
        width = min(request.k, plan.situation.matching)
        padded = min(request.k, max(target.rows, width)) if request.is_batch else width
        if width == 0 or len(request.queries) == 0:
            return Answer.nothing(len(request.queries), padded)
        threads = self._threads if request.is_batch else 1
        state, records = target.state, target.state.indexes
        graph = None if plan.index is None else self._indexes.graph(state, records[plan.index])
        codes = None if plan.codes is None else self._indexes.codes(state, records[plan.codes])
        search = Search(target.view, request.queries, allowed, plan, graph, threads, actuals, codes)
        return settle(search, width, target.state.row_ids).padded(padded)


def _has_lasting_curve(index: Candidate, state: TableState) -> bool:
    """Whether what the planner knows of the recall of an index stays so while the table does."""
    if index.unusable:
        return True
    return index.curve is not None and not index.curve.is_stale(state.next_slot, state.live.count)


def _of_schema(found: TableState, schema: TableSchema) -> TableState:
    if found.schema is not schema and found.schema != schema:
        raise InvalidState(f"Table {schema.name} was replaced during the search. Fix: search again.")
    return found


def _slots_now(then: TableState, now: TableState | None, slots: Slots) -> Slots:
    """Where the rows found in `slots` are now; InvalidState where one is not the row it was."""
    if now is then:
        return slots
    name = then.schema.name
    if now is None or now.id != then.id:
        raise InvalidState(f"Table {name} was dropped since this result was found. Fix: search again.")
    moved = then.generation.moved(slots, now.generation)
    if moved is None:
        raise InvalidState(
            f"This result of table {name} is newer than what is read. Fix: read it after the transaction."
        )
    for slot, new in zip(slots.tolist(), moved.tolist(), strict=True):
        if new not in now.live or now.row_ids[new] != then.row_ids[slot]:
            raise InvalidState(
                f"Row {then.row_ids[slot]} of table {name} was deleted or replaced since this result was found."
                " Fix: search again, or read a result before changing its rows."
            )
    return moved
