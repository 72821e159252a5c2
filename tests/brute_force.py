"""The oracle of every search test: distances in float64, and what an answer must look like beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    import vdb

TOLERANCE = 2e-5  # float32 sums of up to 1,030 terms against float64, relative to the operands


def distances(query: npt.ArrayLike, vectors: npt.ArrayLike, metric: str) -> npt.NDArray[np.float64]:
    """(n,) float64; NaN where cosine is undefined."""
    q, x = np.asarray(query, np.float64), np.asarray(vectors, np.float64)
    if metric == "l2":
        return np.linalg.norm(x - q, axis=1)
    products = x @ q
    if metric == "ip":
        return -products
    with np.errstate(invalid="ignore"):
        return 1 - products / np.linalg.norm(x, axis=1) / np.linalg.norm(q)


def by_id(query: npt.ArrayLike, rows: Mapping[int, npt.ArrayLike | None], metric: str = "l2") -> dict[int, float]:
    """The distance of every row that has one, by row id."""
    there = {key: vector for key, vector in rows.items() if vector is not None}
    if not there:
        return {}
    found = distances(query, list(there.values()), metric)
    return {key: float(d) for key, d in zip(there, found, strict=True) if np.isfinite(d)}


def assert_allowed(hits: vdb.Hits, expected: Mapping[int, float], k: int) -> None:
    """min(k, matches) different rows of `expected`, each at its distance, in order; ties by row id."""
    ids, found = hits.row_ids.tolist(), hits.distances
    assert len(ids) == len(found) == len(set(ids)) == min(k, len(expected))
    assert set(ids) <= set(expected)
    scale = max((abs(d) for d in expected.values()), default=1.0) + 1.0
    np.testing.assert_allclose(found, [expected[i] for i in ids], rtol=TOLERANCE, atol=TOLERANCE * scale)
    assert sorted(zip(found.tolist(), ids, strict=True)) == list(zip(found.tolist(), ids, strict=True))


def assert_exact(hits: vdb.Hits, expected: Mapping[int, float], k: int) -> None:
    """What `assert_allowed` says, and no nearer row is missing: rows that float32 cannot tell apart may stand in."""
    assert_allowed(hits, expected, k)
    nearest = sorted(expected.values())[:k]
    scale = max((abs(d) for d in expected.values()), default=1.0) + 1.0
    np.testing.assert_allclose(hits.distances, nearest, rtol=TOLERANCE, atol=TOLERANCE * scale)


def recall(found: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """The mean share of each row of `truth`, (nq, k) row ids, that is in the same row of `found`."""
    return float(np.mean([len(np.intersect1d(f, t)) / len(t) for f, t in zip(found, truth, strict=True)]))
