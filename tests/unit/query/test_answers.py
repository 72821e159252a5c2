"""What is remembered of predicates: about one state, within its bytes, told apart by value and type."""

from __future__ import annotations

import datetime
import gc
from dataclasses import replace
from decimal import Decimal

import pytest

import vdb
from vdb._core import RowSet
from vdb.query.answers import Answer, Answers, key_of


def state_of(rows: int = 3) -> object:
    with vdb.connect(":memory:") as db:
        db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[1]"}).add([{"id": i} for i in range(rows)])
        return db.store.state.table("t")


def test_an_answer_is_about_one_state_and_holds_none_alive() -> None:
    state = state_of()
    answers = Answers()
    answers.put(state, "x", Answer(RowSet.all(3)))
    assert answers.get(state, "x") == Answer(RowSet.all(3))
    assert answers.get(replace(state), "x") is None
    assert answers.get(state, "y") is None
    newer = replace(state)
    answers.put(newer, "x", Answer(RowSet.none(3)))
    assert answers.get(state, "x") is None
    assert answers.get(newer, "x") == Answer(RowSet.none(3))
    assert answers.memory_bytes < 3000  # the older one is not counted
    other = replace(newer)
    del newer
    gc.collect()
    assert answers.get(other, "x") is None


def test_the_least_recently_used_go_first_and_too_large_ones_are_not_kept() -> None:
    state = state_of()
    answers = Answers(most_bytes=5_000)
    for name in "abc":
        answers.put(state, name, Answer(RowSet.all(3)))
    assert answers.get(state, "a") is not None
    for name in "de":
        answers.put(state, name, Answer(RowSet.all(3)))
    assert answers.memory_bytes <= 5_000
    assert answers.get(state, "b") is None
    assert answers.get(state, "a") is not None
    answers.put(state, "huge", Answer(RowSet.all(1_000_000)))
    assert answers.get(state, "huge") is None
    assert answers.get(state, "a") is not None


def test_what_costs_little_is_kept_when_it_is_asked_for_again() -> None:
    state, answers = state_of(), Answers()
    for known in (False, True):
        answers.put_if_again(state, "x", Answer(RowSet.all(3)))
        assert (answers.get(state, "x") is not None) == known
    for number in range(10_000):
        answers.put_if_again(state, number, Answer(RowSet.all(3)))
    answers.put_if_again(state, 0, Answer(RowSet.all(3)))
    assert answers.get(state, 0) is None, "asked for too long ago"
    assert answers.memory_bytes < 3000


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), (True,)),
        ((1,), (1.0,)),
        ((0.0,), (-0.0,)),
        ((Decimal("1.0"),), (Decimal("1.00"),)),
        (("a",), (b"a",)),
        (([1, 2],), ([1, 2.0],)),
        (([1],), (1,)),
        (([],), (None,)),
        ((datetime.date(2020, 1, 1),), (datetime.datetime(2020, 1, 1),)),
        ({"a": 1}, {"b": 1}),
        (([1, None],), ([1, 0],)),
    ],
)
def test_values_that_duckdb_tells_apart_have_different_keys(one: object, other: object) -> None:
    assert key_of(one) != key_of(other)  # type: ignore[arg-type]
    assert key_of(one) == key_of(one)  # type: ignore[arg-type]
    assert hash(key_of(one)) is not None  # type: ignore[arg-type]


def test_nan_is_itself() -> None:
    assert key_of((float("nan"), [float("nan")])) == key_of((float("nan"), [float("nan")]))
