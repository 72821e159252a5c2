"""vdb in the filter track of big-ann-benchmarks: a row has words, a query wants some of them and the nearest rows.

The methods of its `BaseFilterANN`. The words are a list column; overlays of the frequent ones, the graph and the scan
of the matching rows are what the planner chooses among.
"""

from __future__ import annotations

import resource
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import vdb

if TYPE_CHECKING:
    import numpy.typing as npt

METRICS = {"euclidean": "l2", "angular": "cosine", "ip": "ip"}
TABLE, COMMIT_ROWS = "items", 65_536
# Bytes from 0 to 255 are exact in half precision, and take half the room of single.
TYPES = {"uint8": "FLOAT16", "int8": "FLOAT16", "float16": "FLOAT16"}


class Vdb:
    """A table of vectors with words: `metric` as the harness calls it, `index_params` those of the graph.

    `threads` in them is how many queries are asked at a time, `folder` where the database is kept, "data" by default.
    """

    def __init__(self, metric: str, index_params: dict[str, Any]) -> None:
        if metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}; expected one of {', '.join(METRICS)}; correct config.yaml")
        self.metric, self.params = METRICS[metric], dict(index_params)
        self.folder, self.threads = Path(self.params.pop("folder", "data")), int(self.params.pop("threads", 1))
        self.options: dict[str, Any] = {}

    def track(self) -> str:
        """The track it is for."""
        return "filter"

    def fit(self, dataset: str) -> None:
        """Write the rows of a data set of the harness, with their words, and index them."""
        source = _source(dataset)
        vectors, words = source.get_dataset(), source.get_dataset_metadata()
        kind = TYPES.get(vectors.dtype.name, "FLOAT")
        self._open(dataset)
        schema = {"id": "BIGINT PRIMARY KEY", "words": "INTEGER[]", "embedding": f"{kind}[{vectors.shape[1]}]"}
        self.table = self.db.create_table(TABLE, schema, metric=self.metric)  # type: ignore[arg-type]
        for begin in range(0, len(vectors), COMMIT_ROWS):
            part = vectors[begin : begin + COMMIT_ROWS].astype(np.float32)
            end = begin + len(part)
            columns = {"id": np.arange(begin, end), "words": _lists(words, begin, end)}
            self.table.add(pa.table(columns), embedding=part)
        self.table.create_index("embedding", vdb.HNSW(**self.params))
        self.table.create_index("embedding", vdb.Label("words"))

    def load_index(self, dataset: str) -> bool:
        """Open what `fit` wrote; False where it did not."""
        if not self._path(dataset).exists():
            return False
        self._open(dataset)
        self.table = self.db.table(TABLE)
        return True

    def set_query_arguments(self, query_args: dict[str, Any]) -> None:
        """Options of the searches to come: those of `Table.search`, as ef_search, recall or strategy."""
        self.options = dict(query_args)

    def query(self, X: npt.NDArray[Any], k: int) -> None:
        """Ask without words."""
        self._ask(X, [()] * len(X), k)

    def filtered_query(self, X: npt.NDArray[Any], filter: Any, k: int) -> None:  # noqa: A002 -- the harness's own name
        """Ask for the nearest rows that have every word of the same row of `filter`, a sparse matrix."""
        wanted = [filter.indices[filter.indptr[at] : filter.indptr[at + 1]].tolist() for at in range(len(X))]
        self._ask(X, [tuple(each) for each in wanted], k)

    def get_results(self) -> npt.NDArray[np.int32]:
        """(nq, k) numbers of rows, best first, -1 where fewer have the words."""
        return self.found

    def get_memory_usage(self) -> float:
        """Kilobytes of this process that are resident."""
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 1024

    def get_additional(self) -> dict[str, Any]:
        """What is stored beside a result: bytes of the indexes beside the vectors."""
        return {"index_bytes": sum(info.memory_bytes for info in self.table.list_indexes())}

    def index_files_to_store(self, dataset: str) -> tuple[str, str, list[str]]:
        """The folder of the database, its prefix and no parts, as the harness wants them."""
        return str(self.folder), self._path(dataset).name, []

    def done(self) -> None:
        """Close the database."""
        self.db.close()

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in (self.params | self.options).items())
        return f"vdb({shown})"

    def _path(self, dataset: str) -> Path:
        shown = "_".join(f"{name}{value}" for name, value in sorted(self.params.items()))
        return self.folder / f"{dataset}.{shown or 'default'}.vdb"

    def _open(self, dataset: str) -> None:
        self.db = vdb.connect(self._path(dataset))

    def _ask(self, X: npt.NDArray[Any], wanted: list[tuple[int, ...]], k: int) -> None:
        self.found = np.full((len(X), k), -1, np.int32)

        def one(at: int) -> None:
            where = " AND ".join("list_contains(words, ?)" for _ in wanted[at]) or None
            hits = self.table.search(X[at].astype(np.float32), k, where, list(wanted[at]) or None, **self.options)
            self.found[at, : len(hits.ids)] = hits.ids

        with ThreadPool(self.threads) as pool:
            pool.map(one, range(len(X)))


def _source(dataset: str) -> Any:
    from benchmark.datasets import DATASETS  # of the harness

    return DATASETS[dataset]()


def _lists(words: Any, begin: int, end: int) -> pa.Array:
    """The words of rows as lists; `words` is a sparse matrix, (rows, vocabulary)."""
    starts = words.indptr[begin : end + 1]
    return pa.ListArray.from_arrays(
        pa.array((starts - starts[0]).astype(np.int32)),
        pa.array(words.indices[starts[0] : starts[-1]].astype(np.int32)),
    )
