"""Times of common calls by pytest-benchmark: recorded, never judged (bench/counters.py judges counts).

make bench-smoke            writes them to build/bench-times.json
"""

from __future__ import annotations

from itertools import count, cycle
from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from bench.counters import DIM, ROWS, K, made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.bench
pytest.importorskip("pytest_benchmark", reason="pip install -e '.[test]'")

SCHEMA = {"id": "BIGINT PRIMARY KEY", "kind": "INTEGER", "day": "INTEGER", "v": f"FLOAT[{DIM}]"}


@pytest.fixture(scope="module")
def vectors() -> tuple[np.ndarray, np.ndarray]:
    return made()


@pytest.fixture(scope="module")
def table(vectors: tuple[np.ndarray, np.ndarray]) -> Iterator[vdb.Table]:
    with vdb.connect(":memory:", threads=1) as db:
        items = db.create_table("items", SCHEMA, metric="ip")
        items.add({"id": np.arange(ROWS), "kind": np.arange(ROWS) % 50, "day": np.arange(ROWS)}, v=vectors[0])
        items.create_index("v", vdb.HNSW(M=16, ef_construction=100))
        items.create_index("v", vdb.IVFRaBitQ())
        yield items


SEARCHES = {
    "scan": {"strategy": "scan"},
    "graph": {"strategy": "graph", "ef_search": 64},
    "ivf": {"strategy": "ivf", "nprobe": 8},
    "auto, one in fifty": {"where": "kind = ?", "params": [7]},
    "auto, a tenth": {"where": "day BETWEEN ? AND ?", "params": [100, 1_099]},
    "auto, by DuckDB": {"where": "id % 7 = ?", "params": [3]},
}


@pytest.mark.parametrize("name", SEARCHES)
def test_search(benchmark: Callable, table: vdb.Table, vectors: tuple[np.ndarray, np.ndarray], name: str) -> None:
    queries = cycle(vectors[1])
    hits = benchmark(lambda: table.search(next(queries), K, **SEARCHES[name]))
    assert len(hits.ids) == K


def test_batch_of_searches(benchmark: Callable, table: vdb.Table, vectors: tuple[np.ndarray, np.ndarray]) -> None:
    hits = benchmark(lambda: table.search(vectors[1], K, ef_search=64))
    assert np.asarray(hits.ids).size == K * len(vectors[1])


def test_rows_of_hits_as_dicts(benchmark: Callable, table: vdb.Table, vectors: tuple[np.ndarray, np.ndarray]) -> None:
    queries = cycle(vectors[1])
    found = benchmark(lambda: table.search(next(queries), K, select=["id", "kind"]).to_dicts())
    assert set(found[0]) == {"id", "kind", "_distance"}


def test_commit_of_one_row(benchmark: Callable, db: vdb.Database, vectors: tuple[np.ndarray, np.ndarray]) -> None:
    items = db.create_table("items", SCHEMA, metric="ip")
    numbers = count()

    def add() -> None:
        at = next(numbers)
        items.add({"id": [at], "kind": [1], "day": [2]}, v=vectors[0][at % ROWS][None])

    benchmark(add)
    assert len(items) == next(numbers)


def test_build_of_a_graph(benchmark: Callable, vectors: tuple[np.ndarray, np.ndarray]) -> None:
    with vdb.connect(":memory:", threads=1) as db:
        items = db.create_table("items", {"id": "BIGINT PRIMARY KEY", "v": f"FLOAT[{DIM}]"}, metric="ip")
        items.add({"id": np.arange(2_000)}, v=vectors[0][:2_000])

        def build() -> None:
            for info in items.list_indexes():
                items.drop_index(info.name)
            items.create_index("v", vdb.HNSW(M=16, ef_construction=100))

        benchmark.pedantic(build, rounds=3)
        assert items.list_indexes()[0].covered == 2_000
