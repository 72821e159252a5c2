"""Every command as a user types it: what it prints, what it leaves, its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(10)}, e=np.arange(10.0)[:, None], key="id")
        table.create_index("e", vdb.HNSW(M=4), name="h")
    return tmp_path / "d"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = main([str(word) for word in words])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_check_reads_vectors_and_indexes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", path) == (0, "t: 10 rows, every checksum matches\n")
    (index,) = (path / "index").iterdir()
    whole = index.read_bytes()
    index.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    code, said = run(capsys, "check", path)
    assert code == 0
    assert "index h of table t" in said
    assert "will be rebuilt" in said
    index.unlink()
    assert "snapshot is missing" in run(capsys, "check", path)[1]
    (vectors,) = (path / "vectors").iterdir()
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"\x55")
    code, said = run(capsys, "check", path)
    assert code == 1
    assert said.startswith("vdb: Vectors in ")


def test_backup_restore_export_and_import(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "backup", path, tmp_path / "copy") == (0, "")
    assert run(capsys, "restore", tmp_path / "copy", tmp_path / "again") == (0, "")
    file = tmp_path / "rows.parquet"
    assert run(capsys, "export", tmp_path / "again", "t", file) == (0, f"10 rows written to {file}\n")
    assert run(capsys, "import", tmp_path / "again", "u", file, "--key", "id") == (0, "10 rows added to u\n")
    with vdb.connect(tmp_path / "again") as db:
        assert db.table("u").schema.key == "id"
        assert db.table("u").search([3.2], 2).ids.tolist() == [3, 4]


def test_errors_are_one_line_and_code_1(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "backup", tmp_path / "no", tmp_path / "copy")
    assert code == 1
    assert said.startswith("vdb: There is no database at ")
    with pytest.raises(SystemExit):
        main(["nonsense"])
