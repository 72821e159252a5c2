"""Run a filtered workload: build the peers, then every cell, the peers taking turns at every setting.

The first repetition sweeps every method from its fastest setting on until its recall is enough, or until it is far
slower than one that finds enough; the others repeat the settings that might be the best at a recall floor. One pass on
a noisy machine picks lucky settings, so the best of a method is the best of those by all repetitions. A peer that is
handed the row set is asked from the text of the predicate as well, at its best setting for one floor. Only so many
peers as the plan says are in memory at a time.
"""

from __future__ import annotations

import gc
import math
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from bench import machine
from bench.adapters import MissingPeer
from bench.filtered import adapters
from bench.filtered.adapters.base import Setup
from bench.filtered.ask import Pass, Verdict, ask, ask_by_text, judge
from bench.filtered.predicate import Inexpressible, to_sql
from bench.filtered.questions import Questioner, RowFinder, load
from bench.filtered.store import ResultFile
from bench.filtered.summary import FLOOR, fastest
from bench.metrics import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.filtered.adapters.base import Effort, FilteredPeer, Sweep
    from bench.filtered.questions import FilteredData, Questions
    from bench.workload import FilteredPlan, FilteredWorkload

BEATEN = 0.7  # of the speed of the best at a floor: a slower setting is not repeated
REPEATED = 3  # settings a floor
TEXT_REPETITIONS = 3  # at most, of a peer that does not read the text itself
FAR_BEHIND = 0.4  # of the speed of a setting that finds enough: a sweep that is as slow ends


def run(plan: FilteredWorkload, names: Sequence[str], out: Path, *, fresh: bool = False) -> dict[str, Any]:
    """Measure what `out` lacks of the named peers, write it there, and return its content."""
    kept = ResultFile(out, plan, fresh=fresh)
    for name in names:
        if name not in adapters.PEERS:
            raise ValueError(f"unknown peer {name!r}; expected one of {', '.join(adapters.PEERS)}")
    waiting = [name for name in names if kept.missing(name, plan.search.cells)]
    if waiting:
        data = load(plan.data.name, plan.data.rows, plan.data.queries, plan.search.warm)
        finder = RowFinder(data.attributes)
        questioner = Questioner(data, plan.index.metric, finder, plan.search.warm, plan.search.seed)
        size = plan.together or len(waiting)
        with tqdm(total=sum(len(kept.missing(name, plan.search.cells)) for name in waiting), unit="cell") as bar:
            for begin in range(0, len(waiting), size):
                Group(plan, kept, questioner, bar).run(waiting[begin : begin + size], data)
        finder.close()
    kept.save()
    return kept.content


@dataclass
class Group:
    """Some peers, built together and measured cell by cell."""

    plan: FilteredWorkload
    kept: ResultFile
    questioner: Questioner
    bar: tqdm
    peers: dict[str, FilteredPeer] = field(default_factory=dict)

    def run(self, names: Sequence[str], data: FilteredData) -> None:
        """Build the named peers, measure what is missing of them, and let go of them."""
        try:
            for name in names:
                self._build(name, data)
            gc.freeze()  # what the libraries made stays: each pass collects before it begins, in a moment
            for cell in self.plan.search.cells:
                waiting = [name for name in self.peers if cell in self.kept.missing(name, self.plan.search.cells)]
                if waiting:
                    self.bar.set_postfix_str(cell)
                    self._measure(cell, waiting)
        finally:
            gc.unfreeze()
            for peer in self.peers.values():
                peer.close()
            self.peers.clear()

    def _build(self, name: str, data: FilteredData) -> None:
        self.bar.set_postfix_str(f"building {name}")
        try:
            peer = adapters.make(name, Setup(self.plan.index, self.plan.indexes))
        except MissingPeer as reason:
            self.kept.content["skipped"][name] = str(reason)
            self.bar.update(len(self.kept.missing(name, self.plan.search.cells)))
            return
        self.kept.content["skipped"].pop(name, None)
        before, begin = machine.resident_bytes(), time.perf_counter()
        self.peers[name] = peer
        peer.build(data, self.plan.build_threads)
        seconds = time.perf_counter() - begin
        self.kept.content["builds"][name] = {
            "version": peer.version,
            "build_s": seconds,
            "memory_bytes": peer.memory_bytes(),
            "resident_bytes": max(machine.resident_bytes() - before, 0),
            "parts": peer.parts,
        }

    def _measure(self, cell: str, names: list[str]) -> None:
        questions = self.questioner.questions(cell)
        with threadpool_limits(1, "blas"):
            measured = measure(
                questions, [self.peers[name] for name in names], self.plan.search, self.questioner.finder
            )
        text, values = to_sql(questions.predicates[0])
        about = {"share": questions.share, "least_matching": int(questions.counts.min()), "example": f"{text} {values}"}
        for name in names:
            self.kept.add(cell, about, name, measured[name])
        self.kept.save()
        self.bar.update(len(names))


