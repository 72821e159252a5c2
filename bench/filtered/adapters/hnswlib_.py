"""hnswlib with its filter, a function that is called for each node; it raises where it finds fewer than k."""

from __future__ import annotations

from collections.abc import Callable

import hnswlib
import numpy as np

from bench.adapters.base import FloatVector, RowNumbers, installed_version
from bench.filtered.adapters.base import Effort, FilteredPeer, Sweep
from bench.filtered.predicate import EVERYTHING, Predicate
from bench.filtered.questions import Allowed, FilteredData

EFFORTS = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
Bound = tuple[Callable[[int], int] | None, int]


class FilteredHnswlib(FilteredPeer):
    name = "hnswlib"
    version = installed_version("hnswlib")

    def build(self, data: FilteredData, threads: int) -> None:
        params = self.setup.params
        self.index = hnswlib.Index(space=params.metric, dim=data.vectors.shape[1])
        self.index.init_index(len(data.vectors), M=params.M, ef_construction=params.ef_construction)
        self.index.add_items(data.vectors, num_threads=threads)
        self.index.set_num_threads(1)

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {self.name: [[{"ef": ef} for ef in EFFORTS]]}

    def choose(self, method: str, effort: Effort) -> None:  # noqa: ARG002
        self.index.set_ef(effort["ef"])

    def bind(self, predicate: Predicate, allowed: Allowed) -> Bound:
        mask = allowed.mask  # a byte a row: a list would be eight, for every question
        return None if predicate == EVERYTHING else mask.tobytes().__getitem__, int(mask.sum())

    def search(self, q: FloatVector, k: int, bound: Bound) -> RowNumbers:
        allows, matching = bound
        try:
            return self.index.knn_query(q, min(k, matching), num_threads=1, filter=allows)[0][0]
        except RuntimeError:
            return np.empty(0, np.int64)

    def memory_bytes(self) -> int:
        return self.index.index_file_size()
