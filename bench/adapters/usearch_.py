"""usearch, with vectors of float32, bfloat16 and int8."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import usearch.index

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, installed_version

METRICS = {"l2": "l2sq", "ip": "ip", "cosine": "cos"}


class Usearch(Adapter):
    name = "usearch"
    version = installed_version("usearch")
    dtype: ClassVar[str] = "f32"

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        self.index = usearch.index.Index(
            ndim=vectors.shape[1],
            metric=METRICS[self.params.metric],
            dtype=self.dtype,
            connectivity=self.params.M,
            expansion_add=self.params.ef_construction,
        )
        self.index.add(np.arange(len(vectors)), vectors, threads=threads)

    def set_effort(self, ef: int) -> None:
        self.index.expansion_search = ef

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return self.index.search(q, k, threads=1).keys.astype(np.int64)

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return self.index.search(queries, k, threads=1).keys.astype(np.int64)

    def memory_bytes(self) -> int:
        return int(self.index.serialized_length)


class UsearchBf16(Usearch):
    name = "usearch_bf16"
    dtype = "bf16"


class UsearchI8(Usearch):
    name = "usearch_i8"
    dtype = "i8"
