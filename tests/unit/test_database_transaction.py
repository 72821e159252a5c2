"""Database.transaction: all or nothing, reads of its own writes, nothing left of a rollback."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb

if TYPE_CHECKING:
    from pathlib import Path


class Stop(Exception):
    """Leaves a transaction."""


@pytest.fixture
def table(db: vdb.Database) -> vdb.Table:
    """Rows 0 to 9 at (id, id), with an index."""
    made = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "lang": "VARCHAR", "e": "FLOAT[2]"})
    made.add({"id": np.arange(10), "lang": ["en"] * 10}, e=np.repeat(np.arange(10.0)[:, None], 2, axis=1))
    made.create_index(name="h")
    return made


def ids(table: vdb.Table, where: str | None = None) -> list[int]:
    """Every row by every strategy, nearest to the origin first."""
    answers = [table.search([0, 0], 100, where=where, strategy=s).ids.tolist() for s in ("scan", "graph", "post")]
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


def test_writes_of_a_transaction_are_one_commit(db: vdb.Database, table: vdb.Table, tmp_path: Path) -> None:
    seq = db.store.state.seq
    with db.transaction() as same:
        assert same is db
        table.delete("id < 8")
        table.add({"id": [20]}, e=[[20, 20]])
        table.update({"lang": "de"}, where="id = 9")
        other = db.create_table("u", {"e": "FLOAT[1]"})
        other.add(e=[[1.0]])
    assert db.has_commit(seq + 1)
    assert not db.has_commit(seq + 2)
    db.close()
    with vdb.connect(tmp_path / "test.vdb") as again:
        assert ids(again.table("t")) == [8, 9, 20]
        assert ids(again.table("t"), "lang = 'de'") == [9]
        assert len(again.table("u")) == 1


def test_reads_inside_see_the_writes_before_them(db: vdb.Database, table: vdb.Table) -> None:
    with db.transaction():
        table.add({"id": [30], "lang": ["fr"]}, e=[[0.5, 0.5]])
        assert ids(table)[:2] == [0, 30]
        table.update({"e": [0.1, 0.1]}, where="id = 9")
        assert ids(table)[:3] == [0, 9, 30]
        table.delete(ids=[0])
        assert ids(table)[:3] == [9, 30, 1]
        assert ids(table, "lang = 'fr'") == [30]
        assert table.get(30) == {"id": 30, "lang": "fr"}
        assert len(table) == table.count() == 10
        assert table.search([0, 0], 2).to_dicts()[1]["lang"] == "fr"
        table.upsert({"id": [30], "lang": ["xx"]})
        assert table.count("lang = 'xx'") == 1
    assert ids(table)[:3] == [9, 30, 1]


def test_other_threads_see_nothing_before_the_commit(db: vdb.Database, table: vdb.Table) -> None:
    seen = []

    def look() -> None:
        seen.append((len(table), ids(table, "id >= 9"), table.get([9, 30]).ids.tolist()))

    def in_thread() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    with db.transaction():
        table.add({"id": [30]}, e=[[0.5, 0.5]])
        table.delete(ids=[9])
        in_thread()
    in_thread()
    assert seen == [(10, [9], [9]), (10, [30], [30])]


def test_exception_rolls_everything_back(db: vdb.Database, table: vdb.Table, tmp_path: Path) -> None:
    before = ids(table)
    with pytest.raises(Stop), db.transaction():  # noqa: PT012
        table.delete("id > 3")
        table.add({"id": [40]}, e=[[4, 4]])
        table.update({"lang": "de", "e": [7, 7]}, where="id = 1")
        db.create_table("u", {"e": "FLOAT[1]"})
        table.drop_index("h")
        assert len(table) == 5
        raise Stop
    assert ids(table) == before
    assert table.count("lang = 'en'") == 10
    assert db.tables() == ["t"]
    assert [info.name for info in table.list_indexes()] == ["h"]
    db.close()
    with vdb.connect(tmp_path / "test.vdb") as again:
        assert ids(again.table("t")) == before


def test_drop_of_a_table_is_rolled_back_with_its_index(db: vdb.Database, table: vdb.Table) -> None:
    before = ids(table)
    with pytest.raises(Stop), db.transaction():  # noqa: PT012
        db.drop_table("t")
        assert db.tables() == []
        raise Stop
    assert ids(table) == before


def test_refused_call_inside_can_be_survived(db: vdb.Database, table: vdb.Table) -> None:
    with db.transaction():
        table.add({"id": [50]}, e=[[50, 50]])
        with pytest.raises(vdb.AlreadyExists):
            table.add({"id": [51, 50]}, e=[[50, 50]] * 2)
        with pytest.raises(vdb.DimensionMismatch):
            table.search([1, 2, 3])
        with pytest.raises(vdb.PredicateError):
            table.count("nope = 1")
        table.add({"id": [51]}, e=[[51, 51]])
    assert ids(table)[-2:] == [50, 51]


def test_predicate_that_fails_on_a_row_ends_the_transaction_with_one_clear_error(
    db: vdb.Database, table: vdb.Table
) -> None:
    before = ids(table)
    with pytest.raises(vdb.InvalidState, match="rolled back"), db.transaction():  # noqa: PT012
        table.add({"id": [50]}, e=[[50, 50]])
        with pytest.raises(vdb.PredicateError, match="'en'"):
            table.count("CAST(lang AS INTEGER) = 1")
        with pytest.raises(vdb.InvalidState, match="roll it back"):
            table.add({"id": [51]}, e=[[50, 50]])
        with pytest.raises(vdb.InvalidState, match="roll it back"):
            table.count("id = 3")
    assert ids(table) == before


def test_transactions_do_not_nest(db: vdb.Database, table: vdb.Table) -> None:
    with db.transaction():
        table.add({"id": [50]}, e=[[50, 50]])
        with pytest.raises(vdb.InvalidState, match="do not nest"):
            db.transaction().__enter__()
    assert len(table) == 11


def test_close_inside_is_refused_and_the_transaction_goes_on(db: vdb.Database, table: vdb.Table) -> None:
    with db.transaction():
        table.add({"id": [50]}, e=[[50, 50]])
        with pytest.raises(vdb.InvalidState, match="commit it or roll it back"):
            db.close()
    assert len(table) == 11


def test_empty_transaction_commits_nothing(db: vdb.Database, table: vdb.Table) -> None:
    seq = db.store.state.seq
    with db.transaction():
        ids(table)
    assert db.store.state.seq == seq


def test_hits_found_in_a_transaction_can_be_read_after_its_commit(db: vdb.Database, table: vdb.Table) -> None:
    with db.transaction():
        table.add({"id": [60], "lang": ["new"]}, e=[[60, 60]])
        hits = table.search([60, 60], 2, select=["id", "lang", "e"])
    assert hits.ids.tolist() == [60, 9]
    assert [row["lang"] for row in hits] == ["new", "en"]


@pytest.mark.parametrize("later", [60, 70])
def test_hits_of_a_rolled_back_transaction_never_show_the_rows_that_follow(
    db: vdb.Database, table: vdb.Table, later: int
) -> None:
    found = []
    with pytest.raises(Stop), db.transaction():  # noqa: PT012
        table.add({"id": [60], "lang": ["gone"]}, e=[[60, 60]])
        found.append(table.search([60, 60], 1, select=["e"]))
        found.append(table.search([[60, 60]], 1)[0])
        found.append(table.get([60]))
        assert [hits.ids.tolist() for hits in found] == [[60]] * 3
        found.append(table.search([60, 60], 1))
        raise Stop
    table.add({"id": [later], "lang": ["new"]}, e=[[-60, -60]])
    for stale in found:
        with pytest.raises(vdb.InvalidState, match=r"rolled back.*search again"):
            stale.to_dicts()
    with pytest.raises(vdb.InvalidState, match=r"rolled back.*search again"):
        _ = found[-1].ids


def test_hits_read_after_a_change_of_their_rows_are_refused(table: vdb.Table) -> None:
    hits, untouched, moved = table.search([0, 0], 3), table.search([9, 9], 1), table.search([3, 3], 1)
    table.delete(ids=[1])
    table.update({"e": [50, 50]}, where="id = 3")
    for stale, row in ((hits, 1), (moved, 3)):
        with pytest.raises(vdb.InvalidState, match=rf"Row {row} of table t was deleted or replaced[\s\S]*search again"):
            stale.to_dicts()
        with pytest.raises(vdb.InvalidState):
            stale.to_pandas()
    assert hits.ids.tolist() == [0, 1, 2]
    assert untouched.to_dicts()[0]["id"] == 9


def test_hits_of_a_dropped_table_are_refused_even_if_its_name_is_taken(db: vdb.Database, table: vdb.Table) -> None:
    hits = table.search([0, 0], 1)
    db.drop_table("t")
    db.create_table("t", {"id": [0], "lang": ["xx"]}, e=[[0.0, 0.0]], key="id")
    with pytest.raises(vdb.InvalidState, match=r"dropped[\s\S]*search again"):
        hits.to_dicts()


@pytest.mark.parametrize("closes", [False, True])
def test_an_error_in_a_with_block_passes_a_transaction_that_sql_left_open(tmp_path: Path, closes: bool) -> None:
    def leave(db: vdb.Database) -> None:
        with db:
            db.sql("CREATE TABLE t (e FLOAT[2]); BEGIN; INSERT INTO t VALUES ([1, 2])")
            if closes:
                with pytest.raises(vdb.InvalidState, match="commit it or roll it back"):
                    db.close()
            raise Stop

    with pytest.raises(Stop):
        leave(vdb.connect(tmp_path / "d"))
    with vdb.connect(tmp_path / "d") as again:
        assert len(again.table("t")) == 0


def test_a_with_block_that_leaves_a_transaction_open_says_that_it_was_rolled_back(tmp_path: Path) -> None:
    with pytest.raises(vdb.InvalidState, match=r"rolled back[\s\S]*Fix: COMMIT"), vdb.connect(tmp_path / "d") as db:
        db.sql("CREATE TABLE t (e FLOAT[2]); BEGIN; INSERT INTO t VALUES ([1, 2])")
    with vdb.connect(tmp_path / "d") as again:
        assert len(again.table("t")) == 0
