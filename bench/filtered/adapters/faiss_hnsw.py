"""faiss IndexHNSWFlat with a bitmap of the allowed rows."""

from __future__ import annotations

from typing import Any

import faiss

from bench.adapters.base import FloatVector, RowNumbers
from bench.adapters.faiss_hnsw import METRICS
from bench.filtered.adapters.base import FilteredPeer, Sweep
from bench.filtered.adapters.faiss_flat import bitmap
from bench.filtered.predicate import EVERYTHING, Predicate
from bench.filtered.questions import Allowed, FilteredData

EFFORTS = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]


class FilteredFaissHnsw(FilteredPeer):
    name = "faiss_hnsw"
    version = faiss.__version__

    def build(self, data: FilteredData, threads: int) -> None:
        params = self.setup.params
        self.index = faiss.IndexHNSWFlat(data.vectors.shape[1], params.M, METRICS[params.metric])
        self.index.hnsw.efConstruction = params.ef_construction
        faiss.omp_set_num_threads(threads)
        self.index.add(data.vectors)
        faiss.omp_set_num_threads(1)

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {self.name: [[{"ef": ef} for ef in EFFORTS]]}

    def bind(self, predicate: Predicate, allowed: Allowed) -> Any:
        return faiss.SearchParametersHNSW(**({} if predicate == EVERYTHING else {"sel": bitmap(allowed)}))

    def search(self, q: FloatVector, k: int, bound: Any) -> RowNumbers:
        bound.efSearch = self.effort["ef"]
        return self.index.search(q[None], k, params=bound)[1][0]

    def memory_bytes(self) -> int:
        return faiss.serialize_index(self.index).nbytes
