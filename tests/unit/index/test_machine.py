"""Times of the machine: measured within what can be, interpolated between, guessed where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from vdb import _core
from vdb.index.machine import DENSITIES, Machines, Timed, guessed, measured, row_time, timed_rows

ROWS, DIM = 2000, 16


@pytest.fixture(scope="module")
def timed() -> Timed:
    data = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
    view = _core.VectorView(data, "l2")
    graph = _core.Hnsw(DIM, "l2", 8, 40, codes="sq8")
    graph.extend(view)
    return timed_rows(view, graph, data, _core.RowSet.all(ROWS))


def test_measured_times_are_near_what_is_guessed_and_above_nothing(timed: Timed) -> None:
    guess = guessed(timed.view.row_bytes, timed.graph.record_bytes)
    found = measured(timed, guess)
    for one, other in zip(np.hstack(found), np.hstack(guess), strict=True):
        assert 0 < other / 8 <= one <= other * 8


def test_rows_that_lie_apart_take_longer_and_densities_between_are_interpolated() -> None:
    for guess in (guessed(1536, 112), guessed(16_384, None), guessed(64, 24)):
        for times in (guess.vectors, guess.codes):
            assert [row_time(times, density) for density in DENSITIES] == pytest.approx(list(times))
            falling = [row_time(times, density) for density in np.geomspace(1e-6, 1.0, 50)]
            assert falling == sorted(falling, reverse=True)


def test_a_graph_is_timed_once_and_again_when_it_has_grown(timed: Timed) -> None:
    machines, asked = Machines(), []

    def ask() -> Timed:
        asked.append(1)
        return timed

    first = machines.of(timed.view, timed.graph, ask)
    assert machines.of(timed.view, timed.graph, ask) is first
    assert len(asked) == 1
    small = _core.Hnsw(DIM, "l2", 8, 40)
    assert machines.of(timed.view, small, ask) == guessed(timed.view.row_bytes, None)
    assert len(asked) == 1
