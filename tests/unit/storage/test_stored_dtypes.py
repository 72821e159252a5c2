"""Vectors of every dtype in memory, in a file, through commits, a reopen, a kill, copies and damage."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

from vdb.dtypes import shown
from vdb.errors import Corrupted, DimensionMismatch
from vdb.storage import catalog
from vdb.storage.batch import Batch, make_batch
from vdb.storage.connection import Engine
from vdb.storage.store import Store
from vdb.storage.stored import load_files, load_tables
from vdb.storage.vector_file import VectorFile
from vdb.storage.vector_header import BLOCK_BYTES, DATA_OFFSET, Identity
from vdb.storage.vectors import MemoryVectors, Vectors
from vdb.types import DTYPES, Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from vdb.storage.read import Reader
    from vdb.storage.state import TableState
    from vdb.types import Dtype, StoredMatrix

STORED: tuple[Dtype, ...] = ("float32", "float16", "bfloat16", "int8")
DIM = 101  # odd: rows of two bytes a value begin at odd multiples of two

pytestmark = pytest.mark.parametrize("dtype", STORED)


def numbers(n: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """(n, DIM) small integers, which every dtype holds."""
    return np.random.default_rng(seed).integers(-100, 101, (n, DIM)).astype(np.float64)


def stored(dtype: Dtype, n: int, seed: int = 0) -> StoredMatrix:
    return batch_of(schema_of(dtype), np.arange(n), numbers(n, seed)).vectors["v"].values


def schema_of(dtype: Dtype) -> TableSchema:
    columns = (Column("id", "BIGINT", False), Column("title", "VARCHAR"), VectorColumn("v", DIM, dtype=dtype))
    return TableSchema("papers", columns, "id")


def batch_of(schema: TableSchema, ids: Sequence[int] | npt.NDArray[np.int64], vectors: object) -> Batch:
    return make_batch(schema, {"id": np.asarray(ids), "title": ["t"] * len(ids)}, {"v": vectors})


def rows_of(session: Reader) -> dict[int, list[float] | None]:
    """Every row as DuckDB and memory have it together."""
    slots = session.state.table("papers").live.to_slots()
    return dict(session.fetch("papers", slots, ["id", "v"]).fetchall())


def contents(store: Store) -> dict[int, list[float] | None]:
    with store.read() as session:
        return {key: None if row is None else list(row) for key, row in rows_of(session).items()}


def expected(values: npt.NDArray[np.float64], first: int = 0) -> dict[int, list[float] | None]:
    return {first + i: row.tolist() for i, row in enumerate(values)}


def filled(path: Path | None, dtype: Dtype, n: int = 2000) -> Store:
    """A database with `n` rows in two commits."""
    store, schema = Store.open(path), schema_of(dtype)
    with store.begin() as transaction:
        transaction.create_table(schema)
        transaction.insert("papers", batch_of(schema, range(n // 2), numbers(n)[: n // 2]))
    with store.begin() as transaction:
        transaction.insert("papers", batch_of(schema, range(n // 2, n), numbers(n)[n // 2 :]))
    return store


@pytest.fixture(params=["disk", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Dtype], Vectors]:
    def made(dtype: Dtype) -> Vectors:
        identity = Identity(uuid.uuid4(), uuid.uuid4(), 1, 0, DIM, dtype=dtype)
        return MemoryVectors(identity) if request.param == "memory" else VectorFile.create(tmp_path / "v.vec", identity)

    return made


def test_rows_missing_ones_and_norms_are_of_the_dtype(dtype: Dtype, make: Callable[[Dtype], Vectors]) -> None:
    vectors = make(dtype)
    assert vectors.view(0).dtype == DTYPES[dtype].memory
    rows = stored(dtype, 700)
    vectors.append(rows)
    vectors.append_missing(3)
    vectors.append(rows[:5])
    view = vectors.view(708)
    assert view.dtype == rows.dtype
    assert not view.flags.writeable
    np.testing.assert_array_equal(view, np.concatenate([rows, np.zeros((3, DIM), rows.dtype), rows[:5]]))
    norms = vectors.inverse_norms(view)
    np.testing.assert_allclose(norms[:700], 1 / np.linalg.norm(numbers(700), axis=1), rtol=1e-6)
    assert np.isinf(norms[700:703]).all()
    assert vectors.segment().bytes == 708 * DIM * rows.itemsize
    vectors.roll_back()
    vectors.append(rows[7:8])
    np.testing.assert_array_equal(vectors.view(1), rows[7:8])
    vectors.close(truncate=True)


def test_a_database_is_as_before_after_a_reopen(dtype: Dtype, tmp_path: Path) -> None:
    store = filled(tmp_path / "db", dtype)
    assert contents(store) == expected(numbers(2000))
    schema = store.state.table("papers").schema
    store.close()
    (file,) = (tmp_path / "db" / "vectors").iterdir()
    assert file.stat().st_size == DATA_OFFSET + 2000 * DIM * DTYPES[dtype].memory.itemsize
    again = Store.open(tmp_path / "db")
    table = again.state.table("papers")
    assert table.schema == schema == schema_of(dtype)
    assert table.vectors["v"].data.dtype == DTYPES[dtype].memory
    assert contents(again) == expected(numbers(2000))
    again.check()
    again.close()


def test_committed_rows_survive_a_kill_and_pending_ones_go(dtype: Dtype, tmp_path: Path) -> None:
    store, schema = filled(tmp_path / "db", dtype), schema_of(dtype)
    transaction = store.begin()
    transaction.insert("papers", batch_of(schema, [5000], numbers(1, 9)))
    shutil.copytree(tmp_path / "db", tmp_path / "killed")
    transaction.rollback()
    assert contents(store) == expected(numbers(2000))
    store.close()
    again = Store.open(tmp_path / "killed")
    assert contents(again) == expected(numbers(2000))
    with again.begin() as transaction:
        transaction.insert("papers", batch_of(schema, range(2000, 2010), numbers(10, 3)))
    assert contents(again) == expected(numbers(2000)) | expected(numbers(10, 3), 2000)
    again.check()
    again.close()


def test_a_damaged_block_is_found(dtype: Dtype, tmp_path: Path) -> None:
    filled(tmp_path / "db", dtype).close()
    (file,) = (tmp_path / "db" / "vectors").iterdir()
    data = bytearray(file.read_bytes())
    data[DATA_OFFSET + BLOCK_BYTES + 12_345] ^= 1
    file.write_bytes(data)
    again = Store.open(tmp_path / "db")
    with pytest.raises(Corrupted, match=f"at byte {DATA_OFFSET + BLOCK_BYTES}"):
        again.check()
    again.close()


def test_a_catalog_of_another_dtype_is_refused(dtype: Dtype, tmp_path: Path) -> None:
    filled(tmp_path / "db", dtype).close()
    for other in (*(name for name in STORED if name != dtype), "float128"):
        shutil.copytree(tmp_path / "db", tmp_path / other)
        connection = duckdb.connect(str(tmp_path / other / "catalog.duckdb"))
        connection.execute("UPDATE vdb.columns SET dtype = ? WHERE dtype IS NOT NULL", [other])
        connection.close()
        with pytest.raises(Corrupted):
            Store.open(tmp_path / other)


def test_catalog_lists_the_dtype_and_the_type(dtype: Dtype) -> None:
    store = filled(None, dtype)
    engine = Engine.open(None)
    cursor = engine.cursor()
    catalog.create(cursor)
    table: TableState = store.state.table("papers")
    catalog.add_table(cursor, table)
    found = cursor.execute("SELECT type, dtype FROM vdb.columns WHERE dtype IS NOT NULL").fetchall()
    assert found == [(f"{DTYPES[dtype].sql}[{DIM}]", dtype)]
    (loaded,) = load_tables(cursor)
    assert loaded.schema == table.schema
    (file,) = load_files(cursor, table.vectors["v"].source.identity.database, loaded)
    assert file.identity == table.vectors["v"].source.identity
    engine.close()
    store.close()


def test_upsert_and_update_keep_and_replace_vectors(dtype: Dtype, tmp_path: Path) -> None:
    store, schema = filled(tmp_path / "db", dtype, 100), schema_of(dtype)
    row = stored(dtype, 1, 5)[0]
    rows = expected(numbers(100))
    with store.begin() as transaction:
        transaction.upsert("papers", make_batch(schema, {"id": [3, 200], "title": ["x", "y"]}, {}, partial=True), "id")
        transaction.upsert("papers", batch_of(schema, [4, 201], [None, numbers(1, 6)[0]]), "id")
        transaction.update("papers", transaction.slots_of_keys("papers", [7, 8]), {}, {"v": row})
        transaction.update("papers", transaction.slots_of_keys("papers", [9]), {}, {"v": None})
    rows |= {200: None, 4: None, 201: numbers(1, 6)[0].tolist(), 9: None}
    rows |= dict.fromkeys((7, 8), shown(row[None], dtype)[0].tolist())
    assert contents(store) == rows
    store.close()
    again = Store.open(tmp_path / "db")
    assert contents(again) == rows
    with pytest.raises(DimensionMismatch, match=f"is {DTYPES[dtype].sql}\\[{DIM}\\]"), again.begin() as transaction:
        transaction.update("papers", transaction.slots_of_keys("papers", [7]), {}, {"v": row[:5]})
    again.close()


def test_fetched_vectors_are_floats_or_tiny_integers(dtype: Dtype) -> None:
    store = filled(None, dtype, 10)
    with store.read() as session:
        result = session.fetch("papers", session.state.table("papers").live.to_slots(), ["v"])
        (description,) = result.description
        assert str(description[1]) == f"{'TINYINT' if dtype == 'int8' else 'FLOAT'}[{DIM}]"
    store.close()
