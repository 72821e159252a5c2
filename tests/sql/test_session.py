"""What a statement shares with others: results, parameters, transactions, compiled texts, EXPLAIN, COPY."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb.sql import session as session_module

if TYPE_CHECKING:
    from pathlib import Path

QUERY = np.array([1.0, 2.0])


@pytest.fixture
def items(db: vdb.Database) -> vdb.Database:
    db.sql("CREATE TABLE items (id BIGINT PRIMARY KEY, lang VARCHAR, e FLOAT[2])")
    db.sql("INSERT INTO items SELECT i, ['en', 'de'][i % 2 + 1], [i, i] FROM range(100) r(i)")
    return db


def test_results_come_in_the_forms_of_duckdb(items: vdb.Database) -> None:
    statement = "SELECT id, e FROM items ORDER BY e <-> ? LIMIT 2"
    assert items.sql(statement, [QUERY]).fetchall() == [(1, (1.0, 1.0)), (2, (2.0, 2.0))]
    assert items.sql(statement, [QUERY]).df()["id"].tolist() == [1, 2]
    assert items.sql(statement, [QUERY]).arrow().column("e").to_pylist() == [[1, 1], [2, 2]]
    assert items.sql(statement, [QUERY]).pl()["id"].to_list() == [1, 2]
    assert items.sql(statement, [QUERY]).fetchnumpy()["id"].tolist() == [1, 2]
    result = items.execute("SELECT id FROM items ORDER BY id")
    assert (result.columns, result.fetchone(), result.fetchmany(2)) == (["id"], (0,), [(1,), (2,)])
    assert len(result.fetchall()) == 97
    assert result.fetchone() is None


def test_a_result_is_of_the_moment_its_statement_ran(items: vdb.Database) -> None:
    before = items.sql("SELECT id FROM items ORDER BY e <-> ? LIMIT 1", [QUERY])
    items.sql("DELETE FROM items")
    assert before.fetchall() == [(1,)]
    with pytest.raises(vdb.InvalidState, match="read already"):
        before.df()
    assert items.sql("SELECT count(*) FROM items").fetchall() == [(0,)]


def test_a_result_ends_with_its_database(items: vdb.Database) -> None:
    result = items.sql("SELECT * FROM items")
    items.close()
    with pytest.raises(vdb.InvalidState, match="closed"):
        result.fetchall()


def test_parameters_are_values_and_no_text(items: vdb.Database) -> None:
    hostile = "en'; DROP TABLE items; --"
    assert items.sql("SELECT count(*) FROM items WHERE lang = ?", [hostile]).fetchall() == [(0,)]
    assert items.sql("SELECT $A || '!'", {"a": hostile}).fetchall() == [(hostile + "!",)]
    with pytest.raises(vdb.InvalidArgument, match="1 more than"):
        items.sql("SELECT 1", [2])


def test_a_where_is_confined_and_a_statement_is_the_owners(items: vdb.Database) -> None:
    assert items.sql("SELECT count(*) FROM items WHERE id < (SELECT avg(id) FROM items)").fetchall() == [(50,)]
    with pytest.raises(vdb.PredicateError):
        items.table("items").search(QUERY, where="id < (SELECT avg(id) FROM items)")


def test_a_text_is_parsed_once(items: vdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    statement = "SELECT id FROM items WHERE lang = ? ORDER BY e <-> ? LIMIT 3"
    first = items.sql(statement, ["en", QUERY]).fetchall()
    monkeypatch.setattr(session_module.tree, "parse", lambda _: pytest.fail("parsed again"))
    assert items.sql(statement, ["en", QUERY]).fetchall() == first
    assert items.sql(statement, ["de", QUERY]).fetchall() == [(1,), (3,), (5,)]


def test_a_compiled_text_follows_its_tables(items: vdb.Database) -> None:
    assert items.sql("SELECT * FROM items WHERE id = 0").columns == ["id", "lang", "e"]
    items.sql("CREATE OR REPLACE TABLE items AS SELECT id, e FROM items")
    assert items.sql("SELECT * FROM items WHERE id = 0").columns == ["id", "e"]


def test_a_transaction_of_sql_is_one_commit(items: vdb.Database) -> None:
    seq = items.store.committed.seq
    items.sql("BEGIN; INSERT INTO items VALUES (1000, 'fr', [1, 2]); UPDATE items SET e = [9, 9] WHERE id = 1")
    assert items.sql("SELECT id FROM items ORDER BY e <-> ? LIMIT 1", [QUERY]).fetchall() == [(1000,)]
    assert items.store.committed.seq == seq
    items.sql("COMMIT")
    assert items.store.committed.seq == seq + 1
    assert items.sql("SELECT e FROM items WHERE id = 1").fetchall() == [((9.0, 9.0),)]


def test_a_failed_statement_leaves_no_half(items: vdb.Database) -> None:
    with pytest.raises(vdb.InvalidArgument):
        items.sql("INSERT INTO items SELECT id + 200, CAST(lang AS INTEGER), e FROM items")
    assert items.sql("SELECT count(*) FROM items").fetchall() == [(100,)]
    assert items.sql("INSERT INTO items VALUES (300, 'x', NULL)").rowcount == 1


def test_what_was_written_is_there_after_an_open(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "a.vdb") as db:
        db.sql("CREATE TABLE plain (a INTEGER); CREATE TABLE t (id BIGINT PRIMARY KEY, e FLOAT[2])")
        db.sql("INSERT INTO t VALUES (1, [1, 2]), (2, NULL)")
        db.sql("INSERT INTO plain SELECT id FROM t")
        db.sql("UPDATE t SET e = [3, 4] WHERE id = 2; DELETE FROM t WHERE id = 1")
    with vdb.connect(tmp_path / "a.vdb", read_only=True) as db:
        assert db.sql("SELECT * FROM t JOIN plain ON a = id").fetchall() == [(2, (3.0, 4.0), 2)]
        with pytest.raises(vdb.InvalidState, match="read-only"):
            db.sql("INSERT INTO plain VALUES (1)")
        db.check()


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_files_hold_the_vectors(items: vdb.Database, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    items.sql("UPDATE items SET e = NULL WHERE id = 7")
    assert items.sql(f"COPY items TO '{path}'").rowcount == 100
    items.sql("CREATE TABLE again (id BIGINT PRIMARY KEY, lang VARCHAR, e FLOAT[2])")
    assert items.sql(f"COPY again FROM '{path}'").rowcount == 100
    assert items.sql("(FROM items EXCEPT FROM again) UNION ALL (FROM again EXCEPT FROM items)").fetchall() == []


def test_explain_shows_the_vector_node_beside_the_plan(items: vdb.Database) -> None:
    statement = "SELECT id FROM items WHERE lang = 'en' ORDER BY e <-> ? LIMIT 2"
    keys = [key for key, _ in items.sql(f"EXPLAIN {statement}", [QUERY]).fetchall()]
    assert keys == ["vector_plan", "physical_plan"]
    (_, plan), (_, analyzed) = items.sql(f"EXPLAIN ANALYZE {statement}", [QUERY]).fetchall()
    assert "VECTOR_SEARCH items.e  k=2  metric=l2" in plan
    assert "Total Time" in analyzed
    for sql, reason in (
        ("SELECT id FROM items ORDER BY e <-> [1, 2] DESC LIMIT 2", "farthest"),
        ("SELECT id FROM items ORDER BY e <-> [1, 2]", "no ORDER BY distance with a LIMIT"),
        ("SELECT max(e <-> [1, 2]) FROM items LIMIT 2", "no ORDER BY"),
    ):
        assert reason in items.sql(sql).explain()


def test_a_graph_answers_where_it_is_the_cheapest(items: vdb.Database) -> None:
    items.sql("CREATE INDEX g ON items USING HNSW (e) WITH (M = 4)")
    items.sql("SET strategy = 'graph'")
    result = items.sql("SELECT id FROM items ORDER BY e <-> ? LIMIT 2", [QUERY])
    assert result.fetchall() == [(1,), (2,)]
    assert "index     g" in result.explain()


def test_rows_without_a_distance_come_last(items: vdb.Database) -> None:
    items.sql("DELETE FROM items WHERE id > 2; INSERT INTO items VALUES (50, 'x', NULL), (40, 'y', [0, 0])")
    found = items.sql("SELECT id, e <=> ? AS d FROM items ORDER BY d LIMIT 10", [QUERY]).fetchall()
    assert [row[0] for row in found] == [1, 2, 0, 40, 50]
    assert [row[1] is None or row[1] != row[1] for row in found] == [False, False, True, True, True]
    assert len(items.sql("SELECT id FROM items ORDER BY e <=> [0, 0] LIMIT 3").fetchall()) == 3
    assert items.sql("SELECT id FROM items ORDER BY e <-> ? LIMIT 2", [None]).fetchall() == [(0,), (1,)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT count(*) FROM items TABLESAMPLE 100 PERCENT WHERE e <-> [1, 2] < 2", 2),
        ("SELECT count(*) FROM items WHERE random() < 2 AND e <-> [1, 2] < 2", 2),
        ("SELECT count(*) FROM (SELECT id FROM items WHERE random() < 2 ORDER BY e <-> [1, 2] LIMIT 3)", 3),
        ("SELECT en FROM (SELECT lang FROM items) PIVOT (count(*) FOR lang IN ('en', 'de'))", 50),
        ("SELECT count(en) FROM items PIVOT (count(id) FOR lang IN ('en'))", 100),
        ("SELECT count(*) FROM items a JOIN items b ON a.id = b.id + 1 WHERE a.e <-> b.e < 2", 99),
        ("SELECT count(x) FROM items AS i(x, y, z) WHERE z <-> [1, 2] < 2", 2),
        (
            "SELECT count(*) FROM items i WHERE EXISTS (SELECT 1 FROM items j WHERE j.e <-> i.e < 1.5 AND j.id > i.id)",
            99,
        ),
        ("SELECT sum(e[1]) FROM items WHERE id < 3", 3),
        ("SELECT len(list(e)) FROM items", 100),
        ("SELECT id FROM (SELECT * FROM items ORDER BY e <-> [5, 5] LIMIT 1)", 5),
        ("SELECT (SELECT j.id FROM items j ORDER BY j.e <-> i.e LIMIT 1) FROM items i WHERE i.id = 9", 9),
        ("SELECT first(e)[2] FROM items WHERE id = 4", 4),
    ],
)
def test_unusual_shapes_are_answered_exactly(items: vdb.Database, statement: str, expected: int) -> None:
    assert items.sql(statement).fetchall() == [(expected,)]


def test_an_ambiguous_vector_is_an_error(items: vdb.Database) -> None:
    with pytest.raises(vdb.InvalidArgument, match="mbiguous"):
        items.sql("SELECT a.id FROM items a, items b ORDER BY e <-> [1, 2] LIMIT 1")
    with pytest.raises(vdb.InvalidArgument, match="names a catalog"):
        items.sql("SELECT * FROM memory.main.items")
