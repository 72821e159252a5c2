"""One pass over the questions of a cell: a peer is asked one at a time, and its answers are judged."""

from __future__ import annotations

import gc
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import ground_truth, metrics
from bench.filtered.predicate import EVERYTHING, Inexpressible, to_sql
from bench.filtered.questions import Allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.adapters.base import RowNumbers
    from bench.filtered.adapters.base import FilteredPeer
    from bench.filtered.questions import Questions, RowFinder
    from bench.workload import FilteredPlan

WARM_SHARE = 0.1  # of the time a setting may take


@dataclass
class Pass:
    """What came of asking: an answer for each question up to the cap, and its seconds, whole and by stage."""

    answers: list[RowNumbers | None] = field(default_factory=list)  # None: refused
    whole: list[float] = field(default_factory=list)
    stages: list[Mapping[str, float]] = field(default_factory=list)  # empty where the peer does not say
    known: list[Mapping[str, float]] = field(default_factory=list)  # of the same once more, the rows at hand
    done: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    reason: str = ""
    cut: bool = False  # at the cap

    @property
    def core(self) -> list[float]:
        """Seconds of each search with the rows at hand, less their look-up; empty where the peer does not say."""
        return [stages["plan"] + stages["search"] for stages in self.known]


def ask(peer: FilteredPeer, questions: Questions, bound: list[Any], plan: FilteredPlan) -> Pass:
    """Ask every question with its filter at hand, `bound[i]` that of question i, those to warm up with behind."""

    def search(i: int) -> RowNumbers:
        return peer.search(questions.queries[i], plan.k, bound[i])

    peer.forget()
    warm = questions.warm
    if warm is not None:
        before = bound[len(questions) :]
        _hurry(lambda i: peer.search(warm.queries[i], plan.k, before[i]), len(warm), plan.cap_s * WARM_SHARE)
    result = _timed(peer, search, len(questions), plan.cap_s)
    if peer.stages:
        peer.remember(bound[: len(result.answers)])
        result.known = _timed(peer, search, len(result.answers), plan.cap_s).stages
    return result


def ask_by_text(peer: FilteredPeer, questions: Questions, finder: RowFinder, plan: FilteredPlan) -> Pass:
    """Ask a peer that knows no predicates from the text on: DuckDB finds the rows, which the peer is then handed."""
    asked = [(predicate, *to_sql(predicate)) for predicate in questions.predicates]
    rows = questions.allowed[0].n
    unasked = peer.bind(EVERYTHING, questions.allowed[0]) if EVERYTHING in questions.predicates else None

    def search(i: int) -> RowNumbers:
        predicate, sql, values = asked[i]
        if predicate == EVERYTHING:  # where there is no predicate, there is nothing to find
            return peer.search(questions.queries[i], plan.k, unasked)
        bound = peer.bind(predicate, Allowed.of(finder.rows(sql, values), rows))
        return peer.search(questions.queries[i], plan.k, bound)

    return _timed(peer, search, len(questions), plan.cap_s)


def _timed(peer: FilteredPeer, search: Callable[[int], RowNumbers], count: int, cap_s: float) -> Pass:
    result = Pass()
    with _no_collection():
        for i in range(count):
            begin = time.perf_counter()
            try:
                answer = search(i)
            except Inexpressible as error:
                result.refused, result.reason = result.refused + 1, str(error)
                result.answers.append(None)
                continue
            result.whole.append(time.perf_counter() - begin)
            result.answers.append(answer)
            if peer.stages:
                result.stages.append(peer.stages)
            if peer.done:
                result.done[peer.done] += 1
            if sum(result.whole) > cap_s and i + 1 < count:
                result.cut = True
                break
    return result


def _hurry(search: Callable[[int], RowNumbers], count: int, cap_s: float) -> None:
    begin = time.perf_counter()
    for i in range(count):
        try:
            search(i)
        except Inexpressible:
            return
        if time.perf_counter() - begin > cap_s:
            return


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True)
class Verdict:
    """What answers are worth: recall, nothing for a refused one; those short of min(k, matching); rows not allowed."""

    recall: float
    short: int
    outside: int


def judge(answers: list[RowNumbers | None], questions: Questions, k: int) -> Verdict:
    """Compare the answers to the first questions with the exact ones and with the rows that are allowed."""
    count = len(answers)
    found = np.full((count, k), ground_truth.ABSENT, dtype=np.int64)
    short = outside = 0
    for i, answer in enumerate(answers):
        if answer is None:
            continue
        rows = np.asarray(answer)[np.asarray(answer) >= 0][:k]
        found[i, : len(rows)] = rows
        outside += int(np.count_nonzero(~questions.allowed[i].mask[rows]))
        short += len(np.unique(rows)) < min(k, int(questions.counts[i]))
    truth = ground_truth.GroundTruth(questions.truth.rows[:count], questions.truth.distances[:count])
    return Verdict(metrics.recall_at_k(found, truth, k), short, outside)
