"""Recall of the range graph on real papers by date, and the work it takes, by counters.

The floors stand a little below what the fixed seeds give, the ceilings a little above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import duckdb
import numpy as np
import pytest
from brute_force import recall

from bench.datasets import arxiv_folder
from vdb import _core

if TYPE_CHECKING:
    from bench.datasets import Dataset

pytestmark = pytest.mark.recall

ROWS = 20_000
QUERIES = 200
K = 10


class Papers(NamedTuple):
    """Papers by the day of their last version, a graph that has their codes and a range graph that reads those."""

    view: _core.VectorView
    queries: np.ndarray
    days: np.ndarray
    codes: _core.Hnsw
    graph: _core.RangeGraph


@pytest.fixture(scope="module")
def papers(arxiv: Dataset) -> Papers:
    file = arxiv_folder() / "papers.parquet"
    sql = f"SELECT coalesce(updated, published) AS day FROM '{file}' WHERE row < {ROWS} ORDER BY row"
    with duckdb.connect() as own:
        days = own.sql(sql).fetchnumpy()["day"].astype("datetime64[D]").astype(np.int64)
    vectors = np.ascontiguousarray(arxiv.vectors[:ROWS])
    view = _core.VectorView(vectors, "ip")
    codes = _core.Hnsw(vectors.shape[1], "ip", M=8, ef_construction=40, codes="rabitq", bits=2)
    codes.extend(view)
    graph = _core.RangeGraph(vectors.shape[1], "ip", M=16, ef_construction=100)
    graph.extend(view, None, 0, None, np.arange(ROWS, dtype=np.uint32), days, codes)
    return Papers(view, np.ascontiguousarray(arxiv.queries[:QUERIES]), days, codes, graph)


def measured(papers: Papers, share: float, ef: int, keep: np.ndarray | None = None) -> tuple[float, float]:
    """recall@10 and estimates a query of ranges that begin anywhere and hold this share of the papers."""
    random = np.random.default_rng(4)
    days = np.sort(papers.days)
    found, truth, estimates = [], [], 0
    for query in papers.queries:
        begin = random.integers(0, ROWS - int(share * ROWS) + 1)
        low, high = days[begin], days[begin + int(share * ROWS) - 1]
        inside = (papers.days >= low) & (papers.days <= high)
        rows = _core.RowSet.from_bools(inside if keep is None else inside & keep)
        slots, _, stats = papers.graph.search(
            papers.view, query[None], K, ef, int(low), int(high), rows, codes=papers.codes
        )
        found.append(slots[0])
        truth.append(_core.scan(papers.view, query[None], K, rows)[0][0])
        estimates += stats.estimates
    return recall(np.array(found), np.array(truth)), estimates / len(papers.queries)


@pytest.mark.parametrize(
    ("share", "ef", "floor", "ceiling"), [(1.0, 64, 0.95, 800), (0.33, 64, 0.96, 720), (0.05, 48, 0.96, 450)]
)
def test_recall_of_date_ranges_is_above_its_floor(
    papers: Papers, share: float, ef: int, floor: float, ceiling: float
) -> None:
    found, estimates = measured(papers, share, ef)
    assert found >= floor
    assert estimates <= ceiling


@pytest.mark.parametrize(("kept", "floor"), [(0.6, 0.95), (0.3, 0.93), (0.1, 0.93)])
def test_recall_of_a_conjunction_is_above_its_floor(papers: Papers, kept: float, floor: float) -> None:
    keep = np.random.default_rng(8).random(ROWS) < kept
    found, _ = measured(papers, 0.33, 64, keep)
    assert found >= floor
