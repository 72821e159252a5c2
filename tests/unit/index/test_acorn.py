"""ACORN as an index: its options, its life on disk, and answers that are those of the scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from brute_force import assert_exact, by_id

import vdb
from vdb import _core
from vdb.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

DIM = 6
ROWS = 500
SPEC = vdb.ACORN(M=6, gamma=5, M_beta=8, ef_construction=20)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(11).normal(size=(2 * ROWS, DIM)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path, x: np.ndarray) -> Path:
    """A closed database of 500 rows with the index `a`."""
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", SPEC, name="a")
    return tmp_path / "d"


def graph_of(db: vdb.Database) -> _core.Hnsw:
    state = db.store.state.table("t")
    return db.indexes.graph(state, state.indexes["a"])


def assert_sound(db: vdb.Database, expected: dict[int, np.ndarray]) -> None:
    """Whatever the strategy, a search that is wide enough finds what the scan finds."""
    graph_of(db).check()
    for query in np.random.default_rng(1).normal(size=(5, DIM)):
        for strategy in ("auto", "graph", "post"):
            found = db.table("t").search(query, 10, strategy=strategy, ef_search=2 * ROWS)
            assert_exact(found, by_id(query, expected), 10)
        odd = {key: row for key, row in expected.items() if key % 2}
        found = db.table("t").search(query, 10, where="id % 2 = 1", strategy="graph", ef_search=2 * ROWS)
        assert_exact(found, by_id(query, odd), 10)


def test_defaults_are_those_of_the_authors_and_M_beta_follows_M() -> None:
    spec = vdb.ACORN()
    assert (spec.M, spec.gamma, spec.M_beta, spec.ef_construction) == (32, 12, 32, 40)
    assert vdb.ACORN(M=8).M_beta == 8
    assert vdb.ACORN(M=8, gamma=1).M_beta == 8
    for name, option in vdb.ACORN.options.items():
        assert getattr(spec, name) == option.default
        assert option.least <= option.default <= option.greatest


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gamma": 0}, r"gamma must be an integer from 1 to 8,192, got 0"),
        ({"gamma": 1.5}, r"gamma must be an integer, got 1\.5"),
        ({"gamma": 513}, r"gamma must be at most 512 where M is 32, got 513.*\n  Fix"),
        ({"M": 1024, "gamma": 17}, r"gamma must be at most 16 where M is 1024, got 17"),
        ({"M_beta": 0}, r"M_beta must be an integer from 1 to 384, got 0"),
        ({"M_beta": 385}, r"M_beta must be an integer from 1 to 384, got 385"),
        ({"M_beta": True}, r"M_beta must be an integer, got True"),
        ({"gamma": 1, "M_beta": 64}, r"M_beta must be an integer from 1 to 32, got 64"),
        ({"M": 1}, r"M must be an integer from 2"),
        ({"codes": "packed"}, r"unknown codes 'packed'; expected one of auto, none, rabitq, sq8"),
        ({"bits": 4}, r"bits=4 is for codes='rabitq'"),
        ({"metric": "L2"}, r"unknown metric 'L2'"),
    ],
)
def test_wrong_option_is_refused_where_it_is_written(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        vdb.ACORN(**wrong)  # type: ignore[arg-type]


def test_params_make_the_spec_again() -> None:
    spec = vdb.ACORN("ip", 5, 6, 7, 8, 9, "rabitq", 4)
    assert vdb.ACORN(**spec.params("l2")) == spec  # type: ignore[arg-type]


def test_index_is_listed_saved_and_loaded_without_a_rebuild(
    path: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with vdb.connect(path) as db:
        monkeypatch.setattr(db.indexes, "_rebuild", None)
        assert_sound(db, dict(enumerate(x[:ROWS])))
        (info,) = db.table("t").list_indexes()
        graph = graph_of(db)
    assert (graph.gamma, graph.M_beta, graph.M) == (5, 8, 6)
    assert (info.name, info.kind, info.metric, info.covered, info.dead_nodes) == ("a", "acorn", "l2", ROWS, 0)
    assert info.params == {
        "metric": "l2",
        "M": 6,
        "gamma": 5,
        "M_beta": 8,
        "ef_construction": 20,
        "seed": 42,
        "codes": "none",
        "bits": 0,
    }
    assert info.memory_bytes >= ROWS * (8 + 9) * 4
    assert caplog.text == ""


def test_index_follows_rows_that_come_die_and_move(path: Path, x: np.ndarray) -> None:
    expected = dict(enumerate(x[:ROWS]))
    with vdb.connect(path) as db:
        table = db.table("t")
        for begin in range(ROWS, 2 * ROWS, 100):
            ids = np.arange(begin, begin + 100)
            table.add({"id": ids}, e=x[ids])
            table.delete(f"id >= {begin - ROWS} AND id < {begin - ROWS + 60}")
            expected |= dict(zip(ids.tolist(), x[ids], strict=True))
            for gone in range(begin - ROWS, begin - ROWS + 60):
                del expected[gone]
        assert_sound(db, expected)
        table.compact()
        assert_sound(db, expected)
        assert graph_of(db).size == len(expected)
        assert graph_of(db).gamma == 5
    with vdb.connect(path) as db:
        assert_sound(db, expected)


def test_default_options_build_beside_another_graph_and_the_recall_is_known() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(3000, 16)).astype(np.float32)
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(3000)}, e=vectors, key="id")
        table.create_index("e", vdb.HNSW())
        info = table.create_index("e", vdb.ACORN())
        assert {index.kind for index in table.list_indexes()} == {"hnsw", "acorn"}
        assert info.recall_curve is not None
        assert info.recall_curve.ef_for(0.9, 10) is not None
        table.drop_index(next(index.name for index in table.list_indexes() if index.kind == "hnsw"))
        assert table.measure_recall(10, recall=0.9).recall >= 0.88


def test_search_as_published_returns_allowed_rows_at_their_distances() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(2000, DIM)).astype(np.float32)
    queries = rng.normal(size=(50, DIM)).astype(np.float32)
    view = _core.VectorView(vectors, "l2")
    graph = _core.Hnsw(DIM, "l2", M=8, ef_construction=40, gamma=12, M_beta=16)
    graph.extend(view)
    rows = _core.RowSet.from_bools(rng.random(2000) < 0.1)
    truth, exact, _ = _core.scan(view, queries, 10, rows)
    slots, distances, stats = graph.search(view, queries, 10, 64, rows, arm="acorn")
    assert not len(stats.unfinished)
    assert all(slot in rows for slot in slots.ravel().tolist())
    same = slots == truth
    assert same.mean() >= 0.9
    np.testing.assert_array_equal(distances[same], exact[same])
    with pytest.raises(InvalidArgument, match="arm 'sideways' is unknown: expected"):
        graph.search(view, queries, 10, 64, rows, arm="sideways")
    with pytest.raises(InvalidArgument, match="built with gamma"):
        _core.Hnsw(DIM, "l2").search(view, queries, 10, 64, rows, arm="acorn")
