"""lancedb: an IVF_PQ index over a table on disk; the effort is the number of lists that are probed."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import IvfPq

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, bytes_below, installed_version

METRICS = {"ip": "dot", "l2": "l2", "cosine": "cosine"}
PARTITIONS = 256
SUB_VECTOR_DIMENSIONS = 4
REFINE = 8


class Lancedb(Adapter):
    name = "lancedb"
    version = installed_version("lancedb")

    def build(self, vectors: FloatMatrix, threads: int) -> None:  # noqa: ARG002 -- it takes every core
        self.folder = Path(tempfile.mkdtemp())
        dim = vectors.shape[1]
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dim)
        rows = pa.table({"id": np.arange(len(vectors)), "vector": column})
        self.table = lancedb.connect(str(self.folder)).create_table("rows", rows)
        codes = dim // SUB_VECTOR_DIMENSIONS
        metric = METRICS[self.params.metric]
        config = IvfPq(distance_type=metric, num_partitions=PARTITIONS, num_sub_vectors=codes)
        self.table.create_index("vector", config=config)

    def set_effort(self, ef: int) -> None:
        self.probes = max(ef // 4, 1)

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        search = self.table.search(q).nprobes(self.probes).refine_factor(REFINE).limit(k)
        return search.select(["id"]).to_arrow()["id"].to_numpy()

    def memory_bytes(self) -> int:
        return bytes_below(self.folder)

    def close(self) -> None:
        shutil.rmtree(self.folder)
