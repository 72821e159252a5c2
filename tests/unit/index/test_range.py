"""`vdb.Range`: options and columns it takes, keys that compare as values do, and the graph over the life of a table."""

from __future__ import annotations

import contextlib
import datetime
import logging
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest
from attribute_keys import keys_by_slot

import vdb
from vdb import _core
from vdb.index.place import Superseded
from vdb.index.view import measurable, vector_view

if TYPE_CHECKING:
    from pathlib import Path

DIM = 6
ROWS = 700
SPEC = vdb.Range("year", M=8, ef_construction=60)


def years(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1990, 2020, count)


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def made(db: vdb.Database, spec: vdb.Range = SPEC) -> vdb.Table:
    table = db.create_table("t", {"id": np.arange(ROWS), "year": years(ROWS)}, e=vectors(ROWS), key="id")
    table.create_index("e", spec, name="r")
    return table


def assert_sound(db: vdb.Database, name: str = "r") -> None:
    """The graph has the keys of the table, and a walk that goes everywhere finds in a range what the scan finds."""
    state = db.store.state.table("t")
    record = state.indexes[name]
    graph = db.indexes.built(state, record)
    assert isinstance(graph, _core.RangeGraph)
    graph.check()
    column = db.attributes.column(state, "year")
    keys = keys_by_slot(column)
    assert graph.covered == state.next_slot
    view, rows = vector_view(state, "e", "l2"), measurable(state, "e", "l2") - column.null
    queries = vectors(5, seed=1)
    for low, high in ((1990, 2020), (1995, 2005), (2003, 2003), (2030, 2040)):
        inside = _core.RowSet.from_bools((keys >= low) & (keys <= high)) & rows
        expected = _core.scan(view, queries, 10, inside)
        codes = db.indexes._sources.walk_codes(state, record)
        found = graph.search(view, queries, 10, 1000, low, high, inside, codes=codes)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_a_range_index_is_built_listed_and_loaded_without_a_rebuild(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = made(db)
        assert_sound(db)
        (info,) = table.list_indexes()
        assert (info.name, info.kind, info.column, info.covered) == ("r", "range", "e", ROWS)
        assert info.params == {"attribute": "year", "metric": "l2", "M": 8, "ef_construction": 60, "seed": 42}
        assert info.memory_bytes > ROWS * 8 * 4
        assert (info.recall_curve, info.dead_nodes, info.unusable) == (None, None, "")
    with vdb.connect(tmp_path / "d") as db:
        monkeypatch.setattr(db.indexes, "_rebuild", None)
        assert_sound(db)
        assert len(db.table("t").search(vectors(1)[0], 10, where="year < 2000")) == 10
        db.table("t").drop_index("r")
        assert db.table("t").list_indexes() == []
    assert caplog.text == ""


def test_a_range_index_follows_rows_that_come_change_and_go(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = made(db)
        table.create_index("e", vdb.HNSW(codes="sq8"), name="h")  # whose codes it reads, though it came later
        table.add({"id": np.arange(ROWS, ROWS + 90), "year": years(90, seed=3)}, e=vectors(90, seed=3))
        assert_sound(db)
        table.update({"year": 2001}, where="id % 5 = 0")
        assert_sound(db)
        table.update({"year": None}, where="id % 7 = 0")
        assert_sound(db)
        table.update({"year": 1999}, where="id % 14 = 0")
        table.update({"e": None}, where="id % 11 = 0")
        table.delete("id % 3 = 0")
        table.upsert({"id": [1, 2, 5000], "year": [2005, None, 2005]}, e=vectors(3, seed=4))
        assert_sound(db)
        with contextlib.suppress(ZeroDivisionError), db.transaction():
            table.update({"year": 2010}, where="TRUE")
            raise ZeroDivisionError
        assert_sound(db)
        table.compact()
        assert_sound(db)
        table.add({"id": np.arange(6000, 6050), "year": years(50, seed=5)}, e=vectors(50, seed=5))
        assert_sound(db)
    with vdb.connect(tmp_path / "d") as db:
        assert_sound(db)


def test_keys_that_changed_after_the_snapshot_are_those_of_the_table_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vdb.connect(tmp_path / "d") as db:
        made(db)
    with vdb.connect(tmp_path / "d") as db:  # not loaded, so not brought up to date
        db.table("t").update({"year": 2003}, where="id < 100")
    with vdb.connect(tmp_path / "d") as db:
        monkeypatch.setattr(db.indexes, "_rebuild", None)
        assert_sound(db)


def test_a_damaged_snapshot_is_rebuilt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with vdb.connect(tmp_path / "d") as db:
        made(db)
    (file,) = (p for p in (tmp_path / "d").rglob("*") if p.is_file() and "index" in str(p.relative_to(tmp_path)))
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING), vdb.connect(tmp_path / "d") as db:
        assert_sound(db)
    assert "rebuilding" in caplog.text


def test_a_metric_of_its_own_and_one_in_python(db: vdb.Database) -> None:
    pytest.importorskip("numba")
    taxi = vdb.metric(_taxi, name="range_taxi")
    table = made(db, vdb.Range("year", metric="cosine"))
    table.create_index("e", vdb.Range("year", metric=taxi, M=8, ef_construction=60), name="p")
    state = db.store.state.table("t")
    for name, metric in (("r", "cosine"), ("p", taxi)):
        graph = db.indexes.built(state, state.indexes[name])
        view = vector_view(state, "e", metric)
        rows = _core.RowSet.from_bools(years(ROWS) >= 2005)
        expected = _core.scan(view, vectors(5, seed=1), 10, rows)
        assert isinstance(graph, _core.RangeGraph)
        found = graph.search(view, vectors(5, seed=1), 10, 1000, 2005, 2020, rows)
        np.testing.assert_array_equal(found[0], expected[0])


def _taxi(a: np.ndarray, b: np.ndarray, dim: int) -> float:
    distance = 0.0
    for i in range(dim):
        distance += abs(a[i] - b[i])
    return distance


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"M": 1}, "M must be an integer from 2 to 1,024"),
        ({"ef_construction": 0}, "ef_construction must be an integer from 1"),
        ({"seed": -1}, "seed must be"),
        ({"metric": "taxi"}, "unknown metric 'taxi'"),
        ({"attribute": ""}, "the attribute of a Range must be a name"),
        ({"attribute": 3}, "the attribute of a Range must be a name"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(vdb.InvalidArgument, match=words):
        vdb.Range(**{"attribute": "year", **options})


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("yaer", "no column 'yaer' to order by; columns to order by: year, name[\\s\\S]*such as 'year'"),
        ("nothing", "no column 'nothing'"),
        ("e", "is a vector column, which has no order"),
        ("tags", r"is VARCHAR\[\], which cannot be ordered"),
        ("both", r"is STRUCT.*, which cannot be ordered"),
    ],
)
def test_a_column_without_an_order_is_refused(db: vdb.Database, attribute: str, words: str) -> None:
    table = db.create_table(
        "t",
        {"year": "INTEGER", "name": "VARCHAR", "tags": "VARCHAR[]", "both": "STRUCT(a INTEGER)", "e": f"FLOAT[{DIM}]"},
    )
    with pytest.raises(vdb.InvalidArgument, match=words):
        table.create_index("e", vdb.Range(attribute))
    with pytest.raises(vdb.InvalidArgument, match=r"described by one of .*vdb\.Range"):
        table.create_index("e", "year")  # type: ignore[arg-type]
    table.create_index("e", vdb.Range("name"))  # of an empty table
    assert [info.name for info in table.list_indexes()] == ["t_e_name_range"]


