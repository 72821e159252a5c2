from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench import ground_truth
from bench.datasets import Dataset
from bench.ground_truth import GroundTruth, Metric, cached, exact_neighbors

if TYPE_CHECKING:
    from pathlib import Path

METRICS: tuple[Metric, ...] = ("l2", "cosine", "ip")


def brute_force(vectors: np.ndarray, query: np.ndarray, metric: Metric) -> np.ndarray:
    rows, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "l2":
        return np.linalg.norm(rows - q, axis=1)
    products = (rows * q).sum(axis=1)
    return 1 - products / np.linalg.norm(rows, axis=1) / np.linalg.norm(q) if metric == "cosine" else -products


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_equal_those_of_a_float64_scan(metric: Metric, rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((3_000, 17), dtype=np.float32)
    queries = rng.standard_normal((5, 17), dtype=np.float32)
    found = exact_neighbors(vectors, queries, metric, 20)
    for i, query in enumerate(queries):
        distances = brute_force(vectors, query, metric)
        order = np.lexsort((np.arange(len(vectors)), distances))[:20]
        assert found.rows[i].tolist() == order.tolist()
        np.testing.assert_allclose(found.distances[i], distances[order], rtol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_do_not_change_the_answer(
    metric: Metric, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = rng.standard_normal((1_000, 8), dtype=np.float32)
    queries = rng.standard_normal((7, 8), dtype=np.float32)
    whole = exact_neighbors(vectors, queries, metric, 10)
    monkeypatch.setattr(ground_truth, "_BLOCK_ROWS", 130)
    monkeypatch.setattr(ground_truth, "_BLOCK_QUERIES", 3)
    assert same(whole, exact_neighbors(vectors, queries, metric, 10))


@pytest.mark.parametrize("metric", METRICS)
def test_equal_vectors_are_ordered_by_row(metric: Metric, rng: np.random.Generator) -> None:
    vectors = np.tile(rng.standard_normal((1, 24), dtype=np.float32), (500, 1))
    found = exact_neighbors(vectors, rng.standard_normal((3, 24), dtype=np.float32), metric, 10)
    assert (found.rows == np.arange(10)).all()


def test_rows_that_float32_cannot_tell_apart_are_ordered_by_float64(rng: np.random.Generator) -> None:
    far = np.float32(4_000)  # the product rounds to 2 units, the rows differ by hundredths
    vectors = np.full((400, 3), far, dtype=np.float32)
    vectors[:, 0] += rng.permutation(400).astype(np.float32) / 64
    query = np.full((1, 3), far, dtype=np.float32)
    found = exact_neighbors(vectors, query, "l2", 10)
    assert found.rows[0].tolist() == np.argsort(vectors[:, 0])[:10].tolist()


def test_fewer_rows_than_k_are_padded(rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((3, 4), dtype=np.float32)
    found = exact_neighbors(vectors, vectors[:1], "l2", 5)
    assert found.rows[0, 0] == 0
    assert found.rows[0, 3:].tolist() == [-1, -1]
    assert np.isinf(found.distances[0, 3:]).all()
    assert np.isfinite(found.distances[0, :3]).all()


def test_mistakes_are_named(rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((3, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="unknown metric 'l1'"):
        exact_neighbors(vectors, vectors, "l1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k is 0"):
        exact_neighbors(vectors, vectors, "l2", 0)
    with pytest.raises(ValueError, match="equal dims"):
        exact_neighbors(vectors, vectors[:, :3], "l2")


def test_stored_truth_is_read_back_and_keyed_by_the_data(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground_truth, "CACHE", tmp_path)
    data = Dataset(
        "made", rng.standard_normal((50, 4), dtype=np.float32), rng.standard_normal((2, 4), dtype=np.float32)
    )
    first = cached(data, "l2", 5)
    assert len(list(tmp_path.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(ground_truth, "exact_neighbors", lambda *_: pytest.fail("computed again"))
        assert same(cached(data, "l2", 5), first)
    changed = data.vectors.copy()
    changed[0] += 1
    cached(Dataset("made", changed, data.queries), "l2", 5)
    assert len(list(tmp_path.iterdir())) == 2


def same(a: GroundTruth, b: GroundTruth) -> bool:
    return np.array_equal(a.rows, b.rows) and np.array_equal(a.distances, b.distances)
