"""hnswlib (Malkov and Yashunin's own library)."""

from __future__ import annotations

import hnswlib

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, installed_version


class Hnswlib(Adapter):
    name = "hnswlib"
    version = installed_version("hnswlib")

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        self.index = hnswlib.Index(space=self.params.metric, dim=vectors.shape[1])
        self.index.init_index(len(vectors), M=self.params.M, ef_construction=self.params.ef_construction)
        self.index.add_items(vectors, num_threads=threads)
        self.index.set_num_threads(1)

    def set_effort(self, ef: int) -> None:
        self.index.set_ef(ef)

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return self.index.knn_query(q, k)[0][0]

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return self.index.knn_query(queries, k)[0]

    def memory_bytes(self) -> int:
        return self.index.index_file_size()
