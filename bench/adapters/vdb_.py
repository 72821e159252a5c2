"""vdb's core alone: the graph and the vectors, without tables, predicates or row ids."""

from __future__ import annotations

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, installed_version
from vdb import _core
from vdb.index.walk_codes import choose_walk_codes

SAMPLED = 16  # every so many rows decide on the codes


class VdbCore(Adapter):
    name = "vdb"
    version = installed_version("vdb")

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        inverse_norms = _core.inverse_norms(vectors) if self.params.metric == "cosine" else None
        self.view = _core.VectorView(vectors, self.params.metric, inverse_norms)
        codes, bits = self.params.codes, self.params.bits
        if codes == "auto":
            codes, bits = choose_walk_codes(vectors[::SAMPLED], vectors[0].nbytes, self.params.metric, seed=42)
        packed = codes == "packed"
        self.graph = _core.Hnsw(
            vectors.shape[1],
            self.params.metric,
            M=self.params.M,
            ef_construction=self.params.ef_construction,
            codes=None if codes == "none" else "rabitq" if packed else codes,
            bits=1 if packed else bits,
            packed=packed,
        )
        self.graph.extend(self.view, threads=threads)
        self.vector_bytes = vectors.nbytes

    def set_effort(self, ef: int) -> None:
        self.ef = ef

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return self.graph.search(self.view, q[None], k, self.ef)[0][0]

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        return self.graph.search(self.view, queries, k, self.ef)[0]

    def memory_bytes(self) -> int:
        return self.graph.memory_bytes + self.vector_bytes
