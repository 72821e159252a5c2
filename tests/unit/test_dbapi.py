"""DB-API 2.0 over a database, and pandas as its best known caller."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb import dbapi

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with vdb.connect(tmp_path / "a.vdb") as db:
        db.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR, e FLOAT[2])")
        db.sql("INSERT INTO t VALUES (1, 'a', [1, 2]), (2, 'b', [3, 4])")
    return tmp_path / "a.vdb"


def test_a_cursor_fetches_and_describes(path: Path) -> None:
    with dbapi.connect(path) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT id, name FROM t ORDER BY e <-> ? LIMIT 5", [np.array([3.0, 4.0])])
        assert [column[0] for column in cursor.description or []] == ["id", "name"]
        assert (cursor.description or [])[0][1] == dbapi.NUMBER
        assert (cursor.description or [])[1][1] == dbapi.STRING
        assert cursor.fetchone() == (2, "b")
        assert cursor.fetchmany(5) == [(1, "a")]
        assert cursor.fetchone() is None
        assert list(connection.execute("SELECT id FROM t ORDER BY id")) == [(1,), (2,)]


def test_writes_wait_for_commit(path: Path) -> None:
    with dbapi.connect(path) as connection:
        cursor = connection.cursor().executemany("INSERT INTO t VALUES (?, ?, ?)", [(3, "c", [0, 0]), (4, "d", None)])
        assert cursor.rowcount == 2
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(2,)]
        connection.execute("DELETE FROM t WHERE id = 1")
        connection.commit()
        connection.execute("DELETE FROM t")
        connection.close()
    with dbapi.connect(path, read_only=True) as connection:
        assert connection.execute("SELECT id FROM t").fetchall() == [(2,)]


def test_errors_are_those_of_the_standard(path: Path) -> None:
    with vdb.connect(path) as db, dbapi.connect(db) as connection:
        cursor = connection.cursor()
        with pytest.raises(dbapi.ProgrammingError):
            cursor.execute("SELEC 1")
        with pytest.raises(dbapi.IntegrityError):
            cursor.execute("INSERT INTO t VALUES (1, 'x', NULL)")
        connection.rollback()
        with pytest.raises(dbapi.InterfaceError):
            cursor.execute("DELETE FROM t WHERE id = 9").fetchone()
        connection.rollback()
        cursor.close()
        with pytest.raises(dbapi.InterfaceError):
            cursor.execute("SELECT 1")
        connection.close()
        with pytest.raises(dbapi.InterfaceError):
            connection.cursor()
        assert db.sql("SELECT count(*) FROM t").fetchall() == [(2,)]


def test_pandas_reads_by_it(path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    with dbapi.connect(path) as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas would rather have SQLAlchemy
        frame = pandas.read_sql("SELECT id, name FROM t ORDER BY id", connection)
    assert frame["name"].tolist() == ["a", "b"]


def test_a_transaction_begun_by_sql_ends_as_any_other(path: Path) -> None:
    with dbapi.connect(path) as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM t WHERE id = 1")
        connection.commit()
        connection.execute("BEGIN")
        connection.execute("DELETE FROM t")
        connection.close()
    with dbapi.connect(path, read_only=True) as connection:
        assert connection.execute("SELECT id FROM t").fetchall() == [(2,)]
