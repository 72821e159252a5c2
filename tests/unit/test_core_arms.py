"""The arms of a filtered walk as the core offers them to Python."""

from __future__ import annotations

import numpy as np
import pytest

from vdb import _core
from vdb.errors import InvalidArgument

DIM, ROWS, K = 24, 2000, 10
ARMS = ("plain", "adaptive", "two_hop", "post")


@pytest.fixture(scope="module")
def view() -> _core.VectorView:
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((15, DIM))
    rows = centres[rng.integers(15, size=ROWS)] + 0.4 * rng.standard_normal((ROWS, DIM))
    return _core.VectorView(rows.astype(np.float32), "l2")


@pytest.fixture(scope="module")
def graph(view: _core.VectorView) -> _core.Hnsw:
    made = _core.Hnsw(DIM, "l2", M=12, ef_construction=80, codes="rabitq", bits=4)
    made.extend(view)
    return made


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return np.random.default_rng(4).standard_normal((20, DIM)).astype(np.float32)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("share", [0.5, 0.05])
def test_an_arm_finds_the_nearest_allowed_rows_and_counts_its_work(
    view: _core.VectorView, graph: _core.Hnsw, queries: np.ndarray, arm: str, share: float
) -> None:
    mask = np.random.default_rng(5).random(ROWS) < share
    allowed = _core.RowSet.from_bools(mask)
    exact, _, _ = _core.scan(view, queries, K, allowed)
    pool = int(60 / share)
    slots, distances, stats = graph.search(view, queries, K, 60, allowed, pool, arm=arm)
    found = slots != _core.ABSENT_SLOT
    assert mask[slots[found]].all()
    assert (distances[:, 1:] >= distances[:, :-1]).all()
    assert np.isin(exact, slots).mean() >= (0.7 if arm == "two_hop" else 0.9)
    assert stats.tests > 0
    assert stats.estimates > 0
    assert set(np.flatnonzero(~found.all(axis=1))) <= set(stats.unfinished.tolist())


def test_without_a_filter_all_arms_are_one(view: _core.VectorView, graph: _core.Hnsw, queries: np.ndarray) -> None:
    slots, distances, stats = graph.search(view, queries, K, 40)
    for arm in ARMS:
        same, as_far, work = graph.search(view, queries, K, 40, arm=arm)
        np.testing.assert_array_equal(same, slots)
        np.testing.assert_array_equal(as_far, distances)
        assert (work.estimates, work.tests) == (stats.estimates, 0)


def test_seeds_lead_to_rows_that_the_entry_point_does_not(view: _core.VectorView, graph: _core.Hnsw) -> None:
    # The hundred rows farthest from the query, so that nothing near the entry point is allowed.
    query = np.zeros((1, DIM), np.float32)
    far, _, _ = _core.scan(view, query, ROWS)
    allowed = _core.RowSet.from_slots(far[0, -100:].copy(), ROWS)
    exact, _, _ = _core.scan(view, query, K, allowed)
    seeds = np.full((1, 20), _core.ABSENT_SLOT, np.uint32)
    seeds[0, ::2] = far[0, -100::10]
    found, _, stats = graph.search(view, query, K, 64, allowed, arm="adaptive", seeds=seeds)
    assert np.isin(found, exact).mean() >= 0.8
    assert stats.estimates < 400


def test_arms_and_seeds_that_make_no_sense_are_refused(
    view: _core.VectorView, graph: _core.Hnsw, queries: np.ndarray
) -> None:
    allowed = _core.RowSet.all(ROWS)
    with pytest.raises(InvalidArgument, match="arm 'best' is unknown: expected plain, adaptive"):
        graph.search(view, queries, K, 40, allowed, arm="best")
    with pytest.raises(InvalidArgument, match="seeds need the row set they are taken from: pass allowed"):
        graph.search(view, queries, K, 40, seeds=np.zeros((20, 1), np.uint32))
    for shape in ((19, 4), (20,), (20, 4, 1)):
        with pytest.raises(InvalidArgument, match=r"seeds must be \(nq, s\), a row for each of the 20 queries"):
            graph.search(view, queries, K, 40, allowed, seeds=np.zeros(shape, np.uint32))
    with pytest.raises(TypeError):
        graph.search(view, queries, K, 40, allowed, seeds=np.zeros((20, 4), np.float32))  # type: ignore[arg-type]
