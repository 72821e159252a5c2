"""DuckDB: exact, `WHERE ... ORDER BY array_distance(...) LIMIT k` over an array column in memory."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from bench.adapters.base import FloatVector, RowNumbers
from bench.filtered.adapters.base import TextPeer
from bench.filtered.predicate import Value
from bench.filtered.questions import FilteredData

CHUNK_ROWS = 16_384
Bound = tuple[str, list[Value]]


class DuckdbExact(TextPeer):
    name = "duckdb"
    version = duckdb.__version__

    def build(self, data: FilteredData, threads: int) -> None:  # noqa: ARG002 -- one, for the searches too
        self.connection = duckdb.connect(":memory:", config={"threads": 1})
        self.bytes, self.dim = data.vectors.nbytes, data.vectors.shape[1]
        for begin in range(0, len(data.vectors), CHUNK_ROWS):
            values = pa.array(data.vectors[begin : begin + CHUNK_ROWS].reshape(-1))
            column = pa.FixedSizeListArray.from_arrays(values, self.dim)
            part = data.attributes.slice(begin, CHUNK_ROWS).append_column("vector", column)
            self.connection.register("part", part)
            verb = "INSERT INTO papers" if begin else "CREATE TABLE papers AS"
            self.connection.execute(f"{verb} SELECT * FROM part")
            self.connection.unregister("part")

    def search(self, q: FloatVector, k: int, bound: Bound) -> RowNumbers:
        where, values = bound
        order = f"array_distance(vector, ?::FLOAT[{self.dim}])"
        sql = f"SELECT row FROM papers WHERE {where} ORDER BY {order} LIMIT {k}"
        return np.asarray(self.connection.execute(sql, [*values, q.tolist()]).fetchnumpy()["row"], dtype=np.int64)

    def memory_bytes(self) -> int:
        return self.bytes

    def close(self) -> None:
        self.connection.close()
