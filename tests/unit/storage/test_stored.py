"""Records of indexes that cannot be: a database opens, is searched and closed without them, and says so in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

import vdb

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed database with an index of vectors and one of an attribute."""
    (tmp_path / "home").mkdir()
    with vdb.connect(tmp_path / "home" / "d") as db:
        table = db.create_table("t", {"id": np.arange(10)}, e=np.arange(10.0)[:, None], key="id")
        table.create_index("e", vdb.HNSW(M=4), name="h")
        table.create_index("id", vdb.Attribute(), name="a")
    return tmp_path / "home" / "d"


def edit(path: Path, change: str) -> None:
    with duckdb.connect(str(path / "catalog.duckdb")) as connection:
        connection.execute(f"UPDATE vdb.indexes SET {change}")


def works(path: Path) -> list[str]:
    """The indexes that are left, once the database was used and closed and is free to be opened again."""
    with vdb.connect(path) as db:
        table = db.table("t")
        table.add([{"id": table.count() + 10, "e": [1.0]}])
        assert table.search([3.0], 1).ids.tolist() == [3]
        assert db.check() == []
        left = [index.name for index in table.list_indexes()]
    vdb.connect(path).close()
    return sorted(left)


@pytest.mark.parametrize("name", ["../../victim", "{0123456789abcdef0123456789abcdef}"])
def test_a_snapshot_is_a_file_of_the_database_only(
    path: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    victim = tmp_path / "home" / "victim.idx"
    victim.write_bytes(b"mine")
    edit(path, f"file = '{name}'")
    with vdb.connect(path) as db:
        db.backup(tmp_path / "home" / "copies")
        db.table("t").drop_index("h")
    assert "will be built anew" in caplog.text
    assert victim.read_bytes() == b"mine"
    assert {found for found in tmp_path.rglob("*.idx") if "index" not in found.parts} == {victim}


def test_a_damaged_name_of_a_snapshot_costs_the_snapshot_only(path: Path) -> None:
    edit(path, "file = 'x'")
    assert works(path) == ["a", "h"]


@pytest.mark.parametrize(
    "change",
    [
        *("params = NULL", "params = '[]'", "params = '5'", "params = repeat('[', 100000)", "params = '{'"),
        *("params = '{}'", """params = '{"M": -1}'""", """params = '{"M": [1]}'"""),
        *("params = replace(params, '4', '-4')", "params = replace(params, '\"M\"', '\"N\"')"),
        *("""params = '{"columns": "["}'""", """params = '{"columns": "[5]"}'""", """params = '{"columns": "{}"}'"""),
        *("column_name = NULL", "column_name = 'nowhere'", "column_name = 'id'", "kind = NULL", "kind = 'label'"),
        *("covers_slots = NULL", "covers_slots = -1", "covers_seq = NULL"),
    ],
)
def test_an_index_that_cannot_be_is_left_out(path: Path, change: str, caplog: pytest.LogCaptureFixture) -> None:
    edit(path, f"{change} WHERE name = 'h'")
    with caplog.at_level(logging.WARNING):
        assert works(path) == ["a"]
    assert "is left out" in caplog.text


def test_an_index_without_a_name_is_left_out(path: Path) -> None:
    edit(path, "name = NULL")
    assert works(path) == []


def test_a_left_out_index_can_be_made_again(path: Path) -> None:
    edit(path, "params = '[]' WHERE name = 'h'")
    with vdb.connect(path) as db:
        db.table("t").create_index("e", vdb.HNSW(M=4), name="h")
    assert works(path) == ["a", "h"]
