"""Random expressions of the allowed grammar choose the same rows by attribute indexes as by DuckDB alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_random_predicates import TEXT, TYPES, conditions, quoted
from test_random_predicates import database as reference

import vdb
from vdb.query.parse import parse_predicate
from vdb.query.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGN = st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"])
NUMBER = st.integers(-4, 4).map(str) | st.sampled_from(["NULL", "1.5", "-0.5", "2e0", "'2'"])
DAY = st.integers(1, 28).map(lambda day: f"DATE '2020-02-{day:02}'") | st.sampled_from(["'2020-02-07'", "NULL"])


@pytest.fixture(scope="module")
def db() -> Iterator[vdb.Database]:
    """The rows of the other test as a table whose columns have followed a commit of each kind."""
    db = vdb.connect(":memory:", threads=1)
    table = db.create_table("things", {**TYPES, "v": "FLOAT[2]"})
    count = reference().execute("SELECT count(*) FROM things").fetchall()[0][0]
    table.add([{"v": [1, 1] if slot % 2 == 0 else None} for slot in range(count)])
    cursor = db.store._handle.engine.cursor()
    names = ", ".join(f'"{name}"' for name in TYPES)
    for *values, slot in reference().execute(f"SELECT {names}, _slot FROM things").fetchall():
        sets = ", ".join(f'"{name}" = CAST(? AS {kind})' for name, kind in TYPES.items())
        cursor.execute(f"UPDATE things SET {sets} WHERE _slot = ?", [*values, slot])
    table.count("n = 1 OR t = 'a' OR d IS NULL OR list_contains(tags, 'a') OR 1 IN nums OR ok OR x > 1 OR m = 1")
    table.update({"n": 2, "tags": ["b", "a"]}, "m = 2 AND ok")
    table.update({"t": None}, "m = -3 AND n > 0")
    table.delete("n = -1 AND m = 1")
    yield db
    db.close()


def terms() -> st.SearchStrategy[str]:
    """Conditions that attribute indexes know, unlike most of the grammar."""
    columns = {"n": NUMBER, "m": NUMBER, "x": NUMBER, "t": TEXT.map(quoted), "d": DAY}
    one = st.sampled_from(sorted(columns)).flatmap(lambda name: st.tuples(st.just(name), columns[name], columns[name]))
    leaf = st.one_of(
        st.tuples(one, SIGN).map(lambda given: f"{given[0][0]} {given[1]} {given[0][1]}"),
        one.map(lambda given: f"{given[0]} BETWEEN {given[1]} AND {given[2]}"),
        one.map(lambda given: f"{given[0]} NOT IN ({given[1]}, {given[2]})"),
        one.map(lambda given: f"{given[0]} IS NULL"),
        TEXT.map(lambda text: f"t LIKE {quoted(text)}"),
        TEXT.map(lambda text: f"list_contains(tags, {quoted(text)})"),
        st.lists(TEXT.map(quoted), max_size=2).map(lambda items: f"tags && [{', '.join(items)}]"),
        st.lists(st.integers(0, 2).map(str), max_size=2).map(lambda items: f"nums @> [{', '.join(items)}]"),
        st.sampled_from(["ok", "ok IS NOT TRUE", "v IS NULL", "s IS NULL", "TRUE", "NULL::BOOLEAN", "t ILIKE '%A%'"]),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=4).map(lambda parts: f"({' AND '.join(parts)})"),
            st.lists(inner, min_size=2, max_size=4).map(lambda parts: f"({' OR '.join(parts)})"),
            inner.map(lambda condition: f"NOT ({condition})"),
            inner.map(lambda condition: f"({condition}) IS NULL"),
            inner.map(lambda condition: f"({condition}) IS NOT FALSE"),
        ),
        max_leaves=8,
    )


def assert_same(db: vdb.Database, text: str) -> None:
    state = db.store.state.table("things")
    try:
        predicate = parse_predicate(text, None, state.schema)
        expected = sorted(db.store.matching("things", predicate)[1].tolist())
    except (vdb.PredicateError, duckdb.Error):  # some row makes it fail, in the order DuckDB looks at them
        return
    found = Resolver(db.store, db.attributes).resolve(predicate, state)
    assert found.rows.to_slots().tolist() == expected, (text, found.how)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conditions() | terms())
def test_indexes_choose_the_rows_duckdb_chooses(db: vdb.Database, text: str) -> None:
    assert_same(db, text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(terms())
def test_what_indexes_know_partitions_the_rows(db: vdb.Database, text: str) -> None:
    for form in (text, f"NOT ({text})", f"({text}) IS NULL"):
        assert_same(db, form)