@dataclass
class Point:
    """One setting of one method in one cell, and the seconds of each question in each repetition."""

    effort: Effort
    first: Pass
    verdict: Verdict
    core: list[list[float]] = field(default_factory=list)
    whole: list[list[float]] = field(default_factory=list)  # from the text on

    def take(self, result: Pass, *, knows_rows: bool) -> None:
        """Keep the times of a pass in which the filters were at hand."""
        core = result.whole if knows_rows else result.core
        if core:
            self.core.append(core)
        if not knows_rows:
            self.whole.append(result.whole)

    @property
    def seconds(self) -> float:
        """Of a question in the first repetition, on average."""
        return float(np.mean((self.core or self.whole)[0]))

    def shown(self) -> dict[str, Any]:
        """The point as the result file has it."""
        return {
            "effort": self.effort,
            "recall": self.verdict.recall,
            "asked": len(self.first.answers),
            "refused": self.first.refused,
            "short": self.verdict.short,
            "outside": self.verdict.outside,
            "done": dict(self.first.done),
            "stages_us": stages_us(self.first),
            "core": timing(self.core),
            "text": timing(self.whole),
        }


def stages_us(result: Pass) -> dict[str, float]:
    """The usual time of each stage in one pass."""
    names = result.stages[0] if result.stages else ()
    return {name: float(np.median([stages[name] for stages in result.stages])) * 1e6 for name in names}


def timing(repetitions: list[list[float]]) -> dict[str, Any] | None:
    """Speed of each repetition, and what is usual and worst of the questions."""
    timed = Timing.of(repetitions)
    if timed is None:
        return None
    each = timed.each_us
    return {
        "qps": timed.qps,
        "median_us": float(np.median(each)),
        "p95_us": float(np.percentile(each, 95)),
        "p99_us": float(np.percentile(each, 99)),
        "max_us": float(each.max()),
    }


@dataclass
class Method:
    """A method of a peer in one cell: the filters as it takes them, what is swept, what has been measured."""

    name: str
    peer: FilteredPeer
    bound: list[Any]
    sweeps: list[Sweep]
    points: list[Point] = field(default_factory=list)
    skipped: str = ""


def measure(
    questions: Questions, peers: list[FilteredPeer], plan: FilteredPlan, finder: RowFinder
) -> dict[str, dict[str, Any]]:
    """Every method of every peer in one cell, by peer and method."""
    methods = [method for peer in peers for method in _methods(peer, questions)]
    for method in methods:
        rivals = [each for each in methods if each.peer is method.peer]
        _guarded(method, partial(_sweep, method, rivals, questions, plan))
    for repetition in range(1, plan.repetitions):
        for method, point in _turns(methods, repetition, plan.recall_floors):
            _guarded(method, partial(_repeat, method, point, questions, plan))
    for method in methods:
        if method.peer.knows_rows and plan.from_text:
            _guarded(method, partial(_from_text, method, questions, plan, finder))
    results: dict[str, dict[str, Any]] = {peer.name: {} for peer in peers}
    for method in methods:
        points = [] if method.skipped else [point.shown() for point in method.points]
        results[method.peer.name][method.name] = {"points": points, "skipped": method.skipped}
    return results


