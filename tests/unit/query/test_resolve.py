"""Predicates answered by attribute indexes, against DuckDB's own answer: each operator, type, value and polarity."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

import vdb
from vdb.query.condition import Is, Negation
from vdb.query.parse import parse_predicate
from vdb.query.resolve import BY_BOTH, BY_DUCKDB, BY_INDEXES, Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.query.resolve import Resolved

NAN, INF = float("nan"), float("inf")
LONG = 2**100
BIG = 2**63
AWARE = dt.datetime(2020, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=5)))
HIGH = dt.datetime(9999, 12, 30, 23, 59, 59, 999_999)

# By column: its type and values, which the rows combine with each other and with NULL.
COLUMNS: dict[str, tuple[str, list[Any]]] = {
    "i8": ("TINYINT", [-128, -1, 0, 1, 5, 127]),
    "i32": ("INTEGER", [-(2**31), -3, 0, 2, 2, 7, 2**31 - 1]),
    "i64": ("BIGINT", [-BIG, -BIG + 1, -5, 0, 2**53, 2**53 + 1, BIG - 2, BIG - 1]),
    "u8": ("UTINYINT", [0, 1, 200, 255]),
    "u64": ("UBIGINT", [0, 1, 7, BIG - 1, BIG, 2**64 - 1]),
    "i128": ("HUGEINT", [-LONG, -BIG, -1, 0, 3, BIG - 1, BIG, LONG]),
    "f32": ("FLOAT", [-INF, -1.5, -0.0, 0.0, 0.1, 2.5, 16_777_216.0, INF, NAN]),
    "f64": ("DOUBLE", [-INF, -2.25, -0.0, 0.0, 0.1, 0.5, 3.0, 1e300, INF, NAN]),
    "dec": (
        "DECIMAL(9,2)",
        [Decimal("-7.25"), Decimal("0.00"), Decimal("0.10"), Decimal("2.50"), Decimal("9999999.99")],
    ),
    "dec18": ("DECIMAL(18,6)", [Decimal("-123456789012.5"), Decimal("0.1"), Decimal("0.100001"), Decimal(7)]),
    "dec38": ("DECIMAL(38,4)", [Decimal("-1.5"), Decimal("0.1"), Decimal("10000000000000000000000.0001")]),
    "ok": ("BOOLEAN", [True, False]),
    "t": (
        "VARCHAR",
        ["", "a", "ab", "abc", "b", "B", "5", "\u00e9", "\ud7ff", "\ue000", "\U0001f600", "\U0010ffff", "a%"],
    ),
    "u": ("UUID", [uuid.UUID(int=0), uuid.UUID(int=5), uuid.UUID(int=2**127 + 1)]),
    "d": (
        "DATE",
        [
            "-infinity",
            "0044-03-15 (BC)",
            dt.date(1969, 12, 31),
            dt.date(2020, 2, 29),
            dt.date(9999, 12, 30),
            "infinity",
        ],
    ),
    "ts": ("TIMESTAMP", ["-infinity", dt.datetime(1970, 1, 1), dt.datetime(2020, 1, 1, 12, 0, 0, 1), HIGH, "infinity"]),
    "tz": ("TIMESTAMP WITH TIME ZONE", [AWARE, AWARE + dt.timedelta(hours=30), "-infinity"]),
    "ts_ms": ("TIMESTAMP_MS", [dt.datetime(1970, 1, 1), dt.datetime(2020, 1, 1, 12, 0, 0, 1000)]),
    "ts_s": ("TIMESTAMP_S", [dt.datetime(1970, 1, 1), dt.datetime(2020, 1, 1, 12)]),
    "ts_ns": ("TIMESTAMP_NS", [dt.datetime(1970, 1, 1), dt.datetime(2020, 1, 1, 12, 0, 0, 1)]),
    "tm": ("TIME", [dt.time(0), dt.time(12, 30, 0, 5), dt.time(23, 59, 59, 999_999)]),
    "tags": ("VARCHAR[]", [[], ["a"], ["a", "b"], ["b", None], [None], ["c", "c", "a"], ["\u00e9"]]),
    "nums": ("INTEGER[]", [[], [1], [1, 2], [None, 2], [3, 3]]),
    "reals": ("DOUBLE[]", [[], [0.1, NAN], [-0.0], [None]]),
    "s": ("STRUCT(a INTEGER)", [{"a": 1}, {"a": None}]),
}
ROWS = 120


def rows() -> dict[str, list[Any]]:
    made: dict[str, list[Any]] = {"id": list(range(ROWS))}
    rng = np.random.default_rng(5)
    for name, (_, values) in COLUMNS.items():
        picked = [*values, None] * (ROWS // (len(values) + 1) + 1)
        made[name] = [picked[i] for i in rng.permutation(len(picked))[:ROWS]]
    return made


@pytest.fixture(scope="module")
def db() -> Iterator[vdb.Database]:
    with vdb.connect(":memory:") as made:
        schema = {"id": "BIGINT PRIMARY KEY", **{name: kind for name, (kind, _) in COLUMNS.items()}, "e": "FLOAT[2]"}
        table = made.create_table("t", schema)
        data = rows()
        records = [{name: values[i] for name, values in data.items()} for i in range(ROWS)]
        table.add([{"id": i, "e": None if i % 9 == 0 else [i, 1]} for i in range(ROWS)])
        cursor = made.store._handle.engine.cursor()  # values of every type, without a detour through an importer
        for record in records:
            sets = ", ".join(f"{name} = CAST(? AS {kind})" for name, (kind, _) in COLUMNS.items())
            cursor.execute(f"UPDATE t SET {sets} WHERE id = ?", [*(record[name] for name in COLUMNS), record["id"]])
        table.delete("id IN (3, 50, 51)")
        yield made


def resolved(db: vdb.Database, text: str, params: object = None) -> Resolved:
    state = db.store.state.table("t")
    predicate = parse_predicate(text, params, state.schema)
    return Resolver(db.store, db.attributes).resolve(predicate, state)


def check(db: vdb.Database, text: str, params: object = None) -> set[str]:
    """Compare every polarity of a predicate; what answered them, nothing where DuckDB refuses such a comparison."""
    state = db.store.state.table("t")
    try:
        predicate = parse_predicate(text, params, state.schema)
        cursor = db.store._handle.engine.cursor()
        truths = cursor.execute(f"SELECT _slot, ({predicate.sql}) FROM t", predicate.parameters).fetchall()
    except (vdb.VdbError, duckdb.Error, OverflowError):
        return set()
    ways = set()
    for wanted, sql, condition in (
        (True, predicate.sql, predicate.condition),
        (False, f"NOT ({predicate.sql})", Negation(predicate.condition)),
        (None, f"({predicate.sql}) IS NULL", Is(predicate.condition, None)),
    ):
        form = predicate._replace(sql=sql, condition=condition)
        found = Resolver(db.store, db.attributes).resolve(form, state)
        expected = sorted(slot for slot, truth in truths if truth is wanted)
        assert found.rows.to_slots().tolist() == expected, (form, params, found.how)
        ways.add(found.how)
    assert len(truths) == state.live.count
    return ways


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"'{value}'" if value in (INF, -INF) or value != value else repr(value)
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value}'"
    if isinstance(value, dt.date):
        return f"DATE '{value}'"
    if isinstance(value, dt.time):
        return f"TIME '{value}'"
    return "'" + str(value).replace("'", "''") + "'"


SCALARS = [name for name, (kind, _) in COLUMNS.items() if "[" not in kind and "STRUCT" not in kind]
SIGNS = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
NUMBERS = [
    0,
    -1,
    2,
    300,
    -BIG,
    BIG - 1,
    BIG,
    LONG,
    2.5,
    0.1,
    -0.0,
    2.0**53,
    1e300,
    INF,
    NAN,
    Decimal("0.1"),
    Decimal("2.50"),
]
NUMERIC = ("i8", "i32", "i64", "u8", "u64", "i128", "f32", "f64", "dec", "dec18", "dec38")


def values_for(name: str) -> list[Any]:
    kind, values = COLUMNS[name]
    return [
        *values,
        *(NUMBERS if name in NUMERIC else []),
        None,
        *(["aa", "zz", "ab\u00e9"] if kind == "VARCHAR" else []),
    ]


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("sign", SIGNS)
def test_comparisons_are_those_of_duckdb(db: vdb.Database, name: str, sign: str) -> None:
    ways: set[str] = set()
    for value in values_for(name):
        for text, params in (
            (f"{name} {sign} {literal(value)}", None),
            (f"{literal(value)} {sign} {name}", None),
            (f"{name} {sign} ?", [value]),
        ):
            ways |= check(db, text, params)
    assert BY_INDEXES in ways or name in ("dec38", "ts_s", "ts_ms", "ts_ns")


@pytest.mark.parametrize("name", SCALARS)
def test_in_and_between_are_those_of_duckdb(db: vdb.Database, name: str) -> None:
    _, values = COLUMNS[name]
    lists = [values[:1], values[1:3], values, [*values[:2], None], [None], [values[0], values[0]]]
    for chosen in lists:
        items = ", ".join(map(literal, chosen))
        marks = ", ".join("?" * len(chosen))
        for text, params in (
            (f"{name} IN ({items})", None),
            (f"{name} NOT IN ({items})", None),
            (f"{name} IN ({marks})", chosen),
            (f"{name} IN ?", [chosen]),
            (f"NOT {name} IN ?", [chosen]),
        ):
            check(db, text, params)
    for low in (*values[:3], None):
        for high in (*values[1:5:2], None):
            for text, params in (
                (f"{name} BETWEEN {literal(low)} AND {literal(high)}", None),
                (f"{name} NOT BETWEEN ? AND ?", [low, high]),
                (f"{name} > $a AND {name} <= $b", {"a": low, "b": high}),
            ):
                check(db, text, params)


@pytest.mark.parametrize("name", [*COLUMNS, "id", "e"])
def test_null_tests_are_those_of_duckdb(db: vdb.Database, name: str) -> None:
    assert check(db, f"{name} IS NULL") <= {BY_INDEXES}
    check(db, f"{name} IS NOT NULL")


LISTS = [
    ("tags", ["'a'", "'b'", "'zz'", "''", "NULL", "'\u00e9'"]),
    ("nums", ["1", "2", "9", "NULL", "2.0", "2.5", "'1'"]),
    ("reals", ["0.1", "0", "'nan'", "-0.0", "1"]),
]


@pytest.mark.parametrize(("name", "items"), LISTS)
def test_list_functions_are_those_of_duckdb(db: vdb.Database, name: str, items: list[str]) -> None:
    ways: set[str] = set()
    texts = [form.format(name=name, x=x) for x in items for form in ("list_contains({name}, {x})", "{x} IN {name}")]
    for some in ([], items[:1], items[:2], items[1:4], items):
        given = f"[{', '.join(some)}]"
        texts += [
            f"{name} && {given}",
            f"{given} && {name}",
            f"{name} @> {given}",
            f"{given} <@ {name}",
            f"list_has_any({name}, {given})",
            f"array_has_all({name}, {given})",
        ]
    for text in texts:
        ways |= check(db, text)
    assert BY_INDEXES in ways


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("list_contains(tags, ?)", ["a"]),
        ("list_contains(tags, ?)", [None]),
        ("tags && ?", [["a", "c"]]),
        ("tags @> ?", [["a", "b"]]),
        ("tags @> ?", [[]]),
        ("tags && ?", [["a", None]]),
        ("list_has_any(nums, $n)", {"n": [2, 3]}),
        ("list_has_all(nums, $n)", {"n": [1, 2]}),
        ("list_contains(nums, $n)", {"n": 2}),
        ("list_contains(tags, 'a') OR list_contains(tags, 'c') OR list_contains(tags, 'nowhere')", None),
        ("tags @> [] OR list_contains(tags, 'a')", None),
        ("tags @> ['a', 'b'] OR list_contains(tags, 'c')", None),
        ("t = 'a' OR t = 'b' OR t IN ('5', NULL)", None),
        ("contains(?, t)", ["abc"]),
        ("contains(?, t) AND ok", ["abc"]),
        ("t IN ? AND ok IS NOT TRUE", [["a", "ab"]]),
        ("i32 IN [2, 7, NULL]", None),
        ("i32 IN [2, 7]", None),
        ("i32 = 2 OR i32 = ? OR i32 IN (0, ?)", [7, -3]),
    ],
)
def test_lists_as_parameters_and_joined_values(db: vdb.Database, text: str, params: object) -> None:
    check(db, text, params)


@pytest.mark.parametrize(
    "prefix", ["a", "ab", "", "\u00e9", "\ud7ff", "\U0010ffff", "\U0001f600", "zz", "a%", "_b", "a\\"]
)
def test_prefixes_and_patterns_are_those_of_duckdb(db: vdb.Database, prefix: str) -> None:
    for text in ("starts_with(t, ?)", "prefix(t, ?)", "t ^@ ?", "t LIKE ? || '%'", "t LIKE ?", "t NOT LIKE ?"):
        check(db, text, [prefix])
    check(db, "t LIKE ?", [prefix + "%"])
    check(db, "t NOT LIKE ?", [prefix + "%%"])
    check(db, "t LIKE ?", ["%" + prefix + "%"])
    check(db, f"t LIKE {literal(prefix + '%')}")


@pytest.mark.parametrize(
    "text",
    [
        "ok",
        "NOT ok",
        "ok IS TRUE",
        "ok IS NOT TRUE",
        "ok IS NOT FALSE",
        "ok = TRUE OR i32 = 2",
        "ok AND i32 > 0 AND t >= 'a'",
        "ok OR i32 > 0 OR tags IS NULL",
        "NOT (ok AND i32 > 0)",
        "NOT (ok OR NOT (i32 > 0 AND t IS NOT NULL))",
        "(i32 > 0) IS NOT TRUE",
        "(ok AND i32 > 0) IS DISTINCT FROM FALSE",
        "(ok AND i32 > 0) IS NULL",
        "(ok OR i32 > 0) IS NOT NULL AND i32 < 5",
        "i32 > 0 AND i32 > -2 AND i32 <= 7 AND i32 < 7",
        "i32 > 5 AND i32 < 3",
        "TRUE",
        "FALSE",
        "i32 = 2 OR TRUE",
        "i32 = 2 AND FALSE",
        "i32 = 2 AND NULL",
        "i32 = 1 + 1",
        "i32 = -(-2)",
        "i32 = length('ab')",
        "d = DATE '2020-02-28' + 1",
        "d > make_date(2020, 1, 1)",
        "ts = TIMESTAMP '2020-01-01 12:00:00.000001'",
        "ts > DATE '1970-01-01'",
        "ts >= '2020-01-01'",
        "d < TIMESTAMP '2020-02-29 12:00:00'",
        "d <= 'infinity'",
        "t = lower('AB')",
        "t > 'A' || 'b'",
        "i32 = '2'",
        "i32 = CAST('2' AS BIGINT)",
        "i64 > 9007199254740992.0::DOUBLE",
        "f64 > 1e-1",
        "f32 = 0.1",
        "f32 = 0.1::FLOAT",
        "dec = 0.1::DOUBLE",
        "dec > 0.104",
        "ok = 1",
        "i8 = TRUE",
    ],
)
def test_logic_and_constants_are_those_of_duckdb(db: vdb.Database, text: str) -> None:
    assert check(db, text)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("i32 = 2 AND lower(t) = 'a'", BY_BOTH),
        ("i32 = 2 OR contains(t, 'b')", BY_BOTH),
        ("NOT (i32 > 2 OR t ILIKE '%B%')", BY_BOTH),
        ("ok OR (t LIKE '%b' AND i32 > 0)", BY_BOTH),
        ("i32 > 0 AND t LIKE '%b' AND length(t) > 1", BY_BOTH),
        ("t LIKE '%b%'", BY_DUCKDB),
        ("i32 + 1 = 3 AND ok", BY_DUCKDB),  # the sum might overflow in a row that DuckDB never adds
        ("ok AND TRY_CAST(t AS INTEGER) = 5", BY_DUCKDB),
        ("s.a = 1 AND ok", BY_DUCKDB),
        ("i32 > 5 AND i32 < 3 AND t ILIKE '%a%'", BY_INDEXES),  # nothing is left to ask about
    ],
)
def test_duckdb_is_asked_for_the_rest_only(db: vdb.Database, text: str, how: str) -> None:
    check(db, text)
    assert resolved(db, text).how == how


def test_parts_get_just_their_own_parameters(db: vdb.Database) -> None:
    check(db, "i32 > ? AND (contains(t, ?) OR ends_with(t, ?)) AND i32 < ?", [-5, "b", "c", 8])
    check(
        db, "i32 > $low AND (contains(t, $b) OR ends_with(t, $C) OR contains(t, $b))", {"low": -5, "b": "b", "C": "c"}
    )
    check(db, "contains(t, $2) OR i32 = $1", [2, "b"])


def test_what_fails_for_a_row_fails_whatever_answers_the_rest(db: vdb.Database) -> None:
    with pytest.raises(vdb.PredicateError, match="Could not convert"):
        resolved(db, "i32 > 0 AND t::INTEGER > 3")
    assert resolved(db, "TRY(10 // i32) > 3 AND ok").how == BY_DUCKDB


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("t IN ?", [["a", "b"]]),
        ("i32 IN [2, 7]", None),
        ("ok IS TRUE", None),
        ("(ok AND i32 > 2) IS NOT TRUE", None),
        ("d BETWEEN DATE '2020-01-01' AND '2021-01-01'", None),
        ("ts >= TIMESTAMP '2020-01-01 00:00:00' AND d IS NOT NULL", None),
        ("NOT (t LIKE 'a%' OR tags @> ['a'])", None),
        ("u = '00000000-0000-0000-0000-000000000005'", None),
        ("dec BETWEEN 0.05 AND 2.5", None),
        ("u64 > 3 AND i128 <= 5", None),
    ],
)
def test_what_people_write_never_asks_duckdb(db: vdb.Database, text: str, params: object) -> None:
    assert check(db, text, params) == {BY_INDEXES}
