"""numpy: the allowed rows gathered, one product, a partial sort. Exact up to rounding."""

from __future__ import annotations

import numpy as np

from bench.adapters.base import FloatVector, RowNumbers
from bench.filtered.adapters.base import FilteredPeer
from bench.filtered.predicate import Predicate
from bench.filtered.questions import Allowed, FilteredData


class NumpyGather(FilteredPeer):
    name = "numpy"
    version = np.__version__

    def build(self, data: FilteredData, threads: int) -> None:  # noqa: ARG002 -- nothing is built
        self.vectors = data.vectors

    def bind(self, predicate: Predicate, allowed: Allowed) -> RowNumbers:  # noqa: ARG002
        return allowed.rows

    def search(self, q: FloatVector, k: int, bound: RowNumbers) -> RowNumbers:
        scores = self.vectors[bound] @ q
        best = np.argpartition(-scores, k - 1)[:k] if len(bound) > k else np.arange(len(bound))
        return bound[best[np.argsort(-scores[best])]]

    def memory_bytes(self) -> int:
        return self.vectors.nbytes
