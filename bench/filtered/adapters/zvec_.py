"""zvec: HNSW over float32 with inverted indexes of the attributes, asked by its filter string."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import zvec

from bench.adapters.base import FloatVector, RowNumbers, bytes_below, installed_version
from bench.adapters.zvec_ import METRICS, ROWS_A_CALL
from bench.filtered.adapters.base import Effort, Sweep, TextPeer
from bench.filtered.predicate import NO_FILTER, Dialect
from bench.filtered.questions import FilteredData

INT, TEXT, TEXTS = zvec.DataType.INT64, zvec.DataType.STRING, zvec.DataType.ARRAY_STRING
NUMBERS = ("lot", "update_date", "number_of_sub_categories")
FIELDS = dict.fromkeys(NUMBERS, INT) | {"primary_category": TEXT, "main_categories": TEXTS}
RANGE = "{column} >= {low} AND {column} <= {high}"
HAS, LACKS = "{column} CONTAIN_ANY ({value})", "{column} NOT CONTAIN_ANY ({value})"


class FilteredZvec(TextPeer):
    name = "zvec"
    version = installed_version("zvec")
    words = Dialect("zvec", RANGE, HAS, LACKS, substring="")  # its LIKE minds the case

    def build(self, data: FilteredData, threads: int) -> None:
        self.folder, params = Path(tempfile.mkdtemp()), self.setup.params
        graph = zvec.HnswIndexParam(METRICS[params.metric], params.M, params.ef_construction)
        column = zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, data.vectors.shape[1], graph)
        listed = zvec.InvertIndexParam(enable_range_optimization=True)
        fields = [zvec.FieldSchema(name, kind, index_param=listed) for name, kind in FIELDS.items()]
        schema = zvec.CollectionSchema("rows", fields=fields, vectors=column)
        self.rows = zvec.create_and_open(str(self.folder / "rows"), schema)
        for begin in range(0, len(data.vectors), ROWS_A_CALL):
            values = data.attributes.slice(begin, ROWS_A_CALL).select(list(FIELDS)).to_pylist()
            part = zip(values, data.vectors[begin : begin + ROWS_A_CALL].tolist(), strict=True)
            self.rows.insert([zvec.Doc(str(row), fields=f, vectors={"v": v}) for row, (f, v) in enumerate(part, begin)])
        self.rows.optimize(zvec.OptimizeOption(concurrency=threads))

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {self.name: [[{"ef": ef} for ef in (16, 32, 64, 128, 256, 512, 1024)]]}

    def choose(self, method: str, effort: Effort) -> None:  # noqa: ARG002
        self.param = zvec.HnswQueryParam(ef=effort["ef"])

    def search(self, q: FloatVector, k: int, bound: str) -> RowNumbers:
        query = zvec.Query("v", vector=q.tolist(), param=self.param)
        found = self.rows.query(query, topk=k, filter=None if bound == NO_FILTER else bound, output_fields=[])
        return np.array([int(doc.id) for doc in found], np.int64)

    def memory_bytes(self) -> int:
        return bytes_below(self.folder)

    def close(self) -> None:
        self.rows.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)
