"""rabitqlib SymqgIndex: a graph with the 1-bit codes of its neighbours in each node (SymphonyQG)."""

from __future__ import annotations

import numpy as np
import rabitqlib

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, bytes_saved, installed_version


class RabitqlibSymqg(Adapter):
    name = "rabitqlib_symqg"
    version = installed_version("rabitqlib")

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        self.index = rabitqlib.SymqgIndex(vectors.shape[1], 2 * self.params.M, self.params.metric)
        self.index.build(vectors, self.params.ef_construction, threads)

    def set_effort(self, ef: int) -> None:
        self.ef = ef

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return _rows(self.index.search(q[None], k, self.ef, 1))[0]

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return _rows(self.index.search_batch(queries, k, self.ef, 1))

    def memory_bytes(self) -> int:
        return bytes_saved(lambda folder: self.index.save(f"{folder}/index"))


def _rows(answer: tuple[np.ndarray, ...]) -> RowNumbers:
    return next(part for part in answer if np.issubdtype(part.dtype, np.integer))
