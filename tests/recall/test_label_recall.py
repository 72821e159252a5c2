"""Recall and work of overlays on real papers, by main category and by number of categories, against the exact scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import duckdb
import numpy as np
import pytest
from brute_force import recall

from bench import datasets
from vdb import _core

if TYPE_CHECKING:
    from bench.datasets import Dataset

pytestmark = pytest.mark.recall

ROWS = 20_000
QUERIES = 100
K = 10


class Labelled(NamedTuple):
    """A label graph of real papers with what it was made of."""

    graph: _core.LabelGraph
    codes: _core.Hnsw
    view: _core.VectorView
    rows: dict[int, _core.RowSet]  # by label


def labelled(codes: _core.Hnsw, view: _core.VectorView, lists: list[list[int]]) -> Labelled:
    offsets = np.cumsum([0, *map(len, lists)], dtype=np.uint64)
    labels = np.array([label for of in lists for label in of], np.uint32)
    graph = _core.LabelGraph(view.dim, "ip", 16, 100, 42, 1000)
    graph.extend(view, None, 0, None, np.arange(len(lists), dtype=np.uint32), offsets, labels, codes)
    graph.check()
    slots = np.repeat(np.arange(len(lists), dtype=np.uint32), np.diff(offsets).astype(np.int64))
    rows = {label: _core.RowSet.from_slots(slots[labels == label], len(lists)) for label in graph.labels.tolist()}
    return Labelled(graph, codes, view, rows)


@pytest.fixture(scope="module")
def categories(arxiv: Dataset) -> list[list[str]]:
    path = datasets.arxiv_folder() / "papers.parquet"
    with duckdb.connect() as own:
        found = own.sql(f"SELECT categories FROM '{path}' WHERE row < {ROWS} ORDER BY row").fetchall()
    return [categories for (categories,) in found]


@pytest.fixture(scope="module")
def codes(arxiv: Dataset) -> _core.Hnsw:
    graph = _core.Hnsw(384, "ip", 4, 20, 42, codes="rabitq", bits=2)
    graph.extend(_core.VectorView(arxiv.vectors[:ROWS], "ip"))
    return graph


@pytest.fixture(scope="module")
def archives(arxiv: Dataset, codes: _core.Hnsw, categories: list[list[str]]) -> Labelled:
    numbers: dict[str, int] = {}
    lists = [sorted({numbers.setdefault(name.partition(".")[0], len(numbers)) for name in of}) for of in categories]
    return labelled(codes, _core.VectorView(arxiv.vectors[:ROWS], "ip"), lists)


@pytest.fixture(scope="module")
def counts(arxiv: Dataset, codes: _core.Hnsw, categories: list[list[str]]) -> Labelled:
    return labelled(codes, _core.VectorView(arxiv.vectors[:ROWS], "ip"), [[len(of)] for of in categories])


def measured(of: Labelled, queries: np.ndarray, ef: int) -> tuple[float, float, int]:
    """The least recall@10 of any label, the mean estimates of a query, and the labels."""
    least, estimates = 1.0, 0
    for label, rows in of.rows.items():
        _, _, stats = found = of.graph.search(of.view, queries, K, ef, [label], codes=of.codes)
        truth = _core.scan(of.view, queries, K, rows, 0, 0)[0]
        assert all(int(slot) in rows for slot in found[0].ravel())
        least, estimates = min(least, recall(found[0], truth)), estimates + stats.estimates
    return least, estimates / (len(of.rows) * len(queries)), len(of.rows)


@pytest.mark.parametrize(("ef", "floor", "ceiling"), [(32, 0.9, 700), (64, 0.95, 1000)])
@pytest.mark.parametrize("kind", ["archives", "counts"])
def test_recall_of_every_label_is_above_its_floor(
    request: pytest.FixtureRequest, arxiv: Dataset, kind: str, ef: int, floor: float, ceiling: float
) -> None:
    least, estimates, labels = measured(request.getfixturevalue(kind), arxiv.queries[:QUERIES], ef)
    assert labels >= 3
    assert least >= floor
    assert estimates <= ceiling


def test_union_of_archives_is_found_in_one_search(archives: Labelled, arxiv: Dataset) -> None:
    chosen = list(archives.rows)[:3]
    rows = archives.rows[chosen[0]] | archives.rows[chosen[1]] | archives.rows[chosen[2]]
    queries = arxiv.queries[:QUERIES]
    found, _, stats = archives.graph.search(archives.view, queries, K, 64, chosen, codes=archives.codes)
    assert recall(found, _core.scan(archives.view, queries, K, rows, 0, 0)[0]) >= 0.96
    assert not len(stats.unfinished)
    assert all(len(set(row)) == K for row in found.tolist())


def test_conjunction_walks_the_overlay_of_one_term(archives: Labelled, counts: Labelled, arxiv: Dataset) -> None:
    queries = arxiv.queries[:QUERIES]
    label, rows = max(archives.rows.items(), key=lambda item: item[1].count)
    allowed = rows & counts.rows[1]
    pool = 64 * rows.count // allowed.count
    found, _, _ = archives.graph.search(archives.view, queries, K, 64, [label], allowed, pool, codes=archives.codes)
    assert recall(found, _core.scan(archives.view, queries, K, allowed, 0, 0)[0]) >= 0.95
    assert all(int(slot) in allowed for slot in found.ravel())
