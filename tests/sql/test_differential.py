"""The same SELECTs through vdb and through a stock DuckDB whose table holds the vectors: the same rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from questions import Question, fill, questions

import vdb

if TYPE_CHECKING:
    from collections.abc import Iterator

STATEMENTS = 520
SEED = 8
Pair = tuple[vdb.Database, duckdb.DuckDBPyConnection]


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    with vdb.connect(":memory:") as db, duckdb.connect(":memory:") as stock:
        fill(db, stock, SEED)
        db.sql("CREATE INDEX ON items USING HNSW (e) WITH (M = 8)")
        db.sql("CREATE INDEX ON items (price)")
        yield db, stock


def is_undefined(row: tuple[Any, ...]) -> bool:
    return any(value is None or (isinstance(value, float) and math.isnan(value)) for value in row)


def assert_same(question: Question, found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected), question.asked
    ordered_by_more = ", i.id" in question.asked or "ORDER BY ALL" in question.asked or "LIMIT" not in question.asked
    for ours, theirs in zip(found, expected, strict=True):
        if not ordered_by_more and is_undefined(theirs):  # which rows without a distance come last is open
            assert is_undefined(ours), question.asked
            continue
        for a, b in zip(ours, theirs, strict=True):
            if isinstance(b, float):
                assert a == pytest.approx(b, rel=1e-5, abs=2e-6, nan_ok=True), question.asked
            else:
                assert a == b, (question.asked, ours, theirs)


@pytest.mark.parametrize("strategy", ["auto", "scan"])
def test_vdb_answers_as_duckdb_does(both: Pair, strategy: str) -> None:
    db, stock = both
    db.sql("SET recall = 1.0")
    db.sql(f"SET strategy = '{strategy}'")
    for question in questions(STATEMENTS // 2, SEED + (strategy == "scan")):
        expected = stock.execute(question.plain, {"q": question.query} if "$q" in question.plain else None).fetchall()
        values = {"q": question.query} if "$q" in question.asked else None
        assert_same(question, db.sql(question.asked, values).fetchall(), expected)


def test_a_graph_finds_nearly_all_and_nothing_that_does_not_match(both: Pair) -> None:
    db, stock = both
    db.sql("RESET recall; SET strategy = 'graph'; SET ef_search = 100")
    statement = "SELECT id FROM items i WHERE price > 20 AND e IS NOT NULL ORDER BY e <-> $q LIMIT 10"
    plain = statement.replace("e <-> $q", "array_distance(e, $q::FLOAT[4])")
    allowed = {row[0] for row in stock.execute("SELECT id FROM items WHERE price > 20").fetchall()}
    hits = 0
    asked = questions(40, SEED)
    for question in asked:
        found = {row[0] for row in db.sql(statement, {"q": question.query}).fetchall()}
        assert found <= allowed
        hits += len(found & {row[0] for row in stock.execute(plain, {"q": question.query}).fetchall()})
    assert hits >= 0.95 * 10 * len(asked)
    db.sql("RESET strategy; RESET ef_search")
