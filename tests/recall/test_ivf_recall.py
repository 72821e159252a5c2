"""Recall and work of inverted files on real papers, by counters, and after half as many rows were inserted.

The floors and ceilings stand a little beside what the fixed seeds give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from brute_force import recall

import vdb
from vdb import _core

if TYPE_CHECKING:
    from bench.datasets import Dataset

pytestmark = pytest.mark.recall

K, ROWS, QUERIES = 10, 30_000, 300
SPECS = {
    "pq": vdb.IVFPQ(),
    "pq8": vdb.IVFPQ(nbits=8),
    "signs": vdb.IVFRaBitQ(bits=1),
    "four bits": vdb.IVFRaBitQ(bits=4),
}


class Papers(NamedTuple):
    data: np.ndarray
    view: _core.VectorView
    queries: np.ndarray
    indexes: dict[str, _core.Ivf]


def built(name: str, data: np.ndarray) -> _core.Ivf:
    ivf = SPECS[name].make(data.shape[1], "ip")
    ivf.extend(_core.VectorView(data, "ip"))
    return ivf


@pytest.fixture(scope="module")
def papers(arxiv: Dataset) -> Papers:
    rows = np.ascontiguousarray(arxiv.vectors[:ROWS])
    queries = np.ascontiguousarray(arxiv.queries[:QUERIES])
    return Papers(rows, _core.VectorView(rows, "ip"), queries, {name: built(name, rows) for name in SPECS})


class Found(NamedTuple):
    recall: float
    codes: float  # read for a query
    rows: float  # measured


def found(papers: Papers, ivf: _core.Ivf, probe: tuple[int, int], allowed: _core.RowSet | None = None) -> Found:
    nprobe, pool = probe
    truth, _, _ = _core.scan(papers.view, papers.queries, K, allowed, 0, 0)
    slots, _, stats = ivf.search(papers.view, papers.queries, K, nprobe, allowed, pool, threads=0)
    assert (slots != _core.ABSENT_SLOT).all()
    return Found(recall(slots, truth), stats.estimates / QUERIES, stats.distances / QUERIES)


@pytest.mark.parametrize(
    ("name", "nprobe", "pool", "floor"),
    [
        ("pq", 40, 80, 0.95),
        ("pq8", 40, 80, 0.95),
        ("signs", 40, 0, 0.95),
        ("signs", 40, 120, 0.95),
        ("four bits", 40, 30, 0.95),
        ("four bits", 100, 60, 0.99),
    ],
)
def test_recall_of_real_papers_is_above_its_floor(
    papers: Papers, name: str, nprobe: int, pool: int, floor: float
) -> None:
    ivf = papers.indexes[name]
    reached = found(papers, ivf, (nprobe, pool))
    assert reached.recall >= floor
    assert reached.codes <= 2 * nprobe * ROWS / ivf.nlist
    assert reached.rows <= (pool or 80) + K


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(("share", "nprobe"), [(0.5, 50), (0.1, 70), (0.01, 120)])
def test_rows_that_match_are_found_for_as_many_measured(papers: Papers, name: str, share: float, nprobe: int) -> None:
    allowed = _core.RowSet.from_bools(np.random.default_rng(3).random(ROWS) < share)
    reached = found(papers, papers.indexes[name], (nprobe, 100), allowed)
    assert reached.recall >= 0.95
    alone = reached.codes * (1 - share) ** 24  # in their block: they are measured, and their codes are not read
    assert reached.rows <= 110 + alone
    assert share > 0.05 or reached.codes <= allowed.count, "single codes are gathered from lists of few"


@pytest.mark.parametrize("name", SPECS)
def test_recall_after_half_as_many_inserts_is_within_a_hundredth_of_a_fresh_build(papers: Papers, name: str) -> None:
    grown = SPECS[name].make(papers.data.shape[1], "ip")
    for end in range(ROWS * 2 // 3, ROWS + 1, 1_000):
        grown.extend(_core.VectorView(papers.data[:end], "ip"))
    assert grown.trained_on == ROWS * 2 // 3, "nothing was trained anew"
    for nprobe in (8, 20):
        fresh = found(papers, papers.indexes[name], (nprobe, 100))
        assert found(papers, grown, (nprobe, 100)).recall >= fresh.recall - 0.01
