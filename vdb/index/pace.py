"""What a machine takes for the pieces of a search of an inverted file, measured on it when it is first searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from vdb.index.machine import MACHINES, guessed, least_time, trusted

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb import _core
    from vdb.types import StoredMatrix

_K: Final = 10
_LISTS: Final = 16  # one in so many is read by the longer of two searches
_POOL: Final = 32  # rows measured for each one of an answer by the third
_REGISTERS: Final = 4  # bits of a sub-quantiser that is looked up in registers


class Pace(NamedTuple):
    """Nanoseconds.

    Attributes
    ----------
    call : float
        Of a search of next to nothing: the lists are ranked.
    code, vector : float
        Of a code read, and of a row measured on its vector.
    """

    call: float
    code: float
    vector: float


NO_PACE: Final = Pace(0.0, 0.0, 0.0)  # of what is never searched


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
    return Pace(machine.call + ivf.nlist * view.dim / 40, code, machine.vectors[-1])


def pace_of(view: _core.VectorView, ivf: _core.Ivf, queries: Callable[[], StoredMatrix]) -> Pace:
    """The times of an inverted file, measured once; `queries` is asked for some then."""
    guess = guessed_pace(view, ivf)
    return MACHINES.known(ivf, guess, lambda: measured_pace(Timed(view, ivf, queries()), guess))


def measured_pace(timed: Timed, guess: Pace) -> Pace:
    """Time three searches that differ in one thing each; what is far from `guess` is pulled towards it."""
    nprobe = max(timed.ivf.nlist // _LISTS, 2)
    short, long, wide = (_searched(timed, *how) for how in ((1, _K), (nprobe, _K), (nprobe, _POOL * _K)))
    code = (long.took - short.took) / max(long.estimates - short.estimates, 1.0)
    vector = (wide.took - long.took) / max(wide.distances - long.distances, 1.0)
    code, vector = trusted(code, guess.code), trusted(vector, guess.vector)
    call = short.took - short.estimates * code - short.distances * vector
    return Pace(trusted(call, guess.call), code, vector)


class _Took(NamedTuple):
    """Nanoseconds, codes and rows of a query."""

    took: float
    estimates: float
    distances: float


def _searched(timed: Timed, nprobe: int, pool: int) -> _Took:
    done: list[_core.SearchStats] = []

    def search() -> None:
        done.append(timed.ivf.search(timed.view, timed.queries, _K, nprobe, None, pool)[2])

    took, count = least_time(search), len(timed.queries)
    return _Took(took / count, done[-1].estimates / count, done[-1].distances / count)
