"""Catalogs as a loss of power leaves them: what DuckDB refuses is mended where nothing committed is lost by it."""

from __future__ import annotations

import shutil
import struct
from typing import TYPE_CHECKING

import pytest
from papers import MakeRows, contents

from vdb import _core
from vdb.errors import Corrupted, MetadataLost, VdbError
from vdb.storage import undo
from vdb.storage.files import File
from vdb.storage.layout import Format, Layout
from vdb.storage.repair import repair
from vdb.storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 12_288  # where DuckDB's block 0 begins


@pytest.fixture
def killed(path: Path, tmp_path: Path, batch: MakeRows) -> Path:
    """A copy of a database with the rows 0 to 11 as a kill leaves it, the last two in the log."""
    store = Store.open(path)
    for key in (10, 11):
        with store.begin() as transaction:
            transaction.insert("papers", batch([key]))
    copy = tmp_path / "killed"
    shutil.copytree(path, copy)
    store.close()
    return copy


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_entries_no_commit_flushed_are_cut_and_kept(killed: Path) -> None:
    """What a log looks like after its end has reached the disk without what is before."""
    log = killed / "catalog.duckdb.wal"
    entry = bytes(range(100))
    append(log, len(entry).to_bytes(8, "little") + (1).to_bytes(8, "little") + entry)
    store = Store.open(killed)
    assert sorted(contents(store)) == list(range(12))
    (said,) = store.recovery.mended
    assert "were cut off" in said
    (saved,) = (killed / "quarantine").iterdir()
    assert str(saved) in said
    assert saved.read_bytes().endswith(entry)
    store.close()


def test_a_log_damaged_in_a_witnessed_commit_is_not_cut(killed: Path) -> None:
    log = killed / "catalog.duckdb.wal"
    size = log.stat().st_size
    overwrite(log, size // 2, b"\xff\x00\xff\x00")
    before = log.read_bytes()
    with pytest.raises(VdbError) as caught:
        Store.open(killed)
    assert isinstance(caught.value, (Corrupted, MetadataLost))
    assert log.read_bytes() == before
    assert list((killed / "build").iterdir()) == []


@pytest.mark.parametrize("at", [4096, 8192, BLOCK + 40_000])
def test_what_an_unfinished_checkpoint_wrote_over_is_put_back(killed: Path, at: int) -> None:
    layout = Layout(killed)
    database = Format.decode(layout.format.read_bytes(), layout.format).database
    catalog = File(layout.catalog, "read")
    undo.save(layout, database, catalog, [(0, 262_144)])
    catalog.close()
    overwrite(layout.catalog, at, bytes(range(1, 201)))
    damaged = layout.catalog.read_bytes()
    if at < BLOCK:
        with pytest.raises(Corrupted, match="DuckDB refused"):
            Store.open(killed, read_only=True)
        assert layout.catalog.read_bytes() == damaged
    store = Store.open(killed)
    assert sorted(contents(store)) == list(range(12))
    assert "was put back" in store.recovery.mended[0]
    assert not layout.undo.exists()
    store.close()


@pytest.mark.parametrize("damage", ["missing", "torn", "foreign"])
def test_without_a_whole_undo_a_damaged_block_is_an_error(killed: Path, damage: str) -> None:
    layout = Layout(killed)
    if damage != "missing":
        layout.undo.write_bytes(b"VDBUND\r\n" + bytes(40))
    overwrite(layout.catalog, BLOCK + 40_000, b"torn")
    with pytest.raises(Corrupted, match="DuckDB refused"):
        Store.open(killed)


@pytest.mark.parametrize("offset", [1 << 40, (1 << 63) + 5])
def test_an_undo_that_reaches_beyond_the_catalog_is_not_followed(killed: Path, offset: int) -> None:
    layout = Layout(killed)
    body = b"VDBUND\r\n" + Format.decode(layout.format.read_bytes(), layout.format).database.bytes
    body += struct.pack("<IQI", 1, offset, 3) + b"abc"
    layout.undo.write_bytes(body + struct.pack("<I", _core.crc32c(body)))
    overwrite(layout.catalog, 4096, bytes(range(1, 201)))
    with pytest.raises(Corrupted, match="DuckDB refused"):
        Store.open(killed)
    with pytest.raises(Corrupted, match="DuckDB refused"):
        repair(killed)


def test_a_checkpoint_leaves_no_undo_behind(path: Path) -> None:
    assert not (path / "UNDO").exists()
    store = Store.open(path)
    assert store.recovery.was_clean
    assert store.recovery.seq == store.state.seq
    store.close()


def test_the_report_counts_what_was_replayed_cut_and_swept(killed: Path) -> None:
    (killed / "index" / "0.tmp").write_bytes(b"x")
    (killed / "vectors" / "stray.vec").write_bytes(b"x")
    store = Store.open(killed)
    report = store.recovery
    assert not report.was_clean
    assert report.seq == store.state.seq == 3
    assert report.log_bytes > 0
    assert report.cut_bytes > 1 << 19
    assert report.swept_files == 2
    assert report.mended == ()
    store.close()
