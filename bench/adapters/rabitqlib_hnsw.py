"""rabitqlib HnswIndex: HNSW over RaBitQ codes of 8 bits."""

from __future__ import annotations

import faiss
import numpy as np
import rabitqlib

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, bytes_saved, installed_version

CLUSTERS = 16
BITS = 8


class RabitqlibHnsw(Adapter):
    name = "rabitqlib_hnsw"
    version = installed_version("rabitqlib")

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        n, dim = vectors.shape
        faiss.omp_set_num_threads(threads)
        kmeans = faiss.Kmeans(dim, CLUSTERS, niter=10, seed=1)
        kmeans.train(vectors)
        clusters = kmeans.index.search(vectors, 1)[1][:, 0].astype(np.uint32)
        faiss.omp_set_num_threads(1)
        self.index = rabitqlib.HnswIndex(dim, n, self.params.M, self.params.ef_construction, BITS, self.params.metric)
        self.index.build(vectors, kmeans.centroids, clusters, threads)

    def set_effort(self, ef: int) -> None:
        self.ef = ef

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return self._search(q[None], k)[0]

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return self._search(queries, k)

    def _search(self, queries: FloatMatrix, k: int) -> RowNumbers:
        answer = self.index.search(queries, k, self.ef, 1)
        return next(part for part in answer if np.issubdtype(part.dtype, np.integer))

    def memory_bytes(self) -> int:
        return bytes_saved(lambda folder: self.index.save(f"{folder}/index"))
