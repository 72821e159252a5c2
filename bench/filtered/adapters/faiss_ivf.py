"""faiss inverted lists of other codes than 4-bit PQ: PQ of 8 bits, without refinement, and RaBitQ."""

from __future__ import annotations

import faiss

from bench.adapters.base import FloatVector, RowNumbers
from bench.filtered.adapters.base import Sweep, probes
from bench.filtered.adapters.faiss_flat import bitmap
from bench.filtered.adapters.faiss_ivfpq import FilteredFaissIvfPq
from bench.filtered.predicate import EVERYTHING, Predicate
from bench.filtered.questions import Allowed


class FilteredFaissIvfRabitq(FilteredFaissIvfPq):
    name = "faiss_ivf_rabitq"
    factory = "IVF{lists},RaBitQfs,RFlat"


class FilteredFaissIvfPq8(FilteredFaissIvfPq):
    name = "faiss_ivfpq8"
    factory = "IVF{lists},PQ{codes}x8"

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {self.name: [[{"nprobe": n} for n in probes(self.lists)]]}

    def bind(self, predicate: Predicate, allowed: Allowed) -> faiss.SearchParametersIVF:
        selector = {} if predicate == EVERYTHING else {"sel": bitmap(allowed)}
        return faiss.SearchParametersIVF(**selector)

    def search(self, q: FloatVector, k: int, bound: faiss.SearchParametersIVF) -> RowNumbers:
        bound.nprobe = self.effort["nprobe"]
        return self.index.search(q[None], k, params=bound)[1][0]
