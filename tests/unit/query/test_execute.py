"""The executor: what a search touches, counts and refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb.query.request import SearchOptions, make_request
from vdb.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 3000


@pytest.fixture(scope="module")
def db() -> Iterator[vdb.Database]:
    with vdb.connect(":memory:") as made:
        x = np.random.default_rng(0).normal(size=(ROWS, 8)).astype(np.float32)
        table = made.create_table("t", {"id": np.arange(ROWS), "n": np.arange(ROWS) % 100}, e=x, key="id")
        table.create_index("e", vdb.HNSW(M=8, ef_construction=60), name="h")
        yield made


def counted(text: str, what: str) -> int:
    return int(text.partition(what)[2].split()[0].replace(",", ""))


def test_search_for_ids_and_distances_never_asks_duckdb(db: vdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("DuckDB was asked")

    monkeypatch.setattr(Store, "read", refuse)
    monkeypatch.setattr(Store, "matching", refuse)
    for strategy in ("auto", "scan", "graph", "post"):
        hits = db.table("t").search(np.ones(8), 5, strategy=strategy)
        assert len(hits.ids) == len(hits.distances) == len(hits) == 5
        assert hits.to_numpy()[0].tolist() == hits.row_ids.tolist()


def test_scan_counts_one_distance_per_matching_row(db: vdb.Database) -> None:
    table = db.table("t")
    assert counted(table.search(np.ones(8), 5, strategy="scan").explain(), "distances") == ROWS
    assert counted(table.search(np.ones(8), 5, strategy="scan", where="n = 3").explain(), "distances") == 30
    assert counted(table.search(np.ones((4, 8)), 5, strategy="scan", where="n = 3").explain(), "distances") == 120


def test_walk_counts_fewer_distances_than_the_scan(db: vdb.Database) -> None:
    text = db.table("t").search(np.ones(8), 5, strategy="graph", ef_search=20).explain()
    assert 20 < counted(text, "distances") < ROWS // 3
    assert counted(text, "hops") > 0


def test_auto_scans_where_few_rows_match_and_is_exact(db: vdb.Database) -> None:
    hits = db.table("t").search(np.ones(8), 5, where="n = 3")
    assert "strategy  scan" in hits.explain()
    assert hits.ids.tolist() == db.table("t").search(np.ones(8), 5, where="n = 3", strategy="scan").ids.tolist()


@pytest.mark.parametrize("strategy", ["graph", "post"])
@pytest.mark.parametrize("where", ["n = 3", "id = 17", "id IN (5, 2999)", "n < 50"])
def test_walk_returns_all_it_must_under_any_predicate(db: vdb.Database, strategy: str, where: str) -> None:
    table = db.table("t")
    for k in (1, 2, 40):
        hits = table.search(np.ones(8), k, where=where, strategy=strategy)
        assert len(hits) == min(k, table.count(where))
        assert table.count(f"({where}) AND id IN ?", [hits.ids.tolist()]) == len(hits)


def test_explanation_has_the_predicate_time_only_where_there_is_one(db: vdb.Database) -> None:
    assert "predicate" not in db.table("t").search(np.ones(8)).explain()
    text = db.table("t").search(np.ones(8), where="n > 5").explain()
    assert "predicate (n > 5)   by " in text
    for stage in ("parse ", "predicate ", "plan ", "search "):
        assert stage in text.splitlines()[-1]
    assert "returned  10 of 10" in db.table("t").search(np.ones(8), where="n > 5").explain()
    assert "returned  60 of 60" in db.table("t").search(np.ones((2, 8)), 50, where="n = 3").explain()


def test_state_that_was_replaced_during_the_search_is_refused() -> None:
    with vdb.connect(":memory:") as db:
        db.create_table("t", {"id": [1]}, e=np.eye(1, 3), key="id")
        old = db.store.state.table("t")
        request = make_request(old.schema, np.ones(3), 1, SearchOptions(where="id = 1"))
        db.drop_table("t")
        db.create_table("t", {"id": [1]}, e=np.eye(1, 4), key="id")
        with pytest.raises(vdb.InvalidState, match="replaced during the search"):
            db.executor.search(old, request)


def test_search_over_an_older_state_sees_that_state() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(50)}, e=np.arange(50.0)[:, None], key="id")
        table.create_index("e", vdb.HNSW(M=4))
        old = db.store.state.table("t")
        table.add({"id": np.arange(50, 90)}, e=np.zeros((40, 1)))
        for strategy in ("scan", "graph", "post"):
            request = make_request(old.schema, [0], 100, SearchOptions(strategy=strategy))
            assert db.executor.search(old, request).row_ids.tolist() == list(range(50))


@pytest.mark.parametrize("strategy", ["graph", "post"])
def test_rows_the_graph_does_not_cover_yet_are_found(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(50)}, e=np.arange(50.0)[:, None], key="id")
        table.create_index("e", vdb.HNSW(M=4))
        monkeypatch.setattr(db.indexes, "follow", lambda *_: None)
        table.add({"id": np.arange(50, 60)}, e=np.arange(10)[:, None] + 0.5)
        table.delete("id = 51")
        assert table.list_indexes()[0].covered == 50
        hits = table.search([0], 6, strategy=strategy)
        assert hits.ids.tolist() == [0, 50, 1, 2, 52, 3]
        assert table.search([0], 3, strategy=strategy, where="id >= 49").ids.tolist() == [50, 52, 53]
        assert len(table.search([[0]] * 3, 100, strategy=strategy)[2]) == 59
