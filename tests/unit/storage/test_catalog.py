from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import numpy as np
import pytest

from vdb._core import RowSet
from vdb.storage import catalog, stored
from vdb.storage.buffers import Growing
from vdb.storage.connection import Engine
from vdb.storage.state import IndexRecord, TableState, VectorState
from vdb.storage.vector_header import Identity
from vdb.storage.vectors import Extent, MemoryVectors, Segment
from vdb.types import Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

SCHEMA = TableSchema(
    'odd "name"',
    (
        Column("id", "BIGINT", False),
        VectorColumn("a", 4, "cosine", False),
        Column("tags", "VARCHAR[]"),
        VectorColumn("b", 7, "ip"),
    ),
    "id",
)
DATABASE = uuid.uuid4()


@pytest.fixture
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    engine = Engine.open(None)
    catalog.create(engine.cursor())
    yield engine.cursor()
    engine.close()


@pytest.fixture
def table() -> TableState:
    vectors = {}
    for number, column in enumerate(SCHEMA.columns):
        if isinstance(column, VectorColumn):
            source = MemoryVectors(Identity(DATABASE, uuid.uuid4(), 5, number, column.dim))
            vectors[column.name] = VectorState(source, source.view(0), None)
    return TableState(5, SCHEMA, 0, RowSet.none(0), np.empty(0, np.int64), 0, vectors, {}, Growing(np.int64))


def test_an_empty_catalog_is_at_commit_zero(cursor: duckdb.DuckDBPyConnection) -> None:
    assert catalog.last_seq(cursor) == 0
    assert stored.load_tables(cursor) == []


def test_a_table_is_loaded_as_added(cursor: duckdb.DuckDBPyConnection, table: TableState) -> None:
    catalog.add_table(cursor, table)
    (loaded,) = stored.load_tables(cursor)
    assert loaded.schema == SCHEMA
    assert (loaded.id, loaded.next_slot, loaded.next_row_id, loaded.live_rows) == (5, 0, 0, 0)
    files = stored.load_files(cursor, DATABASE, loaded)
    assert {file.column: file.identity for file in files} == {
        name: column.source.identity for name, column in table.vectors.items()
    }


def test_a_removed_table_leaves_nothing(cursor: duckdb.DuckDBPyConnection, table: TableState) -> None:
    catalog.add_table(cursor, table)
    catalog.put_index(cursor, table.id, IndexRecord("h", SCHEMA.name, "a", "hnsw", {"M": 16}))
    file = table.vectors["a"].source.identity.file
    catalog.update_segment(cursor, file, Segment(Extent(70_000, 9), 70_000 * 16, 0, (1, 2)))
    catalog.remove_table(cursor, table)
    for name in ("tables", "columns", "segments", "blocks", "indexes"):
        assert cursor.execute(f"SELECT count(*) FROM vdb.{name}").fetchone() == (0,), name


def test_block_checksums_are_joined_in_order(cursor: duckdb.DuckDBPyConnection) -> None:
    file = uuid.uuid4()
    catalog.update_segment(cursor, file, Segment(Extent(1, 1), 0, 2, (2**32 - 1, 8)))
    catalog.update_segment(cursor, file, Segment(Extent(1, 1), 0, 0, (5, 6)))
    assert stored.load_block_crcs(cursor, file, 4) == [5, 6, 2**32 - 1, 8]
    for blocks in (3, 5):
        with pytest.raises(ValueError, match="of 4 blocks"):
            stored.load_block_crcs(cursor, file, blocks)
    catalog.update_segment(cursor, file, Segment(Extent(1, 1), 0, 5, (9,)))
    with pytest.raises(ValueError, match="block 4 are missing"):
        stored.load_block_crcs(cursor, file, 5)


def test_an_index_is_replaced_by_name(cursor: duckdb.DuckDBPyConnection, table: TableState) -> None:
    catalog.add_table(cursor, table)
    first = IndexRecord("h", SCHEMA.name, "a", "hnsw", {"M": 16, "metric": "l2", "alpha": 1.2}, None, 0, 0)
    second = IndexRecord("h", SCHEMA.name, "a", "hnsw", {"M": 32}, uuid.uuid4().hex, 100, 7)
    other = IndexRecord("g", SCHEMA.name, "b", "hnsw", {})
    for record in (first, other):
        catalog.put_index(cursor, 5, record)
    assert stored.load_tables(cursor)[0].indexes == {"h": first, "g": other}
    catalog.put_index(cursor, 5, second)
    assert stored.load_tables(cursor)[0].indexes == {"h": second, "g": other}
    catalog.remove_index(cursor, 5, "h")
    assert stored.load_tables(cursor)[0].indexes == {"g": other}


def test_recall_curve_stays_with_the_index_it_was_measured_on(
    cursor: duckdb.DuckDBPyConnection, table: TableState
) -> None:
    catalog.add_table(cursor, table)
    catalog.put_index(cursor, 5, IndexRecord("h", SCHEMA.name, "a", "hnsw", {"M": 16}))
    measured = IndexRecord("h", SCHEMA.name, "a", "hnsw", {"M": 16}, recall="{}")
    for _ in range(2):
        catalog.put_index(cursor, 5, measured)
        assert stored.load_tables(cursor)[0].indexes == {"h": measured}
        assert cursor.execute("SELECT count(*) FROM vdb.recall_curves").fetchone() == (1,)
    cursor.execute("UPDATE vdb.indexes SET params = '{}'")
    assert stored.load_tables(cursor)[0].indexes["h"].recall is None
    catalog.remove_table(cursor, table)
    assert cursor.execute("SELECT count(*) FROM vdb.recall_curves").fetchone() == (0,)


def test_old_commits_are_forgotten_but_for_those_that_are_asked_for(cursor: duckdb.DuckDBPyConnection) -> None:
    cursor.execute("INSERT INTO vdb.commits SELECT 2 * range, make_timestamp(0) FROM range(1, 1500)")
    catalog.forget_commits(cursor, {8, 9, 2998})
    found = [seq for (seq,) in cursor.execute("SELECT seq FROM vdb.commits ORDER BY seq").fetchall()]
    assert found == [8, *range(1000, 2999, 2)]
    catalog.forget_commits(cursor, [])
    assert catalog.last_seq(cursor) == 2998
    assert cursor.execute("SELECT count(*) FROM vdb.commits").fetchone() == (catalog.REMEMBERED_COMMITS,)


def test_commits_are_found_by_sequence(cursor: duckdb.DuckDBPyConnection) -> None:
    catalog.add_commit(cursor, 3)
    catalog.add_commit(cursor, 7)
    assert catalog.last_seq(cursor) == 7
    assert [catalog.has_commit(cursor, seq) for seq in (0, 3, 5, 7)] == [True, True, False, True]
