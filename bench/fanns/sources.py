"""What a folder of the published layout is made from: real vectors, wider ones, more of them, a chunk at a time.

`arxiv` and `grown` have 384 dimensions; `lifted` and `grown_lifted` are the same through one random linear layer to
4,096. Rows and attributes are the same for the same seeds, however many are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench import datasets, grown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from bench.datasets import FloatMatrix

    Rows = npt.NDArray[np.int64]

MOST_ROWS = {
    "arxiv": datasets.ARXIV_ROWS,
    "lifted": datasets.ARXIV_ROWS,
    "grown": datasets.GROWN_MOST,
    "grown_lifted": datasets.GROWN_MOST,
}


@dataclass(frozen=True)
class Source:
    """Vectors by chunks and the paper whose attributes each has.

    `seed` draws the rows of a grown set; the layer of a lifted one is that of bench/datasets.py.
    """

    name: str
    rows: int
    seed: int = grown.GROWN_SEED

    @staticmethod
    def of(name: str, rows: int | None = None, seed: int = grown.GROWN_SEED) -> Source:
        """A source by its name, of as many rows as it has, or a million of one that grows; ValueError where unknown."""
        if name not in MOST_ROWS:
            raise ValueError(f"unknown source {name!r}; expected one of {', '.join(MOST_ROWS)}")
        wanted = min(MOST_ROWS[name], grown.GROWN_ROWS) if rows is None else rows
        if not 0 < wanted <= MOST_ROWS[name]:
            raise ValueError(f"{name} has up to {MOST_ROWS[name]} rows, {wanted} were asked for; choose fewer")
        return Source(name, wanted, seed)

    @property
    def is_lifted(self) -> bool:
        """Whether the vectors are those of 4,096 dimensions."""
        return self.name.endswith("lifted")

    @property
    def dim(self) -> int:
        """Of a vector."""
        return datasets.LIFTED_DIM if self.is_lifted else datasets.ARXIV_DIM

    def queries(self, count: int | None = None) -> FloatMatrix:
        """The real queries, (<= count, dim)."""
        return self._widened(datasets.arxiv().queries[:count])

    def chunks(self, first: int = 0) -> Iterator[tuple[FloatMatrix, Rows]]:
        """Vectors and their papers from row `first` on, a multiple of `grown.CHUNK_ROWS`."""
        for part, papers in self.narrow_chunks(first):
            yield self._widened(part), papers

    def narrow_chunks(self, first: int = 0) -> Iterator[tuple[FloatMatrix, Rows]]:
        """The same before the layer."""
        if self.name.startswith("grown"):
            yield from grown.chunks(self.rows, self.seed, first)
            return
        vectors = datasets.arxiv().vectors[: self.rows]
        for begin in range(first, self.rows, grown.CHUNK_ROWS):
            part = vectors[begin : begin + grown.CHUNK_ROWS]
            yield part, np.arange(begin, begin + len(part))

    def _widened(self, vectors: FloatMatrix) -> FloatMatrix:
        return datasets.through(datasets.lifting_layer(), vectors) if self.is_lifted else vectors
