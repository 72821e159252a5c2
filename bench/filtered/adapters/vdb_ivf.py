"""vdb's inverted files by themselves: no table, each with the codes its name says, the row set known."""

from __future__ import annotations

import time

from bench.adapters.base import FloatVector, RowNumbers, installed_version
from bench.filtered.adapters.base import Effort, FilteredPeer, Sweep, probes
from bench.filtered.adapters.vdb_plans import LISTS, index_spec
from bench.filtered.predicate import EVERYTHING, Predicate
from bench.filtered.questions import Allowed, FilteredData
from vdb import _core

FACTORS = (0, 3, 4, 6, 8, 16)  # rows measured for each neighbour; 0: by the bounds of the codes


class VdbIvf(FilteredPeer):
    name = "vdb_ivf"
    version = installed_version("vdb")

    def build(self, data: FilteredData, threads: int) -> None:
        metric = self.setup.params.metric
        inverse_norms = _core.inverse_norms(data.vectors) if metric == "cosine" else None
        self.view = _core.VectorView(data.vectors, metric, inverse_norms)
        self.indexes: dict[str, _core.Ivf] = {}
        for text in self.setup.indexes:
            if text.partition(":")[0] in LISTS:
                began = time.perf_counter()
                ivf = self.indexes[f"vdb {text}"] = index_spec(text, self.setup.params).make(self.view.dim, metric)
                ivf.extend(self.view, threads=threads)
                self.parts[text] = {"seconds": time.perf_counter() - began, "bytes": ivf.memory_bytes}

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {
            name: [[{"nprobe": n, "factor": factor} for n in probes(ivf.nlist)] for factor in FACTORS]
            for name, ivf in self.indexes.items()
        }

    def choose(self, method: str, effort: Effort) -> None:
        self.ivf, self.effort = self.indexes[method], effort

    def bind(self, predicate: Predicate, allowed: Allowed) -> _core.RowSet | None:
        return None if predicate == EVERYTHING else _core.RowSet.from_bools(allowed.mask)

    def search(self, q: FloatVector, k: int, bound: _core.RowSet | None) -> RowNumbers:
        pool = self.effort["factor"] * k
        return self.ivf.search(self.view, q[None], k, self.effort["nprobe"], bound, pool)[0][0]

    def memory_bytes(self) -> int:
        return sum(ivf.memory_bytes for ivf in self.indexes.values())
