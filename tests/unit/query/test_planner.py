"""The planner as the pure function it is: what it chooses, and the properties every plan has."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdb.errors import InvalidArgument
from vdb.index.effort import FilteredWalks
from vdb.index.machine import guessed
from vdb.index.recall import RecallCurve
from vdb.query import planner
from vdb.query.methods.method import Method, Methods
from vdb.query.methods.model import Graph
from vdb.query.methods.overlays import LabelWalk, Overlay, RangeWalk
from vdb.query.methods.scans import CodeScan, Scan, why_no_codes
from vdb.query.methods.walks import AcornWalk, GraphWalk, PostWalk, TwoHopWalk
from vdb.query.plan import Plan, Question, Situation
from vdb.query.planner import Planner, Quote, quoted, wants_density
from vdb.query.resolve import RangeTerm

MILLION = 1_000_000
MACHINE = guessed(1536, 112)  # pinned: a test that measures decides nothing
EFS = (16, 64, 256)
RECALLS = ((0.9, 0.99, 1.0), (0.8, 0.97, 0.995), (0.1, 0.9, 0.99))


def walks(share: float, steps: float, apart: bool = False, best: float = 1.0) -> FilteredWalks:
    reached = tuple(tuple(best * recall for recall in row) for row in RECALLS)
    return FilteredWalks(
        share, apart, EFS, reached, (steps, 2.5 * steps, 6 * steps), (8 * steps, 20 * steps, 48 * steps)
    )


FILTERED = (walks(1 / 2, 500), walks(1 / 8, 900), walks(1 / 32, 2000), walks(1 / 16, 6000, apart=True))
CURVE = RecallCurve(MILLION, MILLION, 200, EFS, RECALLS, (400.0, 1000.0, 2500.0), FILTERED, 0.995)
GRAPH = Graph(16, MILLION, CURVE)


def make_plan(seen: Situation, methods: Methods) -> Plan:
    return planner.make_plan(seen, methods, quoted(seen, methods))


def bound(question: Question, graph: Graph = GRAPH, unusable: str = "") -> Methods:
    """The methods of a column with one graph that has codes."""
    recall = None if graph.curve is None else graph.curve.code_scan
    walk = PostWalk if question.strategy == "post" else GraphWalk
    codes = CodeScan(MACHINE, "h", unusable or why_no_codes(recall, question))
    return Methods.of((Scan(MACHINE.vectors), codes, walk("h", graph, MACHINE, question, unusable)))


def planned(matching: int = MILLION, density: float | None = None, graph: Graph = GRAPH, **asked: object) -> Plan:
    question = Question(**{"k": 10, **asked})  # type: ignore[arg-type]
    return make_plan(Situation(question, MILLION, matching, MILLION, density), bound(question, graph))


def test_large_unfiltered_search_walks_the_graph_without_a_budget() -> None:
    plan = planned()
    assert (plan.method.strategy, plan.method.index) == ("graph", "h")
    assert (plan.effort.ef, plan.effort.pool, plan.effort.budget, plan.effort.arm) == (64, 64, 0, "plain")


def test_fewer_matching_rows_go_from_the_graph_over_the_codes_to_the_exact_scan() -> None:
    found = [planned(matching).method.strategy for matching in (MILLION // 8, 3_000, 12)]
    assert found == ["graph", "codes", "scan"]


@given(st.integers(1, MILLION), st.integers(1, MILLION), st.sampled_from([None, 0.9, 0.97]), st.integers(1, 50))
def test_once_scanned_fewer_matching_rows_are_scanned_too(one: int, other: int, recall: float | None, k: int) -> None:
    few, many = sorted((one, other))
    if planned(many, recall=recall, k=k).method.is_scan and many < MILLION // 10:
        assert planned(few, recall=recall, k=k).method.is_scan


def test_rows_that_keep_away_from_the_query_are_scanned() -> None:
    matching = MILLION // 32
    assert planned(matching, density=1 / 32).method.strategy == "graph"
    apart = planned(matching, density=0.0)
    assert apart.method.strategy == "codes"
    costs = {str(c.method): c.cost for c in apart.considered}
    assert costs["graph h"] > costs["codes h"]


def test_rows_that_gather_near_the_query_are_walked_where_so_few_would_not_be() -> None:
    matching = MILLION // 100
    assert planned(matching).method.strategy == "codes"
    assert planned(matching, density=0.9).method.strategy == "graph"


def test_walk_of_filtered_rows_is_bounded_by_the_scan_and_more_tightly_where_its_cost_is_a_guess() -> None:
    sure, guess = planned(MILLION // 16, density=1 / 16), planned(MILLION // 4, density=0.0)
    assert sure.method.strategy == guess.method.strategy == "graph"
    for plan, share in ((sure, 1.0), (guess, 0.3)):
        costs = {str(c.method): c.cost for c in plan.considered}
        walked = FILTERED[-1] if share < 1.0 else FILTERED[1]
        assert plan.finish.strategy == "codes"
        assert plan.effort.ef <= plan.effort.budget
        taken = MACHINE.filtered_step * walked.steps[1] + MACHINE.test * walked.tests[1]
        bound_by = plan.effort.budget * taken / (walked.steps[1] + walked.tests[1] / 16)
        assert bound_by == pytest.approx(min(share * costs["codes h"], 4 * costs["graph h"]), rel=0.1)


def test_default_effort_rises_where_the_curve_falls_short_of_the_default_recall() -> None:
    hard = replace(CURVE, filtered=(walks(1 / 2, 500), walks(1 / 8, 900, best=0.97), *FILTERED[3:]))
    assert planned(MILLION // 2, 1 / 2).effort.ef == 64
    assert 64 < planned(MILLION // 8, 1 / 8, GRAPH._replace(curve=hard), strategy="graph").effort.ef <= 256
    hopeless = replace(CURVE, filtered=(walks(1 / 2, 500), walks(1 / 8, 900, best=0.9)))
    plan = planned(MILLION // 8, 1 / 8, GRAPH._replace(curve=hopeless))
    assert plan.method.strategy == "codes", "a recall that no curve promises is not left to a walk"


def test_without_an_index_the_scan_says_so() -> None:
    question = Question(10)
    seen = Situation(question, MILLION, MILLION, MILLION)
    assert "no graph" in make_plan(seen, Methods.of([Scan(MACHINE.vectors)])).reason
    plan = make_plan(seen, bound(question, unusable="metric is ip"))
    assert plan.method.strategy == "scan"
    assert "no usable graph" in plan.reason


@pytest.mark.parametrize("matching", [0, 1, MILLION])
@pytest.mark.parametrize("strategy", ["codes", "graph", "post", "acorn", "range", "label", "ivf"])
def test_forced_strategy_without_an_index_raises_whatever_matches(strategy: str, matching: int) -> None:
    question = Question(10, strategy=strategy)
    seen = Situation(question, MILLION, matching, MILLION)
    with pytest.raises(InvalidArgument, match=f"'{strategy}' cannot run: .*\n  Fix: .*strategy='auto'"):
        make_plan(seen, Methods.of([Scan(MACHINE.vectors)]))
    unusable = bound(question, unusable="metric is ip")
    with pytest.raises(InvalidArgument, match=f"'{strategy}' cannot run"):
        make_plan(seen, unusable)


@pytest.mark.parametrize("matching", [1, 10, 1000, MILLION])
@pytest.mark.parametrize("strategy", ["scan", "codes", "graph", "post"])
def test_forced_strategy_is_the_one_that_runs(strategy: str, matching: int) -> None:
    plan = planned(matching, strategy=strategy)
    assert plan.method.strategy == strategy
    assert plan.reason.startswith("forced")
    assert plan.effort.budget == 0
    assert plan.is_walk == (strategy in ("graph", "post"))


def test_acorn_is_its_own_walk_on_its_own_graph_and_acorn_1_on_another() -> None:
    question = Question(10, strategy="acorn")
    seen = Situation(question, MILLION, MILLION // 8, MILLION, None)
    for walk, arm in ((AcornWalk, "acorn"), (TwoHopWalk, "two_hop")):
        plan = make_plan(seen, Methods.of([Scan(MACHINE.vectors), walk("a", GRAPH, MACHINE, question)]))
        assert (plan.method.strategy, plan.effort.arm) == ("acorn", arm)


def test_effort_is_what_was_asked_but_covers_the_rows_to_return() -> None:
    def ef(matching: int = MILLION, **asked: object) -> int:
        return planned(matching, strategy="graph", **asked).effort.ef  # type: ignore[arg-type]

    assert ef() == 64
    assert ef(ef_search=7) == 10
    assert ef(ef_search=300) == 300
    assert ef(k=500) == 500
    assert ef(20, k=2**70) >= 20


def test_effort_for_a_recall_is_read_off_the_curve() -> None:
    assert planned(recall=0.97).effort.ef == 64
    assert planned(recall=0.8).effort.ef == 16
    assert planned(MILLION // 2, recall=0.8).effort.ef == 16
    assert planned(recall=0.97, k=20).effort.ef > 64


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
    graph = GRAPH._replace(curve=curve)
    plan = planned(graph=graph, recall=recall)
    assert plan.method.exact
    assert any(why in c.refusal for c in plan.considered)
    for strategy in ("graph", "post"):
        with pytest.raises(InvalidArgument, match=f"cannot run: h: .*{why}.*\n.*or ef_search= in place of recall="):
            planned(graph=graph, recall=recall, strategy=strategy)


def test_codes_serve_no_more_recall_than_they_were_measured_to_have() -> None:
    assert planned(3_000, recall=0.99).method.strategy == "codes"
    assert planned(3_000, recall=0.996).method.strategy == "scan"
    with pytest.raises(InvalidArgument, match=r"recall 0\.9950, below 0\.996"):
        planned(3_000, recall=0.996, strategy="codes")


def term(column: str, count: int, **more: object) -> SimpleNamespace:
    return SimpleNamespace(column=column, rows=count, **more)


def overlays(question: Question) -> Methods:
    ranged, labelled = Overlay("r", "day", 16, "h"), Overlay("l", "topic", 16, "h")
    label_walk = LabelWalk(labelled, GRAPH, MACHINE, question, lambda label: 40_000 * (label < 100))
    return Methods.of([*bound(question).every, RangeWalk(ranged, GRAPH, MACHINE, question), label_walk])


def with_terms(matching: int, **terms: object) -> Plan:
    question = Question(10)
    seen = Situation(question, MILLION, matching, MILLION, **terms)  # type: ignore[arg-type]
    return make_plan(seen, overlays(question))


def test_walk_past_the_filter_is_as_wide_as_it_takes_to_meet_enough_rows_that_pass() -> None:
    question = Question(10)
    methods = Methods.of([Scan(MACHINE.vectors), PostWalk("h", GRAPH, MACHINE, question)])
    for density, wide in ((1 / 2, 128), (1 / 16, 1024)):
        seen = Situation(question, MILLION, MILLION // 16, MILLION, density)
        plan = make_plan(seen, methods)
        assert (plan.method.strategy, plan.effort.arm, plan.effort.ef) == ("post", "post", 64)
        assert plan.effort.pool == wide
        assert plan.effort.budget > 0
    assert make_plan(seen._replace(density=0.0), methods).method.strategy == "scan"


def test_range_of_the_column_is_walked_in_its_own_graph() -> None:
    assert with_terms(40_000, ranges=(term("day", 40_000, low=1, high=2),)).method.strategy == "range"
    assert with_terms(40_000, ranges=(term("year", 40_000, low=1, high=2),)).method.strategy != "range"
    wider = with_terms(20_000, ranges=(term("day", 40_000, low=1, high=2),))
    if wider.method.strategy == "range":
        assert wider.effort.pool == 2 * wider.effort.ef
    lost = with_terms(1_000, ranges=(term("day", 40_000, low=1, high=2),))
    assert lost.method.strategy != "range"


def test_values_with_overlays_are_walked_in_them() -> None:
    def labelled(*labels: int, any_of: bool = True) -> Plan:
        return with_terms(40_000, labels=(term("topic", 40_000, label_ids=labels, any=any_of),))

    assert labelled(1).method.strategy == "label"
    assert labelled(1, 2, 3).method.strategy == "label"
    assert labelled(1, 200).method.strategy != "label", "a value without an overlay"
    assert labelled(1, 200, any_of=False).method.strategy == "label", "one overlay holds all rows with both"
    assert labelled(1, 2, 3, 4, 5).method.strategy != "label"
    refusals = [c.refusal for c in labelled(1, 200).considered]
    assert any("overlays" in refusal for refusal in refusals)


def test_overlay_with_a_curve_is_walked_as_hard_as_that_says() -> None:
    question, shares = Question(10), (walks(1 / 2, 500, best=0.95), walks(1 / 8, 300), walks(1 / 64, 100))
    graph = Graph(16, MILLION, replace(CURVE, filtered=shares))
    walk = RangeWalk(Overlay("r", "day", 16, "h", has_curve=True), graph, MACHINE, question)

    def planned_among(matching: int) -> Plan:
        seen = Situation(question, MILLION, matching, MILLION, ranges=(term("day", matching, low=1, high=2),))  # type: ignore[arg-type]
        return make_plan(seen, Methods.of([Scan(MACHINE.vectors), walk]))

    found = [planned_among(round(share * MILLION)) for share in (1 / 2, 1 / 4, 1 / 8, 1 / 24, 1 / 100)]
    assert [plan.method.strategy for plan in found] == ["scan", "scan", "range", "range", "scan"]
    assert found[2].effort.ef == 64
    assert found[3].considered[1].cost < found[2].considered[1].cost
    forced = make_plan(found[0].situation._replace(question=question._replace(strategy="range")), found[0].methods)
    assert forced.effort.ef == 64


def test_values_cost_a_walk_each_and_of_those_a_row_has_all_of_the_rarest_is_walked() -> None:
    def cost(*labels: int, any_of: bool) -> float:
        plan = with_terms(20_000, labels=(term("topic", 20_000, label_ids=labels, any=any_of),))
        return next(c.cost for c in plan.considered if c.method.strategy == "label")

    assert cost(1, any_of=True) < cost(1, 2, any_of=True) < cost(1, 2, 3, any_of=True)
    assert cost(1, any_of=True) < cost(1, 2, any_of=False), "the overlay has more rows than have both"
    counts = {1: 50_000, 2: 30_000, 3: 0}
    walk = LabelWalk(Overlay("l", "topic", 16, "h"), GRAPH, MACHINE, Question(10), counts.__getitem__)
    assert walk.among(term("topic", 20_000, label_ids=(1, 2, 3), any=False)) == ([2],)  # type: ignore[arg-type]
    assert walk.among(term("topic", 20_000, label_ids=(1, 2, 3), any=True)) == ()  # type: ignore[arg-type]


def test_density_is_looked_for_only_where_a_walk_might_win() -> None:
    def wanted(matching: int, **asked: object) -> Method | None:
        question = Question(10, **asked)  # type: ignore[arg-type]
        seen, methods = Situation(question, MILLION, matching, MILLION), bound(question)
        return wants_density(seen, methods, quoted(seen, methods))

    assert wanted(MILLION) is None
    assert wanted(20) is None
    assert wanted(MILLION // 50) is not None
    assert wanted(20, strategy="graph") is not None
    assert wanted(MILLION // 50, strategy="post") is not None
    assert wanted(MILLION // 50, recall=1.0) is None


SITUATIONS = st.builds(
    lambda rows, share, near, dead, question: Situation(question, rows, round(rows * share), rows + dead, near),
    st.integers(0, 10**7),
    st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.integers(0, 10**6),
    st.builds(
        Question,
        st.integers(1, 10**6),
        st.none() | st.integers(1, 10**5),
        st.none(),
        st.sampled_from(["auto", "scan", "codes", "graph", "post"]),
    ),
)


@given(SITUATIONS, st.sampled_from([CURVE, CURVE.unfiltered(), None]))
def test_every_plan_is_runnable_and_bounded(seen: Situation, curve: RecallCurve | None) -> None:
    methods = bound(seen.question, Graph(16, seen.slots, curve))
    plan = make_plan(seen, methods)
    strategy = seen.question.strategy
    assert plan.method in methods.every
    assert plan.finish.is_scan
    assert plan == make_plan(seen, methods)
    assert strategy in ("auto", plan.method.strategy)
    if plan.is_walk:
        assert plan.effort.ef >= seen.returned
        assert plan.effort.pool <= max(seen.slots, 1)
        assert strategy != "auto" or seen.matching == seen.rows or plan.effort.budget >= plan.effort.ef
    if strategy == "auto":
        costs = [c.cost for c in plan.considered if not c.refusal]
        chosen = next(c for c in plan.considered if c.method is plan.method)
        assert math.isfinite(chosen.cost)
        assert chosen.cost <= 1.05 * min(costs)


@given(SITUATIONS)
def test_decisions_are_plans_of_counts_cut_short_and_do_not_depend_on_what_came_before(seen: Situation) -> None:
    deciding = Planner(bound(seen.question, Graph(16, seen.slots, CURVE)))
    plan, near = deciding.decide(seen)
    other = seen._replace(matching=seen.matching + (2 * seen.k < seen.matching < seen.rows - 1))
    deciding.decide(other)
    assert deciding.decide(seen) == Planner(deciding.methods).decide(seen) == (plan, near)
    assert plan.situation == seen
    costs = [c.cost for c in plan.considered if not c.refusal]
    if seen.question.strategy == "auto":
        chosen = next(c for c in plan.considered if c.method is plan.method)
        assert chosen.cost <= 1.2 * min(costs)


def test_terms_that_no_method_goes_by_are_no_reason_to_price_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Situation(Question(10), MILLION, 5000, MILLION)
    deciding = Planner(bound(seen.question, Graph(16, seen.slots, CURVE)))
    plan, _ = deciding.decide(seen)

    def refuse(seen: Situation, methods: Methods) -> Quote:
        raise AssertionError("priced anew")

    monkeypatch.setattr(planner, "quoted", refuse)
    ranged = seen._replace(ranges=(RangeTerm("year", 1, 2, 5000),))
    found, _ = deciding.decide(ranged)
    assert (found.method, found.effort, found.situation) == (plan.method, plan.effort, ranged)
