"""What a machine takes for the pieces of a search, measured on the graph and the vectors they are needed for.

Counts come from curves and repeat everywhere; these are the times they are multiplied with. Measured once for a graph
in a process, in some 20 ms, the least of a few repetitions: so a busy machine changes them little. Each repetition has
queries and rows of its own, as searches have: those of the one before wait in a cache.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from vdb import _core
from vdb.errors import MetricError
from vdb.index.filtered import ADAPTIVE
from vdb.index.recall import LEAST_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.types import Slots, StoredMatrix

    Scan: TypeAlias = "Callable[..., tuple[object, object, _core.SearchStats]]"

# The shares of slots that scans are timed at: in order, tile by tile with gaps, and row by row.
DENSITIES: Final = (1.0, 1 / 8, 1 / 128)
_LOG_DENSITIES: Final = tuple(math.log(density) for density in DENSITIES)

_REPEATS: Final = 3
TURNS: Final = _REPEATS + 1  # the first one warms up the code
_SCANNED: Final = 8192  # rows of a timed scan by vectors
_CODES_SCANNED: Final = 16_384  # and by codes, which are shorter: so many of them that a cache does not hold all
_CALLED: Final = 64  # rows that show what a call by codes takes: fewer are read by vector, without preparing the query
_QUERIES: Final = 8  # of each repetition
_K: Final = 10
_EF: Final = 64
_WALKED: Final = (1 / 2, 1 / 16)  # shares of the filters of timed walks
_TRUSTED: Final = 8.0  # a time so many times off the guess is an accident of measuring
_GROWTH: Final = 4  # of a graph until it is timed again: it may have left a cache
_SEED: Final = 1


T = TypeVar("T")


class ScanTimes(NamedTuple):
    """Nanoseconds.

    Attributes
    ----------
    call : float
        Of a scan of next to nothing.
    rows : tuple of float
        Of an allowed row, at `DENSITIES`.
    """

    call: float
    rows: tuple[float, ...]

    def of(self, matching: int, slots: int) -> float:
        """Of a scan of so many rows among so many slots."""
        return self.call + matching * row_time(self.rows, matching / max(slots, 1))

    def scaled(self, share: float) -> ScanTimes:
        """The same where a row takes but a share of that."""
        return self._replace(rows=tuple(share * row for row in self.rows))


class Machine(NamedTuple):
    """Nanoseconds.

    Attributes
    ----------
    vectors, codes : ScanTimes
        Of scans by the vectors and by the codes of the graph.
    step, filtered_step : float
        Of a row that a walk looks at, hops and queues included, over all rows and under a filter.
    test : float
        Of a bit of the filter that such a walk tests.
    seeds : float
        Of finding the seeds of a walk and how dense the matching rows are near the query.
    """

    vectors: ScanTimes
    codes: ScanTimes
    step: float
    filtered_step: float
    test: float
    seeds: float


def guessed(row_bytes: int, code_bytes: int | None) -> Machine:
    """What to expect where nothing was measured: a Zen 4 core (bench/micro/gather.py, bench/micro/kernels.py)."""
    read = row_bytes if code_bytes is None else code_bytes
    step = 20.0 + 0.1 * read
    vectors = ScanTimes(3_000.0, (5.0 + row_bytes / 20, 20.0 + row_bytes / 10, 30.0 + row_bytes / 8))
    by_code = vectors.rows if code_bytes is None else (3.0 + read / 20, 8.0 + read / 16, 15.0 + read / 10)
    return Machine(vectors, ScanTimes(6_000.0, by_code), step, 1.2 * step, 1.0, 20_000.0)


def row_time(times: tuple[float, ...], density: float) -> float:
    """Of `ScanTimes.rows` at any density, by powers between those measured."""
    if density >= 1.0:
        return times[0]
    if density <= DENSITIES[-1]:
        return times[-1]
    at = math.log(density)
    i = 1 if at >= _LOG_DENSITIES[1] else 2
    share = (_LOG_DENSITIES[i - 1] - at) / (_LOG_DENSITIES[i - 1] - _LOG_DENSITIES[i])
    return float(times[i - 1] * (times[i] / times[i - 1]) ** share)


class TimedRows(NamedTuple):
    """What is read to take times: `slots` are the rows with a distance, `queries` some of them."""

    view: _core.VectorView
    slots: Slots
    queries: StoredMatrix


class Machines:
    """The times of every index of this process. Thread-safe: a second thread guesses while the first one measures."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, tuple[int, Any]] = WeakKeyDictionary()
        self._measuring = threading.Lock()

    def of(self, view: _core.VectorView, graph: _core.Hnsw, timed: Callable[[], TimedRows]) -> Machine:
        """The times of a graph; `timed` is asked where they are to be measured."""
        guess = guessed(view.row_bytes, graph.record_bytes or None)
        return self.known(graph, guess, lambda: measured(graph, timed(), guess))

    def of_codes(self, codes: _core.Codes, guess: ScanTimes, timed: Callable[[], TimedRows]) -> ScanTimes:
        """The times of a scan by codes of their own, `guess` where nothing can be measured."""
        return self.known(codes, guess, lambda: measured_codes(codes, timed(), guess))

    def known(self, index: _core.Hnsw | _core.Ivf | _core.Codes, guess: T, measure: Callable[[], T]) -> T:
        """What `measure` found for an index once; the guess for one of few rows, or while another is measured."""
        covered, times = self._known.get(index, (0, None))
        if times is not None and index.covered <= _GROWTH * covered:
            return times  # type: ignore[no-any-return]
        if index.covered < LEAST_ROWS or not self._measuring.acquire(blocking=False):
            return guess
        try:
            found = measure()
            self._known[index] = index.covered, found
            return found
        except MetricError:  # perhaps at a row that is dead: what is searched may have a distance everywhere
            return guess
        finally:
            self._measuring.release()


