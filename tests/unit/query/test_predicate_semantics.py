"""Which rows a predicate chooses: three-valued logic, lists and their NULLs, as DuckDB answers for what it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

from vdb.query.parse import parse_predicate
from vdb.storage.schema import parse_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = parse_schema(
    "rows",
    {
        "lang": "VARCHAR",
        "n": "INTEGER",
        "x": "DOUBLE",
        "ok": "BOOLEAN",
        "d": "DATE",
        "tags": "VARCHAR[]",
        "s": "STRUCT(a INTEGER, b VARCHAR)",
        "embedding": "FLOAT[3]",
    },
)
ALL = {0, 1, 2, 3}


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute(
            """
            CREATE TABLE rows (lang VARCHAR, n INTEGER, x DOUBLE, ok BOOLEAN, d DATE, tags VARCHAR[],
                s STRUCT(a INTEGER, b VARCHAR), embedding BOOLEAN, _slot UINTEGER);
            INSERT INTO rows VALUES
                ('en', 1, 0.5, TRUE, '2020-01-31', ['a', 'b'], {'a': 1, 'b': 'x'}, TRUE, 0),
                ('De', -2, 'nan', FALSE, '2021-02-01', [], {'a': NULL, 'b': 'y'}, NULL, 1),
                ('', 0, 'inf', NULL, '1999-12-31', ['c', NULL], NULL, TRUE, 2),
                (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 3);
            """
        )
        yield connection


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("TRUE", ALL),
        ("FALSE", set()),
        ("NULL = NULL", set()),
        # NULL is not TRUE, nor is its negation
        ("lang = 'en'", {0}),
        ("lang != 'en'", {1, 2}),
        ("NOT (lang = 'en')", {1, 2}),
        ("lang IS DISTINCT FROM 'en'", {1, 2, 3}),
        ("lang IS NOT DISTINCT FROM NULL", {3}),
        ("lang = NULL", set()),
        ("lang IS NULL", {3}),
        ("lang IS NOT NULL", {0, 1, 2}),
        # AND, OR
        ("ok AND n > 0", {0}),
        ("ok OR n IS NULL", {0, 3}),
        ("ok OR NOT ok", {0, 1}),
        ("NOT (ok AND n > 0)", {1, 2}),
        ("ok IS TRUE", {0}),
        ("ok IS NOT TRUE", {1, 2, 3}),
        ("ok IS UNKNOWN", {2, 3}),
        ("COALESCE(ok, TRUE)", {0, 2, 3}),
        ("CASE WHEN ok THEN n = 1 ELSE n IS NULL END", {0, 3}),
        # IN with NULL
        ("n IN (1, NULL)", {0}),
        ("n NOT IN (1, 2)", {1, 2}),
        ("n NOT IN (1, NULL)", set()),
        ("lang NOT IN ('en', NULL)", set()),
        ("n BETWEEN -2 AND 0", {1, 2}),
        ("n NOT BETWEEN -2 AND 0", {0}),
        # lists: NULL is not empty, a NULL element poisons nothing
        ("list_contains(tags, 'a')", {0}),
        ("NOT list_contains(tags, 'a')", {1, 2}),
        ("'a' IN tags", {0}),
        ("len(tags) = 0", {1}),
        ("tags = []", {1}),
        ("tags IS NULL", {3}),
        ("tags && ['a', 'c']", {0, 2}),
        ("tags && []", set()),
        ("tags @> []", {0, 1, 2}),
        ("tags @> ['a']", {0}),
        ("tags <@ ['a', 'b', 'c']", {0, 1, 2}),
        ("list_has_all(tags, ['a', 'b'])", {0}),
        ("tags[1] = 'a'", {0}),
        ("tags[9] IS NULL", ALL),
        # numbers: NaN is equal to itself and above infinity
        ("x > 1", {1, 2}),
        ("x = 'nan'", {1}),
        ("isnan(x)", {1}),
        ("isfinite(x)", {0}),
        ("n // 2 = -1", {1}),
        ("1 / n > 0", {0, 2}),
        ("n / 0 IS NULL", {3}),
        ("TRY(1 // n) IS NULL", {2, 3}),
        # text
        ("lang LIKE 'e_'", {0}),
        ("lang ILIKE 'd%'", {1}),
        ("lang NOT LIKE '%e%'", {2}),
        ("lower(lang) = 'de' AND starts_with(lang, 'D') AND length(lang) = 2", {1}),
        ("lang = ''", {2}),
        ("lang || NULL = 'x'", set()),
        ("concat(lang, NULL) = 'en'", {0}),
        ("regexp_matches(lang, '^[A-Z]')", {1}),
        # dates
        ("d >= '2020-01-31'", {0, 1}),
        ("d + INTERVAL 1 MONTH = DATE '2020-02-29'", {0}),
        ("year(d) = 2021 OR EXTRACT(month FROM d) = 12", {1, 2}),
        ("date_trunc('month', d) = '2020-01-01'", {0}),
        ("strftime(d, '%d') = '31'", {0, 2}),
        # structs
        ("s.a = 1", {0}),
        ("s.a IS NULL", {1, 2, 3}),
        ("S.B = 'y'", {1}),
        # casts
        ("n::VARCHAR = '1'", {0}),
        ("TRY_CAST(lang AS INTEGER) IS NULL", ALL),
        # vectors
        ("embedding IS NULL", {1, 3}),
        ("embedding IS NOT NULL AND n = 0", {2}),
    ],
)
def test_rows_are_those_where_the_predicate_is_true(
    text: str, slots: set[int], database: duckdb.DuckDBPyConnection
) -> None:
    assert chosen(database, text) == slots
    assert direct(database, text) == slots


@pytest.mark.parametrize(
    ("text", "parameters", "slots"),
    [
        ("lang = ?", ["en"], {0}),
        ("lang = ?", [None], set()),
        ("lang IS NOT DISTINCT FROM ?", [None], {3}),
        ("n IN (?, ?)", [1, 0], {0, 2}),
        ("n IN ?", [[1, 0]], {0, 2}),
        ("n IN ?", [np.array([1, 0])], {0, 2}),
        ("n NOT IN ?", [[1, 0]], {1}),
        ("n IN ?", [[]], set()),
        ("n IN ?", [None], set()),
        ("lang IN $langs AND n >= $n", {"n": 0, "langs": ["en", "De"]}, {0}),
        ("$n < n OR $N > n", {"n": 0}, {0, 1}),
        ("n = $2 OR lang = $1", ["De", 1], {0, 1}),
        ("tags && ?", [["a", "c"]], {0, 2}),
        ("list_contains(tags, ?)", ["c"], {2}),
        ("d < ?", ["2020-01-01"], {2}),
        ("d + ? > DATE '2021-02-02'", [np.timedelta64(48, "h")], {1}),
        ("x = ?", [float("nan")], {1}),
        ("?", [True], ALL),
        ("NOT ?", [True], set()),
    ],
)
def test_values_are_bound_as_duckdb_binds_them(
    text: str, parameters: object, slots: set[int], database: duckdb.DuckDBPyConnection
) -> None:
    assert chosen(database, text, parameters) == slots


def test_a_list_parameter_is_a_list_and_its_null_poisons_nothing(database: duckdb.DuckDBPyConnection) -> None:
    assert chosen(database, "n NOT IN ?", [[1, None]]) == {1, 2}
    assert chosen(database, "n NOT IN (1, NULL)") == set()


def chosen(database: duckdb.DuckDBPyConnection, text: str, parameters: object = None) -> set[int]:
    predicate = parse_predicate(text, parameters, ROWS)
    found = database.execute(f"SELECT _slot FROM rows WHERE {predicate.sql}", predicate.parameters or None)
    return {slot for (slot,) in found.fetchall()}


def direct(database: duckdb.DuckDBPyConnection, text: str) -> set[int]:
    return {slot for (slot,) in database.execute(f"SELECT _slot FROM rows WHERE {text}").fetchall()}
