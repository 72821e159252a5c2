"""Exact nearest neighbours, the measure of every recall in bench/ and tests/.

A blocked float32 product proposes candidates, float64 decides. A query whose candidates cannot be proven complete
from the rounding bound of the product is scanned again in float64, so the answer is exact, not just likely.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from bench.datasets import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from bench.datasets import Dataset, FloatMatrix

CACHE = ROOT / "data" / "cache"
DEPTH = 100  # neighbours kept per query, as in the published arXiv sets
ABSENT = -1  # pads the rows of a query with fewer neighbours than asked for
_SPARE = 64  # candidates beyond k: room between the k-th distance and the edge of the candidates
_BLOCK_ROWS = 16_384
_BLOCK_QUERIES = 256  # with the rows above, a product of 16 MiB

Metric = Literal["l2", "cosine", "ip"]
Scores = npt.NDArray[np.float64]
RowMasks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GroundTruth:
    """The `k` nearest rows per query, nearest first, equal distances by row number.

    `rows` is (nq, k) int64, padded with -1; `distances` is (nq, k) float64, padded with +inf. l2 is not squared,
    cosine is 1 - cosine similarity, ip is the negative inner product.
    """

    rows: npt.NDArray[np.int64]
    distances: Scores


def exact_neighbors(
    vectors: FloatMatrix, queries: FloatMatrix, metric: Metric, k: int = DEPTH, allowed: RowMasks | None = None
) -> GroundTruth:
    """Scan (n, dim) `vectors` for the k nearest of each of (nq, dim) `queries`; no zero vectors under cosine.

    `allowed`, (nq, n) bool, says which rows may be found for which query; None: all of them.
    """
    if metric not in ("l2", "cosine", "ip"):
        raise ValueError(f"unknown metric {metric!r}; expected l2, cosine or ip")
    if k < 1 or vectors.shape[1] != queries.shape[1]:
        raise ValueError(f"k is {k}, vectors are {vectors.shape}, queries {queries.shape}; expected k >= 1, equal dims")
    rows = np.full((len(queries), k), ABSENT, dtype=np.int64)
    distances = np.full((len(queries), k), np.inf)
    bounds = _rounding_bounds(vectors, queries, metric)
    for begin in range(0, len(queries), _BLOCK_QUERIES):
        block = queries[begin : begin + _BLOCK_QUERIES]
        masks = None if allowed is None else allowed[begin : begin + _BLOCK_QUERIES]
        candidates, edges = _propose(vectors, block, metric, k + _SPARE, masks)
        for i, query in enumerate(block, begin):
            proposed = candidates[i - begin]
            if masks is not None:
                proposed = proposed[masks[i - begin][proposed]]
            found, exact = _decide(vectors, query, metric, proposed)
            whole = len(found) == len(vectors) or edges[i - begin] == np.inf  # what is not allowed is infinitely far
            if not whole and exact[k - 1] + bounds[i] >= edges[i - begin]:
                every = np.arange(len(vectors)) if masks is None else np.flatnonzero(masks[i - begin])
                found, exact = _decide(vectors, query, metric, every)
            count = min(k, len(found))
            rows[i, :count], distances[i, :count] = found[:count], exact[:count]
    return GroundTruth(rows, np.sqrt(np.maximum(distances, 0)) if metric == "l2" else distances)


def measured(vectors: FloatMatrix, queries: FloatMatrix, metric: Metric, rows: npt.NDArray[np.int64]) -> GroundTruth:
    """Rows that are known to be the nearest, (nq, k) padded with -1, with their exact distances."""
    distances = np.full(rows.shape, np.inf)
    for query, found, own in zip(queries, rows, distances, strict=True):
        held = found >= 0
        scores = _float64_scores(vectors[found[held]].astype(np.float64), query.astype(np.float64), metric)
        own[held] = np.sqrt(np.maximum(scores, 0)) if metric == "l2" else scores
    return GroundTruth(rows, distances)


def cached(data: Dataset, metric: Metric, k: int = DEPTH, allowed: RowMasks | None = None) -> GroundTruth:
    """`exact_neighbors`, kept in data/cache under a digest of the vectors, queries, metric, k and allowed rows."""
    digest = hashlib.blake2b(f"{metric} {k} {data.vectors.shape} {data.queries.shape}".encode(), digest_size=8)
    for array in (data.vectors, data.queries):
        digest.update(np.ascontiguousarray(array).reshape(-1).data)
    if allowed is not None:
        digest.update(np.packbits(allowed, axis=1).data)
    path = CACHE / f"truth-{data.name}-{metric}-{digest.hexdigest()}.npz"
    if path.exists():
        with np.load(path) as stored:
            return GroundTruth(stored["rows"], stored["distances"])
    truth = exact_neighbors(data.vectors, data.queries, metric, k, allowed)
    _store(path, truth)
    return truth


def _store(path: Path, truth: GroundTruth) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, rows=truth.rows, distances=truth.distances)
    partial.replace(path)  # a run that was stopped half-way leaves no file that looks whole


def _propose(
    vectors: FloatMatrix, queries: FloatMatrix, metric: Metric, count: int, allowed: RowMasks | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the `count` best rows by float32 scores and the score at their edge, both per query."""
    best = np.empty((len(queries), 0), dtype=np.float32)
    rows = np.empty((len(queries), 0), dtype=np.int64)
    for begin in _starts(vectors):
        block = vectors[begin : begin + _BLOCK_ROWS]
        scores = _float32_scores(block, queries, metric)
        if allowed is not None:
            scores[~allowed[:, begin : begin + len(block)]] = np.inf
        best = np.concatenate([best, scores], axis=1)
        numbers = np.arange(begin, begin + len(block), dtype=np.int64)
        rows = np.concatenate([rows, np.broadcast_to(numbers, scores.shape)], axis=1)
        if best.shape[1] > count:
            keep = np.argpartition(best, count - 1, axis=1)[:, :count]
            best, rows = np.take_along_axis(best, keep, axis=1), np.take_along_axis(rows, keep, axis=1)
    return rows, best.max(axis=1, initial=-np.inf)


