from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

from vdb.errors import Corrupted, InvalidArgument
from vdb.storage.connection import Engine, parser_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def engine() -> Iterator[Engine]:
    opened = Engine.open(None)
    yield opened
    opened.close()


def in_thread(call: Callable[[], object]) -> object:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def test_each_thread_has_its_own_parser_connection() -> None:
    assert parser_connection() is parser_connection()
    assert in_thread(parser_connection) is not parser_connection()


def test_each_thread_has_its_own_cursor_on_the_same_data(engine: Engine) -> None:
    engine.cursor().execute("CREATE TABLE t AS SELECT 1 AS a")
    assert engine.cursor() is engine.cursor()
    assert in_thread(engine.cursor) is not engine.cursor()
    assert in_thread(lambda: engine.cursor().execute("FROM t").fetchall()) == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SET enable_external_access = true",
        "SET memory_limit = '10GB'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/vdb-test-out.csv'",
        "ATTACH '/tmp/vdb-test.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_no_statement_reaches_outside(engine: Engine, statement: str) -> None:
    for connection in (engine.cursor(), parser_connection()):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)


def test_python_variables_are_not_tables(engine: Engine) -> None:
    secret = {"a": np.arange(3)}
    with pytest.raises(duckdb.CatalogException):
        engine.cursor().execute("SELECT * FROM secret")
    assert secret


def test_registered_columns_arrive_with_external_access_off(engine: Engine) -> None:
    lists = np.empty(3, object)
    lists[:] = [[1, 2], None, []]
    relation = {
        "i": np.arange(3, dtype=np.int8),
        "f": np.ma.masked_array([0.5, 1.5, 2.5], [False, True, False]),
        "s": np.array(["a", None, "c"], object),
        "l": lists,
        "d": np.array(["2020-01-01", "NaT", "2021-01-01"], "datetime64[us]"),
    }
    cursor = engine.cursor()
    cursor.register("r", relation)
    found = cursor.execute("SELECT i, f, s, l, d::DATE::VARCHAR FROM r").fetchall()
    assert found == [(0, 0.5, "a", [1, 2], "2020-01-01"), (1, None, None, None, None), (2, 2.5, "c", [], "2021-01-01")]


def test_a_list_after_many_nulls_is_still_a_list(engine: Engine) -> None:
    lists = np.full(5000, None, object)
    lists[-1] = ["x"]
    engine.cursor().register("r", {"l": lists})
    assert engine.cursor().execute("SELECT l FROM r WHERE l IS NOT NULL").fetchall() == [(["x"],)]


def test_the_log_stays_until_it_is_folded(tmp_path: Path) -> None:
    engine = Engine.open(tmp_path / "c.duckdb")
    engine.cursor().execute("CREATE TABLE t AS SELECT range AS a FROM range(100000)")
    engine.cursor().execute("INSERT INTO t SELECT range FROM range(100000)")
    assert (tmp_path / "c.duckdb.wal").exists()
    engine.checkpoint()
    assert not (tmp_path / "c.duckdb.wal").exists()
    engine.close()


@pytest.mark.parametrize("settings", [{"memory_limit": "lots"}, {"threads": -1}, {"threads": 0}])
def test_bad_settings_are_an_argument_error(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=rf"refused {next(iter(settings))}="):
        Engine.open(None, **settings)  # type: ignore[arg-type]


def test_too_little_memory_is_told_without_duckdbs_advice(tmp_path: Path) -> None:
    engine = Engine.open(tmp_path / "c.duckdb")
    engine.cursor().execute("CREATE TABLE t AS SELECT 1 AS a")
    engine.checkpoint()
    engine.close()
    with pytest.raises(InvalidArgument, match=r"^memory_limit is too small: [^\n]* Fix: raise it"):
        Engine.open(tmp_path / "c.duckdb", memory_limit="1KB")


def test_a_file_that_is_no_catalog_is_corrupted(tmp_path: Path) -> None:
    path = tmp_path / "c.duckdb"
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(Corrupted) as caught:
        Engine.open(path)
    assert caught.value.path == str(path)


def test_a_forked_child_gets_a_parser_connection_of_its_own() -> None:
    parser_connection().execute("CREATE TABLE inherited AS SELECT 1 AS a")
    try:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                tables = parser_connection().execute("SHOW TABLES").fetchall()
                os.write(write, repr(tables).encode())
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        assert os.read(read, 100) == b"[]"
        os.close(read)
    finally:
        parser_connection().execute("DROP TABLE inherited")
