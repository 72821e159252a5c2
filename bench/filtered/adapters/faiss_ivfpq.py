"""faiss inverted lists of codes, scanned with a bitmap of the allowed rows and refined by the vectors."""

from __future__ import annotations

import math
import time
from typing import ClassVar

import faiss

from bench.adapters.base import FloatVector, RowNumbers
from bench.adapters.faiss_codes import DIMENSIONS_PER_CODE
from bench.adapters.faiss_hnsw import METRICS
from bench.filtered.adapters.base import FilteredPeer, Sweep, probes
from bench.filtered.adapters.faiss_flat import bitmap
from bench.filtered.predicate import EVERYTHING, Predicate
from bench.filtered.questions import Allowed, FilteredData

LISTS = 1.6  # times the root of the rows, to the nearest power of two: 512 at 100,000
REFINED = (2, 4, 8, 16, 32)  # candidates measured for each neighbour asked for
Bound = tuple["faiss.IndexRefineSearchParameters", "faiss.SearchParametersIVF"]


class FilteredFaissIvfPq(FilteredPeer):
    name = "faiss_ivfpq"
    version = faiss.__version__
    factory: ClassVar[str] = "IVF{lists},PQ{codes}x4fs,RFlat"

    def build(self, data: FilteredData, threads: int) -> None:
        faiss.omp_set_num_threads(threads)
        rows, dim = data.vectors.shape
        self.lists = 2 ** round(math.log2(LISTS * math.sqrt(rows)))
        text = self.factory.format(lists=self.lists, codes=dim // DIMENSIONS_PER_CODE)
        self.index = faiss.index_factory(dim, text, METRICS[self.setup.params.metric])
        began = time.perf_counter()
        self.index.train(data.vectors)
        self.index.add(data.vectors)
        seconds = time.perf_counter() - began
        kept = data.vectors.nbytes if text.endswith(",RFlat") else 0
        size = float(self.memory_bytes() - kept)
        self.parts[f"faiss {text}"] = {"seconds": seconds, "bytes": size}
        faiss.omp_set_num_threads(1)

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {self.name: [[{"nprobe": n, "k_factor": factor} for n in probes(self.lists)] for factor in REFINED]}

    def bind(self, predicate: Predicate, allowed: Allowed) -> Bound:
        selector = {} if predicate == EVERYTHING else {"sel": bitmap(allowed)}
        lists = faiss.SearchParametersIVF(**selector)
        return faiss.IndexRefineSearchParameters(base_index_params=lists), lists

    def search(self, q: FloatVector, k: int, bound: Bound) -> RowNumbers:
        refine, lists = bound
        refine.k_factor, lists.nprobe = self.effort["k_factor"], self.effort["nprobe"]
        return self.index.search(q[None], k, params=refine)[1][0]

    def memory_bytes(self) -> int:
        return faiss.serialize_index(self.index).nbytes