VALUES: dict[str, list[Any]] = {
    "TINYINT": [-128, 0, 127],
    "BIGINT": [-(2**63), -1, 0, 2**63 - 1],
    "UBIGINT": [0, 2**63 - 1, 2**63, 2**64 - 1],
    "UINTEGER": [0, 2**32 - 1],
    "HUGEINT": [-(2**100), 0, 2**100],
    "DOUBLE": [-np.inf, -2.5, -0.0, 0.0, 5e-324, 1.0, np.inf, np.nan],
    "FLOAT": [-1.5, 0.0, 3.25, np.nan],
    "DECIMAL(9,2)": [-2.5, -0.01, 0, 7.25],
    "BOOLEAN": [False, True],
    "DATE": [datetime.date(1, 1, 1), datetime.date(1969, 12, 31), datetime.date(2020, 2, 29)],
    "TIMESTAMP": [datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.datetime(2020, 1, 1)],
    "TIME": [datetime.time(0), datetime.time(12, 30, 1, 5), datetime.time(23, 59, 59, 999999)],
    "VARCHAR": ["", "a", "ab", "abcdefgh", "abcdefghi", "b", "\u00e9", "\U0001f600"],
}


@pytest.mark.parametrize("type_", VALUES)
def test_keys_compare_as_duckdb_compares_the_values(db: vdb.Database, type_: str) -> None:
    values = [*VALUES[type_], None] * 2
    np.random.default_rng(0).shuffle(values)  # type: ignore[arg-type]
    table = db.create_table("t", {"v": type_, "nan": "BOOLEAN", "e": "FLOAT[1]"})
    table.add([{"v": value, "nan": value != value, "e": [float(i)]} for i, value in enumerate(values)])
    if any(value != value for value in values):  # what is added as NaN is stored as NULL
        assert table.update({"v": np.nan}, where="nan") == 2
    column = db.attributes.column(db.store.state.table("t"), "v")
    keys, rows = keys_by_slot(column), (~column.null).to_slots().tolist()
    assert rows == [i for i, value in enumerate(values) if value is not None]
    compared = duckdb.connect()
    for a in rows:
        for b in rows:
            sql = f"SELECT CAST(? AS {type_}) <= CAST(? AS {type_})"
            ((at_most,),) = compared.execute(sql, [values[a], values[b]]).fetchall()
            if at_most:
                assert keys[a] <= keys[b]
            else:
                assert keys[a] >= keys[b]


def test_an_index_whose_attribute_moves_under_it_is_built_of_the_new_slots(
    db: vdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = made(db)
    table.drop_index("r")
    table.delete("id % 2 = 0")
    extend, beaten = db.indexes._sources.extend, []

    def compact_and_extend(*args: Any) -> None:
        if not beaten:
            beaten.append(True)
            table.compact()
        extend(*args)

    monkeypatch.setattr(db.indexes._sources, "extend", compact_and_extend)
    table.create_index("e", SPEC, name="r")
    assert_sound(db)


def test_an_index_of_slots_that_a_compaction_gave_up_is_left_as_it_is(db: vdb.Database) -> None:
    # As where another thread compacts the table between a commit and what follows it.
    table = made(db)
    table.delete("id % 2 = 0")
    before = db.store.state.table("t")
    record = before.indexes["r"]
    graph = db.indexes.built(before, record)
    table.compact()
    assert db.store.state.table("t").generation is not before.generation
    with pytest.raises(Superseded):
        db.indexes._sources.extend(graph, "l2", record, before)
    assert graph.covered == ROWS
    assert_sound(db)
