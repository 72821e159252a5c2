"""Every command as a user types it: what it prints, what it leaves, its exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb import cli
from vdb.cli import main
from vdb.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
    assert run(capsys, "check", path) == (0, "t: 10 rows, every checksum matches\nchecked commit 2\n")
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
    assert run(capsys, "backup", path, tmp_path / "copy") == (0, "copied commit 2\n")
    assert run(capsys, "restore", tmp_path / "copy", tmp_path / "again") == (0, "")
    file = tmp_path / "rows.parquet"
    assert run(capsys, "export", tmp_path / "again", "t", file) == (0, f"10 rows written to {file}, of commit 2\n")
    assert run(capsys, "import", tmp_path / "again", "u", file, "--key", "id") == (0, "10 rows added to u\n")
    with vdb.connect(tmp_path / "again") as db:
        assert db.table("u").schema.key == "id"
        assert db.table("u").search([3.2], 2).ids.tolist() == [3, 4]


def test_beside_a_writer_it_is_said_which_commit_was_seen(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vdb.connect(path) as db:
        published = db.publish()
        db.table("t").add({"id": [10]}, e=[[1.0]])
        for words in (("check", path), ("backup", path, tmp_path / "copy"), ("export", path, "t", tmp_path / "t.csv")):
            code, said = run(capsys, *words)
            assert code == 0
            assert said.endswith(f"commit {published}, the newest that is published; a writer may have later ones\n")
    with vdb.connect(tmp_path / "copy") as copy:
        assert len(copy.table("t")) == 10


def test_what_takes_long_shows_how_far_it_is(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: dict[str, list[tuple[int, int]]] = {}

    @contextmanager
    def progress_bar(what: str, _unit: str = "row") -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: bars.setdefault(what, []).append((done, total))

    monkeypatch.setattr(cli, "progress_bar", progress_bar)
    copy, file = tmp_path / "copy", tmp_path / "t.parquet"
    for words in (
        ("backup", path, copy),
        ("restore", copy, tmp_path / "again"),
        ("export", path, "t", file),
        ("import", path, "u", file),
    ):
        assert run(capsys, *words)[0] == 0
    assert bars.keys() == {"copying", "restoring", "writing", "adding"}
    assert all(moves[-1][0] == moves[-1][1] for moves in bars.values())


def test_errors_are_one_line_and_code_1(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "backup", tmp_path / "no", tmp_path / "copy")
    assert code == 1
    assert said.startswith("vdb: There is no database at ")
    with pytest.raises(SystemExit):
        main(["nonsense"])


def test_a_bar_goes_to_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("copying", "B") as advance:
        advance(1, 2)
        advance(2, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("rows", [1, 200_000])  # what is printed at the end, and before it
def test_a_command_whose_reader_has_gone_ends_without_a_word(path: Path, rows: int) -> None:
    words = [sys.executable, "-m", "vdb", "sql", str(path), f"SELECT * FROM range({rows})"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert command.stderr.read() == b""
    assert command.returncode == 128 + signal.SIGPIPE
