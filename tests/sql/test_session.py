"""What a statement shares with others: results, parameters, transactions, compiled texts, EXPLAIN, COPY."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest
from ended_thread import in_thread

import vdb
from vdb.sql import session as session_module

if TYPE_CHECKING:
    from pathlib import Path

    from vdb.query.request import Request
    from vdb.query.result import Hits
    from vdb.storage.state import TableState

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


def test_explain_searches_nothing_and_explain_analyze_does(
    items: vdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    lateral = "SELECT n.id, h.id FROM items n, LATERAL (SELECT id FROM items i ORDER BY i.e <-> n.e LIMIT 2) h"
    searched: list[object] = []
    search = items.executor.search

    def counted(state: TableState, request: Request) -> Hits:
        searched.append(request)
        return search(state, request)

    monkeypatch.setattr(items.executor, "search", counted)
    nearest = "SELECT id FROM items WHERE lang = 'en' ORDER BY e <-> $1 LIMIT 2"
    for sql, params, told in (
        (nearest, [QUERY], "k=2  metric=l2\n  predicate"),
        ("SELECT id FROM items ORDER BY e <-> [1, 2]", None, "every matching row measured"),
        (lateral, None, "one search for all rows around"),
        (f"SELECT * FROM items JOIN ({nearest}) USING (id) ORDER BY e <-> $1 LIMIT 3", [QUERY], "VECTOR_SEARCH"),
    ):
        plan = items.sql(f"EXPLAIN {sql}", params).fetchall()
        assert told in plan[0][1]
        assert plan[1][0] == "physical_plan"
    assert searched == []
    items.sql(f"EXPLAIN ANALYZE {lateral}").close()
    assert [len(request.queries) for request in searched] == [100]


def test_rows_around_a_query_are_one_search(items: vdb.Database) -> None:
    items.sql("CREATE INDEX g ON items USING HNSW (e) WITH (M = 4); SET strategy = 'graph'")
    lateral = "SELECT n.id, h.id FROM items n, LATERAL (SELECT id FROM items i WHERE {} ORDER BY i.e <-> n.e LIMIT 1) h"
    found = items.sql(lateral.format("TRUE") + " WHERE n.id < 30 ORDER BY ALL")
    assert found.explain().startswith("VECTOR_READ items.e\nVECTOR_SEARCH items.e  k=1  metric=l2  queries=30")
    assert "index     g" in found.explain()
    assert found.fetchall() == [(i, i) for i in range(30)]
    items.sql("RESET strategy")
    by_language = items.sql(lateral.format("i.lang = n.lang"))
    assert by_language.explain().count("VECTOR_SEARCH") == by_language.explain().count("queries=50") == 2
    others = items.sql(lateral.format("i.lang = n.lang AND i.id <> n.id") + " ORDER BY ALL LIMIT 3")
    assert others.fetchall() == [(0, 2), (1, 3), (2, 0)]
    exact = items.sql(lateral.format("i.id IN (SELECT n.id)"))
    assert "VECTOR_SEARCH" not in exact.explain()
    assert len(exact.fetchall()) == 100


def test_a_view_is_searched_by_the_index_of_its_table_or_says_why_not(items: vdb.Database) -> None:
    items.sql("CREATE INDEX g ON items USING HNSW (e) WITH (M = 4); SET strategy = 'graph'")
    items.sql("CREATE VIEW english AS SELECT id, e AS vec FROM items WHERE lang = 'en'")
    items.sql("CREATE VIEW counted AS SELECT lang, first(e) AS vec FROM items GROUP BY lang")
    through = items.sql("SELECT id FROM english ORDER BY vec <-> ? LIMIT 2", [QUERY])
    assert "index     g" in through.explain()
    assert through.fetchall() == [(2,), (0,)]
    grouped = items.sql("SELECT lang FROM counted ORDER BY array_distance(vec, $q::FLOAT[2]) LIMIT 1", {"q": QUERY})
    assert "counted  not searched by an index: it groups" in grouped.explain()


def test_views_are_there_after_an_open(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "a.vdb") as db:
        db.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, n INTEGER DEFAULT 7 CHECK (n > 3), e FLOAT[2])")
        db.sql("CREATE VIEW v AS SELECT id, n FROM t WHERE e IS NOT NULL; CREATE VIEW w AS SELECT 1; DROP VIEW w")
        db.publish()
    with vdb.connect(tmp_path / "a.vdb", read_only=True) as db:
        assert db.sql("FROM v").fetchall() == []
    with vdb.connect(tmp_path / "a.vdb") as db:
        db.table("t").add({"id": [1]}, e=[[1.0, 2.0]])
        db.table("t").upsert([{"id": 1, "e": [2.0, 2.0]}, {"id": 2, "e": [3.0, 2.0]}])
        assert db.sql("SELECT * FROM v ORDER BY id").fetchall() == [(1, 7), (2, 7)]
        with pytest.raises(vdb.InvalidArgument, match="CHECK"):
            db.table("t").update({"n": 1}, where="id = 1")
        assert db.sql("FROM vdb_views()").fetchall() == [("v", "SELECT id, n FROM t WHERE e IS NOT NULL")]


def test_a_duckdb_of_ones_own(items: vdb.Database) -> None:
    items.sql("UPDATE items SET e = NULL WHERE id = 3; CREATE VIEW few AS SELECT id, e FROM items WHERE id IN (3, 4)")
    with items.duckdb() as own:
        items.sql("DELETE FROM items")
        assert own.execute("SELECT count(*), count(e), sum(e[1]) FROM items").fetchall() == [(100, 99, 4947)]
        assert own.execute("SELECT * FROM few ORDER BY id").fetchall() == [(3, None), (4, (4.0, 4.0))]
        own.execute("CREATE MACRO twice(x) AS 2 * x")
        assert own.execute("SELECT twice(id) FROM items ORDER BY array_distance(e, [9, 9]::FLOAT[2])").fetchone() == (
            18,
        )
        with pytest.raises(duckdb.Error):
            own.execute("DELETE FROM items")


@pytest.mark.parametrize(
    "hostile",
    [
        "'; DROP TABLE items; --",
        "x') OR 1=1 --",
        'a"b; DELETE FROM items',
        "\\'; DROP TABLE items; --",
        "$q",
        "?",
        "x/*",
        "-- ",
        "E'\\''",
    ],
)
def test_hostile_values_and_names_stay_what_they_are(items: vdb.Database, hostile: str) -> None:
    items.sql("INSERT INTO items VALUES (500, ?, ?)", [hostile, QUERY])
    items.sql("UPDATE items SET lang = $new WHERE lang = $old", {"new": hostile + "!", "old": hostile})
    assert items.sql("SELECT id FROM items WHERE lang = ?", [hostile + "!"]).fetchall() == [(500,)]
    near = "SELECT lang FROM items WHERE lang = $w ORDER BY e <-> $q LIMIT 1"
    assert items.sql(near, {"w": hostile + "!", "q": QUERY}).fetchall() == [(hostile + "!",)]
    name = '"' + hostile.replace('"', '""') + '"'
    literal = "'" + hostile.replace("'", "''") + "'"
    items.sql(f"CREATE TABLE {name} ({name} VARCHAR DEFAULT {literal}, id BIGINT, e FLOAT[2], CHECK ({name} <> 'no'))")
    items.sql(f"INSERT INTO {name} (id, e) VALUES (1, [1, 2])")
    items.sql(f"ALTER TABLE {name} ADD COLUMN more VARCHAR DEFAULT {literal}; CREATE VIEW v AS SELECT * FROM {name}")
    assert items.sql("SELECT * FROM v ORDER BY e <-> [1, 1] LIMIT 1").fetchall() == [(hostile, 1, (1.0, 2.0), hostile)]
    assert items.sql("SELECT count(*) FROM items").fetchall() == [(101,)]
    assert {row[0] for row in items.sql("SHOW TABLES").fetchall()} == {"items", "v", hostile}


def test_rows_without_a_distance_are_ordered_by_what_follows(items: vdb.Database) -> None:
    items.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, n INTEGER, e FLOAT[2])")
    items.sql("INSERT INTO t VALUES (1, 9, NULL), (2, 3, NULL), (3, 5, [1, 1]), (4, 1, NULL)")
    assert items.sql("SELECT id FROM t ORDER BY e <-> ?, n LIMIT 3", [QUERY]).fetchall() == [(3,), (4,), (2,)]
    assert items.sql("SELECT id FROM t ORDER BY e <-> ?, n LIMIT 2", [None]).fetchall() == [(4,), (2,)]


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


def test_a_transaction_is_not_inherited_from_a_thread_that_ended(items: vdb.Database) -> None:
    found = []

    def begin() -> None:
        items.sql("BEGIN; INSERT INTO items VALUES (1000, 'fr', [1, 2])")
        found.append(items.table("items").search([1, 2], 1))

    in_thread(begin)
    assert in_thread(lambda: items.table("items").add({"id": [1001]}, e=[[1, 2]])) == [1]
    assert items.sql("SELECT id FROM items WHERE id >= 1000").fetchall() == [(1001,)]
    with pytest.raises(vdb.InvalidState, match="rolled back"):
        found[0].to_dicts()
    for statement in ("COMMIT", "ROLLBACK"):
        with pytest.raises(vdb.InvalidState, match="No transaction was begun"):
            items.sql(statement)
    in_thread(lambda: items.sql("BEGIN"))
    assert in_thread(lambda: items.sql("BEGIN; DELETE FROM items WHERE id = 1001; COMMIT").close()) == [None]
    assert items.sql("SELECT count(*) FROM items WHERE id >= 1000").fetchall() == [(0,)]
