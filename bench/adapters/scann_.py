"""ScaNN: a tree of leaves, anisotropic 4-bit codes, exact reordering; the effort is the leaves that are searched."""

from __future__ import annotations

import math

import numpy as np
import scann

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, bytes_saved, installed_version

METRICS = {"ip": "dot_product", "l2": "squared_l2"}
REORDERED = 100
DIMENSIONS_PER_BLOCK = 2
ANISOTROPIC_THRESHOLD = 0.2


class Scann(Adapter):
    name = "scann"
    version = installed_version("scann")

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        leaves = int(2 * math.sqrt(len(vectors)))
        builder = scann.scann_ops_pybind.builder(vectors, 10, METRICS[self.params.metric])
        builder = builder.set_n_training_threads(threads).tree(num_leaves=leaves, num_leaves_to_search=10)
        builder = builder.score_ah(DIMENSIONS_PER_BLOCK, anisotropic_quantization_threshold=ANISOTROPIC_THRESHOLD)
        self.index = builder.reorder(REORDERED).build()

    def set_effort(self, ef: int) -> None:
        self.leaves = max(ef // 4, 1)

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return self.index.search(q, k, leaves_to_search=self.leaves)[0].astype(np.int64)

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return self.index.search_batched(queries, k, leaves_to_search=self.leaves)[0].astype(np.int64)

    def memory_bytes(self) -> int:
        return bytes_saved(self.index.serialize)
