"""Intel Scalable Vector Search: Vamana over float32 vectors."""

from __future__ import annotations

import numpy as np
import svs

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, installed_version

METRICS = {"ip": svs.DistanceType.MIP, "l2": svs.DistanceType.L2, "cosine": svs.DistanceType.Cosine}
ALPHA = {"ip": 0.95, "cosine": 0.95, "l2": 1.2}  # the library's own defaults


class Svs(Adapter):
    name = "svs"
    version = installed_version("scalable-vs")

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        parameters = svs.VamanaBuildParameters(
            alpha=ALPHA[self.params.metric],
            graph_max_degree=2 * self.params.M,
            window_size=self.params.ef_construction,
        )
        self.index = svs.Vamana.build(parameters, vectors, METRICS[self.params.metric], threads)
        self.index.num_threads = 1
        # Degrees and vectors, as the library keeps them; it reports no size of its own.
        self.bytes = vectors.nbytes + len(vectors) * (2 * self.params.M + 1) * np.dtype(np.uint32).itemsize

    def set_effort(self, ef: int) -> None:
        self.index.search_window_size = ef

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return self.index.search(q[None], k)[0][0]

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return self.index.search(queries, k)[0].astype(np.int64)

    def memory_bytes(self) -> int:
        return self.bytes
