"""The price and the effort of a search of an inverted file, as the pure functions of a curve they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdb.errors import InvalidArgument
from vdb.index.effort import FilteredWalks
from vdb.index.machine import guessed
from vdb.index.pace import Pace
from vdb.index.recall import RecallCurve, Rung
from vdb.query.methods.lists import ListProbe, Lists, probe_at
from vdb.query.methods.method import Methods
from vdb.query.methods.scans import Scan
from vdb.query.plan import Plan, Question, Situation
from vdb.query.planner import make_plan, quoted

ROWS = 1_000_000
NLIST = 4000
EFS = (2, 4, 8, 16, 32, 64, 128)
RUNGS = tuple(Rung(n, f, f * 10.0) for n, f in ((1, 2), (2, 2), (4, 2), (4, 4), (8, 4), (16, 4), (16, 8)))
REACHED = (0.4, 0.55, 0.7, 0.8, 0.9, 0.96, 0.985)
STEPS = (250.0, 500.0, 1000.0, 1000.0, 2000.0, 4000.0, 4000.0)


def walks(share: float, lost: float, apart: bool = False) -> FilteredWalks:
    reached = tuple(max(recall - lost, 0.0) for recall in REACHED)
    return FilteredWalks(share, apart, EFS, (reached,) * 3, STEPS, tuple(rung.measured for rung in RUNGS))


CURVE = RecallCurve(
    ROWS,
    ROWS,
    200,
    EFS,
    (REACHED,) * 3,
    STEPS,
    (walks(1 / 2, 0.0), walks(1 / 8, 0.01), walks(1 / 16, 0.3, True)),
    0.0,
    RUNGS,
)
PACE = Pace(5_000.0, 3.0, 150.0, 0.7)


def planned(matching: int = ROWS, curve: RecallCurve | None = CURVE, **asked: object) -> Plan:
    question = Question(**{"k": 10, **asked})  # type: ignore[arg-type]
    methods = (Scan(guessed(1536, None).vectors), ListProbe("l", Lists(NLIST, curve, PACE), question))
    seen, known = Situation(question, ROWS, matching, ROWS), Methods.of(methods)
    return make_plan(seen, known, quoted(seen, known))


def test_large_table_is_probed_as_far_as_the_default_recall_asks() -> None:
    plan = planned()
    assert (plan.method.strategy, plan.method.index, plan.finish.strategy) == ("ivf", "l", "scan")
    assert (plan.effort.nprobe, plan.effort.pool, plan.effort.budget) == (15, 40, 0)
    assert plan.is_walk


def test_recall_chooses_lists_and_rows_to_measure() -> None:
    found = [planned(recall=recall).effort for recall in (0.55, 0.7, 0.8, 0.985)]
    assert [(effort.nprobe, effort.pool) for effort in found] == [(2, 20), (4, 20), (4, 40), (16, 80)]
    assert planned(recall=0.5, k=30).effort.pool == 60


def test_filter_takes_more_the_less_pass_and_one_that_keeps_away_is_scanned() -> None:
    every, half, eighth = (planned(matching, recall=0.8).effort for matching in (ROWS, ROWS // 2, ROWS // 8))
    assert (half.nprobe, half.pool) <= (eighth.nprobe, eighth.pool)
    assert (half.nprobe, half.pool) == (every.nprobe, every.pool), "their curves are alike"
    assert planned(ROWS // 2, recall=0.9).effort.nprobe < planned(ROWS // 8, recall=0.9).effort.nprobe
    question = Question(10)
    probe = ListProbe("l", Lists(NLIST, CURVE, PACE), question)
    apart = Situation(question, ROWS, ROWS // 8, ROWS, density=0.0)
    assert probe.cost(apart) == float("inf"), "its curve under such a filter does not reach the recall"
    assert planned(ROWS // 100_000).method.strategy == "scan"


def test_price_under_a_filter_is_of_the_slots_looked_up_and_the_codes_of_blocks_that_are_read() -> None:
    counted = []
    for matching in (ROWS // 2, ROWS // 4, ROWS // 8):
        seen = Situation(Question(10, recall=0.8), ROWS, matching, ROWS)
        slots, codes = (
            ListProbe("l", Lists(NLIST, CURVE, pace), seen.question).cost(seen)
            for pace in (Pace(0.0, 0.0, 0.0, 1.0), Pace(0.0, 1.0, 0.0, 0.0))
        )
        counted.append(slots)
        assert 0.9 * slots < codes <= slots <= ROWS, "few blocks have one row that passes where one in eight does"
    assert counted == sorted(counted)


def test_nprobe_is_taken_at_its_word_with_the_rows_its_rung_measures() -> None:
    for nprobe, pool in ((1, 20), (3, 20), (4, 40), (9, 40), (16, 80), (NLIST, 80)):
        effort = planned(strategy="ivf", nprobe=nprobe).effort
        assert (effort.nprobe, effort.pool) == (nprobe, pool)
    assert planned(strategy="ivf", nprobe=5, curve=None).effort.nprobe == 5


def test_without_a_curve_only_the_caller_may_choose_it_and_every_list_is_read() -> None:
    assert planned(curve=None).method.strategy == "scan"
    assert planned(curve=None, strategy="ivf").effort.nprobe == NLIST


@pytest.mark.parametrize(
    ("recall", "curve", "why"),
    [(1.0, CURVE, "only the scan"), (0.99, CURVE, "does not reach 0.99 for k=10"), (0.5, None, "no recall curve")],
)
def test_recall_that_no_probe_promises_is_scanned_and_says_why(
    recall: float, curve: RecallCurve | None, why: str
) -> None:
    assert planned(recall=recall, curve=curve).method.exact
    with pytest.raises(InvalidArgument, match=f"'ivf' cannot run: l: .*{why}.*\n.*nprobe= in place of recall="):
        planned(recall=recall, curve=curve, strategy="ivf")


@given(st.floats(0.0, 0.985), st.integers(1, 100), st.integers(1, ROWS))
def test_effort_and_price_rise_with_what_is_asked(recall: float, k: int, matching: int) -> None:
    question = Question(k, recall=max(recall, 1e-6))
    probe = ListProbe("l", Lists(NLIST, CURVE, PACE), question)
    seen = Situation(question, ROWS, ROWS, ROWS)
    harder = ListProbe("l", Lists(NLIST, CURVE, PACE), question._replace(recall=0.985))
    assert probe.cost(seen) <= harder.cost(seen)
    effort = probe.effort(Situation(question, ROWS, matching, ROWS))
    assert 1 <= effort.nprobe <= NLIST
    assert effort.pool >= min(k, matching)


@given(st.floats(0.5, 1000), st.integers(1, 200))
def test_every_effort_lies_between_its_rungs_and_rises(effort: float, k: int) -> None:
    probe, more = probe_at(CURVE, effort, k), probe_at(CURVE, effort * 1.5, k)
    assert probe.nprobe <= more.nprobe
    assert probe.pool <= more.pool
    assert probe_at(CURVE, 32, 10) == (8, 40)
