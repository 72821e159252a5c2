"""What explain() prints."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from vdb._core import ABSENT_SLOT
from vdb.index.effort import FilteredWalks
from vdb.index.machine import guessed
from vdb.index.recall import RecallCurve
from vdb.query.explain import Explanation
from vdb.query.methods.method import Methods
from vdb.query.methods.model import Graph
from vdb.query.methods.scans import Scan
from vdb.query.methods.walks import GraphWalk
from vdb.query.plan import Actuals, Question, Situation
from vdb.query.planner import make_plan, quoted
from vdb.types import Predicate

ROWS = 100_000
MACHINE = guessed(1536, 112)
REACHED = ((0.9, 0.99), (0.9, 0.98), (0.5, 0.9))
WALKS = FilteredWalks(1 / 4, apart=False, efs=(16, 64), recalls=REACHED, steps=(300.0, 700.0), tests=(2e3, 5e3))
CURVE = RecallCurve(ROWS, ROWS, 200, (16, 64), REACHED, (300.0, 800.0), (WALKS,), 0.99)


def explained(strategy: str = "auto", matching: int = ROWS, queries: int = 1, missing: int = 0, **more: object) -> str:
    question = Question(10, recall=more.pop("recall", None), strategy=strategy)  # type: ignore[arg-type]
    seen = Situation(question, ROWS, matching, ROWS, more.pop("density", None))  # type: ignore[arg-type]
    walk = GraphWalk("h", Graph(16, ROWS, CURVE), MACHINE, question)
    of_other_metric = GraphWalk("c", Graph(16, ROWS, CURVE), MACHINE, question, "metric is cosine")
    methods = Methods.of((Scan(MACHINE.vectors), walk, of_other_metric))
    slots = np.zeros((queries, min(10, matching)), np.uint32)
    slots[:, slots.shape[1] - missing :] = ABSENT_SLOT
    predicate = more.pop("predicate", None)
    plan = make_plan(seen, methods, quoted(seen, methods))
    return str(Explanation("items.e", "l2", slots, plan, Actuals(**more), predicate))  # type: ignore[arg-type]


def stats(**counts: int) -> SimpleNamespace:
    return SimpleNamespace(**{"distances": 0, "estimates": 0, "hops": 0, "lists": 0, "tests": 0, **counts})


def test_graph_plan_shows_index_costs_and_work() -> None:
    work = [stats(distances=1000, hops=50), stats(distances=234, hops=6, tests=77)]
    text = explained(work=work, search_seconds=0.0015, plan_seconds=12e-6)
    assert text.splitlines()[0] == "VECTOR_SEARCH items.e  k=10  metric=l2"
    for part in (
        "matching  100,000 of 100,000 rows (100.00%)\n",
        "strategy  graph   auto: the cheapest\n",
        "index     h, plain walk, ef_search=64\n",
        "estimated ",
        "rejected  scan: est. ",
        "rejected  graph c: metric is cosine\n",
        "hops 56   distances 1,234   bitmap tests 77   fallbacks 0\n",
        "returned  10 of 10\n",
        "plan 12 us   search 1.50 ms",
    ):
        assert part in text
    assert "predicate" not in text


def test_filtered_plan_shows_predicate_density_and_budget() -> None:
    predicate = Predicate("(n <\n 5)", (), frozenset({"n"}))
    text = explained(
        matching=50_000, density=0.4, predicate=predicate, predicate_how="attribute indexes", parse_seconds=3e-6
    )
    for part in (
        "predicate (n < 5)   by attribute indexes\n",
        "50,000 of 100,000 rows (50.00%), 40.00% near the query\n",
        "adaptive walk, ef_search=64, budget=",
        " steps, then scan\n",
        "parse 3 us   predicate 0 us   plan 0 us",
    ):
        assert part in text


def test_plan_for_a_recall_says_where_its_effort_came_from() -> None:
    assert "ef_search=64 for recall 0.98\n" in explained(recall=0.98)
    assert "rejected  graph h: its recall curve does not reach 0.99 for k=10\n" in explained(recall=0.99)


def test_scan_plan_says_what_the_index_would_have_cost() -> None:
    text = explained(matching=30_000)
    assert "strategy  graph" in text
    text = explained(matching=100)
    assert "strategy  scan   auto: few enough rows match" in text
    assert "rejected  graph h: no recall is promised where so few rows match" in text
    assert "index  " not in text


def test_forced_plan_is_shown_beside_what_was_not_forced() -> None:
    text = explained("scan")
    assert "strategy  scan   forced; 100.0% of the rows match" in text
    assert "rejected  graph h: est. " in text
    assert ", not forced" in text


def test_batch_counts_its_queries() -> None:
    text = explained(queries=7, missing=1)
    assert "queries=7" in text.splitlines()[0]
    assert "returned  63 of 70" in text


def test_no_match_and_fallbacks_are_explained_too() -> None:
    assert "no row matches" in explained(matching=0)
    assert "fallbacks 3" in explained(queries=5, fallbacks=3)
