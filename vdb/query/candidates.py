"""The methods that might answer a question about a target: bound to its indexes, their curves and the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vdb.index.build import GRAPHS, OVER_ATTRIBUTES
from vdb.index.ivf_spec import IVFS
from vdb.index.machine import MACHINES, guessed, timed_queries, timed_rows
from vdb.index.pace import NO_PACE, guessed_pace, pace_of
from vdb.index.partial_spec import PARTIAL
from vdb.index.recall import LEAST_ROWS
from vdb.index.view import measurable
from vdb.index.walk_codes import code_bytes
from vdb.metrics.custom import name_of
from vdb.query.methods.lists import ListProbe, Lists
from vdb.query.methods.method import Methods
from vdb.query.methods.model import Graph
from vdb.query.methods.overlays import LabelWalk, Overlay, Part, PartWalk, RangeWalk
from vdb.query.methods.scans import CodeScan, Scan, why_no_codes
from vdb.query.methods.walks import AcornWalk, GraphWalk, PostWalk, TwoHopWalk
from vdb.query.planner import Planner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.index.machine import Machine, TimedRows
    from vdb.index.manager import IndexManager
    from vdb.query.methods.method import Method
    from vdb.query.plan import Question
    from vdb.query.target import Target
    from vdb.storage.state import IndexRecord
    from vdb.types import StoredMatrix


class Bound(NamedTuple):
    """What decides among the methods, and whether they stay while the table does: no curve or code is to come."""

    planner: Planner
    lasting: bool


class _Served(NamedTuple):
    """A graph that can serve: its record, what is known of it and of the machine, and whether it has codes."""

    record: IndexRecord
    graph: Graph
    machine: Machine
    has_codes: bool
    lasting: bool


def bind(target: Target, question: Question, indexes: IndexManager, filtered: bool) -> Bound:
    """Every method that is worth a look; one at least is an exact scan.

    Where nothing depends on it, a curve that is missing is not measured: no recall is asked for, and no predicate.
    """
    records = [r for r in target.state.indexes.values() if r.column == target.column.name]
    wanted = name_of(target.metric)
    methods: list[Method] = []
    reasons = {r.name: _why_unusable(target, r, indexes, wanted) for r in records}
    alike = [r for r in records if not reasons[r.name]] if question.strategy != "scan" else []
    needed = filtered or question.recall is not None
    graphs = [_served(target, record, indexes, needed) for record in alike if record.kind in GRAPHS]
    lasting = not any(indexes.lacks_room(target.state, r) for r in records)
    machine = graphs[0].machine if graphs else guessed(target.view.row_bytes, None)
    methods.append(Scan(machine.vectors))
    for record in records:
        unusable = reasons[record.name]
        if record.kind == "flat":
            scan, stays = _flat(target, record, machine, unusable)
            methods.append(scan)
            lasting = lasting and stays
        elif record.kind in GRAPHS and question.strategy != "scan":
            served = next((g for g in graphs if g.record is record), None)
            methods += _of_graph(target, record, served, question, unusable)
        elif record.kind in IVFS and question.strategy in ("auto", "ivf"):
            probe, stays = _of_lists(target, record, indexes, question, unusable)
            methods.append(probe)
            lasting = lasting and stays
        elif (
            record.kind in OVER_ATTRIBUTES
            and not unusable
            and (filtered or question.strategy == record.kind or _has_all(target, record))
        ):
            walk, stays = _of_overlay(target, record, graphs, question, indexes)
            methods.append(walk)
            lasting = lasting and stays
        elif record.kind == PARTIAL:  # what cannot serve is not loaded
            overlay = Overlay(record.name, record.name, int(record.params["M"]), None)
            part = Part(str(record.params["where"]), unusable=unusable)
            methods.append(PartWalk(overlay, Graph(overlay.M, target.rows), machine, question, part))
    return Bound(Planner(Methods.of(methods)), lasting and all(g.lasting for g in graphs))


def _why_unusable(target: Target, record: IndexRecord, indexes: IndexManager, wanted: str) -> str:
    metric = record.params["metric"]
    return f"metric is {metric}" if metric != wanted else indexes.lacks_room(target.state, record)


def _has_all(target: Target, record: IndexRecord) -> bool:
    """Whether a partial index has every row."""
    return any(term.column == record.name and term.has_all for term in target.everything.parts)


def _served(target: Target, record: IndexRecord, indexes: IndexManager, needed: bool) -> _Served:
    params, view = record.params, target.view
    read = code_bytes(str(params.get("codes", "none")), int(params.get("bits", 0)), view.dim)
    curve, machine, lasting = None, guessed(view.row_bytes, read), True
    if target.rows >= LEAST_ROWS:
        curve = (indexes.recall_curve if needed else indexes.known_curve)(target.state, record)
        current = curve is not None and not curve.is_stale(target.state.next_slot, target.state.live.count)
        lasting = current or not needed
        graph = target.indexes.graph(record.name)
        if graph.covered <= view.n:
            machine = MACHINES.of(view, graph, lambda: _timed(target))
    known = Graph(int(params["M"]), indexes.nodes(target.state, record), curve)
    return _Served(record, known, machine, read is not None, lasting)


def _timed(target: Target) -> TimedRows:
    column = target.column.name
    data = target.state.vectors[column].data
    return timed_rows(target.view, data, measurable(target.state, column, target.metric))


def _flat(target: Target, record: IndexRecord, machine: Machine, unusable: str) -> tuple[Scan, bool]:
    """The scan by the codes of a Flat, and whether those are of every row: others are extended, or trained again."""
    if unusable:  # codes that cannot serve are not loaded
        return Scan(machine.vectors, record.name, unusable), True
    codes = target.indexes.codes(record.name)
    covered = codes.covered  # read before the size, which another thread may change by extending
    size, row_bytes = codes.record_bytes, target.view.row_bytes
    if size == 0:
        unusable = "its codes are not trained yet"
    elif size >= row_bytes:
        unusable = f"a code of {size} bytes is no shorter than a vector of {row_bytes}"
    times = machine.vectors.scaled(size / row_bytes)._replace(call=machine.codes.call)
    if not unusable and covered <= target.view.n and target.rows >= LEAST_ROWS:
        times = MACHINES.of_codes(codes, times, lambda: _timed(target))
    return Scan(times, record.name, unusable), covered >= target.view.n


def _of_graph(
    target: Target, record: IndexRecord, served: _Served | None, question: Question, unusable: str
) -> Iterator[Method]:
    """The methods over one graph: all that "auto" may choose, or those of the strategy and what finishes it."""
    strategy, name = question.strategy, record.name
    if served is None:
        graph, machine = Graph(int(record.params["M"]), target.rows), guessed(target.view.row_bytes, None)
        has_codes = False
    else:
        graph, machine, has_codes = served.graph, served.machine, served.has_codes
    is_acorn = record.kind == "acorn"
    if has_codes or strategy == "codes":
        recall = None if graph.curve is None else graph.curve.code_scan
        lacking = "" if has_codes else "it has no codes"
        yield CodeScan(machine, name, unusable or lacking or why_no_codes(recall, question))
    # The curve under filters is of the arm of the kind: without it, the other walk is the caller's to choose.
    bare = graph._replace(curve=None if graph.curve is None else graph.curve.unfiltered())
    if strategy in ("auto", "graph"):
        yield GraphWalk(name, bare if is_acorn else graph, machine, question, unusable)
    if strategy in ("auto", "acorn"):
        if is_acorn:
            yield AcornWalk(name, graph, machine, question, unusable)
        elif strategy == "acorn":
            yield TwoHopWalk(name, bare, machine, question, unusable)
    if strategy in ("auto", "post"):
        yield PostWalk(name, graph, machine, question, unusable)


def _of_lists(
    target: Target, record: IndexRecord, indexes: IndexManager, question: Question, unusable: str
) -> tuple[ListProbe, bool]:
    """The search of an inverted file, and whether its curve is the newest."""
    view = target.view
    if unusable:  # lists that cannot serve are not loaded
        return ListProbe(record.name, Lists(0, None, NO_PACE), question, unusable), True
    ivf = target.indexes.lists(record.name)
    pace, curve, lasting = guessed_pace(view, ivf), None, True
    if target.rows >= LEAST_ROWS:
        curve = indexes.recall_curve(target.state, record)
        lasting = curve is not None and not curve.is_stale(target.state.next_slot, target.state.live.count)
        if ivf.covered <= view.n:

            def queries() -> StoredMatrix:
                slots = measurable(target.state, record.column, target.metric).to_slots()
                return timed_queries(target.state.vectors[record.column].data, slots)

            pace = pace_of(view, ivf, queries)
    return ListProbe(record.name, Lists(ivf.nlist, curve, pace), question), lasting and ivf.nlist > 0


def _of_overlay(
    target: Target, record: IndexRecord, graphs: list[_Served], question: Question, indexes: IndexManager
) -> tuple[Method, bool]:
    """The walk of a range index, of the overlays of values or of a partial index, and whether it stays as it is.

    It reads the codes of a graph over all rows, whose curve serves where it has none of its own.
    """
    M = int(record.params["M"])
    near = next((g for g in graphs if g.has_codes), graphs[0] if graphs else None)
    machine = guessed(target.view.row_bytes, None) if near is None else near.machine
    graph, lasting = (Graph(M, target.rows), True) if near is None else (near.graph, near.lasting)
    curve = indexes.recall_curve(target.state, record) if target.rows >= LEAST_ROWS else None
    if curve is not None:
        graph = Graph(M, target.rows, curve)
        lasting = not curve.is_stale(target.state.next_slot, target.state.live.count)
    codes = near.record.name if near is not None and near.has_codes else None
    attribute = record.name if record.kind == PARTIAL else str(record.params["attribute"])
    overlay = Overlay(record.name, attribute, M, codes, curve is not None)
    if record.kind == "range":
        return RangeWalk(overlay, graph, machine, question), lasting
    at_hand = indexes.overlays(target.state, record)
    lasting = lasting and at_hand is not None
    if record.kind == PARTIAL:
        where = str(record.params["where"])
        changed = Part(where, unusable="rows were changed in this transaction")
        part = changed if at_hand is None else Part(where, at_hand[0].count(0))
        return PartWalk(overlay, graph, machine, question, part), lasting and part.nodes > 0
    return LabelWalk(overlay, graph, machine, question, None if at_hand is None else at_hand[0].count), lasting
