"""Predicates that differ in their constants only are read once, and as each of them would be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdb.errors import PredicateError
from vdb.query import parse
from vdb.query.parse import parse_predicate
from vdb.query.shapes import Template, constants_of
from vdb.storage.schema import parse_schema
from vdb.types import Predicate, TableSchema

TYPES = {
    "id": "BIGINT PRIMARY KEY",
    "year": "INTEGER",
    "price": "DECIMAL(8,2)",
    "day": "DATE",
    "lang": "VARCHAR",
    "tags": "VARCHAR[]",
    "ok": "BOOLEAN",
    "embedding": "FLOAT[3]",
}


def schema() -> TableSchema:
    """Another one each time, so that nothing is known of its texts."""
    return parse_schema("papers", TYPES)


def read(text: str, of: TableSchema, parameters: object = None) -> Predicate | str:
    try:
        found = parse_predicate(text, parameters, of)
    except PredicateError as error:
        return str(error)
    return found._replace(condition=None, constants=())


@pytest.mark.parametrize(
    ("form", "constants"),
    [
        ("year >= {} AND year < {}", [("2020", "2021"), ("1", "2"), ("7", "999999999")]),
        ("year > -{} OR lang IN ({}, {})", [("5", "'a'", "'b'"), ("50", "'x y'", "'--'"), ("0", "''", "'a/*'")]),
        ("price BETWEEN {} AND {}", [("1.5", "2.25"), ("1.50", "2.2"), ("0.01", "100000.0")]),
        ("day >= {} AND NOT ok", [("'2020-01-01'",), ("'1999-12-31'",), ("'2024-02-29'",)]),
        ("list_contains(tags, {}) AND tags && [{}]", [("'a'", "'b'"), ("'c'", "'d'"), ("'\N{SNOWMAN}'", "'e'")]),
        ("lang = {} AND year = ?", [("'a'",), ("'b'",), ("'?'",)]),
    ],
)
def test_third_text_of_a_shape_is_not_parsed(
    form: str, constants: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    of, parameters = schema(), [4] if "?" in form else None
    *known, last = (form.format(*some) for some in constants)
    for text in known:
        parse_predicate(text, parameters, of)
    expected = read(last, schema(), parameters)
    monkeypatch.setattr(parse, "_parse", None)
    assert isinstance(expected, Predicate)
    assert read(last, of, parameters) == expected


@pytest.mark.parametrize(
    ("form", "constants"),
    [
        ("CAST(price AS DECIMAL({}, 1)) > {}", [("5", "1"), ("6", "2"), ("39", "3")]),
        ("lang LIKE {}", [("'a%'",), ("'b_'",), ("'c'",)]),
        ("lang = 'it''s' OR year = {} -- {}", [("1", "2"), ("2", "3"), ("3", "4")]),
        ("year + {} > {}", [("1", "2"), ("2", "3"), ("3", "4")]),
        ("tags[{}] = {}", [("1", "'a'"), ("2", "'b'"), ("3", "'c'")]),
        ("day = DATE {}", [("'2020-01-01'",), ("'2021-01-01'",), ("'2021-01-41'",)]),
        ("lang = {}'x'", [("'a'\n",), ("'b'\n",), ("'c'\n",)]),
        ('"year" = {} AND lang = $${}$$', [("1", "2"), ("2", "3"), ("3", "4")]),
        ("lang = {} AND price > {}", [("'987000000'", "987000000"), ("'a'", "1"), ("'987000001'", "987000001")]),
        ("year IN ({})", [(",".join(map(str, range(n, n + 40))),) for n in range(3)]),
    ],
)
def test_constants_that_are_more_than_values_are_read_each_time(form: str, constants: list[tuple[str, ...]]) -> None:
    of = schema()
    for some in constants:
        text = form.format(*some)
        assert read(text, of) == read(text, schema())


def test_values_that_do_not_fit_are_refused_at_their_place() -> None:
    of = schema()
    for day in ("'2020-01-01'", "'2020-01-02'", "'2020-02-31'", "'x'"):
        text = f"year = 2020 AND day < {day}"
        assert read(text, of) == read(text, schema())
    assert "cannot be read as DATE" in str(read("year = 2021 AND day < '2021-13-01'", of))
    assert read("year = 1 AND day < '2020-01-01' AND ok = ?", of, [1, 2]) == read(
        "year = 1 AND day < '2020-01-01' AND ok = ?", schema(), [1, 2]
    )


FORMS = ("year = {}", "lang = {}", "year > -{}", "day < {}", "lang IN ({}, {})")
PIECES = (
    *FORMS,
    "{}",
    "year",
    "=",
    ">",
    "lang",
    " ",
    "'",
    '"',
    "--",
    "\n",
    "/*",
    "*/",
    "-",
    "IN (",
    ")",
    ",",
    " OR ",
    "$$",
)
CONSTANTS = st.one_of(
    st.integers(0, 10**10).map(str),
    st.decimals(0, 1000, places=2).map(str),
    st.text("ab'\"-$?%\\ ", max_size=4).map(lambda text: f"'{text}'"),
    st.sampled_from(["1e5", "007", "1_000", "x1", "E'a'", "'2020-01-01'"]),
)


def filled(form: str, data: st.DataObject) -> str:
    for _ in range(form.count("{}")):
        form = form.replace("{}", data.draw(CONSTANTS), 1)
    return form


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.data())
def test_what_is_read_never_depends_on_what_was_read_before(pieces: list[str], data: st.DataObject) -> None:
    of = schema()
    for _ in range(3):
        text = filled("".join(pieces), data)
        assert read(text, of) == read(text, schema())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(FORMS), max_size=3), st.data())
def test_predicates_read_by_their_shape_are_what_they_would_be(parts: list[str], data: st.DataObject) -> None:
    of = schema()
    for _ in range(4):
        text = filled(" AND ".join(["ok", *parts]), data)
        assert read(text, of) == read(text, schema())


def test_shape_is_the_text_without_its_constants() -> None:
    one, other = constants_of("a > 5 AND b = 'x'"), constants_of("a > 77 AND b = 'it is 5'")
    assert one is not None
    assert other is not None
    assert one.shape == other.shape
    assert other.values == (77, "it is 5")
    assert one.text(other.tokens) == "a > 77 AND b = 'it is 5'"
    assert constants_of("a > ?") is None
    assert Template.of("(b = 'x') AND (a > 5)", one.tokens) == Template(["(b = ", ") AND (a > ", ")"], [1, 0])
    assert Template.of("(a > 5) AND (a < 5) AND (b = 'x')", one.tokens) is None
