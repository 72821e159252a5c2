"""Table.get, count, len, stats, schema and repr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb import _core

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def table() -> Iterator[vdb.Table]:
    with vdb.connect(":memory:") as db:
        made = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "lang": "VARCHAR", "e": "FLOAT[3]"})
        made.add({"id": np.arange(10) * 10, "lang": ["en", None] * 5}, e=np.eye(10, 3))
        yield made


def test_get_of_one_id_is_a_dict(table: vdb.Table) -> None:
    assert table.get(20) == {"id": 20, "lang": "en"}
    assert table.get(np.int32(10)) == {"id": 10, "lang": None}


def test_get_of_a_missing_id_is_not_found(table: vdb.Table) -> None:
    with pytest.raises(vdb.NotFound, match="table t has no row with id 21"):
        table.get(21)
    with pytest.raises(KeyError):
        table.get(21)


def test_get_of_many_ids_keeps_their_order_and_leaves_out_missing_ones(table: vdb.Table) -> None:
    rows = table.get([90, 5, 0, 90], select=["id", "e"])
    assert rows.ids.tolist() == [90, 0, 90]
    assert len(rows) == 3
    assert rows.to_dicts()[1]["e"].tolist() == [1, 0, 0]
    assert rows.to_pandas()["id"].tolist() == [90, 0, 90]


def test_get_of_no_ids_is_empty(table: vdb.Table) -> None:
    assert table.get([]).to_dicts() == []
    assert len(table.get(np.empty(0, np.int64))) == 0


def test_count_is_the_number_of_rows_where_the_predicate_is_true(table: vdb.Table) -> None:
    assert table.count() == len(table) == 10
    assert table.count("lang = 'en'") == 5
    assert table.count("NOT (lang = 'en')") == 0
    assert table.count("lang IS NULL AND id > ?", [50]) == 2
    assert table.count("e IS NOT NULL") == 10


def test_stats_count_rows_bytes_and_indexes(table: vdb.Table) -> None:
    table.delete(ids=[0, 10])
    info = table.create_index(name="h")
    assert table.stats() == {
        "rows": 8,
        "dead_slots": 2,
        "dead_bytes": {"e": 2 * 3 * 4},
        "vector_bytes": {"e": 10 * 3 * 4},
        "indexes": {"h": info},
        "isa": _core.isa(),
    }


def test_repr_names_table_rows_and_columns(table: vdb.Table) -> None:
    assert repr(table) == "<vdb.Table t: 10 rows (id BIGINT, lang VARCHAR, e FLOAT[3])>"


def test_repr_of_a_table_that_is_gone_says_why() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"e": "FLOAT[3]"})
        db.drop_table("t")
        assert repr(table).startswith("<vdb.Table t: There is no table 't'.")
    assert repr(table).startswith("<vdb.Table t: The database is closed.")
