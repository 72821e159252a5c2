from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from papers import MakeRows, contents

from vdb.errors import Corrupted, FormatVersionError, MetadataLost, NotFound
from vdb.storage import snapshot
from vdb.storage.layout import Format, Layout
from vdb.storage.recovery import Options
from vdb.storage.repair import repair
from vdb.storage.store import Store
from vdb.storage.vector_file import VectorFile
from vdb.storage.vector_header import DATA_OFFSET

if TYPE_CHECKING:
    from collections.abc import Callable


def vector_path(path: Path) -> Path:
    (found,) = (path / "vectors").iterdir()
    return found


def edit_catalog(path: Path, statement: str) -> None:
    connection = duckdb.connect(str(path / "catalog.duckdb"))
    connection.execute(statement)
    connection.close()


def tree(path: Path) -> dict[str, tuple[int, int]]:
    found = [entry for entry in path.rglob("*") if entry.is_file()]
    return {str(entry): (entry.stat().st_size, entry.stat().st_mtime_ns) for entry in found}


def killed(path: Path, tmp_path: Path, batch: MakeRows) -> Path:
    """A copy of a database taken while it is open, as a kill would leave it, with the rows 0 to 11."""
    store = Store.open(path)
    for key in (10, 11):
        with store.begin() as transaction:
            transaction.insert("papers", batch([key]))
    copy = tmp_path / "killed"
    shutil.copytree(path, copy)
    store.close()
    return copy


def test_everything_is_as_before_after_a_clean_close(path: Path) -> None:
    store = Store.open(path)
    rows, state = contents(store), store.state
    store.close()
    again = Store.open(path)
    assert contents(again) == rows
    assert again.state.seq == state.seq
    assert again.state.table("papers").schema == state.table("papers").schema
    assert again.uuid == store.uuid
    again.close()


def test_a_killed_database_opens_with_every_commit(path: Path, tmp_path: Path, batch: MakeRows) -> None:
    copy = killed(path, tmp_path, batch)
    store = Store.open(copy)
    assert sorted(contents(store)) == list(range(12))
    assert vector_path(copy).stat().st_size == DATA_OFFSET + 12 * 32
    store.check()
    store.close()


def test_a_read_only_open_of_a_killed_database_writes_nothing(path: Path, tmp_path: Path, batch: MakeRows) -> None:
    copy = killed(path, tmp_path, batch)
    before = tree(copy)
    store = Store.open(copy, read_only=True)
    assert sorted(contents(store)) == list(range(12))
    store.check()
    store.close()
    assert tree(copy) == before


def test_what_no_table_names_is_swept(path: Path) -> None:
    strays = [
        path / "vectors" / f"{uuid.uuid4().hex}.vec",
        path / "index" / f"{uuid.uuid4().hex}.idx",
        path / "index" / "x.tmp",
        path / "build" / "half.duckdb",
    ]
    for stray in strays:
        stray.write_bytes(b"x")
    (path / "build" / "folder").mkdir()
    Store.open(path, read_only=True).close()
    assert all(stray.exists() for stray in strays)
    Store.open(path).close()
    assert not any(stray.exists() for stray in strays)
    assert list((path / "build").iterdir()) == []
    assert vector_path(path).exists()


def test_nothing_is_swept_while_a_snapshot_is_published(path: Path) -> None:
    stray = path / "vectors" / f"{uuid.uuid4().hex}.vec"
    stray.write_bytes(b"x")
    (path / "snapshots" / "s-1-x").mkdir()
    Store.open(path).close()
    assert stray.exists()


@pytest.mark.parametrize("name", ["FORMAT", "catalog.duckdb", "vectors"])
def test_a_missing_part_is_named_and_nothing_is_changed(path: Path, name: str) -> None:
    lost = vector_path(path) if name == "vectors" else path / name
    lost.unlink()
    before = tree(path)
    with pytest.raises(Corrupted, match="is missing") as caught:
        Store.open(path)
    assert caught.value.path == str(lost)
    assert tree(path).keys() == before.keys()
    if name != "FORMAT":
        with pytest.raises(Corrupted):
            Store.open(path, read_only=True)


