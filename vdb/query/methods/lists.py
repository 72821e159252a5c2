"""The search of an inverted file: codes of the lists nearest to the query, then the most promising rows."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from vdb.index.effort import KS, FilteredWalks, count_at, least_effort
from vdb.index.recall import LEAST_ROWS
from vdb.query.methods.method import DEFAULT_RECALL, IMPOSSIBLE
from vdb.query.methods.model import FilteredWork, Work
from vdb.query.methods.walks import Walk
from vdb.query.plan import Effort

if TYPE_CHECKING:
    from vdb.index.pace import Pace
    from vdb.index.recall import RecallCurve, Rung
    from vdb.query.answer import Found
    from vdb.query.nearest import Search
    from vdb.query.plan import Question, Situation

_BLOCK: Final = 32  # rows whose codes are read together


class Lists(NamedTuple):
    """What is known of an inverted file: its lists, its curve, None where there is none yet, and its times."""

    nlist: int
    curve: RecallCurve | None
    pace: Pace


class Probe(NamedTuple):
    """What one search does: lists to read and rows to measure, 0 for as many as the bounds of the codes ask for."""

    nprobe: int
    pool: int


class ListProbe(Walk):
    """The lists nearest to the query, without the rows that do not match: a list of none that does costs nothing.

    Its work is codes read and rows measured, at an effort of the curve.
    """

    strategy = "ivf"

    def __init__(self, index: str, lists: Lists, question: Question, unusable: str = "") -> None:
        super().__init__(index, unusable or why_no_probe(lists, question))
        self._lists, self._question = lists, question
        curve = lists.curve
        self._plain = None if curve is None else _work_of(_unfiltered(curve), question, curve)
        measured = [] if curve is None else [(walks, _work_of(walks, question, curve)) for walks in curve.filtered]
        self._filtered = FilteredWork(self._plain, measured)

    def cost(self, seen: Situation) -> float:
        """By the codes that are expected to be read and the rows to be measured."""
        work = self._work(seen)
        if work is None:
            return IMPOSSIBLE
        pace = self._lists.pace
        if seen.matching == seen.rows:
            return pace.call + work.steps * pace.code + work.tests * pace.vector
        # All slots are looked up; the codes of a block are read together, and not where one of its rows passes or none.
        density = max(_density(seen), work.steps / seen.rows)
        slots, passing = work.steps / density, _BLOCK * density
        codes = slots * (1.0 - math.exp(-passing) * (1.0 + passing))
        return pace.call + slots * pace.tested + codes * pace.code + work.tests * pace.vector

    def effort(self, seen: Situation) -> Effort:
        """Of the curve at that density, as close as it comes where the search is forced; every list without a curve."""
        (nlist, curve, _), asked, k = self._lists, self._question.nprobe, max(seen.returned, 1)
        if curve is None:
            return Effort(nprobe=asked or max(nlist, 1))
        if asked is not None:
            return Effort(nprobe=asked, pool=_rung_of(curve, asked).factor * k)
        work = self._work(seen) or self._filtered.nearest(_density(seen), seen.selectivity)
        probe = probe_at(curve, curve.efs[-1] if work is None else work.ef, k)
        return Effort(nprobe=min(probe.nprobe, max(nlist, 1)), pool=probe.pool)

    def walked(self, search: Search, effort: Effort, k: int, limit: int) -> Found:
        """By the core."""
        return search.indexes.lists(self.index).search(
            search.view, search.queries, k, effort.nprobe, search.allowed, effort.pool, limit, search.threads
        )

    def covered(self, search: Search) -> int:
        """Slots of the index; another thread may extend it meanwhile."""
        return search.indexes.lists(self.index).covered

    def _work(self, seen: Situation) -> Work | None:
        """None where no recall is promised."""
        return self._plain if seen.matching == seen.rows else self._filtered.at(_density(seen), seen.selectivity)


def why_no_probe(lists: Lists, question: Question) -> str:
    """Why the recall that is asked for cannot be promised; empty where it can."""
    recall, curve = question.recall, lists.curve
    if recall is None:
        return ""
    if recall == 1.0:
        return "only the scan has recall 1"
    if curve is None:
        return f"no recall curve, as of fewer than {LEAST_ROWS:,} rows or while it is measured"
    reached = least_effort(curve.efs, curve.recalls, recall, question.k) is not None
    return "" if reached else f"its recall curve does not reach {recall:g} for k={question.k}"


def probe_at(curve: RecallCurve, effort: float, k: int) -> Probe:
    """What an effort stands for where k rows are asked for: between rungs lists by powers, and rows of the higher one.

    Beyond the last rung there are more lists.
    """
    rungs, efs = curve.rungs, curve.efs
    effort = max(effort, efs[0])
    if effort >= efs[-1]:
        return Probe(math.ceil(rungs[-1].nprobe * effort / efs[-1]), rungs[-1].factor * k)
    j = max(bisect_left(efs, effort), 1)
    low, high = rungs[j - 1], rungs[j]
    share = math.log(effort / efs[j - 1]) / math.log(efs[j] / efs[j - 1])
    return Probe(math.ceil(low.nprobe * (high.nprobe / low.nprobe) ** share), high.factor * k)


def _unfiltered(curve: RecallCurve) -> FilteredWalks:
    """The searches of all rows, as those under a filter that all pass."""
    measured = tuple(rung.measured for rung in curve.rungs)
    return FilteredWalks(1.0, False, curve.efs, curve.recalls, curve.steps, measured)


def _work_of(walks: FilteredWalks, question: Question, curve: RecallCurve) -> Work | None:
    """Codes and rows, which were counted for the ten nearest, at one density; None where the recall is not reached."""
    if question.recall is None and question.nprobe is not None:
        effort: float | None = _effort_of(curve, question.nprobe)
    else:
        wanted = DEFAULT_RECALL if question.recall is None else question.recall
        effort = least_effort(walks.efs, walks.recalls, wanted, question.k)
    if effort is None:
        return None
    ef = math.ceil(effort)
    codes, rows = (max(count_at(walks.efs, counts, ef), 1.0) for counts in (walks.steps, walks.tests))
    return Work(ef, codes, rows * max(question.k / KS[1], 1.0))


def _effort_of(curve: RecallCurve, nprobe: int) -> float:
    return _rung_of(curve, nprobe)._replace(nprobe=nprobe).effort


def _rung_of(curve: RecallCurve, nprobe: int) -> Rung:
    """The highest that reads no more lists: as many rows are measured for each one asked for."""
    return next((rung for rung in reversed(curve.rungs) if rung.nprobe <= nprobe), curve.rungs[0])


def _density(seen: Situation) -> float:
    return seen.selectivity if seen.density is None else seen.density
