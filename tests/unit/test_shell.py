"""`vdb sql` and its shell."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

import vdb
from vdb.cli import main
from vdb.shell import Shell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with vdb.connect(tmp_path / "a.vdb") as db:
        db.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, e FLOAT[8]); CREATE TABLE u (a VARCHAR)")
        db.sql("INSERT INTO t VALUES (1, [1, 2, 3, 4, 5, 6, 7, 8]), (2, NULL)")
    return tmp_path / "a.vdb"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("table", "id  x\n--  ----\n1   NULL\n2   NULL\n(2 rows)\n"),
        ("csv", "id,x\r\n1,\r\n2,\r\n"),
        ("json", '{"id": 1, "x": null}\n{"id": 2, "x": null}\n'),
    ],
)
def test_a_statement_prints_its_rows(path: Path, capsys: pytest.CaptureFixture[str], mode: str, expected: str) -> None:
    assert main(["sql", str(path), "SELECT id, NULL AS x FROM t ORDER BY id", "--mode", mode]) == 0
    assert capsys.readouterr().out == expected


def test_a_mistake_is_one_message_and_exit_code_1(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", str(path), "SELEC 1", "--read-only"]) == 1
    assert capsys.readouterr().err.startswith("vdb: syntax error")


def test_the_shell_reads_over_lines_and_obeys_its_commands(path: Path) -> None:
    lines = [
        ".tables", ".schema t", ".explain", ".timing", "", "SELECT id, e", "FROM t ORDER BY e <-> [1,2,3,4,5,6,7,8]",
        "LIMIT 1;", ".timing", ".mode csv", "SELECT nothing;", "INSERT INTO u VALUES ('x');", ".nonsense", ".quit",
        "DROP TABLE t;",
    ]  # fmt: skip
    out = io.StringIO()
    with vdb.connect(path) as db:
        Shell(db, out).loop(iter(lines))
        assert db.tables() == ["t", "u"]
    text = out.getvalue()
    for part in ("FLOAT[8]", "[1, 2, 3, ... 8 values]", "VECTOR_SEARCH t.e", " ms\n", "error: ", "1 rows written"):
        assert part in text
    assert ".mode table|csv|json" in text
