"""Repair keeps what is sound, says what is lost, changes nothing unasked, and leaves a database that opens."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

import vdb
from vdb.storage.layout import Format
from vdb.storage.vector_header import DATA_OFFSET

if TYPE_CHECKING:
    from pathlib import Path

TABLES = "SELECT schema_name, table_name FROM duckdb_tables()"
CATALOG_BLOCK_BYTES = 262_144
FIRST_BLOCK = 12_288
N = 9000
DIM = 4  # 4,096 vectors in a block of checksums


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed database with three blocks of vectors, the last of them open, and an index."""
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"FLOAT[{DIM}] NOT NULL"})
        table.add({"id": np.arange(N)}, e=np.repeat(np.arange(float(N))[:, None], DIM, axis=1))
        table.create_index("e", vdb.Flat(), name="f")
        table.delete("id IN (1, 2)")
    return tmp_path / "d"


def vectors(path: Path) -> Path:
    (found,) = (path / "vectors").iterdir()
    return found


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def edit(catalog: Path, statement: str) -> None:
    with duckdb.connect(str(catalog)) as connection:
        connection.execute(statement)


def tree(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != "LOCK"}


def check(path: Path, missing: range) -> None:
    """Every row is there; those in `missing` have no vector, and all others the one they had."""
    with vdb.connect(path) as db:
        db.check()
        table = db.table("t")
        left = [i for i in range(N) if i not in (1, 2)]
        assert len(table) == len(left)
        assert table.count("e IS NULL") == len(set(missing) & set(left))
        rows = table.get([0, 3, 5000, N - 1], select=["id", "e"]).to_dicts()
        for row in rows:
            assert row["e"] is None if row["id"] in missing else row["e"].tolist() == [row["id"]] * DIM
        assert table.search([N] * DIM, 1).ids.tolist() == [max(i for i in left if i not in missing)]
        table.add([{"id": N, "e": [1] * DIM}])
    with vdb.connect(path, read_only=True) as db:
        assert len(db.table("t")) == len(left) + 1


def test_a_sound_database_is_left_alone(path: Path) -> None:
    before = tree(path)
    for apply in (False, True):
        report = vdb.repair(path, apply=apply)
        assert (report.findings, report.lost, report.applied) == ([], [], False)
    assert tree(path) == before
    check(path, range(0))


@pytest.mark.parametrize(
    ("damage", "missing"),
    [
        ("block", range(4096, 8192)),
        ("open block", range(8192, N)),
        ("cut", range(4096, N)),
        ("file", range(N)),
        ("header", range(0)),
    ],
)
def test_damaged_vectors_are_given_up_and_all_others_kept(path: Path, damage: str, missing: range) -> None:
    file = vectors(path)
    if damage == "block":
        overwrite(file, DATA_OFFSET + 70_000, b"\x55")
    elif damage == "open block":
        overwrite(file, DATA_OFFSET + 131_072, b"\x55")
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[: DATA_OFFSET + 131_071])
    elif damage == "file":
        file.unlink()
    else:
        overwrite(file, 0, bytes(8192))
    before = tree(path)
    report = vdb.repair(path)
    assert len(report.findings) == 1
    assert "vectors of t.e" in report.findings[0]
    lost = len(set(missing) - {1, 2})
    assert report.lost == ([f"{lost} vectors of t.e"] if lost else [])
    assert tree(path) == before
    if lost:
        with pytest.raises(vdb.InvalidState, match="accept the loss"):
            vdb.repair(path, apply=True)
        assert tree(path) == before
    assert vdb.repair(path, apply=True, accept_loss=bool(lost)).applied
    if damage != "file":
        assert (path / "quarantine" / file.name).read_bytes() == before[str(file)]
    if missing != range(N):
        check(path, missing)
    else:
        with vdb.connect(path) as db:
            assert db.table("t").count("e IS NULL") == N - 2