def _float32_scores(block: FloatMatrix, queries: FloatMatrix, metric: Metric) -> npt.NDArray[np.float32]:
    scores: FloatMatrix = -(queries @ block.T)
    if metric == "l2":
        scores *= 2
        scores += np.einsum("ij,ij->i", block, block)
        scores += np.einsum("ij,ij->i", queries, queries)[:, None]
    elif metric == "cosine":
        scores /= np.linalg.norm(block, axis=1) * np.linalg.norm(queries, axis=1)[:, None]
        scores += 1
    return scores


def _decide(
    vectors: FloatMatrix, query: npt.NDArray[np.float32], metric: Metric, candidates: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], Scores]:
    """Return the candidates and their float64 scores (l2 squared), nearest first, ties by row."""
    scores = _float64_scores(vectors[candidates].astype(np.float64), query.astype(np.float64), metric)
    order = np.lexsort((candidates, scores))
    return candidates[order], scores[order]


def _float64_scores(rows: Scores, query: Scores, metric: Metric) -> Scores:
    if metric == "l2":
        return np.asarray(np.square(rows - query).sum(axis=1))
    # A row-wise sum, not a matrix product: equal rows must score equal, or ties are not ties.
    products = (rows * query).sum(axis=1)
    if metric == "cosine":
        return np.asarray(1 - products / (np.sqrt(np.square(rows).sum(axis=1)) * np.sqrt(np.square(query).sum())))
    return np.asarray(-products)


def _rounding_bounds(vectors: FloatMatrix, queries: FloatMatrix, metric: Metric) -> Scores:
    """Bound |float32 score - exact score| per query for any row: dim + 8 roundings of products of norms."""
    unit = (queries.shape[1] + 8) * float(np.finfo(np.float32).eps)
    if metric == "cosine":
        return np.full(len(queries), 4 * unit)
    longest = max(
        (np.linalg.norm(vectors[begin : begin + _BLOCK_ROWS], axis=1).max() for begin in _starts(vectors)), default=0.0
    )
    return np.asarray(unit * np.square(np.linalg.norm(queries, axis=1) + longest), dtype=np.float64)


def _starts(vectors: FloatMatrix) -> range:
    return range(0, len(vectors), _BLOCK_ROWS)
