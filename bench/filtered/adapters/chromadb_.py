"""chromadb: its local HNSW, the predicate as a `where` of metadata."""

from __future__ import annotations

from typing import Any

import chromadb
import numpy as np
from chromadb.config import Settings

from bench.adapters.base import FloatVector, RowNumbers
from bench.filtered.adapters.base import Effort, Sweep, TextPeer
from bench.filtered.adapters.chroma_where import where
from bench.filtered.predicate import Predicate
from bench.filtered.questions import Allowed, FilteredData

ROWS_A_CALL = 2_000
FIELDS = ["lot", "update_date", "number_of_sub_categories", "primary_category", "main_categories"]


class FilteredChroma(TextPeer):
    name = "chromadb"
    version = chromadb.__version__

    def build(self, data: FilteredData, threads: int) -> None:
        params = self.setup.params
        graph: Any = {"space": params.metric, "max_neighbors": params.M, "ef_construction": params.ef_construction}
        client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False, allow_reset=True))
        client.reset()
        self.rows = client.create_collection("rows", configuration={"hnsw": graph | {"num_threads": threads}})
        for begin in range(0, len(data.vectors), ROWS_A_CALL):
            part = data.vectors[begin : begin + ROWS_A_CALL]
            values = data.attributes.slice(begin, ROWS_A_CALL).select(FIELDS).to_pylist()
            ids = [str(row) for row in range(begin, begin + len(part))]
            self.rows.add(ids=ids, embeddings=part, metadatas=values)
        self.bytes = data.vectors.nbytes

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {self.name: [[{"ef": ef} for ef in (16, 64, 256, 1024)]]}

    def choose(self, method: str, effort: Effort) -> None:  # noqa: ARG002
        self.rows.modify(configuration={"hnsw": {"ef_search": effort["ef"], "num_threads": 1}})

    def bind(self, predicate: Predicate, allowed: Allowed) -> dict[str, Any]:  # noqa: ARG002
        return where(predicate)

    def search(self, q: FloatVector, k: int, bound: dict[str, Any]) -> RowNumbers:
        found = self.rows.query(query_embeddings=q[None], n_results=k, where=bound, include=[])
        return np.array([int(row) for row in found["ids"][0]], np.int64)

    def memory_bytes(self) -> int:
        return self.bytes  # at least: it does not say
