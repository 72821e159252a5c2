"""ScaNN: a tree of leaves, anisotropic 4-bit codes, exact reordering. It has no filter."""

from __future__ import annotations

import time

import numpy as np

from bench.adapters.base import FloatVector, RowNumbers
from bench.adapters.scann_ import Scann
from bench.filtered.adapters.base import FilteredPeer, Sweep
from bench.filtered.predicate import EVERYTHING, Inexpressible, Predicate
from bench.filtered.questions import Allowed, FilteredData

LEAVES = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
REORDERED = (20, 40, 80, 160, 320)


class UnfilteredScann(FilteredPeer):
    name = Scann.name
    version = Scann.version

    def build(self, data: FilteredData, threads: int) -> None:
        self.peer = Scann(self.setup.params)
        began = time.perf_counter()
        self.peer.build(data.vectors, threads)
        seconds = time.perf_counter() - began
        size = float(self.memory_bytes() - data.vectors.nbytes)
        self.parts["scann"] = {"seconds": seconds, "bytes": size}

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {self.name: [[{"leaves": n, "reordered": rows} for n in LEAVES] for rows in REORDERED]}

    def bind(self, predicate: Predicate, allowed: Allowed) -> None:  # noqa: ARG002
        if predicate != EVERYTHING:
            raise Inexpressible("scann has no filter of rows")

    def search(self, q: FloatVector, k: int, bound: None) -> RowNumbers:  # noqa: ARG002
        how = {"leaves_to_search": self.effort["leaves"], "pre_reorder_num_neighbors": self.effort["reordered"]}
        return self.peer.index.search(q, k, **how)[0].astype(np.int64)

    def memory_bytes(self) -> int:
        return self.peer.memory_bytes()
