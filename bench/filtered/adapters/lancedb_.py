"""lancedb: an IVF_PQ index and scalar indexes of a table on disk, prefiltered by SQL. It uses its own threads."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

import lancedb
import pyarrow as pa
from lancedb.index import Bitmap, BTree, IvfPq, LabelList

from bench.adapters.base import FloatVector, RowNumbers, bytes_below, installed_version
from bench.adapters.lancedb_ import METRICS, SUB_VECTOR_DIMENSIONS
from bench.filtered.adapters.base import Sweep, TextPeer
from bench.filtered.predicate import NO_FILTER, Dialect
from bench.filtered.questions import FilteredData

SCALAR: dict[str, Any] = {"lot": BTree(), "update_date": BTree(), "main_categories": LabelList()}
SCALAR |= {name: Bitmap() for name in ("number_of_sub_categories", "primary_category")}
WORDS = Dialect(
    "lancedb", contains="array_has_any({column}, [{value}])", without="NOT array_has_any({column}, [{value}])"
)


class FilteredLancedb(TextPeer):
    name = "lancedb"
    version = installed_version("lancedb")
    words = WORDS

    def build(self, data: FilteredData, threads: int) -> None:  # noqa: ARG002 -- it takes every core
        self.folder = Path(tempfile.mkdtemp())
        rows, dim = data.vectors.shape
        column = pa.FixedSizeListArray.from_arrays(pa.array(data.vectors.reshape(-1)), dim)
        whole = data.attributes.append_column("vector", column)
        self.table = lancedb.connect(str(self.folder)).create_table("rows", whole)
        self.lists = 2 ** round(math.log2(0.8 * math.sqrt(rows)))  # 256 at 100,000
        metric, codes = METRICS[self.setup.params.metric], dim // SUB_VECTOR_DIMENSIONS
        lists: Any = {"distance_type": metric, "num_partitions": self.lists, "num_sub_vectors": codes}
        for name, config in {"vector": IvfPq(**lists), **SCALAR}.items():
            self.table.create_index(name, config=config)

    def sweeps(self) -> dict[str, list[Sweep]]:
        probes = [2**power for power in range(2, round(math.log2(self.lists)) + 1)]
        return {self.name: [[{"nprobes": n, "refine": factor} for n in probes] for factor in (4, 16)]}

    def search(self, q: FloatVector, k: int, bound: str) -> RowNumbers:
        search = cast("Any", self.table.search(q)).nprobes(self.effort["nprobes"])
        search = search if bound == NO_FILTER else search.where(bound, prefilter=True)
        found = search.refine_factor(self.effort["refine"]).limit(k).select(["row", "_distance"]).to_arrow()
        return found["row"].to_numpy()

    def memory_bytes(self) -> int:
        return bytes_below(self.folder)

    def close(self) -> None:
        shutil.rmtree(self.folder)
