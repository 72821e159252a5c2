"""Table.update, upsert and delete, and what a search sees of them, with and without an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = {"id": "BIGINT PRIMARY KEY", "lang": "VARCHAR", "n": "INTEGER", "e": "FLOAT[2]"}
STRATEGIES = ("scan", "graph", "post")


@pytest.fixture
def table(db: vdb.Database) -> Iterator[vdb.Table]:
    """Rows 0 to 19 at (id, 0), with an index."""
    made = db.create_table("t", SCHEMA)
    made.add({"id": np.arange(20), "lang": ["en", "de"] * 10, "n": np.arange(20)}, e=at(range(20)))
    made.create_index()
    return made


def at(places: object) -> np.ndarray:
    x = np.asarray(list(places), np.float32)  # type: ignore[call-overload]
    return np.stack([x, np.zeros_like(x)], axis=1)


def found(table: vdb.Table, query: float, k: int, where: str | None = None) -> list[int]:
    """The ids every strategy agrees on."""
    answers = [table.search([query, 0], k, where=where, strategy=s).ids.tolist() for s in STRATEGIES]
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


def test_update_of_an_attribute_moves_rows_between_predicates(table: vdb.Table) -> None:
    assert table.update({"lang": "fr", "n": None}, where="id < ?", params=[3]) == 3
    assert found(table, 0, 5, "lang = 'fr'") == [0, 1, 2]
    assert found(table, 0, 2, "lang = 'en'") == [4, 6]
    assert table.count("n IS NULL") == 3


def test_update_of_a_vector_keeps_the_id_and_the_other_columns(table: vdb.Table) -> None:
    assert table.update({"e": [100, 0]}, where="id = 4") == 1
    assert found(table, 100, 1) == [4]
    assert 4 not in found(table, 4, 19)
    assert table.get(4) == {"id": 4, "lang": "en", "n": 4}
    assert len(table) == 20


def test_update_to_no_vector_takes_the_row_out_of_searches(table: vdb.Table) -> None:
    table.update({"e": None, "n": 99}, where="id IN (0, 1)")
    assert found(table, 0, 2) == [2, 3]
    assert table.count("e IS NULL AND n = 99") == 2
    table.update({"e": [0.25, 0]}, where="id = 1")
    assert found(table, 0, 2) == [1, 2]


def test_update_keeps_the_other_vector_columns(db: vdb.Database) -> None:
    table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "a": "FLOAT[2]", "b": "FLOAT[2]"})
    table.add({"id": [1, 2, 3]}, a=at([1, 2, 3]), b=[[7, 7], None, [9, 9]])
    table.update({"a": [50, 0]}, where="id <= 2")
    assert table.search([7, 7], column="b").ids.tolist() == [1, 3]
    assert table.search([50, 0], column="a").ids.tolist() == [1, 2, 3]


def test_update_keeps_the_row_id_of_a_table_without_key(db: vdb.Database) -> None:
    table = db.create_table("t", {"n": "INTEGER", "e": "FLOAT[2]"})
    table.add({"n": [1, 2, 3]}, e=at([1, 2, 3]))
    table.update({"e": [9, 0]}, where="n = 2")
    assert table.search([9, 0], 1).ids.tolist() == [1]
    assert table.get(1)["n"] == 2


def test_upsert_replaces_and_adds_in_one_batch(table: vdb.Table) -> None:
    assert table.upsert({"id": [3, 50], "lang": ["xx", "yy"]}, e=at([60, 61])) == 2
    assert len(table) == 21
    assert found(table, 60.4, 2) == [3, 50]
    assert found(table, 3, 1) == [2]
    assert table.get(3) == {"id": 3, "lang": "xx", "n": 3}
    assert table.get(50) == {"id": 50, "lang": "yy", "n": None}


def test_upsert_without_a_vector_keeps_the_one_there(table: vdb.Table) -> None:
    table.upsert([{"id": 5, "lang": "zz"}])
    assert found(table, 5, 1, "lang = 'zz'") == [5]


def test_upsert_of_everything_again_changes_nothing(table: vdb.Table) -> None:
    for _ in range(3):
        table.upsert({"id": np.arange(20), "lang": ["en", "de"] * 10, "n": np.arange(20)}, e=at(range(20)))
    assert len(table) == 20
    assert table.stats()["dead_slots"] == 60
    assert found(table, 0, 20) == list(range(20))


def test_upsert_by_a_text_key_keeps_the_row_id(db: vdb.Database) -> None:
    table = db.create_table("t", {"name": "VARCHAR PRIMARY KEY", "e": "FLOAT[2]"})
    table.add({"name": ["a", "b"]}, e=at([1, 2]))
    table.upsert({"name": ["c", "a"]}, e=at([3, 4]), on="name")
    hits = table.search([0, 0], 3)
    assert hits.ids.tolist() == ["b", "c", "a"]
    assert hits.row_ids[2] == 0


def test_deleted_row_is_never_returned(table: vdb.Table) -> None:
    assert table.delete("lang = ?", ["en"]) == 10
    assert found(table, 0, 20) == list(range(1, 20, 2))
    assert table.delete(ids=[1, 1, 3, 1000]) == 2
    assert found(table, 0, 2) == [5, 7]
    assert table.delete("TRUE") == 8
    assert found(table, 0, 5) == []
    assert table.delete("TRUE") == 0


@pytest.mark.parametrize(
    "ids", [7, np.int64(7), [7], (7,), {7}, np.array([7], np.uint8), range(7, 8), iter([7]), {7: 0}.keys()]
)
def test_ids_to_delete_come_in_any_collection(table: vdb.Table, ids: object) -> None:
    assert table.delete(ids=ids) == 1
    assert found(table, 7, 1) == [6]


def test_no_ids_delete_nothing(table: vdb.Table) -> None:
    assert table.delete(ids=[]) == 0
    assert len(table) == 20


def test_deleted_key_can_be_added_again(table: vdb.Table) -> None:
    table.delete(ids=3)
    table.add({"id": [3]}, e=at([70]))
    assert found(table, 70, 1) == [3]
    assert len(table) == 20


def test_changes_survive_a_reopen(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", SCHEMA)
        table.add({"id": np.arange(20), "n": np.arange(20)}, e=at(range(20)))
        table.create_index()
        table.delete("n % 2 = 0")
        table.update({"e": [-5, 0]}, where="n = 9")
        table.upsert({"id": [1, 40], "n": [100, 101]}, e=at([-6, -7]))
    for _ in range(2):
        with vdb.connect(tmp_path / "d") as db:
            table = db.table("t")
            assert len(table) == 11
            assert found(table, -8, 4) == [40, 1, 9, 3]
            assert found(table, -8, 4, "n < 100") == [9, 3, 5, 7]


def test_delete_without_where_demands_true(table: vdb.Table) -> None:
    with pytest.raises(vdb.InvalidArgument, match='where="TRUE"'):
        table.delete()
    with pytest.raises(vdb.InvalidArgument, match='where="TRUE"'):
        table.update({"n": 1})
    assert table.count("n = 1") == 1
