"""NGT's graph and tree index; the effort sets how far beyond the k-th distance the search goes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import ngtpy
import numpy as np

from bench.adapters.base import Adapter, FloatMatrix, FloatVector, RowNumbers, bytes_below, installed_version

# On unit vectors every one of these orders alike.
METRICS = {"ip": "Normalized Cosine", "cosine": "Cosine", "l2": "L2"}
EFFORT_TO_EPSILON = 1 / 2000


class Ngt(Adapter):
    name = "ngt"
    version = installed_version("ngt")

    def build(self, vectors: FloatMatrix, threads: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        path = str(self.folder / "index")
        ngtpy.create(path, vectors.shape[1], self.params.M, 2 * self.params.M, METRICS[self.params.metric], "Float")
        self.index = ngtpy.Index(path)
        self.index.batch_insert(vectors, num_threads=threads)

    def set_effort(self, ef: int) -> None:
        self.epsilon = ef * EFFORT_TO_EPSILON

    def query(self, q: FloatVector, k: int) -> RowNumbers:
        return np.array([row for row, _ in self.index.search(q, k, self.epsilon)])

    def memory_bytes(self) -> int:
        self.index.save()
        return bytes_below(self.folder / "index")

    def close(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)