MACHINES: Final = Machines()


def timed_rows(view: _core.VectorView, data: StoredMatrix, allowed: _core.RowSet) -> TimedRows:
    """What to time: `data` are the values of `view`, `allowed` its rows that have a distance."""
    slots = allowed.to_slots()
    return TimedRows(view, slots, timed_queries(data, slots))


def timed_queries(data: StoredMatrix, slots: Slots) -> StoredMatrix:
    """Some of the rows in `slots` of the values of a view, for every repetition."""
    return np.ascontiguousarray(data[np.random.default_rng(_SEED).choice(slots, TURNS * _QUERIES)])


def queries_of(queries: StoredMatrix, turn: int) -> StoredMatrix:
    """Those of one repetition."""
    return queries[turn * _QUERIES : (turn + 1) * _QUERIES]


def measured(graph: _core.Hnsw, timed: TimedRows, guess: Machine) -> Machine:
    """Time scans and walks; what is far from `guess` is pulled towards it."""
    vectors = _scan_times(timed, _core.scan, by_code=False)
    codes = _scan_times(timed, graph.scan, by_code=True)
    step, _, _ = _walk_time(graph, timed, 1.0)
    filtered_step, test = _filtered_times(graph, timed)
    return Machine(
        _trusted_scan(vectors, guess.vectors),
        _trusted_scan(codes, guess.codes),
        trusted(step, guess.step),
        trusted(filtered_step, guess.filtered_step),
        trusted(test, guess.test),
        guess.seeds,
    )


def measured_codes(codes: _core.Codes, timed: TimedRows, guess: ScanTimes) -> ScanTimes:
    """Time scans by codes of their own, likewise."""
    return _trusted_scan(_scan_times(timed, codes.scan, by_code=True), guess)