def _methods(peer: FilteredPeer, questions: Questions) -> Iterator[Method]:
    try:
        both = [questions, *([questions.warm] if questions.warm is not None else [])]
        bound = [peer.bind(p, a) for each in both for p, a in zip(each.predicates, each.allowed, strict=True)]
        reason = ""
    except Inexpressible as error:
        bound, reason = [], str(error)
    for name, sweeps in peer.sweeps().items():
        yield Method(name, peer, bound, sweeps, skipped=reason)


def _guarded(method: Method, step: Callable[[], None]) -> None:
    """Take a step of a method; a failure of a library is noted, and the others go on."""
    if method.skipped:
        return
    try:
        step()
    except Exception as error:
        method.skipped = f"failed: {type(error).__name__}: {error}"


def _sweep(method: Method, rivals: list[Method], questions: Questions, plan: FilteredPlan) -> None:
    """Try the settings of a method; those of its peer's other `rivals` say what is too slow to go on with."""
    found_enough = [p.seconds for each in rivals for p in each.points if p.verdict.recall >= plan.enough]
    for sweep in method.sweeps:
        for effort in sweep:
            result = _asked(method, effort, questions, plan)
            if result.refused == len(result.answers):
                method.skipped = result.reason
                return
            point = Point(effort, result, judge(result.answers, questions, plan.k))
            point.take(result, knows_rows=method.peer.knows_rows)
            method.points.append(point)
            if point.verdict.recall >= plan.enough:
                found_enough.append(point.seconds)
                break
            if result.cut or FAR_BEHIND * point.seconds > min(found_enough, default=math.inf):
                break


def _repeat(method: Method, point: Point, questions: Questions, plan: FilteredPlan) -> None:
    point.take(_asked(method, point.effort, questions, plan), knows_rows=method.peer.knows_rows)


def _asked(method: Method, effort: Effort, questions: Questions, plan: FilteredPlan) -> Pass:
    method.peer.choose(method.name, effort)
    return ask(method.peer, questions, method.bound, plan)


def _turns(methods: list[Method], repetition: int, floors: Sequence[float]) -> Iterator[tuple[Method, Point]]:
    """The settings worth repeating, the methods in turn, another one first in each repetition."""
    start = repetition % max(len(methods), 1)
    lines = [
        [(method, point) for point in _worthy(method.points, floors)] for method in methods[start:] + methods[:start]
    ]
    for turn in zip_longest(*lines):
        yield from (pair for pair in turn if pair is not None)


def _worthy(points: list[Point], floors: Sequence[float]) -> list[Point]:
    """The fastest settings that reach each floor, and the next ones where they are nearly as fast."""
    chosen: dict[int, Point] = {}
    for floor in floors:
        reaching = [point for point in points if point.verdict.recall >= floor and not point.first.refused]
        first = sorted(reaching, key=lambda point: point.seconds)[:REPEATED]
        chosen |= {id(point): point for point in first if BEATEN * point.seconds <= first[0].seconds}
    return list(chosen.values())


def _from_text(method: Method, questions: Questions, plan: FilteredPlan, finder: RowFinder) -> None:
    """Ask from the text of the predicate at the best setting for the floor of the comparisons.

    Finding the rows takes most of that, and the same for every such peer and setting.
    """
    shown = [point.shown() for point in method.points]
    best = fastest(shown, FLOOR, "core")
    if best is None:
        return
    point = method.points[shown.index(best)]
    method.peer.choose(method.name, point.effort)
    for _ in range(min(plan.repetitions, TEXT_REPETITIONS)):
        point.whole.append(ask_by_text(method.peer, questions, finder, plan).whole)
