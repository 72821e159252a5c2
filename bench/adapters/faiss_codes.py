"""faiss over codes: HNSW on bytes, and inverted lists of 4-bit PQ and of RaBitQ with exact refinement."""

from __future__ import annotations

from typing import ClassVar

import faiss

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers
from bench.adapters.faiss_hnsw import METRICS, FaissHnsw

LISTS = 512
DIMENSIONS_PER_CODE = 4


class FaissHnswSq8(FaissHnsw):
    name = "faiss_hnsw_sq8"

    def make(self, dim: int) -> faiss.Index:
        metric = METRICS[self.params.metric]
        return faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_8bit, self.params.M, metric)


class FaissIvfPq(Adapter):
    """The effort is the number of lists probed, an eighth of the `ef` of graphs."""

    name = "faiss_ivfpq"
    version = faiss.__version__
    factory: ClassVar[str] = "IVF{lists},PQ{codes}x4fs,RFlat"
    refined: ClassVar[int] = 8  # candidates measured for each neighbour asked for

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        faiss.omp_set_num_threads(threads)
        text = self.factory.format(lists=LISTS, codes=vectors.shape[1] // DIMENSIONS_PER_CODE)
        self.index = faiss.index_factory(vectors.shape[1], text, METRICS[self.params.metric])
        self.index.train(vectors)
        self.index.add(vectors)
        self.index.k_factor = self.refined
        faiss.omp_set_num_threads(1)

    def set_effort(self, ef: int) -> None:
        faiss.extract_index_ivf(self.index.base_index).nprobe = max(ef // 8, 1)

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return self.index.search(q[None], k)[1][0]

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return self.index.search(queries, k)[1]

    def memory_bytes(self) -> int:
        return faiss.serialize_index(self.index).nbytes


class FaissIvfRabitq(FaissIvfPq):
    name = "faiss_ivf_rabitq"
    factory = "IVF{lists},RaBitQfs,RFlat"
    refined = 16
