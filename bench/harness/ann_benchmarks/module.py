"""vdb in ann-benchmarks: the methods of its `BaseANN`, by a table in memory with one index."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import vdb

if TYPE_CHECKING:
    import numpy.typing as npt

METRICS = {"angular": "cosine", "euclidean": "l2"}
KINDS = {"HNSW": ("ef_search",), "IVFRaBitQ": ("nprobe",), "IVFPQ": ("nprobe",), "Flat": ()}  # and what is turned


class Vdb:
    """An index of vdb: `metric` as the harness calls it, `options` its kind and parameters.

    `Vdb("angular", {"index": "HNSW", "M": 16, "ef_construction": 200})`
    """

    def __init__(self, metric: str, options: dict[str, Any]) -> None:
        if metric not in METRICS or options.get("index") not in KINDS:
            raise ValueError(
                f"metric {metric!r} and index {options.get('index')!r} are not both known; expected one of "
                f"{', '.join(METRICS)} and one of {', '.join(KINDS)}; correct config.yml"
            )
        self.metric, self.options = METRICS[metric], dict(options)
        self.kind = self.options.pop("index")
        self.effort: dict[str, Any] = {}
        self.name = f"vdb({self.kind})"

    def fit(self, X: npt.NDArray[Any]) -> None:
        """Index (n, dim) vectors."""
        self.db = vdb.connect(":memory:")
        schema = {"id": "BIGINT PRIMARY KEY", "embedding": f"FLOAT[{X.shape[1]}]"}
        self.table = self.db.create_table("items", schema, metric=self.metric)  # type: ignore[arg-type]
        self.table.add({"id": np.arange(len(X))}, embedding=np.ascontiguousarray(X, np.float32))
        self.table.create_index("embedding", getattr(vdb, self.kind)(**self.options))

    def set_query_arguments(self, *values: int) -> None:
        """Take the effort of the searches to come, `ef_search` or `nprobe`."""
        self.effort = dict(zip(KINDS[self.kind], values, strict=True))
        shown = ", ".join(f"{name}={value}" for name, value in (self.options | self.effort).items())
        self.name = f"vdb({self.kind}, {shown})"

    def query(self, q: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
        """Numbers of the n nearest, best first."""
        return np.asarray(self.table.search(np.asarray(q, np.float32), n, **self.effort).ids)

    def batch_query(self, X: npt.NDArray[Any], n: int) -> None:
        """Ask all queries at once; `get_batch_results` has the answers."""
        hits = self.table.search(np.ascontiguousarray(X, np.float32), n, **self.effort)
        self.found = np.asarray(hits.ids).reshape(len(X), -1)

    def get_batch_results(self) -> npt.NDArray[np.int64]:
        """(nq, n) numbers."""
        return self.found

    def get_memory_usage(self) -> float:
        """Kilobytes of this process that are resident."""
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 1024

    def get_additional(self) -> dict[str, Any]:
        """What is stored beside a result: bytes of the index beside the vectors."""
        return {"index_bytes": sum(info.memory_bytes for info in self.table.list_indexes())}

    def done(self) -> None:
        """Let go of the table."""
        self.db.close()

    def __str__(self) -> str:
        return self.name
