"""Recall and work of ACORN on the real papers, under filters of many selectivities, by counters.

The floors stand a little below what the fixed seeds give; a graph is the same on every machine with the same kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from vdb import _core

if TYPE_CHECKING:
    from bench.datasets import Dataset

pytestmark = pytest.mark.recall

K = 10
ROWS = 20_000
QUERIES = 200


@pytest.fixture(scope="module")
def view(arxiv: Dataset) -> _core.VectorView:
    return _core.VectorView(np.ascontiguousarray(arxiv.vectors[:ROWS]), "ip")


@pytest.fixture(scope="module")
def graph(view: _core.VectorView) -> _core.Hnsw:
    built = _core.Hnsw(view.dim, "ip", M=32, gamma=12, M_beta=64)
    built.extend(view)
    return built


@pytest.mark.parametrize(("share", "floor", "ceiling"), [(0.5, 0.95, 1600), (0.2, 0.95, 1600), (0.08, 0.95, 1600)])
def test_recall_under_random_filters_down_to_one_in_gamma(
    arxiv: Dataset, view: _core.VectorView, graph: _core.Hnsw, share: float, floor: float, ceiling: float
) -> None:
    rows = _core.RowSet.from_bools(np.random.default_rng(3).random(ROWS) < share)
    queries = arxiv.queries[:QUERIES]
    truth, _, _ = _core.scan(view, queries, K, rows)
    slots, _, stats = graph.search(view, queries, K, 64, rows, arm="acorn")
    found = np.mean([np.isin(want, have).mean() for want, have in zip(truth, slots, strict=True)])
    assert found >= floor
    assert stats.distances / QUERIES <= ceiling
    assert len(stats.unfinished) == 0
