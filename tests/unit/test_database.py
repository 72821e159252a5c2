"""connect, tables by name, close."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb.storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def test_database_lives_in_a_directory(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d") as db:
        assert db.path == tmp_path / "d"
        assert not db.read_only
        assert db.tables() == []
    assert (tmp_path / "d").is_dir()


def test_path_may_be_a_string(tmp_path: Path) -> None:
    vdb.connect(str(tmp_path / "d")).close()
    vdb.connect(str(tmp_path / "d"), threads=1, memory_limit="256MB").close()


def test_memory_database_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with vdb.connect(":memory:") as db:
        db.create_table("t", {"e": "FLOAT[2]"}).add(e=[[1, 2]])
        assert db.path is None
    assert list(tmp_path.iterdir()) == []


def test_tables_are_listed_and_found_by_name(db: vdb.Database) -> None:
    db.create_table("b", {"e": "FLOAT[2]"})
    db.create_table("a", {"e": "FLOAT[2]"})
    assert sorted(db.tables()) == ["a", "b"]
    assert db.table("a").name == "a"
    with pytest.raises(vdb.NotFound, match=r"no table 'bb'\. Tables: b, a\. Did you mean 'b'\?"):
        db.table("bb")


def test_dropped_table_is_gone_and_its_name_free(db: vdb.Database) -> None:
    table = db.create_table("t", {"e": "FLOAT[2]"})
    table.add(e=[[1, 2]])
    table.create_index()
    db.drop_table("t")
    assert db.tables() == []
    with pytest.raises(vdb.NotFound):
        len(table)
    again = db.create_table("t", {"e": "FLOAT[3]"})
    assert len(again) == 0
    assert again.list_indexes() == []
    again.add(e=[[1, 2, 3]])
    assert again.search([1, 2, 3]).distances.tolist() == [0]


def test_refused_data_leaves_no_table(db: vdb.Database) -> None:
    with pytest.raises(vdb.AlreadyExists, match="twice"):
        db.create_table("t", {"id": [1, 1]}, e=np.eye(2), key="id")
    assert db.tables() == []


def test_refused_data_leaves_no_table_in_a_transaction(db: vdb.Database) -> None:
    with db.transaction():
        with pytest.raises(vdb.AlreadyExists, match="twice"):
            db.create_table("t", {"id": [1, 1]}, e=np.eye(2), key="id")
        db.create_table("u", {"id": [1, 2]}, e=np.eye(2), key="id")
    assert db.tables() == ["u"]


def test_a_failure_to_save_indexes_keeps_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise RuntimeError("planned")

    db = vdb.connect(tmp_path / "d")
    monkeypatch.setattr(db.indexes, "save", failing)
    with pytest.raises(RuntimeError, match="planned"):
        db.close()
    vdb.connect(tmp_path / "d").close()


def test_everything_is_refused_after_close(tmp_path: Path) -> None:
    db = vdb.connect(tmp_path / "d")
    table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[2]"})
    table.add({"id": [1]}, e=[[1, 2]])
    hits = table.search([1, 2])
    db.close()
    db.close()
    calls = (
        db.tables,
        lambda: db.table("t"),
        lambda: db.create_table("u", {"e": "FLOAT[2]"}),
        lambda: db.drop_table("t"),
        lambda: db.transaction().__enter__(),
        lambda: db.has_commit(1),
        db.check,
        lambda: len(table),
        lambda: table.add({"id": [2]}, e=[[1, 2]]),
        lambda: table.upsert({"id": [2]}, e=[[1, 2]]),
        lambda: table.update({"e": None}, where="TRUE"),
        lambda: table.delete("TRUE"),
        lambda: table.get(1),
        lambda: table.count("TRUE"),
        lambda: table.search([1, 2]),
        lambda: table.search([1, 2], where="id = 1"),
        table.create_index,
        table.list_indexes,
        lambda: table.drop_index("x"),
        table.stats,
        hits.to_dicts,
    )
    for call in calls:
        with pytest.raises(vdb.InvalidState, match=r"closed[\s\S]*vdb\.connect"):
            call()
    assert hits.ids.tolist() == [1]
    assert repr(db) == f"<vdb.Database {tmp_path / 'd'}>"


def test_read_only_database_answers_and_refuses_every_write(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": [1, 2]}, e=[[1.0, 2.0], [3.0, 4.0]], key="id")
        table.create_index(name="h")
    before = {path: path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file()}
    with vdb.connect(tmp_path / "d", read_only=True) as db:
        table = db.table("t")
        assert db.read_only
        assert repr(db).endswith("(read-only)>")
        for strategy in ("scan", "graph", "post"):
            assert table.search([3, 4], 1, strategy=strategy, where="id > 1").to_dicts() == [{"id": 2, "_distance": 0}]
        for call in (
            lambda: db.create_table("u", {"e": "FLOAT[2]"}),
            lambda: db.drop_table("t"),
            lambda: db.transaction().__enter__(),
            lambda: table.add({"id": [3]}, e=[[1, 2]]),
            lambda: table.upsert({"id": [1]}, e=[[1, 2]]),
            lambda: table.update({"e": None}, where="TRUE"),
            lambda: table.delete("TRUE"),
            lambda: table.create_index(name="i"),
            lambda: table.drop_index("h"),
        ):
            with pytest.raises(vdb.InvalidState, match=r"read-only.*read_only=True"):
                call()
        assert len(table) == 2
    assert {path: path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file()} == before


def test_check_passes_on_a_sound_database(db: vdb.Database) -> None:
    db.create_table("t", {"id": np.arange(100)}, e=np.random.default_rng(0).normal(size=(100, 8)), key="id")
    db.check()


def test_has_commit_knows_the_last_commit_and_no_later_one(db: vdb.Database) -> None:
    db.create_table("t", {"e": "FLOAT[2]"}).add(e=[[1, 2]])
    seq = db.store.state.seq
    assert db.has_commit(seq)
    assert not db.has_commit(seq + 1)


def test_a_number_that_no_commit_has_is_not_there(db: vdb.Database) -> None:
    assert not any(db.has_commit(seq) for seq in (-1, 1 << 63, 1 << 200))


def test_failure_to_save_an_index_does_not_keep_the_database_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise vdb.DiskFull("no room")

    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": [1, 2]}, e=np.eye(2), key="id")
        table.create_index()
        table.add({"id": [3]}, e=[[5, 5]])
        monkeypatch.setattr(Store, "save_index", full)
        with caplog.at_level(logging.WARNING, "vdb"):
            db.close()
    assert "not saved: no room" in caplog.text
    with vdb.connect(tmp_path / "d") as db:
        assert db.table("t").search([5, 5], 1, strategy="graph").ids.tolist() == [3]


def test_threads_may_be_chosen(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d", threads=1) as db:
        table = db.create_table("t", {"id": np.arange(50)}, e=np.eye(50), key="id")
        table.create_index()
        assert table.search(np.eye(50), 1, strategy="graph").ids[:, 0].tolist() == list(range(50))
