"""Cells of an index: made when first asked for, current after every commit, none under a metric of the caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb import _core

if TYPE_CHECKING:
    from pathlib import Path

DIM = 16
ROWS = 500


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(2 * ROWS, DIM)).astype(np.float32)


def cells_of(db: vdb.Database, name: str = "h") -> _core.Cells | None:
    state = db.store.state.table("t")
    return db.indexes.cells(state, state.indexes[name])


def seeds(db: vdb.Database, query: np.ndarray, allowed: _core.RowSet, metric: str = "l2") -> set[int]:
    state = db.store.state.table("t")
    vectors = state.vectors["e"]
    norms = vectors.inverse_norms() if metric == "cosine" else None
    view = _core.VectorView(vectors.data, metric, norms)
    cells = cells_of(db)
    assert cells is not None
    slots, density = cells.population(allowed).seeds(view, query[None], allowed.size)
    assert 0 <= density[0] <= 1
    return set(slots[slots != _core.ABSENT_SLOT].tolist())


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_cells_follow_commits_and_compaction(x: np.ndarray, metric: str) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", vdb.HNSW(metric=metric), name="h")  # type: ignore[arg-type]
        cells = cells_of(db)
        assert cells is not None
        assert (cells.covered, cells.count) == (ROWS, 33)
        table.add({"id": np.arange(ROWS, ROWS + 100)}, e=x[ROWS : ROWS + 100])
        assert cells_of(db) is cells
        assert cells.covered == ROWS + 100
        table.delete("id % 2 = 0")
        live = db.store.state.table("t").live
        assert seeds(db, x[0], live, metric) == set(live.to_slots().tolist())
        table.compact()
        live = db.store.state.table("t").live
        assert live.size == (ROWS + 100) // 2
        assert seeds(db, x[0], live, metric) == set(range(live.size))


def test_cells_are_made_with_a_graph_saved_with_it_and_move_with_its_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(4).normal(size=(3000, DIM)).astype(np.float32)
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(1000)}, e=x[:1000], key="id")
        table.create_index("e", vdb.HNSW(), name="h")
        table.add({"id": np.arange(1000, 2000)}, e=x[1000:2000])  # enough rows for filtered walks by now
        cells = cells_of(db)
        assert cells is not None
        assert (cells.covered, cells.count) == (2000, 67)
    placed: list[int] = []
    extend = _core.Cells.extend

    def counted(cells: _core.Cells, view: _core.VectorView, *args: Any) -> None:
        placed.append(view.n - cells.covered)
        extend(cells, view, *args)

    monkeypatch.setattr(_core.Cells, "extend", counted)
    with vdb.connect(tmp_path / "d") as db:
        table = db.table("t")
        everything = db.store.state.table("t").live
        assert len(table.search(x[0], 10, where="id >= 0")) == 10
        cells = cells_of(db)
        assert cells is not None
        assert (cells.count, placed) == (67, [])
        assert seeds(db, x[0], everything) == set(range(2000))
        table.add({"id": np.arange(2000, 2100)}, e=x[2000:2100])
        assert placed == [100]
        table.delete("id % 2 = 0")
        table.compact()
        cells = cells_of(db)
        assert cells is not None
        assert (cells.covered, cells.count, placed) == (1050, 67, [100])
        moved = seeds(db, x[1], _core.RowSet.from_range(0, 50, 1050))
        assert moved == set(range(50))
    with vdb.connect(tmp_path / "d") as db:
        table = db.table("t")
        table.list_indexes()
        nearest = table.search(x[101], 1, where="id = 101")
        assert (nearest.ids.tolist(), placed) == ([101], [100])
        assert seeds(db, x[101], db.store.state.table("t").live) == set(range(1050))


def test_rows_of_a_transaction_are_placed_once_they_are_committed(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", vdb.HNSW(), name="h")
        with db.transaction():
            table.add({"id": [ROWS]}, e=x[ROWS : ROWS + 1])
            cells = cells_of(db)
            assert cells is not None
            assert cells.covered == ROWS
        assert cells.covered == ROWS + 1


def test_no_cells_under_a_metric_written_in_python(x: np.ndarray) -> None:
    pytest.importorskip("numba", reason="numba is needed for a metric written in Python")

    @vdb.metric
    def city_block(a: np.ndarray, b: np.ndarray, dim: int) -> float:
        total = 0.0
        for i in range(dim):
            total += abs(a[i] - b[i])
        return total

    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(20)}, e=x[:20], key="id")
        table.create_index("e", vdb.HNSW(metric=city_block), name="h")
        assert cells_of(db) is None
        with pytest.raises(vdb.InvalidArgument, match="k-means needs means"):
            _core.Cells(DIM, "custom")


@pytest.mark.parametrize("codes", [None, "sq8", "rabitq"])
def test_scan_of_a_graph_finds_the_allowed_rows(x: np.ndarray, codes: str | None) -> None:
    view = _core.VectorView(x, "l2")
    graph = _core.Hnsw(DIM, "l2", codes=codes, bits=4 if codes == "rabitq" else 0)
    graph.extend(_core.VectorView(x[:ROWS], "l2"))
    queries = x[:5] + np.float32(0.01)
    every_other = _core.RowSet.from_slots(np.arange(0, 2 * ROWS, 2, dtype=np.uint32), 2 * ROWS)
    for allowed, begin in ((None, 0), (every_other, 0), (every_other, 700)):
        slots, distances, stats = graph.scan(view, queries, 3, allowed, begin)
        expected, exact, _ = _core.scan(view, queries, 3, allowed, begin)
        assert slots.tolist() == expected.tolist()
        assert distances.tolist() == exact.tolist()
        assert (stats.estimates > 0) == (codes is not None and begin == 0)
        assert (stats.refined > 0) == (codes == "rabitq" and begin == 0)
    few = np.tile(np.array([900, 3, _core.ABSENT_SLOT], np.uint32), (5, 1))
    slots, _, _ = graph.scan(view, queries, 3, slots=few)
    assert np.sort(slots).tolist() == [[3, 900, _core.ABSENT_SLOT]] * 5
    with pytest.raises(vdb.InvalidArgument, match="list for each of the 5 queries"):
        graph.scan(view, queries, 3, slots=few[:2])
    with pytest.raises(vdb.InvalidArgument, match="slots that are allowed"):
        graph.scan(view, queries, 3, every_other, slots=few)
    few[2, 0] = 2 * ROWS
    with pytest.raises(vdb.InvalidArgument, match="slot 1000 of a list is not below the 1000"):
        graph.scan(view, queries, 3, slots=few)


def test_a_population_keeps_its_rows_alive(x: np.ndarray) -> None:
    cells = _core.Cells(DIM, "l2", n=7)
    view = _core.VectorView(x, "l2")
    cells.extend(view)
    population = cells.population(_core.RowSet.from_slots(np.array([5, 900], np.uint32), 2 * ROWS))
    other = _core.RowSet.none(2 * ROWS)  # where the first would have been
    slots, _ = population.seeds(view, x[:2], 4)
    assert np.sort(slots).tolist() == [[5, 900, _core.ABSENT_SLOT, _core.ABSENT_SLOT]] * 2
    assert (cells.count, other.count) == (7, 0)
