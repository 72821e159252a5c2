"""Random expressions of the allowed grammar are accepted, and choose the rows DuckDB chooses for their own text."""

from __future__ import annotations

import contextlib
from functools import lru_cache

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vdb.errors import PredicateError
from vdb.query.parse import parse_predicate
from vdb.storage.schema import parse_schema

TYPES = {
    "n": "INTEGER",
    "m": "BIGINT",
    "x": "DOUBLE",
    "t": "VARCHAR",
    "Order": "VARCHAR",
    "ok": "BOOLEAN",
    "d": "DATE",
    "tags": "VARCHAR[]",
    "nums": "INTEGER[]",
    "s": "STRUCT(a INTEGER, b VARCHAR)",
}
TABLE = parse_schema("things", {**TYPES, "v": "FLOAT[2]"})

COMPARE = st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"])
TEXT = st.text(st.sampled_from("ab%_ '\"\\-;/*()$?\N{LATIN SMALL LETTER E WITH ACUTE}"), max_size=4)


@lru_cache(maxsize=1)
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    columns = ", ".join(f'"{name}" {kind}' for name, kind in TYPES.items())
    connection.execute(f"CREATE TABLE things ({columns}, v BOOLEAN, _slot UINTEGER)")
    connection.execute(
        """
        INSERT INTO things SELECT nullif(i % 5, 4) - 1, nullif(i % 7, 6) - 3, nullif(i % 6, 5) / 2,
            nullif(['a', 'b', 'ab', '', 'x%', 'null'][i % 6 + 1], 'null'),
            nullif(['b', 'A', 'null'][i % 3 + 1], 'null'),
            [TRUE, FALSE, NULL][i % 3 + 1], DATE '2020-01-30' + nullif(i % 40, 39)::INTEGER,
            [['a'], ['a', 'b'], [], ['b', NULL], NULL][i % 5 + 1], [[1, 2], [], [NULL], NULL][i % 4 + 1],
            [{'a': 1, 'b': 'a'}, {'a': NULL, 'b': ''}, NULL][i % 3 + 1], [TRUE, NULL][i % 2 + 1], i
        FROM range(200) r(i)
        """
    )
    return connection


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def call(name: str, *arguments: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*arguments).map(lambda given: f"{name}({', '.join(given)})")


def infix(operators: list[str], left: st.SearchStrategy[str], right: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(left, st.sampled_from(operators), right).map(lambda parts: "(" + " ".join(parts) + ")")


def texts() -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["t", "T", '"Order"', '"order"', "s.b", "(s).b", "tags[1]"]) | TEXT.map(quoted)
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            call("lower", inner),
            call("Upper", inner),
            call("trim", inner),
            call("concat", inner, inner),
            call("substring", inner, st.sampled_from(["1", "2"]), st.sampled_from(["1", "3"])),
            call("COALESCE", inner, inner),
            infix(["||"], inner, inner),
            integers().map(lambda n: f"({n})::VARCHAR"),
        ),
        max_leaves=4,
    )


def integers() -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["n", "m", "s.a", "nums[1]", "length(t)", "len(tags)", "year(d)", "day(d)"])
    return st.recursive(
        leaf | st.integers(-9, 9).map(str),
        lambda inner: st.one_of(
            infix(["+", "-", "*", "//", "%"], inner, inner),
            inner.map(lambda n: f"(-({n}))"),
            call("abs", inner),
            call("greatest", inner, inner),
            call("coalesce", inner, inner),
            inner.map(lambda n: f"CASE WHEN ok THEN {n} END"),
            inner.map(lambda n: f"CAST({n} AS BIGINT)"),
        ),
        max_leaves=4,
    )


def dates() -> st.SearchStrategy[str]:
    days = st.integers(1, 28).map(lambda day: f"DATE '2020-02-{day:02}'")
    return st.one_of(
        st.just("d"),
        days,
        st.tuples(st.just("d") | days, st.integers(-5, 5), st.sampled_from(["DAY", "MONTH", "YEAR"])).map(
            lambda parts: f"({parts[0]} + INTERVAL ({parts[1]}) {parts[2]})::DATE"
        ),
        st.just("date_trunc('month', d)::DATE"),
    )


def lists(column: str, items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.just(column) | st.lists(items, min_size=1, max_size=3).map(lambda found: f"[{', '.join(found)}]")


def conditions() -> st.SearchStrategy[str]:
    n, t, d = integers(), texts(), dates()
    tags, nums = lists("tags", t), lists("nums", st.just("n") | st.integers(-2, 3).map(str))
    leaf = st.one_of(
        st.sampled_from(["ok", "TRUE", "FALSE", "v IS NULL", "V IS NOT NULL", "s IS NULL", "NULL::BOOLEAN"]),
        *(st.tuples(kind, COMPARE, kind).map(" ".join) for kind in (n, t, d)),
        st.tuples(n | st.just("x"), n, n).map(lambda parts: f"{parts[0]} BETWEEN {parts[1]} AND {parts[2]}"),
        st.tuples(t, st.sampled_from(["LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE", "^@"]), t).map(" ".join),
        st.tuples(n, st.sampled_from(["IN", "NOT IN"]), st.lists(n | st.just("NULL"), min_size=1, max_size=3)).map(
            lambda parts: f"{parts[0]} {parts[1]} ({', '.join(parts[2])})"
        ),
        infix(["&&", "@>", "<@", "=", "<"], tags, tags),
        infix(["&&", "@>", "<@"], nums, nums),
        call("list_contains", tags, t),
        call("starts_with", t, t),
        call("contains", t, t),
        st.one_of(n, t, d, tags).map(lambda value: f"{value} IS NOT NULL"),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' AND '.join(parts)})"),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' or '.join(parts)})"),
            inner.map(lambda condition: f"NOT ({condition})"),
            inner.map(lambda condition: f"({condition}) IS NOT TRUE"),
            st.tuples(inner, inner, inner).map(lambda c: f"CASE WHEN {c[0]} THEN {c[1]} ELSE {c[2]} END"),
            inner.map(lambda condition: f"/* ( */ COALESCE({condition}, FALSE) -- )\n"),
        ),
        max_leaves=6,
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conditions())
def test_allowed_expression_means_what_duckdb_means(text: str) -> None:
    try:
        expected = rows(text)
    except duckdb.BinderException:
        with pytest.raises(PredicateError):
            parse_predicate(text, None, TABLE)
    except duckdb.Error as error:  # a row it fails for, such as a division by zero, or a literal that vdb tells earlier
        with contextlib.suppress(PredicateError):
            predicate = parse_predicate(text, None, TABLE)
            with pytest.raises(type(error)):
                rows(predicate.sql)
    else:
        predicate = parse_predicate(text, None, TABLE)
        assert rows(predicate.sql) == expected
        assert parse_predicate(predicate.sql, None, TABLE).sql == predicate.sql


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conditions(), st.integers(-3, 3), TEXT)
def test_bound_value_is_the_same_as_the_literal(text: str, number: int, word: str) -> None:
    try:
        expected = rows(f"({text}) AND (n < {number} OR t = {quoted(word)})")
    except duckdb.Error:
        return
    predicate = parse_predicate(f"({text}) AND (n < $n OR t = $w)", {"n": number, "w": word}, TABLE)
    assert isinstance(predicate.parameters, dict)
    assert rows(predicate.sql, predicate.parameters) == expected


def rows(sql: str, parameters: dict[str, object] | None = None) -> list[int]:
    found = database().execute(f"SELECT _slot FROM things WHERE {sql}\n ORDER BY _slot", parameters).fetchall()
    return [slot for (slot,) in found]