def test_lost_commits_are_given_up_only_where_that_is_accepted(path: Path, tmp_path: Path) -> None:
    shutil.copy(path / "catalog.duckdb", tmp_path / "old")
    with vdb.connect(path) as db:
        db.table("t").add([{"id": N + 5, "e": [1] * DIM}])
        lost = db.store.state.seq
    shutil.copy(tmp_path / "old", path / "catalog.duckdb")
    with pytest.raises(vdb.MetadataLost):
        vdb.connect(path)
    report = vdb.repair(path)
    assert report.lost == [f"commits {lost} to {lost}"]
    with pytest.raises(vdb.InvalidState, match="accept the loss"):
        vdb.repair(path, apply=True)
    assert vdb.repair(path, apply=True, accept_loss=True).applied
    check(path, range(0))


def test_a_log_that_was_damaged_in_a_commit_is_cut_where_that_is_accepted(path: Path, tmp_path: Path) -> None:
    with vdb.connect(path) as db:
        for number in (5, 6):
            db.table("t").add([{"id": N + number, "e": [1] * DIM}])
        shutil.copytree(path, tmp_path / "killed")
    log = tmp_path / "killed" / "catalog.duckdb.wal"
    overwrite(log, log.stat().st_size - 60, b"\x55\x00\x77")
    with pytest.raises(vdb.Corrupted):
        vdb.connect(tmp_path / "killed")
    report = vdb.repair(tmp_path / "killed")
    assert len(report.lost) == 1
    assert vdb.repair(tmp_path / "killed", apply=True, accept_loss=True).applied
    with vdb.connect(tmp_path / "killed") as db:
        assert len(db.table("t")) == N - 2 + 1
        db.check()


@pytest.mark.parametrize("name", ["FORMAT", "WITNESS"])
@pytest.mark.parametrize("damage", ["missing", "zeros"])
def test_a_small_file_is_made_again_from_the_other(path: Path, name: str, damage: str) -> None:
    file = path / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(bytes(file.stat().st_size))
    report = vdb.repair(path, apply=True)
    assert report.findings == [f"{file} is missing or damaged"]
    assert report.applied
    check(path, range(0))


@pytest.mark.parametrize("version", [(2, 0), (1, 7)])
def test_a_newer_format_is_left_to_a_newer_vdb(path: Path, version: tuple[int, int]) -> None:
    file = path / "FORMAT"
    file.write_bytes(replace(Format.decode(file.read_bytes(), file), major=version[0], minor=version[1]).encode())
    before = tree(path)
    with pytest.raises(vdb.FormatVersionError):
        vdb.repair(path, apply=True)
    assert tree(path) == before


