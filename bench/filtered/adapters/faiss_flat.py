"""faiss IndexFlat with a selector: a bitmap that is tested for each row, or the list of rows, whichever is faster."""

from __future__ import annotations

import faiss

from bench.adapters.base import FloatVector, RowNumbers
from bench.adapters.faiss_hnsw import METRICS
from bench.filtered.adapters.base import FilteredPeer, Sweep
from bench.filtered.predicate import Predicate
from bench.filtered.questions import Allowed, FilteredData

Bound = tuple["faiss.SearchParameters", "faiss.SearchParameters"]


def bitmap(allowed: Allowed) -> faiss.IDSelectorBitmap:
    """The selector of a set of rows."""
    selector = faiss.IDSelectorBitmap(len(allowed.bits), faiss.swig_ptr(allowed.bits))
    selector.bits = allowed.bits  # faiss keeps only the address
    return selector


class FaissFlat(FilteredPeer):
    name = "faiss_flat"
    version = faiss.__version__

    def build(self, data: FilteredData, threads: int) -> None:  # noqa: ARG002 -- nothing is built
        self.index = faiss.IndexFlat(data.vectors.shape[1], METRICS[self.setup.params.metric])
        self.index.add(data.vectors)
        faiss.omp_set_num_threads(1)

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {self.name: [[{"by_list": 0}], [{"by_list": 1}]]}

    def bind(self, predicate: Predicate, allowed: Allowed) -> Bound:  # noqa: ARG002
        selectors = bitmap(allowed), faiss.IDSelectorArray(allowed.rows)
        by_bits, by_list = (faiss.SearchParameters(sel=selector) for selector in selectors)
        return by_bits, by_list

    def search(self, q: FloatVector, k: int, bound: Bound) -> RowNumbers:
        return self.index.search(q[None], k, params=bound[self.effort["by_list"]])[1][0]

    def memory_bytes(self) -> int:
        return self.index.ntotal * self.index.d * 4
