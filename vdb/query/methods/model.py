"""What walks of a graph are expected to take: from its measured curve, bound to one question."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from vdb.index.effort import count_at, effort_for, is_apart
from vdb.index.recall import LEAST_ROWS
from vdb.index.spec import EF_SEARCH
from vdb.query.methods.method import DEFAULT_RECALL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vdb.index.effort import FilteredWalks
    from vdb.index.recall import RecallCurve
    from vdb.query.plan import Question, Situation

# Rows that an unfiltered walk at M=16 looks at, where no curve says it: _WALK * ln(rows) * ef ** WALK_POWER, fitted to
# the counts that bench/run.py records on 20,000 and 100,000 rows of the real set, ef 10 to 240.
_WALK: Final = 6.2
WALK_POWER: Final = 0.68
_WALK_M_POWER: Final = 0.75


class Work(NamedTuple):
    """An effort and what it is expected to take: rows looked at, bits of the filter tested."""

    ef: int
    steps: float
    tests: float = 0.0


class Graph(NamedTuple):
    """What is known of a graph: its edges a node, its nodes, and its curve, None where there is none yet."""

    M: int
    nodes: int
    curve: RecallCurve | None = None


def walk_steps(graph: Graph, ef: int) -> float:
    """Rows that a walk over all of a graph looks at."""
    if graph.curve is not None and graph.curve.steps:
        return count_at(graph.curve.efs, graph.curve.steps, ef)
    nodes = max(graph.nodes, 2)
    steps: float = _WALK * (graph.M / 16) ** _WALK_M_POWER * math.log(nodes) * ef**WALK_POWER
    return min(steps, float(nodes))


def plain_effort(graph: Graph, question: Question, k: int) -> int | None:
    """Candidates a walk over all of a graph keeps for the k nearest; None where its curve does not promise the recall.

    What the caller said, or the curve of the recall the caller wants, or the default: more where that has less than the
    default recall and nothing is forced.
    """
    if question.recall is None:
        ef = max(question.ef_search or EF_SEARCH.default, k)
        if question.ef_search is not None or question.strategy != "auto" or graph.curve is None:
            return ef
        surely = graph.curve.ef_for(DEFAULT_RECALL, k)
        return None if surely is None else max(ef, surely)
    if question.recall == 1.0 or graph.curve is None:
        return None
    return graph.curve.ef_for(question.recall, k)


class PlainEffort:
    """`plain_effort` of one graph for one question, found once for each number of rows to return.

    A search of all rows for which nothing is asked takes the default as it is documented; under a predicate the curve
    may ask for more.
    """

    def __init__(self, graph: Graph, question: Question) -> None:
        self._graph, self._question = graph, question
        self._known: dict[int, int] = {}

    def __call__(self, seen: Situation) -> int:
        """At least the rows to return, also where no recall is promised."""
        question = self._question
        k = max(min(question.k, seen.matching), 1)
        if seen.matching == seen.rows and question.recall is None and question.ef_search is None:
            return max(EF_SEARCH.default, k)
        return self.of(k)

    def of(self, k: int) -> int:
        """That of searches of some of the rows that return k."""
        known = self._known.get(k)
        if known is None:
            known = self._known[k] = plain_effort(self._graph, self._question, k) or k
        return known


def why_no_effort(graph: Graph, question: Question) -> str:
    """Why a walk cannot promise the recall that is asked for; empty where it can."""
    if plain_effort(graph, question, question.k) is not None:
        return ""
    if question.recall == 1.0:
        return "only the scan has recall 1"
    if graph.curve is None:
        return f"no recall curve, as of fewer than {LEAST_ROWS:,} rows or while it is measured"
    return f"its recall curve does not reach {question.recall or DEFAULT_RECALL:g} for k={question.k}"


class FilteredWork:
    """What walks under a filter take for one question, by how dense the matching rows are near the query.

    Between the densities measured it is interpolated; below the least of them, and below one at which the recall was
    not reached, nothing is promised.
    """

    def __init__(self, plain: Work | None, measured: Iterable[tuple[FilteredWalks, Work | None]]) -> None:
        """`plain` is the work over all rows; `measured` has filters of falling share, each with the work it takes."""
        self._densities: list[float] = []  # logarithms, falling
        self._work: list[Work] = []
        self._apart: Work | None = None
        if plain is None:
            return
        for walks, work in measured:
            if not self._work:
                self._add(1.0, plain)
            if walks.apart:
                self._apart = work
            elif work is None:
                return
            else:
                self._add(walks.share, work)

    def _add(self, density: float, work: Work) -> None:
        self._densities.append(math.log(density))
        self._work.append(work)

    @property
    def dense(self) -> Work | None:
        """Where every row near the query matches; None where nothing was measured."""
        return self._work[0] if self._work else None

    def at(self, density: float, share: float) -> Work | None:
        """Where `density` of the rows near the query match, and `share` of all; None where nothing is promised."""
        if not self._work:
            return None
        if is_apart(density, share):
            return self._apart
        return self._between(math.log(density)) if density > 0.0 else None

    def nearest(self, density: float, share: float) -> Work | None:
        """The same, and where nothing is promised what comes nearest; None where nothing was measured."""
        return self.at(density, share) or (self._work[-1] if self._work else None)

    def _between(self, at: float) -> Work | None:
        densities = self._densities
        for i in range(1, len(densities)):
            if at >= densities[i]:
                return _between(self._work[i - 1], self._work[i], _part(densities, i, at))
        return None


def filtered_walks(graph: Graph, question: Question) -> FilteredWork:
    """Of the walks of a graph."""
    plain = plain_effort(graph, question, question.k)
    work = None if plain is None else Work(plain, walk_steps(graph, plain))
    measured = () if graph.curve is None else graph.curve.filtered
    return FilteredWork(work, [(walks, _work_of(walks, question)) for walks in measured])


class OverlayWork:
    """What walks of an overlay take for one question, by the share of all rows that they are among.

    Between the shares measured it is interpolated. Nothing is promised below the least of them, where scans take less
    time, and around one at which the recall was not reached.
    """

    def __init__(self, curve: RecallCurve, question: Question) -> None:
        self._shares = [math.log(walks.share) for walks in curve.filtered]  # falling
        self._work = [_work_of(walks, question) for walks in curve.filtered]
        self.promises = any(work is not None for work in self._work)  # anywhere

    def at(self, share: float) -> Work | None:
        """Among that share of the rows; None where nothing is promised."""
        at = math.log(share) if share > 0.0 else -math.inf
        shares, above = self._shares, self._work[0]
        if at >= shares[0]:
            return above
        for i in range(1, len(shares)):
            below = self._work[i]
            if at >= shares[i]:
                if at == shares[i] or above is None or below is None:
                    return below if at == shares[i] else None
                return _between(above, below, _part(shares, i, at))
            above = below
        return None


def _part(falling: list[float], i: int, at: float) -> float:
    """How far `at` is on the way from the value before `i` to that at `i`."""
    return (falling[i - 1] - at) / (falling[i - 1] - falling[i])


def _between(above: Work, below: Work, part: float) -> Work:
    """What lies between two, the first being 0 and the second 1."""
    return Work(
        math.ceil(above.ef * (below.ef / above.ef) ** part),
        above.steps * (below.steps / above.steps) ** part,
        above.tests + part * (below.tests - above.tests),
    )


def _work_of(walks: FilteredWalks, question: Question) -> Work | None:
    """The work for a question at one measured density; None where the recall was not reached."""
    if question.recall is None and question.ef_search is not None:
        ef: int | None = max(question.ef_search, question.k)
    elif question.recall is None:
        ef = effort_for(walks.efs, walks.recalls, DEFAULT_RECALL, question.k)
        ef = None if ef is None else max(ef, EF_SEARCH.default)
    else:
        ef = effort_for(walks.efs, walks.recalls, question.recall, question.k)
    if ef is None:
        return None
    return Work(ef, max(count_at(walks.efs, walks.steps, ef), 1.0), count_at(walks.efs, walks.tests, ef))