def test_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "catalog.duckdb")).close()
    with pytest.raises(vdb.NotFound, match="no database"):
        vdb.repair(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["catalog.duckdb"]


def test_empty_directories_may_be_missing(path: Path) -> None:
    shutil.rmtree(path / "index")
    for name in ("build", "snapshots", "quarantine"):
        (path / name).rmdir()
    assert vdb.repair(path).findings == []
    with vdb.connect(path, read_only=True) as db:
        assert db.table("t").search([3] * DIM, 1, strategy="scan").ids.tolist() == [3]
    check(path, range(0))


@pytest.fixture
def published(path: Path) -> Path:
    """The database after a publication at its newest commit."""
    with vdb.connect(path) as db:
        db.publish()
    return path


@pytest.mark.parametrize("damage", ["headers", "missing", "slots", "commits"])
def test_a_catalog_beyond_repair_gives_way_to_that_of_the_snapshot(published: Path, damage: str) -> None:
    catalog = published / "catalog.duckdb"
    if damage == "headers":
        overwrite(catalog, 4096, bytes(8192))
    elif damage == "missing":
        catalog.unlink()
    else:
        edit(catalog, "UPDATE t SET _slot = 0" if damage == "slots" else "DELETE FROM vdb.commits WHERE seq > 1")
    before = tree(published)
    with pytest.raises(vdb.Corrupted):
        vdb.connect(published)
    report = vdb.repair(published)
    assert report.lost == []
    assert [finding.split(":")[0].split(" ends")[0] for finding in report.findings] == [str(catalog)]
    assert tree(published) == before
    assert vdb.repair(published, apply=True).applied
    if damage != "missing":
        (saved,) = (published / "quarantine").glob("*.duckdb")
        assert saved.read_bytes() == before[str(catalog)]
    assert vdb.repair(published).findings == []
    check(published, range(0))


def test_commits_after_the_snapshot_are_given_up_only_where_that_is_accepted(published: Path, tmp_path: Path) -> None:
    with vdb.connect(published) as db:
        seq = db.store.state.seq
        for number in (5, 6):
            db.table("t").add([{"id": N + number, "e": [1] * DIM}])
        shutil.copytree(published, tmp_path / "killed")
    killed = tmp_path / "killed"
    overwrite(killed / "catalog.duckdb", 4096, bytes(8192))
    log = (killed / "catalog.duckdb.wal").read_bytes()
    assert vdb.repair(killed).lost == [f"commits {seq + 1} to {seq + 2}"]
    with pytest.raises(vdb.InvalidState, match="accept the loss"):
        vdb.repair(killed, apply=True)
    assert vdb.repair(killed, apply=True, accept_loss=True).applied
    (saved,) = (killed / "quarantine").glob("*.wal")
    assert saved.read_bytes() == log
    check(killed, range(0))


def test_a_snapshot_proves_commits_too(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "old")
    with vdb.connect(path) as db:
        db.table("t").add([{"id": N + 5, "e": [1] * DIM}])
        seq = db.publish()
    shutil.rmtree(tmp_path / "old" / "snapshots")
    shutil.copytree(path / "snapshots", tmp_path / "old" / "snapshots")
    with pytest.raises(vdb.MetadataLost):
        vdb.connect(tmp_path / "old")
    report = vdb.repair(tmp_path / "old")
    assert report.lost == [f"commits {seq} to {seq}"]
    assert report.findings == [
        f"{tmp_path / 'old' / 'catalog.duckdb'} ends with commit {seq - 1}; commit {seq} is proven"
    ]
    assert vdb.repair(tmp_path / "old", apply=True, accept_loss=True).applied
    check(tmp_path / "old", range(0))


@pytest.mark.parametrize("change", ["UPDATE t SET _slot = 0", "DELETE FROM t WHERE id = 7", "DROP TABLE vdb.commits"])
def test_rows_that_contradict_the_catalog_are_told(path: Path, change: str) -> None:
    edit(path / "catalog.duckdb", change)
    for apply in (False, True):
        with pytest.raises(vdb.Corrupted, match="does not fit its database"):
            vdb.repair(path, apply=apply, accept_loss=True)


def test_damaged_rows_are_told(path: Path) -> None:
    """No block of the table's, or of vdb's, is damaged without a word."""
    catalog = path / "catalog.duckdb"
    with duckdb.connect(str(catalog), read_only=True) as connection:
        tables = [f"{schema}.{name}" for schema, name in connection.execute(TABLES).fetchall()]
        blocks = {
            block
            for table in tables
            for (block,) in connection.execute(f"SELECT block_id FROM pragma_storage_info('{table}')").fetchall()
            if block >= 0
        }
    assert blocks
    whole = catalog.read_bytes()
    for block in blocks:
        overwrite(catalog, FIRST_BLOCK + block * CATALOG_BLOCK_BYTES + 500, b"\x55\x00\xff")
        with pytest.raises(vdb.Corrupted):
            vdb.repair(path)
        catalog.write_bytes(whole)
    assert vdb.repair(path).findings == []


def test_what_is_beyond_repair_is_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(vdb.NotFound):
        vdb.repair(tmp_path / "nowhere")
    with vdb.connect(path), pytest.raises(vdb.Locked):
        vdb.repair(path)
    overwrite(path / "catalog.duckdb", 12_288, bytes(range(256)) * 64)
    with pytest.raises(vdb.Corrupted, match="DuckDB refused"):
        vdb.repair(path, apply=True, accept_loss=True)
