"""The DuckDB beside a database's own: what it may take, and that everything which reads or writes files has it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import vdb
from vdb.storage import foreign
from vdb.storage.beside import beside
from vdb.storage.connection import Engine

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb


def settings(connection: duckdb.DuckDBPyConnection) -> tuple[Any, ...]:
    found = connection.execute("SELECT current_setting('memory_limit'), current_setting('threads')").fetchall()
    return found[0]


@pytest.mark.parametrize(
    ("memory", "threads", "expected"),
    [
        (32 << 20, 4, ("128.0 MiB", 1)),
        (256 << 20, 4, ("256.0 MiB", 2)),
        (1 << 30, 3, ("1.0 GiB", 3)),
    ],
)
def test_it_has_the_limits_of_the_database(memory: int, threads: int, expected: tuple[Any, ...]) -> None:
    with closing(Engine.open(None, memory_limit=memory, threads=threads)) as engine, beside(engine) as other:
        assert settings(other) == expected


def test_the_users_own_has_them_too(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "db", memory_limit="1GiB", threads=2) as db, closing(db.duckdb()) as own:
        assert settings(own) == ("256.0 MiB", 2)


def test_rows_cross_in_chunks_that_memory_holds() -> None:
    sizes = [foreign.chunk_rows(memory) for memory in (None, 1 << 30, 32 << 20, 1 << 20)]
    assert sizes == [foreign.CHUNK_ROWS, foreign.CHUNK_ROWS, 2048, 512]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_rows_of_more_bytes_than_memory_go_out_and_in(tmp_path: Path, kind: str) -> None:
    n, text = 30_000, "repeat(md5(CAST(i AS VARCHAR)), 60)"
    with vdb.connect(tmp_path / "db", memory_limit="64MB") as db:
        db.create_table("t", {"id": "BIGINT", "s": "VARCHAR", "e": "FLOAT[1]"})
        for begin in range(0, n, 2000):
            db.sql(f"INSERT INTO t SELECT i, {text}, [i] FROM range({begin}, {begin + 2000}) AS r(i)")
        db.export_table("t", tmp_path / f"rows.{kind}")
        db.import_table("u", tmp_path / f"rows.{kind}")
        (found,) = db.sql(f"SELECT count(*) FROM u WHERE s = {text.replace('i AS', 'id AS')} AND e[1] = id").fetchall()
    assert found == (n,)
    if kind == "parquet":
        with closing(Engine.open(None)) as engine, beside(engine) as other:
            groups = other.execute(
                f"SELECT max(row_group_num_rows) FROM parquet_metadata('{tmp_path / 'rows.parquet'}')"
            ).fetchall()
        assert groups[0][0] <= 2 * foreign.CHUNK_ROWS


def test_a_file_that_memory_cannot_hold_is_told(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "db", memory_limit="64MB") as db, closing(db.duckdb()) as other:
        path = tmp_path / "rows.parquet"
        other.execute("SET memory_limit = '4GB'")
        rows = "SELECT repeat(md5(CAST(i AS VARCHAR)), 40) AS s, [i]::FLOAT[1] AS e FROM range(122880) AS r(i)"
        other.execute(f"COPY ({rows}) TO '{path}'")
        with pytest.raises(vdb.OutOfMemory, match=r"memory_limit is too small to read .*smaller row groups"):
            db.import_table("t", path)
        assert db.tables() == []
