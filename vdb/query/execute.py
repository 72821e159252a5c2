"""Carries a request out: row set, plan, candidates, hits. The only place where they meet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from vdb.errors import InvalidState
from vdb.index.place import Superseded
from vdb.index.view import measurable, vector_view
from vdb.metrics.custom import name_of
from vdb.query.accuracy import compare
from vdb.query.answer import Answer
from vdb.query.candidates import bind
from vdb.query.explain import Explanation
from vdb.query.nearest import Search, settle
from vdb.query.plan import Actuals, Question, Situation
from vdb.query.resolve import BY_DUCKDB, Resolved
from vdb.query.result import Hits, Neighbors, RowSource
from vdb.query.target import Chosen, OpenIndexes, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.index.manager import IndexManager
    from vdb.metrics.custom import AnyMetric
    from vdb.query.accuracy import RecallReport
    from vdb.query.candidates import Bound
    from vdb.query.export import Fetch
    from vdb.query.methods.method import Method
    from vdb.query.plan import Plan
    from vdb.query.request import Request
    from vdb.query.resolve import Resolver
    from vdb.query.target import Near
    from vdb.storage.state import TableState
    from vdb.storage.store import Store
    from vdb.types import Predicate, Slots, TableSchema, VectorColumn

T = TypeVar("T")

_KEPT: Final = 256  # plans of one table state, and questions whose methods are bound


class Executor:
    """Searches of one database. Thread-safe."""

    def __init__(self, store: Store, indexes: IndexManager, resolver: Resolver, threads: int = 0) -> None:
        self._store = store
        self._indexes = indexes
        self._resolver = resolver
        self._threads = threads
        self._targets: dict[tuple[str, str, str], Target] = {}

    def search(self, state: TableState, request: Request) -> Hits:
        """The min(k, matching) nearest rows to each query; nearest first, equal distances by row id.

        Superseded where an index is of other slots by now and the request names rows of the old ones.
        """
        try:
            return self._search(state, request)
        except Superseded:
            if request.rows is not None:
                raise
            newest = self._store.state.table(state.schema.name)
            return self.search(_of_schema(newest, state.schema), request)

    def forget_older(self) -> None:
        """Let go of the states that are no longer the newest: they keep files on the disk that are deleted already."""
        tables = self._store.committed.tables
        self._targets = {
            key: target for key, target in self._targets.copy().items() if target.state is tables.get(key[0])
        }

    def _search(self, state: TableState, request: Request) -> Hits:
        actuals = Actuals(parse_seconds=request.parse_seconds)
        began = time.perf_counter()
        target, chosen = self._chosen(state, request, actuals)
        resolved = time.perf_counter()
        search = self._planned(target, chosen, request, actuals)
        planned = time.perf_counter()
        answer = self._run(target, search, request)
        actuals.search_seconds = time.perf_counter() - planned
        actuals.plan_seconds = planned - resolved
        if request.predicate is not None or request.rows is not None:
            actuals.predicate_seconds = resolved - began
        metric, predicate = name_of(request.metric), request.predicate
        explanation = Explanation(target.name, metric, answer.slots, search.plan, actuals, predicate)
        neighbors = Neighbors(answer.slots, answer.distances, request.is_batch)
        source = target.source if self._store.transaction is None else self.source(state)
        return Hits(neighbors, request.columns, source, explanation)

    def explain(self, state: TableState, request: Request) -> str:
        """How the search would be done and why: the rows are resolved and the plan is made, but nothing is searched."""
        actuals = Actuals(parse_seconds=request.parse_seconds)
        target, chosen = self._chosen(state, request, actuals)
        plan = self._planned(target, chosen, request, actuals).plan
        return str(Explanation(target.name, name_of(request.metric), None, plan, actuals, request.predicate))

    def measure_recall(self, state: TableState, request: Request) -> RecallReport:
        """Search, and scan the same rows of the same state for the truth."""
        target, chosen = self._chosen(state, request, Actuals())
        search = self._planned(target, chosen, request, Actuals())
        exact = request._replace(ef_search=None, recall=None, strategy="scan", nprobe=None)
        truth = self._run(target, self._planned(target, chosen, exact, Actuals()), exact)
        return compare(self._run(target, search, request), truth, search.plan)

    def _chosen(self, state: TableState, request: Request, actuals: Actuals) -> tuple[Target, Chosen]:
        """What is searched, and the rows of it that may be found."""
        if request.rows is not None:
            actuals.predicate_how = BY_DUCKDB
            target = self._target(state, request)
            return target, target.choose(Resolved(state, request.rows, BY_DUCKDB))
        if request.predicate is None:
            target = self._target(state, request)
            return target, target.everything
        resolved = self._matching(state, request.predicate)
        actuals.predicate_how = resolved.how
        target = self._target(resolved.state, request)
        return target, target.choose(resolved)

    def source(self, state: TableState) -> RowSource:
        """Where a result over `state` reads its columns."""
        transaction = self._store.transaction
        if transaction is None:
            return RowSource(state, self._fetch(state))

        def check() -> None:
            if transaction.rolled_back:  # others get its slots and row ids
                raise InvalidState(
                    f"This result of table {state.schema.name} was found in a transaction that was rolled back."
                    " Fix: search again."
                )

        return RowSource(state, self._fetch(state), check)

    def _fetch(self, state: TableState) -> Fetch:
        name, store = state.schema.name, self._store  # not this object, which keeps what keeps this function

        def fetch(slots: Slots, columns: tuple[str, ...], read: Callable[[Any], T]) -> T:
            with store.read() as session:
                return read(session.fetch(name, _slots_now(state, session.state.tables.get(name), slots), columns))

        return fetch

    def _matching(self, state: TableState, predicate: Predicate) -> Resolved:
        """The rows that the predicate allows and the state they were found in, which may be a newer one."""
        resolved = self._resolver.resolve(predicate, state)
        _of_schema(resolved.state, state.schema)
        return resolved

    def _target(self, state: TableState, request: Request) -> Target:
        key = (state.schema.name, request.column.name, name_of(request.metric))
        target = self._targets.get(key)
        if target is None or target.state is not state or target.metric != request.metric:
            target = self._targets[key] = self._make_target(state, request.column, request.metric)
        return target

    def _make_target(self, state: TableState, column: VectorColumn, metric: AnyMetric) -> Target:
        allowed = measurable(state, column.name, metric)
        indexes = OpenIndexes(self._indexes, state)
        every = None if allowed.count == state.next_slot else allowed
        return Target(
            name=f"{state.schema.name}.{column.name}",
            state=state,
            column=column,
            metric=metric,
            view=vector_view(state, column.name, metric),
            everything=Chosen(every, allowed.count, parts=indexes.parts(column.name, allowed)),
            source=RowSource(state, self._fetch(state)),
            indexes=indexes,
        )

    def _planned(self, target: Target, chosen: Chosen, request: Request, actuals: Actuals) -> Search:
        """The search with its plan, and with the seeds that were found for it."""
        plan, seeds = self._plan(target, chosen, request)
        threads = self._threads if request.is_batch else 1
        return Search(target.view, request.queries, chosen.rows, plan, target.indexes, threads, actuals, seeds)

    def _plan(self, target: Target, chosen: Chosen, request: Request) -> tuple[Plan, Slots | None]:
        question = Question(request.k, request.ef_search, request.recall, request.strategy, request.nprobe)
        if (known := chosen.plans.get(question)) is not None:
            return known, None
        planner, lasting = self._bound(target, question, chosen is not target.everything)
        terms = chosen.ranges, chosen.labels, chosen.parts
        seen = Situation(question, target.rows, chosen.count, target.state.next_slot, None, *terms)
        plan, walk = planner.decide(seen)
        seeds = None
        if walk is not None:
            near = self._near(target, chosen, walk, request)
            if near is not None:
                seeds = near.seeds
                plan, _ = planner.decide(seen._replace(density=near.mean_density))
        if seeds is None and lasting and len(chosen.plans) < _KEPT:
            chosen.plans[question] = plan
        return plan, seeds

    def _bound(self, target: Target, question: Question, filtered: bool) -> Bound:
        known = target.bound.get((question, filtered))
        if known is not None:
            return known
        bound = bind(target, question, self._indexes, filtered)
        if bound.lasting and len(target.bound) < _KEPT:
            target.bound[question, filtered] = bound
        return bound

    def _near(self, target: Target, chosen: Chosen, walk: Method, request: Request) -> Near | None:
        """Seeds and densities for a walk; None where its graph has no cells."""
        cells = target.indexes.cells(walk.index)
        return None if cells is None else chosen.near(walk.index, cells, target.view, request.queries)

    def _run(self, target: Target, search: Search, request: Request) -> Answer:
        width = search.plan.situation.returned
        padded = min(request.k, max(target.rows, width)) if request.is_batch else width
        if width == 0 or len(request.queries) == 0:
            return Answer.nothing(len(request.queries), padded)
        return settle(search, width, target.state.row_ids).padded(padded)


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
