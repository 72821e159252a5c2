"""vdb as its users see it: an in-memory table, its index, `table.search`."""

from __future__ import annotations

import numpy as np

import vdb
from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, installed_version
from vdb.query.execute import Executor


class VdbTable(Adapter):
    name = "vdb_table"
    version = installed_version("vdb")

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        self.db = vdb.connect(":memory:", threads=threads)
        schema = {"id": "BIGINT PRIMARY KEY", "embedding": f"FLOAT[{vectors.shape[1]}]"}
        self.table = self.db.create_table("items", schema, metric=self.params.metric)
        self.table.add({"id": np.arange(len(vectors))}, embedding=vectors)
        spec = vdb.HNSW(
            M=self.params.M,
            ef_construction=self.params.ef_construction,
            codes=self.params.codes,
            bits=self.params.bits or None,
        )
        self.table.create_index("embedding", spec)
        # One search thread, as every peer.
        self.db.executor = Executor(self.db.store, self.db.indexes, self.db.resolver, threads=1)
        self.vector_bytes = vectors.nbytes

    def set_effort(self, ef: int) -> None:
        self.ef = ef

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return self.table.search(q, k=k, ef_search=self.ef).ids

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return np.asarray(self.table.search(queries, k=k, ef_search=self.ef).to_numpy()[0]).reshape(len(queries), -1)

    def memory_bytes(self) -> int:
        return sum(index.memory_bytes for index in self.table.list_indexes()) + self.vector_bytes

    def close(self) -> None:
        self.db.close()
