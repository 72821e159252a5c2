"""Recall curves as the pure values they are: what they choose, and when they are too old."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdb.errors import InvalidArgument
from vdb.index.effort import KS, FilteredWalks, count_at, is_apart
from vdb.index.recall import RecallCurve, Rung, check_recall, widened

EFS = (8, 16, 32, 64, 128, 256)
CURVE = RecallCurve(
    slots=10_000,
    rows=9_000,
    queries=200,
    efs=EFS,
    recalls=(
        (0.90, 0.95, 0.98, 0.99, 0.995, 0.999),
        (0.60, 0.90, 0.95, 0.98, 0.990, 0.999),
        (0.07, 0.15, 0.30, 0.60, 0.900, 0.980),
    ),
    steps=(200.0, 300.0, 500.0, 800.0, 1200.0, 2000.0),
    filtered=(
        FilteredWalks(0.5, False, (16, 64), ((0.9, 0.99), (0.8, 0.97), (0.2, 0.5)), (300.0, 700.0), (1e3, 3e3)),
        FilteredWalks(0.125, True, (16,), ((0.25,), (0.2,), (0.1,)), (900.0,), (4e3,)),
    ),
    code_scan=0.9875,
)


@st.composite
def curves(draw: st.DrawFn) -> RecallCurve:
    n = draw(st.integers(1, 10))
    share = st.floats(0, 1)
    recalls = tuple(tuple(draw(st.lists(share, min_size=n, max_size=n))) for _ in KS)
    first = draw(st.integers(1, 16))
    efs = tuple(first * 2**i for i in range(n))
    counts = tuple(draw(st.lists(st.floats(0, 1e9), min_size=n, max_size=n)))
    walks = FilteredWalks(draw(share) or 1.0, draw(st.booleans()), efs, recalls, counts, counts)
    size = st.integers(1, 10**6)
    return RecallCurve(draw(size), draw(size), 200, efs, recalls, counts, (walks,) * draw(st.integers(0, 3)), 0.5)


RECALLS = st.floats(0, 1, exclude_min=True)
SIZES = st.integers(1, 10_000)


def test_measured_recall_takes_the_effort_it_was_measured_at() -> None:
    assert CURVE.ef_for(0.95, 10) == 32
    assert CURVE.ef_for(0.95, 1) == 32, "that of ten: a row is too easily found by what was made of it"
    assert CURVE.ef_for(0.98, 100) == 256


def test_recall_between_two_points_takes_an_effort_between_them() -> None:
    assert 16 < CURVE.ef_for(0.92, 10) < 32  # type: ignore[operator]
    assert 32 <= CURVE.ef_for(0.95, 20) <= 256  # type: ignore[operator]


def test_recall_below_the_curve_takes_its_first_effort_or_k() -> None:
    assert CURVE.ef_for(0.1, 1) == EFS[0]
    assert CURVE.ef_for(0.1, 10) == 10


def test_recall_beyond_the_curve_takes_the_scan() -> None:
    assert CURVE.ef_for(1.0, 1) is None
    assert CURVE.ef_for(0.9995, 10) is None
    assert CURVE.ef_for(0.99, 100) is None
    assert CURVE.ef_for(0.99, 50) is None, "what the next measured answer size does not reach is not promised"


def test_perfect_recall_is_never_promised_even_by_a_perfect_curve() -> None:
    perfect = RecallCurve(100, 100, 200, (8,), ((1.0,), (1.0,), (1.0,)))
    assert perfect.ef_for(1.0, 1) is None
    assert perfect.ef_for(0.9999, 1) == 8


def test_answers_larger_than_measured_take_effort_in_proportion() -> None:
    assert CURVE.ef_for(0.98, 1000) == 2560


def test_dip_of_a_curve_is_not_believed() -> None:
    dipped = RecallCurve(100, 100, 200, (8, 16, 32), ((0.99, 0.90, 0.99),) * 3)
    assert dipped.ef_for(0.95, 1) > 16  # type: ignore[operator]


@given(curves(), RECALLS, RECALLS, SIZES)
def test_more_recall_never_takes_less_effort(curve: RecallCurve, one: float, other: float, k: int) -> None:
    low, high = (curve.ef_for(r, k) for r in sorted((one, other)))
    assert (math.inf if low is None else low) <= (math.inf if high is None else high)


@given(curves(), RECALLS, SIZES, SIZES)
def test_larger_answer_never_takes_less_effort(curve: RecallCurve, recall: float, one: int, other: int) -> None:
    low, high = (curve.ef_for(recall, k) for k in sorted((one, other)))
    assert (math.inf if low is None else low) <= (math.inf if high is None else high)


@given(curves(), RECALLS, SIZES)
def test_effort_is_at_least_k_and_within_the_curve(curve: RecallCurve, recall: float, k: int) -> None:
    ef = curve.ef_for(recall, k)
    assert ef is None or k <= ef
    if ef is not None and k <= KS[-1]:
        assert ef <= max(k, curve.efs[-1])


@given(curves())
def test_curve_comes_back_from_its_text(curve: RecallCurve) -> None:
    assert RecallCurve.from_json(curve.to_json()) == curve


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '"x"',
        "1",
        CURVE.to_json()[:-1],
        CURVE.to_json().replace('"format": 3', '"format": 2'),
        CURVE.to_json().replace('"ks": [1,', '"ks": [2,'),
        CURVE.to_json().replace("[8, 16", "[16, 8"),
        CURVE.to_json().replace("[8, 16", "[0, 16"),
        CURVE.to_json().replace("[8, 16", "[16"),
        CURVE.to_json().replace("0.07", "7.0"),
        CURVE.to_json().replace("0.07", "NaN"),
        CURVE.to_json().replace("0.07", '"x"'),
        CURVE.to_json().replace('"queries": 200', '"queries": 0'),
        CURVE.to_json().replace('"slots": 10000', '"slots": Infinity'),
        CURVE.to_json().replace("2000.0", "-1.0"),
        CURVE.to_json().replace(", 2000.0", ""),
        CURVE.to_json().replace("700.0", "NaN"),
        CURVE.to_json().replace('"share": 0.5', '"share": 0.0'),
        CURVE.to_json().replace('"apart": true, "efs": [16]', '"apart": true, "efs": [16, 32]'),
        CURVE.to_json().replace("0.9875", "1.5"),
        CURVE.to_json().replace('"filtered": [', '"filtered": [1, '),
    ],
)
def test_text_that_is_no_curve_is_none_and_not_an_error(text: str) -> None:
    assert text != CURVE.to_json()
    assert RecallCurve.from_json(text) is None


def test_rungs_of_an_inverted_file_come_back_and_print_and_must_fit_the_efforts() -> None:
    curve = RecallCurve(
        2000, 2000, 200, (2, 4), ((0.5, 0.9),) * 3, (40.0, 80.0), rungs=(Rung(1, 2, 20.0), Rung(2, 2, 20.0))
    )
    text = curve.to_json()
    assert RecallCurve.from_json(text) == curve
    assert str(curve).splitlines()[0] == "recall by nprobe (200 queries, 2,000 rows)"
    assert [line.split() for line in str(curve).splitlines()[1:3]] == [["nprobe", "1", "2"], ["pool/k", "2", "2"]]
    for old, new in (("[1, 2, 20.0], ", ""), ("[1, 2, 20.0]", "[0, 2, 20.0]"), ("[1, 2, 20.0]", "[1, 2]")):
        assert RecallCurve.from_json(text.replace(old, new)) is None
    assert RecallCurve.from_json(CURVE.to_json().replace(', "rungs": []', "")) == CURVE, "one stored before lists were"


def test_curve_is_stale_once_the_table_has_grown_by_half_or_a_fifth_died() -> None:
    assert not CURVE.is_stale(10_000, 9_000)
    assert not CURVE.is_stale(15_000, 14_000)
    assert CURVE.is_stale(15_001, 14_001)
    assert not CURVE.is_stale(10_000, 7_200)
    assert CURVE.is_stale(10_000, 7_199)
    assert CURVE.is_stale(12_000, 9_000), "replaced rows die too"
    assert CURVE.is_stale(9_999, 9_000), "slots were given out anew"


def test_curve_prints_a_line_for_each_answer_size() -> None:
    lines = str(CURVE).splitlines()
    assert lines[0] == "recall by ef_search (200 queries, 9,000 rows)"
    assert lines[1].split() == ["ef", *map(str, EFS)]
    assert [line.split()[0] for line in lines[2:]] == [f"k={k}" for k in KS]
    assert "0.9500" in lines[3]


def test_counts_between_and_beyond_the_efforts_measured_follow_powers() -> None:
    efs, steps = CURVE.efs, CURVE.steps
    assert [count_at(efs, steps, ef) for ef in efs] == pytest.approx(steps)
    assert steps[2] < count_at(efs, steps, 40) < steps[3]
    assert count_at(efs, steps, 4) < steps[0]
    assert count_at(efs, steps, 1024) > steps[-1]
    assert count_at(efs, (), 64) == 0.0
    rising = [count_at(efs, steps, ef) for ef in range(1, 600)]
    assert rising == sorted(rising)


def test_rows_far_rarer_near_the_query_than_elsewhere_are_apart() -> None:
    assert is_apart(0.0, 0.1)
    assert is_apart(0.02, 0.1)
    assert not is_apart(0.05, 0.1)
    assert not is_apart(1.0, 0.1)


@given(st.integers(1, 10**6), st.integers(0, 10**7), st.integers(0, 10**7))
def test_widened_pool_is_within_the_graph(effort: int, nodes: int, matching: int) -> None:
    pool = widened(effort, nodes, matching)
    assert min(effort, max(nodes, 1)) <= pool <= max(nodes, 1)


@pytest.mark.parametrize("value", [1, 1.0, 0.5, 1e-9])
def test_recall_from_above_zero_to_one_is_taken(value: float) -> None:
    assert check_recall(value) == value


@pytest.mark.parametrize(
    "value", [0, 0.0, -0.5, 1.0000001, 95, math.nan, math.inf, "0.9", b"1", True, None, [0.9], 10**400, 1j]
)
def test_any_other_recall_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument, match="above 0 and at most 1"):
        check_recall(value)