def test_a_missing_lock_is_made_again_by_a_writer_only(path: Path) -> None:
    (path / "LOCK").unlink()
    with pytest.raises(NotFound, match="not a complete vdb database"):
        Store.open(path, read_only=True)
    Store.open(path).close()
    assert (path / "LOCK").exists()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM papers WHERE id = 3", "9 rows, 10 were committed"),
        ("UPDATE papers SET _slot = 5 WHERE id = 3", "two rows in one slot"),
        ("UPDATE papers SET _slot = 500 WHERE id = 3", "has slot 500"),
        ("UPDATE papers SET _slot = NULL WHERE id = 3", "without slot"),
        ("UPDATE papers SET id = 5 WHERE id = 3", "two rows of one row id"),
        ("UPDATE vdb.segments SET slots = 9", "its file .* 9"),
        ("UPDATE vdb.segments SET bytes = 1", "10 slots"),
        ("DELETE FROM vdb.segments", "has files for"),
        ("DROP TABLE papers", "does not exist"),
        ("DROP TABLE vdb.commits", "does not exist"),
        ("UPDATE vdb.segments SET column_id = 0", "not a vector column"),
        ("UPDATE vdb.segments SET file = 'x'", "badly formed"),
    ],
)
def test_a_catalog_that_contradicts_itself_is_corrupted(path: Path, statement: str, words: str) -> None:
    edit_catalog(path, statement)
    size = vector_path(path).stat().st_size
    with pytest.raises(Corrupted, match=words):
        Store.open(path)
    assert vector_path(path).stat().st_size == size


@pytest.mark.parametrize(
    "change",
    [
        *("tables SET next_slot = NULL", "tables SET next_slot = -1", "tables SET next_slot = 1::BIGINT << 40"),
        *("tables SET name = NULL", "tables SET key = 'embedding'", "tables SET key = 'nowhere'", "tables SET id = -1"),
        *("tables SET generation = NULL", "tables SET next_row_id = NULL", "tables SET live_rows = NULL"),
        *("columns SET name = NULL", "columns SET id = 0", "columns SET name = 'id'", "columns SET nullable = NULL"),
        *("columns SET dim = 0", "columns SET dim = 1::INTEGER << 30", "columns SET type = NULL"),
        *("columns SET metric = 'l3' WHERE dim > 0", "columns SET dtype = NULL WHERE dim > 0"),
        *("segments SET file = NULL", "segments SET file = '{' || file || '}'", "segments SET open_crc = NULL"),
        *("segments SET slots = 1::BIGINT << 62", "segments SET bytes = -1", "segments SET column_id = -1"),
        "commits SET seq = NULL",
    ],
)
def test_no_value_in_the_catalog_is_trusted(path: Path, change: str) -> None:
    edit_catalog(path, f"UPDATE vdb.{change}")
    for read_only in (False, True):
        with pytest.raises(Corrupted, match="does not fit its database"):
            Store.open(path, read_only)
    with pytest.raises(Corrupted, match="does not fit its database"):
        repair(path, apply=True)


@pytest.mark.parametrize("crcs", ["NULL", "'x'::BLOB"])
def test_checksums_in_the_catalog_are_not_trusted(path: Path, crcs: str) -> None:
    edit_catalog(path, f"INSERT INTO vdb.blocks SELECT file, 0, {crcs} FROM vdb.segments")
    store = Store.open(path)
    with pytest.raises(Corrupted, match="checksums"):
        store.check()
    store.close()


def test_damaged_duckdb_bytes_are_corrupted(path: Path) -> None:
    with (path / "catalog.duckdb").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(8192))
    with pytest.raises(Corrupted, match="DuckDB refused") as caught:
        Store.open(path)
    assert caught.value.section == "catalog"


def test_an_older_catalog_than_the_witness_is_metadata_lost(path: Path, tmp_path: Path, batch: MakeRows) -> None:
    shutil.copy(path / "catalog.duckdb", tmp_path / "old")
    store = Store.open(path)
    for key in (10, 11):
        with store.begin() as transaction:
            transaction.insert("papers", batch([key]))
    store.close()
    shutil.copy(tmp_path / "old", path / "catalog.duckdb")
    before = tree(path / "vectors")
    with pytest.raises(MetadataLost, match=r"ends with commit 1; .*WITNESS proves commit 3"):
        Store.open(path)
    assert tree(path / "vectors") == before
    reader = Store.open(path, read_only=True)
    assert sorted(contents(reader)) == list(range(10))
    reader.close()


