"""faiss IndexHNSWFlat."""

from __future__ import annotations

import faiss

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers

METRICS = {"l2": faiss.METRIC_L2, "ip": faiss.METRIC_INNER_PRODUCT}


class FaissHnsw(Adapter):
    name = "faiss_hnsw"
    version = faiss.__version__

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        if self.params.metric not in METRICS:
            raise ValueError(f"faiss has no {self.params.metric} metric; normalise the vectors and use ip")
        self.index = self.make(vectors.shape[1])
        self.index.hnsw.efConstruction = self.params.ef_construction
        faiss.omp_set_num_threads(threads)
        if not self.index.is_trained:
            self.index.train(vectors)
        self.index.add(vectors)
        faiss.omp_set_num_threads(1)

    def make(self, dim: int) -> faiss.Index:
        return faiss.IndexHNSWFlat(dim, self.params.M, METRICS[self.params.metric])

    def set_effort(self, ef: int) -> None:
        self.index.hnsw.efSearch = ef

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return self.index.search(q[None], k)[1][0]

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return self.index.search(queries, k)[1]

    def memory_bytes(self) -> int:
        return faiss.serialize_index(self.index).nbytes
