"""What explain() prints."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from vdb._core import ABSENT_SLOT
from vdb.index.recall import RecallCurve
from vdb.query.plan import Actuals, Candidate, Explanation, Situation
from vdb.query.planner import make_plan

INDEXES = (Candidate("h", 16, 100_000), Candidate("c", 16, 100_000, "metric is cosine"))


def explained(
    strategy: str = "auto", matching: int = 100_000, queries: int = 1, missing: int = 0, **actuals: float
) -> str:
    situation = Situation(100_000, matching, 10, None, strategy, INDEXES)
    slots = np.zeros((queries, min(10, matching)), np.uint32)
    slots[:, slots.shape[1] - missing :] = ABSENT_SLOT
    return str(Explanation("items.e", "l2", slots, make_plan(situation), Actuals(**actuals)))  # type: ignore[arg-type]


def test_graph_plan_shows_index_costs_and_work() -> None:
    text = explained(
        work=[
            SimpleNamespace(distances=1000, hops=50, estimates=0),
            SimpleNamespace(distances=234, hops=6, estimates=0),
        ],
        search_seconds=0.0015,
    )
    assert text.splitlines()[0] == "VECTOR_SEARCH items.e  k=10  metric=l2"
    for part in (
        "strategy  graph   auto: cheaper than the scan",
        "matching  100,000 of 100,000 rows (100.00%)",
        "index     h, ef_search=64\n",
        "rejected  c: metric is cosine; scan: est.",
        "hops 56   distances 1,234   fallbacks 0",
        "returned  10 of 10",
        "search 1.50 ms",
    ):
        assert part in text


def test_filtered_plan_shows_pool_and_budget() -> None:
    text = explained(matching=25_000)
    assert "25,000 of 100,000 rows (25.00%)" in text
    assert "ef_search=64, pool=256, budget=11,780 steps" in text


def test_plan_for_a_recall_says_where_its_effort_came_from() -> None:
    curve = RecallCurve(100_000, 100_000, 200, (40, 80), ((0.9, 0.95),) * 3)
    for recall, part in (
        (0.95, "ef_search=80 for recall 0.95\n"),
        (0.99, "h: its recall curve does not reach 0.99 for"),
    ):
        situation = Situation(100_000, 100_000, 10, None, "auto", (replace(INDEXES[0], curve=curve),), recall=recall)
        assert part in str(Explanation("t.e", "l2", np.zeros((1, 10), np.uint32), make_plan(situation), Actuals()))


def test_scan_plan_says_what_the_index_would_have_cost() -> None:
    text = explained(matching=100)
    assert "strategy  scan   auto: few enough rows match" in text
    assert "h: est. " in text
    assert "x the cost of the scan" in text
    assert "index  " not in text


def test_forced_scan_gives_no_estimate_it_did_not_make() -> None:
    text = explained("scan")
    assert "forced: exact" in text
    assert "est." not in text
    assert "inf" not in text


def test_batch_counts_its_queries() -> None:
    text = explained(queries=7, missing=1)
    assert "queries=7" in text.splitlines()[0]
    assert "returned  63 of 70" in text


def test_no_match_and_an_empty_table_are_explained_too() -> None:
    assert "no row matches" in explained(matching=0)
    situation = Situation(0, 0, 10, None, "auto", ())
    assert "0 of 0 rows (0.00%)" in str(
        Explanation("t.e", "ip", np.empty((1, 0), np.uint32), make_plan(situation), Actuals())
    )


def test_fallbacks_are_told() -> None:
    assert "fallbacks 3" in explained(queries=5, fallbacks=3)
