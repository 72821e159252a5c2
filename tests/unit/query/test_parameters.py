"""Values are bound as they are meant, to the places that ask for them, or refused by name."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from vdb.errors import InvalidArgument, PredicateError
from vdb.query.parameters import to_values
from vdb.query.parse import parse_predicate
from vdb.storage.schema import parse_schema

ITEMS = parse_schema(
    "items", {"n": "HUGEINT", "x": "DOUBLE", "t": "VARCHAR", "tags": "VARCHAR[]", "ts": "TIMESTAMP", "v": "FLOAT[2]"}
)


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


UTC = dt.timezone.utc
ID = uuid.UUID("4b80f0e8-2262-4780-bc28-ef9329425600")


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        (None, None),
        (True, True),
        (2**127, 2**127),
        (-(2**127), -(2**127)),
        (1.5, 1.5),
        ("a\0\N{GRINNING FACE}", "a\0\N{GRINNING FACE}"),
        (b"\0\xff", b"\0\xff"),
        (dt.date(2020, 1, 2), dt.date(2020, 1, 2)),
        (dt.time(1, 2, 3), dt.time(1, 2, 3)),
        (dt.datetime(2020, 1, 2, 3), dt.datetime(2020, 1, 2, 3)),
        (dt.datetime(2020, 1, 2, tzinfo=UTC), dt.datetime(2020, 1, 2, tzinfo=UTC)),
        (dt.timedelta(days=1), dt.timedelta(days=1)),
        (Decimal("1.50"), Decimal("1.50")),
        (ID, ID),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (np.bool_(True), True),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.str_("a"), "a"),
        (np.bytes_(b"a"), b"a"),
        (np.datetime64("2020-01-02"), dt.date(2020, 1, 2)),
        (np.datetime64("2020-01-02T03:00:00.000000123", "ns"), dt.datetime(2020, 1, 2, 3)),
        (np.timedelta64(5, "s"), dt.timedelta(seconds=5)),
        (np.datetime64("NaT"), None),
        (np.timedelta64("NaT"), None),
        (pd.Timestamp("2020-01-02"), dt.datetime(2020, 1, 2)),
        (pd.NaT, None),
        ([], []),
        ([1, 2.5, None], [1, 2.5, None]),
        (("a", "b"), ["a", "b"]),
        ([Level.HIGH, np.int64(1)], [3, 1]),
        (["\N{GRINNING FACE}", "a"], ["\N{GRINNING FACE}", "a"]),
        (np.arange(3), [0, 1, 2]),
        (np.array(["a", None], dtype=object), ["a", None]),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        (np.array(["2020-01-02", "NaT"], dtype="datetime64[ns]"), [dt.datetime(2020, 1, 2), None]),
    ],
)
def test_value_becomes_what_duckdb_binds(given: Any, bound: object) -> None:
    (value,) = to_values([given])  # type: ignore[misc]
    assert value == bound
    plain = {type(item) for item in value} if isinstance(value, list) else {type(value)}
    assert not any(kind.__module__.partition(".")[0] == "numpy" for kind in plain)
    assert plain.isdisjoint({Colour, Level})
    duckdb.execute("SELECT ? IS NULL", [value]).fetchall()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (object(), "params\\[0\\] holds a value of type object"),
        ({"a": 1}, "type dict"),
        ({1, 2}, "type set"),
        (1j, "type complex"),
        (np.complex128(1), "type complex"),
        (np.zeros((2, 2)), r"type ndarray of shape \(2, 2\)"),
        (np.array(1), r"shape \(\)"),
        ([[1]], "type list"),
        ([1, object()], "type object"),
        ([np.zeros(2)], "type ndarray"),
        (pd.NA, "type NAType"),
        (iter([1]), "type list_iterator"),
        (2**128, "an integer of 129 bits"),
        ([-(2**127) - 1], "an integer of 128 bits"),
        ("\ud800", "lone surrogate"),
        (["a", "\udfff"], "lone surrogate"),
        (np.timedelta64(1, "Y"), "not a Python date or time"),
        (np.datetime64("20000-01-01"), "not a Python date or time"),
    ],
)
def test_value_that_cannot_be_bound_is_refused(given: object, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        to_values([given])


def test_a_bad_named_value_is_named() -> None:
    with pytest.raises(InvalidArgument, match=r"params\['t'\]"):
        to_values({"t": object()})


@pytest.mark.parametrize("parameters", ["en", b"en", 5, {1, 2}, iter([1]), np.zeros((2, 2))])
def test_parameters_are_a_sequence_or_a_mapping(parameters: object) -> None:
    with pytest.raises(InvalidArgument, match=r"params is of type .*\n  Fix: params=\[value\]"):
        to_values(parameters)


def test_names_are_strings() -> None:
    with pytest.raises(InvalidArgument, match="key 1, of type int"):
        to_values({1: 2})


def test_a_list_is_copied() -> None:
    tags = ["a"]
    predicate = parse_predicate("tags && ?", [tags], ITEMS)
    tags.append("b")
    assert predicate.parameters == (["a"],)


@pytest.mark.parametrize(
    ("text", "parameters", "bound"),
    [
        ("n = 1", None, ()),
        ("n = 1", [], ()),
        ("n = 1", {}, ()),
        ("n > ? AND n < ?", [1, 2], (1, 2)),
        ("n > ? AND n < ?", np.array([1, 2]), (1, 2)),
        ("n > $2 AND n < $1", (2, 1), (2, 1)),
        ("n > ?2 AND n < ?1", (2, 1), (2, 1)),
        ("n = $1 OR x = $1", [1], (1,)),
        ("n > $low AND n < $high", {"high": 2, "low": 1}, {"high": 2, "low": 1}),
        ("n = $a OR x = $a", {"a": 1}, {"a": 1}),
        ("n = $Low OR n = $loW", {"lOW": 1}, {"low": 1}),
        ("n IN ?", [[1, 2]], ([1, 2],)),
    ],
)
def test_values_reach_the_places_that_ask_for_them(text: str, parameters: object, bound: object) -> None:
    predicate = parse_predicate(text, parameters, ITEMS)
    assert predicate.parameters == bound
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE items (n HUGEINT, x DOUBLE)")
        connection.execute(f"SELECT * FROM items WHERE {predicate.sql}", predicate.parameters or None)


@pytest.mark.parametrize(
    ("text", "parameters", "words", "position"),
    [
        ("n = ?", None, r"asks for 1 value \(\$1\), but params is missing", 4),
        ("n > ? AND x > ?", [], r"asks for 2 values \(\$1, \$2\)", 4),
        ("n = $low", None, r"asks for 1 value \(\$low\)", 4),
        ("n > ? AND x > ?", [1], "no value 2: params has 1 value", 14),
        ("n = $0", [1], "must be greater than 0", None),
        ("n = $99999", [1], "no value 99999", 4),
        ("n = $99999999999999999999", [1], "must be greater than 0", None),
        ("n = ?", [1, 2], r"has 2 values, but the predicate asks for 1 and never uses \$2", None),
        ("n = $2", [1, 2], r"never uses \$1", None),
        ("n = 1", [1], "has no placeholder", None),
        ("n = 1", {"a": 1}, "has no placeholder", None),
        ("n = ?", {"a": 1}, "params is a mapping", 4),
        ("n = $1", {"1": 1}, "params is a mapping", 4),
        ("n = $low", [1], r"names its values: \$low", 4),
        ("n > $low AND n < $high", {"low": 1}, r"no value for \$high; params has low", 17),
        ("n = $low", {"lo": 1}, "Did you mean 'lo'", 4),
        ("n = $low", {"low": 1, "high": 2}, r"1 value the predicate never uses, \$high", None),
        ("n = $low", {"low": 1, "LOW": 2}, "'low' and 'LOW', which are one name", None),
    ],
)
def test_mismatch_is_told_with_names_and_counts(
    text: str, parameters: object, words: str, position: int | None
) -> None:
    with pytest.raises(PredicateError, match=words) as error:
        parse_predicate(text, parameters, ITEMS)
    assert error.value.position == position