def _filtered_times(graph: _core.Hnsw, timed: TimedRows) -> tuple[float, float]:
    """Of a step and of a test: what two walks took, each its own mixture of both."""
    (dense, steps, tests), (sparse, more_steps, more_tests) = (_walk_time(graph, timed, share) for share in _WALKED)
    times = dense * steps, sparse * more_steps
    scale = steps * more_tests - more_steps * tests
    if scale <= 0.0:
        return dense, 0.0
    step = (times[0] * more_tests - times[1] * tests) / scale
    return step, (times[1] - step * more_steps) / more_tests


def _scan_times(timed: TimedRows, scan: Scan, *, by_code: bool) -> ScanTimes:
    called, scanned = (_CALLED, _CODES_SCANNED) if by_code else (1, _SCANNED)
    view, query = timed.view, timed.queries[:1]
    call = least_time(lambda _: scan(view, query, 1, None, max(view.n - called, 0)))
    return ScanTimes(call, tuple(_row_time(timed, scan, density, scanned, call) for density in DENSITIES))


def _row_time(timed: TimedRows, scan: Scan, density: float, scanned: int, call: float) -> float:
    view, query = timed.view, timed.queries[:1]
    span = round(scanned / density)
    turns = [_window(view.n, turn, span) for turn in range(TURNS)]
    if density < 1.0 or len(timed.slots) < view.n:
        turns = [rows & _some(timed, density, turn) for turn, rows in enumerate(turns)]
    took = least_time(lambda turn: scan(view, query, _K, turns[turn]))
    return max(took - call, 0.0) / max(turns[0].count, 1)


def _window(n: int, turn: int, span: int) -> _core.RowSet:
    """So many slots, others in each repetition where there are enough."""
    begin = max(n - (turn + 1) * span, 0)
    return _core.RowSet.from_range(begin, min(begin + span, n), n)


def _walk_time(graph: _core.Hnsw, timed: TimedRows, share: float) -> tuple[float, float, float]:
    """Nanoseconds for each row looked at, and how many of those and of tests of the filter there were."""
    rows = None if share >= 1.0 and len(timed.slots) == timed.view.n else _some(timed, share)
    arm = "plain" if share >= 1.0 else ADAPTIVE
    looked, tests = [0.0] * TURNS, [0.0] * TURNS

    def walk(turn: int) -> None:
        queries = queries_of(timed.queries, turn)
        _, _, stats = graph.search(timed.view, queries, _K, _EF, rows, arm=arm)
        looked[turn], tests[turn] = max(float(stats.estimates + stats.distances), 1.0), float(stats.tests)

    times = times_of(walk)
    turn = min(range(1, TURNS), key=lambda turn: times[turn] / looked[turn])
    return times[turn] / looked[turn], looked[turn], tests[turn]


def _some(timed: TimedRows, share: float, turn: int = 0) -> _core.RowSet:
    """About so many of the rows, others in each repetition."""
    slots = timed.slots
    if share < 1.0:
        slots = np.random.default_rng(_SEED + turn).choice(slots, max(round(share * len(slots)), 1))
    return _core.RowSet.from_slots(slots, timed.view.n)


def least_time(run: Callable[[int], object]) -> float:
    """Nanoseconds of the fastest repetition but the first; `run` is given their numbers."""
    return float(min(times_of(run)[1:]))


def times_of(run: Callable[[int], object]) -> list[int]:
    """Nanoseconds of all repetitions."""
    times = []
    for turn in range(TURNS):
        began = time.perf_counter_ns()
        run(turn)
        times.append(time.perf_counter_ns() - began)
    return times


def trusted(found: float, guess: float) -> float:
    """A time as it was measured, but no further from the guess than can be."""
    return min(max(found, guess / _TRUSTED), guess * _TRUSTED)


def _trusted_scan(found: ScanTimes, guess: ScanTimes) -> ScanTimes:
    rows = (trusted(one, other) for one, other in zip(found.rows, guess.rows, strict=True))
    return ScanTimes(trusted(found.call, guess.call), tuple(rows))
