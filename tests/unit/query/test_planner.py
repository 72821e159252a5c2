"""The planner as the pure function it is: what it chooses, and the properties every plan has."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdb.errors import InvalidArgument
from vdb.query.plan import Candidate, Situation
from vdb.query.planner import effort, make_plan

MILLION = 1_000_000


def situation(
    matching: int = MILLION,
    k: int = 10,
    ef_search: int | None = None,
    strategy: str = "auto",
    candidates: tuple[Candidate, ...] = (Candidate("h", 16, MILLION),),
) -> Situation:
    return Situation(MILLION, matching, k, ef_search, strategy, candidates)


def test_large_unfiltered_search_walks_the_graph_without_a_budget() -> None:
    plan = make_plan(situation())
    assert (plan.method, plan.index, plan.ef, plan.pool, plan.budget) == ("graph", "h", 64, 64, 0)
    assert plan.graph_cost < plan.scan_cost == MILLION


def test_few_matching_rows_are_scanned() -> None:
    plan = make_plan(situation(matching=500))
    assert (plan.method, plan.index) == ("scan", None)
    assert plan.scan_cost == 500 <= plan.graph_cost


def test_filtered_walk_has_a_wider_pool_and_a_budget_below_the_scan() -> None:
    plan = make_plan(situation(matching=MILLION // 4))
    assert (plan.method, plan.ef, plan.pool) == ("graph", 64, 256)
    assert 0 < plan.budget <= MILLION // 4


def test_without_an_index_the_scan_says_so() -> None:
    plan = make_plan(situation(candidates=()))
    assert plan.method == "scan"
    assert "no graph" in plan.reason
    plan = make_plan(situation(candidates=(Candidate("h", 16, MILLION, "metric is ip"),)))
    assert plan.method == "scan"
    assert "no usable graph" in plan.reason


def test_no_match_needs_no_search() -> None:
    assert make_plan(situation(matching=0)).method == "empty"


@pytest.mark.parametrize("strategy", ["graph", "post"])
@pytest.mark.parametrize("matching", [0, 1, MILLION])
@pytest.mark.parametrize("candidates", [(), (Candidate("h", 16, MILLION, "metric is ip"),)])
def test_forced_walk_without_an_index_raises_whatever_matches(
    strategy: str, matching: int, candidates: tuple[Candidate, ...]
) -> None:
    with pytest.raises(InvalidArgument, match=f"'{strategy}' cannot run: (the column has no graph|h: metric is ip)"):
        make_plan(situation(matching, strategy=strategy, candidates=candidates))


@pytest.mark.parametrize("matching", [1, 10, 1000, MILLION])
def test_forced_strategy_is_the_one_that_runs(matching: int) -> None:
    for strategy in ("scan", "graph", "post"):
        plan = make_plan(situation(matching, strategy=strategy))
        assert plan.method == strategy
        assert plan.reason.startswith("forced")
        assert plan.budget == 0


def test_cheapest_of_several_usable_indexes_is_chosen() -> None:
    candidates = (
        Candidate("wide", 48, MILLION),
        Candidate("broken", 4, MILLION, "metric is ip"),
        Candidate("slim", 16, MILLION),
    )
    assert make_plan(situation(candidates=candidates)).index == "slim"


def test_effort_is_what_was_asked_but_covers_the_rows_to_return() -> None:
    assert effort(situation()) == 64
    assert effort(situation(ef_search=7)) == 10
    assert effort(situation(ef_search=300)) == 300
    assert effort(situation(k=500)) == 500
    assert effort(situation(matching=20, k=2**70)) == 64


SITUATIONS = st.builds(
    lambda rows, share, k, ef, strategy, M, dead: Situation(
        rows, round(rows * share), k, ef, strategy, (Candidate("h", M, rows + dead),)
    ),
    st.integers(0, 10**7),
    st.floats(0, 1),
    st.integers(1, 10**6),
    st.none() | st.integers(1, 10**5),
    st.sampled_from(["auto", "scan", "graph", "post"]),
    st.integers(2, 1024),
    st.integers(0, 10**6),
)


@given(SITUATIONS)
def test_every_plan_is_runnable_and_bounded(asked: Situation) -> None:
    plan = make_plan(asked)
    if asked.matching == 0:
        assert plan.method == "empty"
        return
    assert plan.situation is asked
    if plan.method == "scan":
        assert plan.index is None
        return
    assert plan.index == "h"
    assert min(asked.k, asked.matching) <= plan.ef
    assert 0 < plan.pool <= max(asked.candidates[0].nodes, 1)
    assert math.isfinite(plan.graph_cost)
    if asked.strategy == "auto":
        assert plan.graph_cost < plan.scan_cost
        assert plan.budget == 0 or plan.budget <= max(plan.scan_cost, plan.ef)


@given(SITUATIONS)
def test_same_situation_gives_the_same_plan(asked: Situation) -> None:
    assert make_plan(asked) == make_plan(asked)
