"""What a machine takes for the pieces of a search of an inverted file, measured on it when it is first searched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vdb import _core
from vdb.index.machine import MACHINES, TURNS, guessed, queries_of, trusted

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.types import StoredMatrix

_K: Final = 10
_LISTS: Final = 16  # one in so many is read by the longer of two searches
_POOL: Final = 32  # rows measured for each one of an answer by the third
_REGISTERS: Final = 4  # bits of a sub-quantiser that is looked up in registers
_FILTERED: Final = 2  # one slot in so many is allowed in the fourth
_TEST: Final = 0.7  # nanoseconds of a slot looked up in a filter, where nothing was measured


class Pace(NamedTuple):
    """Nanoseconds.

    Attributes
    ----------
    call : float
        Of a search of next to nothing: the lists are ranked.
    code, vector : float
        Of a code read, and of a row measured on its vector.
    tested : float
        Of a slot looked up in a filter, whether its row passes or not.
    """

    call: float
    code: float
    vector: float
    tested: float


NO_PACE: Final = Pace(0.0, 0.0, 0.0, 0.0)  # of what is never searched


class Timed(NamedTuple):
    """An inverted file to time beside its vectors, and some of its rows as queries."""

    view: _core.VectorView
    ivf: _core.Ivf
    queries: StoredMatrix


def guessed_pace(view: _core.VectorView, ivf: _core.Ivf) -> Pace:
    """What to expect where nothing was measured: of a Zen 4 core, as `vdb.index.machine.guessed` has it."""
    machine = guessed(view.row_bytes, None)
    by_table = ivf.nbits > _REGISTERS
    code = 1.0 + ivf.record_bytes / (2 if by_table else 30)
    return Pace(machine.vectors.call + ivf.nlist * view.dim / 40, code, machine.vectors.rows[-1], _TEST)


def pace_of(view: _core.VectorView, ivf: _core.Ivf, queries: Callable[[], StoredMatrix]) -> Pace:
    """The times of an inverted file, measured once; `queries` is asked for some then."""
    guess = guessed_pace(view, ivf)
    return MACHINES.known(ivf, guess, lambda: measured_pace(Timed(view, ivf, queries()), guess))


def measured_pace(timed: Timed, guess: Pace) -> Pace:
    """Time four searches that differ in one thing each, a few times; what is far from `guess` is pulled towards it.

    Each time is of queries of its own, and what is usual among them counts.
    """
    paces = [_measured(timed, guess, turn) for turn in range(TURNS)]
    return Pace(*(float(np.median(times)) for times in zip(*paces[1:], strict=True)))


def _measured(timed: Timed, guess: Pace, turn: int) -> Pace:
    """A row is never taken to be measured sooner than guessed: those of the timed queries wait in a cache by then."""
    queries = queries_of(timed.queries, turn)
    nprobe = max(timed.ivf.nlist // _LISTS, 2)
    short, long, wide = (_searched(timed, queries, *how) for how in ((1, _K), (nprobe, _K), (nprobe, _POOL * _K)))
    some = _core.RowSet.from_slots(np.arange(0, timed.view.n, _FILTERED, dtype=np.uint32), timed.view.n)
    sparse = _searched(timed, queries, nprobe, _K, some)
    code = (long.took - short.took) / max(long.estimates - short.estimates, 1.0)
    vector = (wide.took - long.took) / max(wide.distances - long.distances, 1.0)
    code, vector = trusted(code, guess.code), trusted(vector, guess.vector)
    call = trusted(short.took - short.estimates * code - short.distances * vector, guess.call)
    slots = max(_FILTERED * sparse.estimates, 1.0)
    tested = (sparse.took - call - sparse.distances * vector) / slots - code
    return Pace(call, code, max(vector, guess.vector), trusted(tested, guess.tested))


class _Took(NamedTuple):
    """Nanoseconds, codes and rows of a query."""

    took: float
    estimates: float
    distances: float


def _searched(
    timed: Timed, queries: StoredMatrix, nprobe: int, pool: int, allowed: _core.RowSet | None = None
) -> _Took:
    began = time.perf_counter_ns()
    stats = timed.ivf.search(timed.view, queries, _K, nprobe, allowed, pool)[2]
    took, count = time.perf_counter_ns() - began, len(queries)
    return _Took(took / count, stats.estimates / count, stats.distances / count)
