"""Recall of the scan of a graph's codes on real papers, by counters: what each stage reads of filters of any width.

The floors stand a little below what the fixed seeds give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from brute_force import recall

from vdb import _core

if TYPE_CHECKING:
    from bench.datasets import Dataset

pytestmark = pytest.mark.recall

K = 10
ROWS = 20_000
QUERIES = 200


@pytest.mark.parametrize("share", [1.0, 0.3, 0.03])
@pytest.mark.parametrize(("bits", "refined", "measured"), [(1, 700, 400), (2, 500, 80), (4, 500, 25)])
def test_nearly_all_nearest_are_found_and_few_rows_measured(
    arxiv: Dataset, share: float, bits: int, refined: int, measured: int
) -> None:
    view = _core.VectorView(np.ascontiguousarray(arxiv.vectors[:ROWS]), "ip")
    codes = _core.Codes(arxiv.vectors.shape[1], "ip", "rabitq", bits=bits)
    codes.extend(view)
    rows = np.random.default_rng(1).permutation(ROWS)[: round(share * ROWS)].astype(np.uint32)
    allowed = _core.RowSet.from_slots(rows, ROWS)
    queries = np.ascontiguousarray(arxiv.queries[:QUERIES])
    truth, exact, _ = _core.scan(view, queries, K, allowed)
    slots, distances, stats = codes.scan(view, queries, K, allowed)
    assert recall(slots, truth) >= 0.99
    same = slots == truth
    assert (distances[same] == exact[same]).all()
    assert stats.estimates == QUERIES * len(rows) + stats.refined
    assert stats.refined <= refined * QUERIES
    assert stats.distances <= measured * QUERIES


def test_rows_of_the_nearest_cells_hold_the_nearest(arxiv: Dataset) -> None:
    view = _core.VectorView(np.ascontiguousarray(arxiv.vectors[:ROWS]), "cosine", np.ones(ROWS, np.float32))
    cells = _core.Cells(arxiv.vectors.shape[1], "cosine")
    cells.extend(view)
    graph = _core.Hnsw(arxiv.vectors.shape[1], "cosine")  # without rows: lists are measured by vector
    rows = np.random.default_rng(2).permutation(ROWS)[: ROWS // 3].astype(np.uint32)
    allowed = _core.RowSet.from_slots(rows, ROWS)
    queries = np.ascontiguousarray(arxiv.queries[:QUERIES])
    truth, _, _ = _core.scan(view, queries, K, allowed)
    population = cells.population(allowed)
    near, density = population.seeds(view, queries, len(rows) // 5)
    found, _, _ = graph.scan(view, queries, K, slots=near)
    assert recall(found, truth) >= 0.9
    assert abs(float(density.mean()) - 1 / 3) < 0.03
