"""Curves of inverted files: what the rungs measured, that they climb by counts, and the times they are priced with."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb import _core
from vdb.index.machine import Machines
from vdb.index.measure import FOR_LISTS, Vectors, prepared
from vdb.index.pace import Pace, guessed_pace, measured_pace, pace_of
from vdb.index.probes import measure_probes
from vdb.index.recall import KS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, DIM = 3000, 16
MEASURED = measured_pace  # before the fixtures pin it


@pytest.fixture(scope="module", params=["pq", "rabitq"])
def table(request: pytest.FixtureRequest) -> Iterator[vdb.Table]:
    rng = np.random.default_rng(4)
    centers = rng.normal(size=(40, DIM)) * 2
    x = (centers[rng.integers(0, 40, ROWS)] + rng.normal(size=(ROWS, DIM))).astype(np.float32)
    with vdb.connect(":memory:") as db:
        made = db.create_table("t", {"id": np.arange(ROWS)}, e=x, key="id")
        made.create_index("e", vdb.IVFPQ(nlist=64) if request.param == "pq" else vdb.IVFRaBitQ(nlist=64), name="l")
        yield made


def lists_of(table: vdb.Table) -> _core.Ivf:
    state = table._state
    return table._database.indexes.built_as(state, state.indexes["l"], _core.Ivf, "lists")


def test_every_rung_doubles_lists_or_rows_and_is_what_a_search_finds(table: vdb.Table) -> None:
    curve = table.list_indexes()[0].recall_curve
    assert curve is not None
    assert (curve.slots, curve.rows, curve.queries) == (ROWS, ROWS, 200)
    assert curve.efs == tuple(rung.nprobe * (rung.factor or 8) for rung in curve.rungs)
    for before, after in itertools.pairwise(curve.rungs):
        assert after.effort in (2 * before.effort, 4 * before.effort)
        assert (after.nprobe == before.nprobe) != (after.factor == before.factor)
    ready = prepared(Vectors(table._state, "e", "l2", 1), ROWS, FOR_LISTS)
    assert ready is not None
    for j, rung in enumerate(curve.rungs):
        for i, k in enumerate(KS):
            _, found, stats = lists_of(table).search(ready.view, ready.queries, k, rung.nprobe, None, rung.factor * k)
            assert curve.recalls[i][j] == pytest.approx(np.mean(found <= ready.truth[:, k - 1 : k]))
            if k == 10:
                assert curve.steps[j] == pytest.approx(stats.estimates / 200)
                assert rung.measured == pytest.approx(stats.distances / 200)


def test_curve_ends_where_all_is_found(table: vdb.Table) -> None:
    curve = table.list_indexes()[0].recall_curve
    assert curve is not None
    assert min(row[-1] for row in curve.recalls) >= 0.94
    assert min(row[-2] for row in curve.recalls) < 0.999
    assert curve.recalls[1][0] < 0.8


def test_filters_are_measured_at_rungs_of_the_curve(table: vdb.Table) -> None:
    curve = table.list_indexes()[0].recall_curve
    assert curve is not None
    assert curve.filtered[0].share == 0.5
    for walks in curve.filtered:
        assert set(walks.efs) <= set(curve.efs)
        assert list(walks.steps) == sorted(walks.steps)
        assert walks.recalls[1][-1] > 0.9 or walks.apart


def test_same_rows_give_the_same_curve_for_any_number_of_threads(table: vdb.Table) -> None:
    ivf = lists_of(table)
    curves = [measure_probes(Vectors(table._state, "e", "l2", threads), ivf) for threads in (1, 2)]
    assert curves[0] == curves[1] == table.list_indexes()[0].recall_curve


def test_without_refinement_no_rung_measures_more_than_is_asked_for(table: vdb.Table) -> None:
    curve = measure_probes(Vectors(table._state, "e", "l2", 1), lists_of(table), refine=False)
    assert curve is not None
    assert [rung.factor for rung in curve.rungs] == [1] * len(curve.rungs)
    assert max(rung.measured for rung in curve.rungs) <= 12


def test_times_are_measured_once_and_stay_near_the_guess(table: vdb.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    from vdb.index import pace

    ivf, asked = lists_of(table), []
    view = _core.VectorView(table._state.vectors["e"].data, "l2")
    guess = guessed_pace(view, ivf)
    monkeypatch.setattr(pace, "MACHINES", Machines())
    monkeypatch.setattr(pace, "measured_pace", MEASURED)

    def queries() -> Any:
        asked.append(1)
        return table._state.vectors["e"].data[:32]

    found = pace_of(view, ivf, queries)
    assert isinstance(found, Pace)
    assert all(other / 8 <= one <= 8 * other for one, other in zip(found, guess, strict=True))
    assert pace_of(view, ivf, queries) is found
    assert len(asked) == 1


def test_codes_looked_up_in_tables_are_dearer() -> None:
    data = np.random.default_rng(0).normal(size=(600, 32)).astype(np.float32)
    view = _core.VectorView(data, "l2")
    paces = []
    for nbits in (4, 8):
        ivf = vdb.IVFPQ(nlist=4, m=8, nbits=nbits).make(32, "l2")
        ivf.extend(view)
        paces.append(guessed_pace(view, ivf))
    assert paces[0].code < paces[1].code
    assert paces[0].vector == paces[1].vector
