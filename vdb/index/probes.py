"""How hard an inverted file must be searched for a recall: curves of lists read and rows measured.

Two things are turned, the lists that are read and the rows that are measured for each one asked for. A curve climbs by
doubling whichever finds more for what it takes, by counts alone, so it is the same on every machine; an effort is the
product of both. Under filters the same rungs are measured again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from vdb import _core
from vdb.index.effort import KS
from vdb.index.filtered import Sample, Walked, measure_filtered, recalls_of
from vdb.index.measure import FOR_LISTS, prepared
from vdb.index.pace import Pace, guessed_pace
from vdb.index.recall import RecallCurve, Rung

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vdb.index.measure import Vectors
    from vdb.types import FloatMatrix, StoredMatrix

# Rows measured for each one asked for, in the order they are tried. Bounds measure more rows for queries that are in
# doubt and fewer for others: they find nearly what a factor of 8 finds, with five rows for each.
_FACTORS: Final = (2, 0, 16, 32, 64)
_ENOUGH: Final = 0.999  # further efforts tell nothing a sample of this size could show
_TEN: Final = KS.index(10)  # the answer size that a curve climbs by
_FILTERED_QUERIES: Final = 128  # of them search under filters too: with 32, lists asked for .95 found up to .975
_FILTERED_STEP: Final = 2  # rungs of the curve from one that is measured under filters to the next


def measure_probes(vectors: Vectors, ivf: _core.Ivf, *, refine: bool = True) -> RecallCurve | None:
    """Measure the recall of an inverted file over the rows it covers; None where there are too few for it to matter.

    `refine` says whether more rows may be measured than are asked for.
    """
    ready = prepared(vectors, ivf.covered, FOR_LISTS)
    if ready is None:
        return None
    walked = None if ready.allowed.count == ready.view.n else ready.allowed
    sample = ProbeSample(ready.view, ready.queries, ready.allowed, ready.limit, vectors.threads, ivf, ())
    steps = _climb(sample, walked, ready.truth, refine)
    rungs = tuple(Rung(step.nprobe, step.factor, step.rows) for step in steps)
    few = ready.queries[:_FILTERED_QUERIES]
    under_filters = ProbeSample(ready.view, few, ready.allowed, ready.limit, vectors.threads, ivf, rungs)
    return RecallCurve(
        slots=vectors.state.next_slot,
        rows=vectors.state.live.count,
        queries=len(ready.queries),
        efs=tuple(rung.effort for rung in rungs),
        recalls=tuple(tuple(step.recalls[i] for step in steps) for i in range(len(KS))),
        steps=tuple(step.codes for step in steps),
        filtered=measure_filtered(under_filters),
        rungs=rungs,
    )


def trained_since(built: object, curve: RecallCurve) -> bool:
    """Whether the lists were found anew after the curve was measured: the rows had drifted, or were many more."""
    return isinstance(built, _core.Ivf) and built.trained_on > curve.rows


@dataclass(frozen=True)
class ProbeSample(Sample):
    """An inverted file, searched by the rungs of its curve."""

    ivf: _core.Ivf
    rungs: tuple[Rung, ...]

    @property
    def efs(self) -> Sequence[int]:
        """Some of the rungs, the last among them."""
        return [rung.effort for rung in self.rungs[::-1][::_FILTERED_STEP][::-1]]

    @property
    def pace(self) -> Pace:
        """What a code and a row are taken to cost: the same everywhere."""
        return guessed_pace(self.view, self.ivf)

    def bound(self, queries: StoredMatrix, rows: _core.RowSet | None) -> Callable[[int], Walked]:
        """Searches by the rung of an effort."""
        by_effort = {rung.effort: rung for rung in self.rungs}
        return lambda effort: self.searched(queries, rows, by_effort[effort].nprobe, by_effort[effort].factor)

    def searched(self, queries: StoredMatrix, rows: _core.RowSet | None, nprobe: int, factor: int) -> Walked:
        """A search for each of `KS`; the counts are those for the ten nearest."""
        found = []
        looked = tested = 0
        for i, k in enumerate(KS):
            _, distances, stats = self.ivf.search(
                self.view, queries, k, nprobe, rows, factor * k, self.limit, self.threads
            )
            found.append(distances)
            if i == _TEN:
                looked, tested = stats.estimates, stats.distances
        return Walked(tuple(found), looked, tested)

    def scanned(self, steps: float, tests: float) -> float:
        """Codes and rows at their pace, beside rows read one by one."""
        pace = self.pace
        return (steps * pace.code + tests * pace.vector) / pace.vector


class _Step(NamedTuple):
    nprobe: int
    factor: int
    recalls: list[float]
    codes: float
    rows: float
    cost: float


def _climb(sample: ProbeSample, rows: _core.RowSet | None, truth: FloatMatrix, refine: bool) -> list[_Step]:
    """Rungs from the least effort on, until all is found or every list is read and no more rows help."""
    count, pace = len(sample.queries), sample.pace

    def step(nprobe: int, factor: int) -> _Step:
        walked = sample.searched(sample.queries, rows, nprobe, factor)
        codes, measured = walked.looked / count, walked.tested / count
        cost = codes * pace.code + measured * pace.vector
        return _Step(nprobe, factor, recalls_of(walked.found, truth), codes, measured, cost)

    factors = _FACTORS if refine else (1,)
    at = step(1, factors[0])
    steps = [at]
    while min(at.recalls) < _ENOUGH:
        wider = [(2 * at.nprobe, at.factor)] if at.nprobe < sample.ivf.nlist else []
        wider += [(at.nprobe, factor) for factor in factors[factors.index(at.factor) + 1 :][:1]]
        if not wider:
            break
        before = at
        at = max((step(*how) for how in wider), key=lambda after: _gain(before, after))
        steps.append(at)
    return steps


def _gain(before: _Step, after: _Step) -> float:
    """What a step finds more for what it takes more."""
    return (after.recalls[_TEN] - before.recalls[_TEN]) / max(after.cost - before.cost, 1.0)
