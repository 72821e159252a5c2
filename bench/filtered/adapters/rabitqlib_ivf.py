"""rabitqlib IvfIndex: inverted lists of RaBitQ codes of 5 and 8 bits, and refined by vectors of its own. No filter."""

from __future__ import annotations

import math
import time

import faiss
import numpy as np
import rabitqlib

from bench.adapters.base import FloatVector, RowNumbers, bytes_saved, installed_version
from bench.filtered.adapters.base import Effort, FilteredPeer, Sweep, probes
from bench.filtered.adapters.faiss_ivfpq import LISTS
from bench.filtered.predicate import EVERYTHING, Inexpressible, Predicate
from bench.filtered.questions import Allowed, FilteredData

BITS = (5, 8, 32)  # the last: vectors of its own


class UnfilteredRabitqlibIvf(FilteredPeer):
    name = "rabitqlib_ivf"
    version = installed_version("rabitqlib")

    def build(self, data: FilteredData, threads: int) -> None:
        rows, dim = data.vectors.shape
        self.lists = 2 ** round(math.log2(LISTS * math.sqrt(rows)))
        faiss.omp_set_num_threads(threads)
        self.indexes = {}
        for bits in BITS:
            began = time.perf_counter()
            kmeans = faiss.Kmeans(dim, self.lists, niter=10, seed=1)
            kmeans.train(data.vectors)
            clusters = kmeans.index.search(data.vectors, 1)[1][:, 0].astype(np.uint32)
            index = rabitqlib.IvfIndex(dim, rows, self.lists, bits, self.setup.params.metric)
            index.build(data.vectors, kmeans.centroids, clusters, threads)
            size = float(self._bytes(index) - data.vectors.nbytes * (bits == BITS[-1]))
            self.parts[f"{self.name} {bits}"] = {"seconds": time.perf_counter() - began, "bytes": size}
            self.indexes[f"{self.name} {bits}"] = index
        faiss.omp_set_num_threads(1)

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {name: [[{"nprobe": n} for n in probes(self.lists)]] for name in self.indexes}

    def choose(self, method: str, effort: Effort) -> None:
        self.index, self.effort = self.indexes[method], effort

    def bind(self, predicate: Predicate, allowed: Allowed) -> None:  # noqa: ARG002
        if predicate != EVERYTHING:
            raise Inexpressible("rabitqlib has no filter of rows")

    def search(self, q: FloatVector, k: int, bound: None) -> RowNumbers:  # noqa: ARG002
        answer = self.index.search(q[None], k, self.effort["nprobe"])
        return next(part for part in answer if np.issubdtype(part.dtype, np.integer))[0]

    def memory_bytes(self) -> int:
        return sum(map(self._bytes, self.indexes.values()))

    def _bytes(self, index: rabitqlib.IvfIndex) -> int:
        return bytes_saved(lambda folder: index.save(f"{folder}/index"))
