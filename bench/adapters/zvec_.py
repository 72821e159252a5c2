"""zvec: HNSW over float32, int8 and RaBitQ codes, through its collections."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import zvec

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, bytes_below, installed_version

METRICS = {"ip": zvec.MetricType.IP, "l2": zvec.MetricType.L2, "cosine": zvec.MetricType.COSINE}
ROWS_A_CALL = 1_000


class Zvec(Adapter):
    name = "zvec"
    version = installed_version("zvec")

    def index_param(self) -> Any:
        return zvec.HnswIndexParam(METRICS[self.params.metric], self.params.M, self.params.ef_construction)

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        column = zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, vectors.shape[1], self.index_param())
        self.rows = zvec.create_and_open(str(self.folder / "rows"), zvec.CollectionSchema("rows", vectors=column))
        for begin in range(0, len(vectors), ROWS_A_CALL):
            part = enumerate(vectors[begin : begin + ROWS_A_CALL].tolist(), begin)
            self.rows.insert([zvec.Doc(id=str(row), vectors={"v": values}) for row, values in part])
        self.rows.optimize(zvec.OptimizeOption(concurrency=threads))

    def set_effort(self, ef: int) -> None:
        self.param = zvec.HnswQueryParam(ef=ef)

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        query = zvec.Query("v", vector=q.tolist(), param=self.param)
        return np.array([int(doc.id) for doc in self.rows.query(query, topk=k)])

    def memory_bytes(self) -> int:
        return bytes_below(self.folder)

    def close(self) -> None:
        self.rows.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)