def test_a_vector_file_is_a_witness_too(path: Path, tmp_path: Path, batch: MakeRows) -> None:
    for name in ("catalog.duckdb", "WITNESS"):
        shutil.copy(path / name, tmp_path / name)
    store = Store.open(path)
    for key in (10, 11):
        with store.begin() as transaction:
            transaction.insert("papers", batch([key]))
    store.close()
    for name in ("catalog.duckdb", "WITNESS"):
        shutil.copy(tmp_path / name, path / name)
    with pytest.raises(MetadataLost, match=r"\.vec proves commit 2"):
        Store.open(path)


def test_rows_the_catalog_committed_without_are_kept_in_quarantine(path: Path) -> None:
    """The tail that the newest witness claims for a listed commit must not be cut."""
    edit_catalog(path, "DELETE FROM papers")
    edit_catalog(path, "UPDATE vdb.tables SET next_slot = 0, live_rows = 0")
    edit_catalog(path, "UPDATE vdb.segments SET slots = 0, bytes = 0, open_crc = 0")
    size = vector_path(path).stat().st_size
    with pytest.raises(Corrupted, match="holds rows of commit 1"):
        Store.open(path)
    assert vector_path(path).stat().st_size == size
    (saved,) = (path / "quarantine").iterdir()
    assert saved.read_bytes() == vector_path(path).read_bytes()[DATA_OFFSET:]


def test_the_tail_of_an_unfinished_commit_is_cut(path: Path, batch: MakeRows) -> None:
    store = Store.open(path)
    source = store.state.table("papers").vectors["embedding"].source
    assert isinstance(source, VectorFile)
    source.append(batch([77]).vectors["embedding"].values)
    source.seal(99, store.state.seq)
    source.roll_back()
    store.close()
    with vector_path(path).open("ab") as file:
        file.write(b"garbage")
    again = Store.open(path)
    assert vector_path(path).stat().st_size == DATA_OFFSET + 10 * 32
    with again.begin() as transaction:
        transaction.insert("papers", batch([50]))
    assert again.state.seq == 100
    again.close()


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize(("major", "minor", "readable"), [(2, 0, False), (1, 1, True)])
def test_a_newer_format_is_told(path: Path, major: int, minor: int, readable: bool, published: bool) -> None:
    if published:
        store = Store.open(path)
        store.publish()
        store.close()
    layout = Layout(path)
    found = Format.decode(layout.format.read_bytes(), layout.format)
    layout.format.write_bytes(Format(found.database, found.duckdb, major, minor).encode())
    with pytest.raises(FormatVersionError):
        Store.open(path)
    if readable:
        Store.open(path, read_only=True).close()
    else:
        with pytest.raises(FormatVersionError):
            Store.open(path, read_only=True)


def test_a_snapshot_of_another_database_is_not_opened(path: Path) -> None:
    store = Store.open(path)
    store.publish()
    layout = Layout(path)
    layout.format.write_bytes(Format(uuid.uuid4(), "2.0.0").encode())
    with pytest.raises(Corrupted, match="it is of database"):
        snapshot.open_current(layout, Options(read_only=True))
    store.close()


def test_a_file_of_another_database_is_refused(path: Path, tmp_path: Path) -> None:
    layout = Layout(path)
    layout.format.write_bytes(Format(uuid.uuid4(), "2.0.0").encode())
    with pytest.raises(Corrupted, match="other vectors"):
        Store.open(path)


def test_check_finds_a_bit_that_open_does_not_read(path: Path, batch: MakeRows) -> None:
    store = Store.open(path)
    with store.begin() as transaction:
        transaction.insert("papers", batch(range(100, 9000)))
    store.close()
    with vector_path(path).open("r+b") as file:
        file.seek(DATA_OFFSET + 100_000)
        file.write(b"\x55")
    again = Store.open(path)
    with pytest.raises(Corrupted, match="damaged at byte") as caught:
        again.check()
    assert caught.value.offset == DATA_OFFSET + 65_536
    again.close()


def test_a_failed_open_holds_nothing(path: Path, fail_at: Callable[[str, BaseException], None]) -> None:
    with (path / "vectors" / vector_path(path).name).open("ab") as file:
        file.write(b"tail")
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vdb.storage.files.hook", _raise_at_truncate)
        with pytest.raises(Exception, match="planned"):
            Store.open(path)
    assert len(list(Path("/proc/self/fd").iterdir())) <= open_files
    Store.open(path).close()


def _raise_at_truncate(step: str, _path: str) -> None:
    if step == "truncate":
        raise RuntimeError("planned")
