"""Recall and work of the arms of a filtered walk on real papers, by counters.

The floors and ceilings stand a little beside what the fixed seeds give. A step is an estimate or 16 bit tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from vdb import _core

if TYPE_CHECKING:
    from bench.datasets import Dataset

pytestmark = pytest.mark.recall

K, ROWS, QUERIES = 10, 20_000, 200


class Papers(NamedTuple):
    view: _core.VectorView
    queries: np.ndarray
    graph: _core.Hnsw


@pytest.fixture(scope="module")
def papers(arxiv: Dataset) -> Papers:
    rows = np.ascontiguousarray(arxiv.vectors[:ROWS])
    view = _core.VectorView(rows, "cosine", _core.inverse_norms(rows))
    graph = _core.Hnsw(rows.shape[1], "cosine", M=16, ef_construction=100, codes="rabitq", bits=2)
    graph.extend(view)
    return Papers(view, np.ascontiguousarray(arxiv.queries[:QUERIES]), graph)


class Found(NamedTuple):
    recall: float
    steps: float  # a query


def measured(papers: Papers, allowed: _core.RowSet, arm: str, ef: int, seeds: np.ndarray | None = None) -> Found:
    truth, _, _ = _core.scan(papers.view, papers.queries, K, allowed)
    pool = ef * ROWS // allowed.count if arm == "plain" else 0
    slots, _, stats = papers.graph.search(papers.view, papers.queries, K, ef, allowed, pool, arm=arm, seeds=seeds)
    hits = sum(len(set(a) & set(b)) for a, b in zip(slots.tolist(), truth.tolist(), strict=True))
    return Found(hits / truth.size, (stats.estimates + stats.tests / 16) / QUERIES)


def random_rows(share: float) -> _core.RowSet:
    return _core.RowSet.from_bools(np.random.default_rng(1).random(ROWS) < share)


@pytest.mark.parametrize(("share", "ef", "floor", "ceiling"), [(0.5, 60, 0.95, 720), (0.1, 40, 0.97, 1400)])
def test_the_adaptive_walk_finds_random_rows_within_its_steps(
    papers: Papers, share: float, ef: int, floor: float, ceiling: float
) -> None:
    found = measured(papers, random_rows(share), "adaptive", ef)
    assert found.recall >= floor
    assert found.steps <= ceiling


def test_the_adaptive_walk_finds_more_than_the_plain_one_for_fewer_steps(papers: Papers) -> None:
    allowed = random_rows(0.1)
    adaptive, plain = measured(papers, allowed, "adaptive", 40), measured(papers, allowed, "plain", 20)
    assert adaptive.recall >= plain.recall
    assert adaptive.steps <= 0.75 * plain.steps


def test_rows_far_from_every_query_are_found_from_seeds(papers: Papers) -> None:
    # Those least like the mean of the queries.
    mean = papers.queries.mean(axis=0, keepdims=True)
    far, _, _ = _core.scan(papers.view, mean, ROWS)
    allowed = _core.RowSet.from_slots(far[0, -2000:].copy(), ROWS)
    near, _, _ = _core.scan(papers.view, papers.queries, 400, allowed)
    seeds = np.random.default_rng(2).permuted(near, axis=1)[:, :16].copy()
    found = measured(papers, allowed, "adaptive", 80, seeds)
    assert found.recall >= 0.9
    assert found.steps <= 4000


def test_a_walk_that_goes_on_without_the_filter_finds_what_it_should(papers: Papers) -> None:
    found = measured(papers, random_rows(0.1), "post", 40)
    assert found.recall >= 0.98
    assert found.steps <= 6000
