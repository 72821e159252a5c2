"""The planner as the pure function it is: what it chooses, and the properties every plan has."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdb.errors import InvalidArgument
from vdb.index.recall import RecallCurve
from vdb.query.plan import Candidate, Situation
from vdb.query.planner import effort, make_plan

MILLION = 1_000_000
CURVE = RecallCurve(
    MILLION, MILLION, 200, (8, 16, 32, 64), ((0.9, 0.95, 0.98, 0.99), (0.6, 0.9, 0.95, 0.98), (0.07, 0.2, 0.4, 0.95))
)


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
    index = Candidate("h", 16, MILLION, curve=CURVE)
    assert effort(situation(), index) == 64
    assert effort(situation(ef_search=7), index) == 10
    assert effort(situation(ef_search=300), index) == 300
    assert effort(situation(k=500), index) == 500
    assert effort(situation(matching=20, k=2**70), index) == 64


def wanting(recall: float, curve: RecallCurve | None = CURVE, **changed: object) -> Situation:
    asked = situation(candidates=(Candidate("h", 16, MILLION, curve=curve),))
    return replace(asked, recall=recall, **changed)  # type: ignore[arg-type]


def test_effort_for_a_recall_is_read_off_the_curve() -> None:
    assert make_plan(wanting(0.95)).ef == 32
    assert make_plan(wanting(0.90)).ef == 16
    assert make_plan(wanting(0.95, k=20)).ef > 32
    assert make_plan(wanting(0.95, k=20, matching=10, strategy="graph")).ef == 32


def test_filtered_walk_for_a_recall_has_a_pool_as_wide_as_any() -> None:
    plan = make_plan(wanting(0.95, matching=MILLION // 4))
    assert (plan.method, plan.ef, plan.pool) == ("graph", 32, 128)


@pytest.mark.parametrize(
    ("recall", "curve", "why"),
    [
        (1.0, CURVE, "only the scan has recall 1"),
        (0.999, CURVE, "does not reach 0.999 for k=10"),
        (0.5, None, "no recall curve"),
    ],
)
def test_recall_that_no_walk_promises_is_scanned_and_says_why(
    recall: float, curve: RecallCurve | None, why: str
) -> None:
    plan = make_plan(wanting(recall, curve))
    assert (plan.method, plan.index) == ("scan", None)
    assert why in plan.situation.candidates[0].unusable
    for strategy in ("graph", "post"):
        with pytest.raises(InvalidArgument, match=f"cannot run: h: .*{why}.*\n.*or ef_search= in place of recall="):
            make_plan(wanting(recall, curve, strategy=strategy))


def test_recall_dearer_than_the_scan_is_scanned() -> None:
    assert make_plan(wanting(0.98, rows=500, matching=500)).method == "scan"


def test_index_whose_curve_reaches_is_chosen_before_a_cheaper_one_whose_does_not() -> None:
    slim = Candidate("slim", 4, MILLION, curve=replace(CURVE, recalls=((0.5,) * 4,) * 3))
    wide = Candidate("wide", 48, MILLION, curve=CURVE)
    assert make_plan(wanting(0.95, candidates=(slim, wide))).index == "wide"


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
