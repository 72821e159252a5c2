from __future__ import annotations

import os
import sqlite3
import uuid
from typing import TYPE_CHECKING

import duckdb
import pytest

from vdb.errors import AlreadyExists, DiskFull, InvalidArgument, NotFound
from vdb.storage import files
from vdb.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_new_database_has_the_files_of_format_md(tmp_path: Path) -> None:
    Store.open(tmp_path / "db").close()
    names = {path.name for path in (tmp_path / "db").iterdir()}
    assert names == {
        *("LOCK", "FORMAT", "WITNESS", "RESERVE", "catalog.duckdb"),
        *("vectors", "index", "snapshots", "build", "quarantine"),
    }
    assert [path.name for path in tmp_path.iterdir()] == ["db"]
    assert (tmp_path / "db" / "RESERVE").stat().st_size == 1 << 20


def test_an_empty_directory_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    Store.open(tmp_path / "db").close()
    assert (tmp_path / "db" / "FORMAT").exists()


def test_a_text_and_a_link_name_the_database_too(tmp_path: Path) -> None:
    Store.open(str(tmp_path / "db")).close()
    (tmp_path / "link").symlink_to(tmp_path / "db")
    opened = Store.open(tmp_path / "link")
    assert opened.path == tmp_path / "db"
    opened.close()


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidArgument, match=r"not a vdb database: it holds notes.txt"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_is_named_for_what_it_is(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "a")).close()
    connection = sqlite3.connect(tmp_path / "b")
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    (tmp_path / "c").write_bytes(b"PAR1....")
    (tmp_path / "d").write_bytes(b"")
    os.mkfifo(tmp_path / "e")
    for name, words in [("a", "a DuckDB"), ("b", "an SQLite"), ("c", "a Parquet"), ("d", "is a file"), ("e", "not a")]:
        with pytest.raises(InvalidArgument, match=words):
            Store.open(tmp_path / name)


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"no directory .*none to create db in"):
        Store.open(tmp_path / "none" / "db")


@pytest.mark.parametrize("path", ["", "a\0b", b"bytes", 7])
def test_what_is_not_a_path_is_refused(path: object) -> None:
    with pytest.raises(InvalidArgument, match="must be a non-empty"):
        Store.open(path)  # type: ignore[arg-type]


def test_read_only_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no database at"):
        Store.open(tmp_path / "db", read_only=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound):
        Store.open(tmp_path / "empty", read_only=True)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_creation_that_fails_leaves_nothing(tmp_path: Path, fail_at: Callable[[str, BaseException], None]) -> None:
    fail_at("sync-directory", OSError(28, "No space left on device"))
    with pytest.raises(DiskFull):
        Store.open(tmp_path / "db")
    assert list(tmp_path.iterdir()) == []


def test_losing_the_race_to_create_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(step: str, path: str) -> None:
        if step == "rename":
            (tmp_path / "db").mkdir()
            (tmp_path / "db" / "FORMAT").touch()

    monkeypatch.setattr(files, "hook", hook)
    with pytest.raises(AlreadyExists, match="meanwhile"):
        Store.open(tmp_path / "db")
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


def test_what_a_killed_creation_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    leftover = tmp_path / f"db.tmp-{uuid.uuid4().hex}"
    other = tmp_path / "db.tmp-notes"
    for path in (leftover, other):
        path.mkdir()
        (path / "LOCK").touch()
    Store.open(tmp_path / "db").close()
    assert not leftover.exists()
    assert other.exists()
