"""Times of the machine: measured within what can be, interpolated between, guessed where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from vdb import _core
from vdb.index.machine import (
    DENSITIES,
    Machine,
    Machines,
    ScanTimes,
    TimedRows,
    guessed,
    measured,
    measured_codes,
    row_time,
    timed_rows,
)

ROWS, DIM = 2000, 16


@pytest.fixture(scope="module")
def timed() -> TimedRows:
    data = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
    return timed_rows(_core.VectorView(data, "l2"), data, _core.RowSet.all(ROWS))


@pytest.fixture(scope="module")
def graph(timed: TimedRows) -> _core.Hnsw:
    graph = _core.Hnsw(DIM, "l2", 8, 40, codes="sq8")
    graph.extend(timed.view)
    return graph


def numbers(machine: Machine) -> list[float]:
    vectors, codes, *walks = machine
    return [vectors.call, *vectors.rows, codes.call, *codes.rows, *walks]


def test_measured_times_are_near_what_is_guessed_and_above_nothing(timed: TimedRows, graph: _core.Hnsw) -> None:
    guess = guessed(timed.view.row_bytes, graph.record_bytes)
    found = measured(graph, timed, guess)
    for one, other in zip(numbers(found), numbers(guess), strict=True):
        assert 0 < other / 8 <= one <= other * 8


def test_rows_that_lie_apart_take_longer_and_densities_between_are_interpolated() -> None:
    for guess in (guessed(1536, 112), guessed(16_384, None), guessed(64, 24)):
        for times in (guess.vectors.rows, guess.codes.rows):
            assert [row_time(times, density) for density in DENSITIES] == pytest.approx(list(times))
            falling = [row_time(times, density) for density in np.geomspace(1e-6, 1.0, 50)]
            assert falling == sorted(falling, reverse=True)


def test_an_index_is_timed_once_and_again_when_it_has_grown(timed: TimedRows, graph: _core.Hnsw) -> None:
    machines, asked = Machines(), []

    def ask() -> TimedRows:
        asked.append(1)
        return timed

    first = machines.of(timed.view, graph, ask)
    assert machines.of(timed.view, graph, ask) is first
    assert len(asked) == 1
    small = _core.Hnsw(DIM, "l2", 8, 40)
    assert machines.of(timed.view, small, ask) == guessed(timed.view.row_bytes, None)
    assert len(asked) == 1


def test_codes_of_their_own_are_timed_by_their_own_scan(timed: TimedRows) -> None:
    codes = _core.Codes(DIM, "l2")
    codes.extend(timed.view)
    guess = guessed(timed.view.row_bytes, DIM).vectors.scaled(0.25)
    found = measured_codes(codes, timed, guess)
    for one, other in zip((found.call, *found.rows), (guess.call, *guess.rows), strict=True):
        assert 0 < other / 8 <= one <= other * 8


def test_codes_of_few_rows_are_not_timed(timed: TimedRows) -> None:
    asked: list[int] = []

    def ask() -> TimedRows:
        asked.append(1)
        return timed

    machines, codes = Machines(), _core.Codes(DIM, "l2")
    guess = guessed(timed.view.row_bytes, DIM).vectors
    assert machines.of_codes(codes, guess, ask) is guess
    codes.extend(timed.view)
    assert not asked
    assert machines.of_codes(codes, guess, ask) == machines.of_codes(codes, guess, ask)
    assert len(asked) == 1


def test_a_scan_takes_its_call_and_what_its_rows_take() -> None:
    times = ScanTimes(100.0, (1.0, 2.0, 4.0))
    assert times.of(0, 0) == 100.0
    assert times.of(1000, 1000) == 1100.0
    assert times.of(10, 10_000) == 140.0
    assert times.scaled(0.5).of(10, 10_000) == 120.0
