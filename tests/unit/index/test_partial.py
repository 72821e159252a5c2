"""Partial indexes: which rows are in them as rows come, change, go and move, and which searches may walk them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb

if TYPE_CHECKING:
    from pathlib import Path

DIM = 8
SPEC = vdb.HNSW(M=8, ef_construction=60)
WHERE = "color = 'red' AND size < 50"
IN_IT = "size < 50 AND color = 'red'"


def rows(first: int, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """One row in five is NULL in either attribute."""
    return {
        "id": np.arange(first, first + n),
        "color": [None if u < 0.2 else "red" if u < 0.8 else "blue" for u in rng.random(n)],
        "size": [None if u < 0.2 else int(u * 100) for u in rng.random(n)],
        "e": rng.normal(size=(n, DIM)).astype(np.float32),
    }


def made(db: vdb.Database, n: int, rng: np.random.Generator) -> vdb.Table:
    types = {"id": "INTEGER PRIMARY KEY", "color": "VARCHAR", "size": "INTEGER", "e": f"FLOAT[{DIM}]"}
    table = db.create_table("t", types)
    table.add(rows(0, n, rng))
    return table


def check(db: vdb.Database, rng: np.random.Generator) -> None:
    """The graph has just the rows that DuckDB finds, and finds nearly all of them."""
    table = db.table("t")
    state = db.store.state.table("t")
    members = db.indexes.members(state, state.indexes["p"])
    at_hand = db.indexes.overlays(state, state.indexes["p"])
    assert members is not None
    assert at_hand is not None
    graph = at_hand[0]
    graph.check()
    assert graph.covered == state.next_slot
    slots = (members & state.live).to_slots()
    wanted = table.count(WHERE)
    assert len(slots) == wanted == db.sql(f"SELECT count(*) FROM t WHERE ({WHERE}) IS TRUE").fetchall()[0][0]
    assert graph.count(0) >= wanted
    queries = rng.normal(size=(10, DIM)).astype(np.float32)
    for where in (IN_IT, f"{IN_IT} AND id % 2 = 0"):
        exact = table.search(queries, 10, where=where, strategy="scan").to_numpy()[0]
        hits = table.search(queries, 10, where=where, strategy="partial", ef_search=60)
        keys = hits.to_numpy()[0]
        assert np.mean([np.isin(a, b).mean() for a, b in zip(exact, keys, strict=True)]) >= 0.97
        assert "partial" in hits.explain()


def test_a_partial_index_has_the_rows_that_match_through_all_that_happens_to_them(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = made(db, 600, rng)
        info = table.create_index("e", SPEC, name="p", where=WHERE)
        assert (info.kind, info.params["columns"]) == ("partial", '["color", "size"]')
        check(db, rng)
        table.add(rows(600, 200, rng))
        check(db, rng)
        table.update({"color": "red"}, where="id % 3 = 0")  # rows that come to match, and some that become NULL
        table.update({"size": None}, where="id % 7 = 0")
        check(db, rng)
        table.update({"size": 10}, where="id % 5 = 0")
        table.update({"color": "blue"}, where="id % 4 = 1")
        table.delete("id % 11 = 0")
        check(db, rng)
        table.update({"e": [0.5] * DIM}, where="id % 13 = 1")  # they get new slots
        table.upsert(rows(700, 200, rng))
        check(db, rng)
        db.sql("BEGIN; UPDATE t SET color = 'red'; ROLLBACK")
        check(db, rng)
        with db.transaction():
            table.update({"color": "red", "size": 1}, where="id < 100")
            text = table.search([0.0] * DIM, where=IN_IT).explain()
            assert "rejected  partial p: rows were changed in this transaction" in text
        check(db, rng)
        table.compact()
        check(db, rng)
    with vdb.connect(tmp_path / "d") as db:
        check(db, rng)
        db.table("t").update({"size": 49}, where="size >= 80")
        check(db, rng)
        next((tmp_path / "d" / "index").glob("*.idx")).unlink()
    with vdb.connect(tmp_path / "d", read_only=True) as db:
        check(db, rng)


@pytest.mark.parametrize(
    ("where", "params", "usable"),
    [
        (WHERE, None, True),
        ("color IN ('red') AND size BETWEEN 3 AND 20", None, True),
        ("color = $c AND size <= $s", {"c": "red", "s": 49}, True),
        ("color = $c AND size <= $s", {"c": "red", "s": 50}, False),
        ("NOT (size >= 50 OR color <> 'red')", None, True),
        ("size < 50", None, False),
        ("color = 'red'", None, False),
        ("color = 'red' AND (size < 50 OR size IS NULL)", None, False),
        (None, None, False),
    ],
)
def test_it_serves_the_searches_whose_rows_are_all_in_it(
    db: vdb.Database, rng: np.random.Generator, where: str | None, params: Any, usable: bool
) -> None:
    table = made(db, 400, rng)
    table.add({"id": [1000, 1001], "color": ["red"] * 2, "size": [50, None], "e": np.ones((2, DIM))})
    table.create_index("e", SPEC, name="p", where=WHERE)
    hits = table.search([0.0] * DIM, 5, where=where, params=params)
    assert hits.ids.tolist() == table.search([0.0] * DIM, 5, where=where, params=params, strategy="scan").ids.tolist()
    refused = re.search(r"rejected  partial p: not every row asked for is in it, WHERE ", hits.explain())
    assert (refused is None) == usable
    if usable:
        forced = table.search([0.0] * DIM, 5, where=where, params=params, strategy="partial")
        assert forced.ids.tolist() == hits.ids.tolist()
        return
    with pytest.raises(vdb.InvalidArgument, match=r"not every row asked for is in it, WHERE .*\n  Fix: .*where="):
        table.search([0.0] * DIM, 5, where=where, params=params, strategy="partial")


def test_one_of_nearly_all_rows_is_walked_by_itself_and_by_searches_of_all_once_they_are_in_it(
    db: vdb.Database, rng: np.random.Generator
) -> None:
    n = 12_000
    table = db.create_table("t", {"id": "INTEGER PRIMARY KEY", "gone": "DATE", "e": "FLOAT[64]"})
    table.add({"id": np.arange(n), "gone": ["2020-01-01"] * 20 + [None] * (n - 20)}, e=rng.normal(size=(n, 64)))
    table.create_index("e", SPEC, where="gone IS NULL")
    query = rng.normal(size=64)
    hits = table.search(query, ef_search=50, where="gone IS NULL")
    assert hits.plan.plan.method.strategy == "partial"
    assert table.search(query, ef_search=50).plan.plan.method.strategy == "scan"
    table.delete("gone IS NOT NULL")
    assert table.search(query, ef_search=50).plan.plan.method.strategy == "partial"
    report = table.measure_recall(10, 20, ef_search=300, strategy="partial")
    assert report.recall >= 0.9
    table.create_index("e", vdb.HNSW(metric="cosine", codes="none"), name="other", where="gone IS NULL")
    assert "rejected  partial other: metric is cosine" in table.search(query).explain()


def test_a_condition_follows_the_columns_it_reads(db: vdb.Database, rng: np.random.Generator) -> None:
    table = made(db, 100, rng)
    table.create_index("e", SPEC, name="p", where=WHERE)
    with pytest.raises(vdb.InvalidArgument, match=r"t\.size is in the condition of index p: WHERE .* Fix: "):
        db.sql("ALTER TABLE t RENAME COLUMN size TO width")
    db.sql("ALTER TABLE t RENAME TO u")
    assert table is not None
    state = db.store.state.table("u")
    members = db.indexes.members(state, state.indexes["p"])
    assert members is not None
    assert members.count == db.table("u").count(WHERE)
    db.sql("ALTER TABLE u DROP COLUMN size")
    assert db.table("u").list_indexes() == []


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        (vdb.ACORN(), WHERE, r"an index with WHERE is an HNSW.*got ACORN.*Fix"),
        (vdb.HNSW(codes="sq8"), WHERE, r"has no codes of its own, got codes='sq8'.*Fix: leave codes out"),
        (SPEC, "CAST(color AS INTEGER) = 3", r"may fail for a row.*Fix"),
        (SPEC, "color = ?", r"asks for 1 value"),
        (SPEC, "colour = 'red'", r"color"),
        (vdb.Attribute(), "colour = 'red'", r"color"),
    ],
)
def test_conditions_and_specs_that_make_no_partial_index_are_refused(
    db: vdb.Database, rng: np.random.Generator, spec: Any, where: str, message: str
) -> None:
    table = made(db, 10, rng)
    with pytest.raises(vdb.InvalidArgument, match=f"(?s){message}"):
        table.create_index("color" if isinstance(spec, vdb.Attribute) else "e", spec, where=where)
    assert table.list_indexes() == []
