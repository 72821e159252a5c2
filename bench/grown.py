"""The grown set: as many rows as wanted, drawn from a mixture fitted to the real vectors, with real attributes.

Every real row is the centre of one component of the mixture, whose spread is a share of that of the row's cluster.
The attributes of a drawn row are those of another real row of the same cluster: vectors and attributes stay
correlated, as in the real set. Made, not real, the same for the same seed and however many rows are drawn.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.datasets import ARXIV_DIM, ARXIV_QUERIES, Dataset, arxiv, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.datasets import FloatMatrix

GROWN_ROWS, GROWN_SEED = 1_000_000, 2_507
CLUSTERS = 256
ROUNDS = 8  # of k-means
SPREAD = 0.7  # standard deviation of a component, of that of the cluster
DIRECTIONS = 8  # members whose offsets from the centroid make one draw
CHUNK_ROWS = 8_192  # drawn at a time, each chunk with a generator of its own

Rows = npt.NDArray[np.int64]


def grown(rows: int | None = None, queries: int | None = None, seed: int = GROWN_SEED) -> Dataset:
    """`rows` vectors, a million by default, and the real queries."""
    vectors, _ = draw(rows or GROWN_ROWS, seed)
    return Dataset("grown", vectors, arxiv().queries[: queries or ARXIV_QUERIES])


def draw(rows: int, seed: int = GROWN_SEED) -> tuple[FloatMatrix, Rows]:
    """(rows, dim) float32 vectors of unit length, read-only, and the papers whose attributes they have, (rows,)."""
    vectors = np.empty((rows, ARXIV_DIM), dtype=np.float32)
    papers = np.empty(rows, dtype=np.int64)
    begin = 0
    for part, sources in chunks(rows, seed):
        end = begin + len(part)
        vectors[begin:end], papers[begin:end] = part, sources
        begin = end
    vectors.flags.writeable = False
    return vectors, papers


def chunks(rows: int, seed: int = GROWN_SEED, first: int = 0) -> Iterator[tuple[FloatMatrix, Rows]]:
    """The same from row `first` on, a multiple of `CHUNK_ROWS`, at most so many at a time."""
    base = arxiv().vectors
    clusters = fitted(seed)
    for begin in range(first, rows, CHUNK_ROWS):
        part, sources = clusters.draw(base, np.random.default_rng([seed, begin]))
        count = min(CHUNK_ROWS, rows - begin)
        yield part[:count], sources[:count]


@functools.cache
def fitted(seed: int) -> Clusters:
    """The clusters of the real vectors, kept: they are small, and take seconds to find."""
    return Clusters.fit(arxiv().vectors, seed)


@dataclass(frozen=True)
class Clusters:
    """k-means clusters of rows: `of[i]` is that of row i; `members[starts[c] : starts[c + 1]]` are the rows of c."""

    centroids: FloatMatrix
    of: Rows
    members: Rows
    starts: Rows

    @staticmethod
    def fit(vectors: FloatMatrix, seed: int, count: int = CLUSTERS) -> Clusters:
        """Cluster (n, dim) unit vectors by their products with unit centroids; n is at least `count`."""
        rng = np.random.default_rng(seed)
        centroids = np.array(vectors[rng.choice(len(vectors), count, replace=False)])
        for _ in range(ROUNDS):
            of = _nearest(vectors, centroids)
            for cluster, rows in enumerate(_grouped(of, count)):
                if len(rows):  # an empty cluster keeps its centroid
                    centroids[cluster] = vectors[rows].mean(axis=0)
            centroids = np.array(unit_rows(centroids))
        of = _nearest(vectors, centroids)
        groups = list(_grouped(of, count))
        means = [vectors[rows].mean(axis=0) if len(rows) else centroids[c] for c, rows in enumerate(groups)]
        starts = np.concatenate([[0], np.cumsum([len(rows) for rows in groups])])
        return Clusters(np.array(means), of, np.concatenate(groups), starts)

    def draw(self, base: FloatMatrix, rng: np.random.Generator) -> tuple[FloatMatrix, Rows]:
        """One chunk of unit vectors, and for each a member of its cluster."""
        centres = rng.integers(len(base), size=CHUNK_ROWS)
        clusters = self.of[centres]
        vectors = base[centres].astype(np.float32)
        scale = np.float32(SPREAD / np.sqrt(DIRECTIONS))
        for _ in range(DIRECTIONS):
            weights = scale * rng.standard_normal(CHUNK_ROWS, dtype=np.float32)
            vectors += weights[:, None] * (base[self.members_at(clusters, rng)] - self.centroids[clusters])
        return unit_rows(vectors), self.members_at(clusters, rng)

    def members_at(self, clusters: Rows, rng: np.random.Generator) -> Rows:
        """A random member of each of `clusters`, none of which is empty."""
        begin, end = self.starts[clusters], self.starts[clusters + 1]
        return self.members[begin + (rng.random(len(clusters)) * (end - begin)).astype(np.int64)]


def _nearest(vectors: FloatMatrix, centroids: FloatMatrix) -> Rows:
    parts = [
        (vectors[begin : begin + CHUNK_ROWS] @ centroids.T).argmax(axis=1)
        for begin in range(0, len(vectors), CHUNK_ROWS)
    ]
    return np.concatenate(parts).astype(np.int64)


def _grouped(of: Rows, count: int) -> Iterator[Rows]:
    order = np.argsort(of, kind="stable")
    yield from np.split(order, np.searchsorted(of[order], np.arange(1, count)))
