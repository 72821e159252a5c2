"""A check reads all there is: attributes, the database beside its snapshot, what witnesses prove."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

import vdb
from vdb.cli import main
from vdb.storage.files import File
from vdb.storage.vector_header import BLOCK_BYTES, DATA_OFFSET

if TYPE_CHECKING:
    from pathlib import Path

N = 40_000
CATALOG_BLOCK_BYTES = 262_144
FIRST_BLOCK = 12_288


@pytest.fixture
def path(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A closed database whose texts take blocks of their own."""
    texts = rng.integers(0, 1 << 62, (N, 2)).astype("U19")
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "s": "VARCHAR", "e": "FLOAT[1]"})
        table.add({"id": np.arange(N), "s": [a + b for a, b in texts.tolist()]}, e=np.zeros((N, 1)))
    return tmp_path / "d"


def damage_texts(path: Path) -> None:
    """Flip a byte of the last block that has texts and nothing else."""
    catalog = path / "catalog.duckdb"
    with duckdb.connect(str(catalog), read_only=True) as connection:
        query = "SELECT max(block_id) FROM pragma_storage_info('t') WHERE column_name = 's'"
        ((block,),) = connection.execute(query).fetchall()
    flip(catalog, FIRST_BLOCK + block * CATALOG_BLOCK_BYTES + 1000)


def flip(path: Path, at: int, length: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        found = file.read(length)
        file.seek(at)
        file.write(bytes(byte ^ 0x55 for byte in found))


def test_damaged_attributes_are_found(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(path)]) == 0
    damage_texts(path)
    with vdb.connect(path) as db, pytest.raises(vdb.Corrupted, match="checksum"):
        db.check()
    with pytest.raises(vdb.Corrupted, match="checksum"):
        vdb.restore(path, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert main(["check", str(path)]) == 1


def test_reading_a_damaged_block_is_corrupted(path: Path) -> None:
    damage_texts(path)
    with vdb.connect(path) as db:
        table = db.table("t")
        with pytest.raises(vdb.Corrupted):
            table.get(list(range(N)), select=["s"]).to_dicts()
        with pytest.raises(vdb.Corrupted):
            table.count("s LIKE '%77%'")
        with pytest.raises(vdb.Corrupted):
            db.sql("SELECT max(s) FROM t").fetchall()


def test_a_check_of_a_snapshot_looks_at_the_database_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vdb.connect(path) as db:
        db.publish()
    with vdb.connect(path, read_only=True) as reader:
        assert reader.store.is_snapshot
        assert reader.check() == []
        with vdb.connect(path):
            assert reader.check() == []
    vdb.connect(path).close()
    flip(path / "catalog.duckdb", 4096, 8192)
    assert main(["check", str(path)]) == 1
    assert "DuckDB refused" in capsys.readouterr().err


def test_lost_commits_are_no_sound_database(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vdb.connect(path) as db:
        for key in (N, N + 1, N + 2):
            db.table("t").add([{"id": key, "s": "x", "e": [1.0]}])
        shutil.copytree(path, tmp_path / "killed")
    killed = tmp_path / "killed"
    log = killed / "catalog.duckdb.wal"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    with pytest.raises(vdb.MetadataLost):
        vdb.connect(killed)
    with vdb.connect(killed, read_only=True) as db:
        report = db.recovery_report()
        assert report.proven_seq > report.seq
        with pytest.raises(vdb.MetadataLost):
            db.check()
        with pytest.raises(vdb.MetadataLost):
            db.backup(tmp_path / "copy")
    with pytest.raises(vdb.MetadataLost):
        vdb.restore(killed, tmp_path / "copy")
    assert main(["check", str(killed)]) == 1
    assert not (tmp_path / "copy").exists()


def test_a_check_inside_a_transaction_is_of_what_is_committed(path: Path) -> None:
    with vdb.connect(path) as db:
        with db.transaction():
            db.table("t").add({"id": np.arange(N, 2 * N)}, e=np.ones((N, 1)))
            db.create_table("u", {"e": "FLOAT[2]"}).add(e=np.ones((3, 2)))
            assert db.check() == []
        assert db.check() == []
    with vdb.connect(":memory:") as memory:
        memory.create_table("u", {"e": "FLOAT[2]"}).add(e=np.ones((3, 2)))
        assert memory.check() == []


def test_a_check_beside_commits_compares_one_state(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that come between the reading of an open block and the comparison of its checksum are of no concern."""
    read_at = File.read_at

    def commit_after(file: File, offset: int, length: int) -> bytes:
        found = read_at(file, offset, length)
        if offset == DATA_OFFSET + N * 4 // BLOCK_BYTES * BLOCK_BYTES:
            monkeypatch.setattr(File, "read_at", read_at)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(add_one).result()
        return found

    with vdb.connect(path) as db:

        def add_one() -> None:
            db.table("t").add([{"id": N, "e": [1.0]}])

        monkeypatch.setattr(File, "read_at", commit_after)
        assert db.check() == []
        assert len(db.table("t")) == N + 1


def test_an_error_of_the_callers_is_no_damage(path: Path) -> None:
    with vdb.connect(path) as db, pytest.raises(vdb.InvalidArgument):
        db.sql("SELECT error('Corrupt database file')").fetchall()
