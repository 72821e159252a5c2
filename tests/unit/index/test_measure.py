"""Recall measured on a table's own vectors: the curve against the truth, and its life beside the index."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb.index import measure
from vdb.index.filtered import recall_of
from vdb.index.measure import Vectors, made_queries, measure_curve, sample_queries
from vdb.index.recall import KS, LEAST_ROWS, RecallCurve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vdb.types import Metric

DIM = 16
ROWS = 3000
SPEC = vdb.HNSW(M=6, ef_construction=40)


def clusters(n: int, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(30, DIM))
    return (centers[rng.integers(0, 30, n)] + rng.normal(size=(n, DIM))).astype(np.float32)


def loaded(db: vdb.Database, rows: int = ROWS) -> vdb.Table:
    return db.create_table("t", {"id": np.arange(rows)}, e=clusters(rows), key="id")


def curve_of(table: vdb.Table) -> RecallCurve | None:
    return table.list_indexes()[0].recall_curve


@pytest.fixture(scope="module")
def table() -> Iterator[vdb.Table]:
    with vdb.connect(":memory:") as db:
        made = loaded(db)
        made.create_index("e", SPEC)
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with vdb.connect(tmp_path / "d") as db:
        loaded(db).create_index("e", SPEC, name="h")
    return tmp_path / "d"


def vectors_of(table: vdb.Table, metric: Metric = "l2") -> Vectors:
    return Vectors(table._state, "e", metric, 1)


def test_curve_is_what_walks_find_beside_the_truth(table: vdb.Table) -> None:
    curve = curve_of(table)
    assert curve is not None
    vectors = vectors_of(table)
    queries = sample_queries(vectors, np.arange(ROWS, dtype=np.uint32), curve.queries, 42)
    data = vectors.state.vectors["e"].data.astype(np.float64)
    exact = np.linalg.norm(queries[:, None].astype(np.float64) - data, axis=2).argsort(axis=1)
    for j, ef in enumerate(curve.efs):
        found = table.search(queries, min(ef - 1, 100), strategy="graph", ef_search=ef).ids
        for i, k in enumerate(KS):
            hits = sum(len(np.intersect1d(f[:k], t[:k])) for f, t in zip(found, exact, strict=True))
            assert curve.recalls[i][j] == pytest.approx(hits / (k * len(queries)), abs=2e-3)


def test_curve_ends_where_it_is_flat_or_the_scan_is_cheaper(table: vdb.Table) -> None:
    curve = curve_of(table)
    assert curve is not None
    assert all(b == 2 * a for a, b in zip(curve.efs, curve.efs[1:], strict=False))
    assert curve.efs[-1] <= 2048
    assert (curve.slots, curve.rows, curve.queries) == (ROWS, ROWS, 200)
    assert all(min(row) >= 0 and max(row) <= 1 for row in curve.recalls)


@pytest.mark.parametrize("recall", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("k", [1, 10, 30])
def test_asked_recall_is_reached_on_rows_that_were_not_there(table: vdb.Table, recall: float, k: int) -> None:
    report = table.measure_recall(k, clusters(300, seed=6), recall=recall)
    assert report.recall >= recall - 0.02


def test_more_recall_costs_more_distances(table: vdb.Table) -> None:
    queries = clusters(50, seed=6)

    def distances(recall: float) -> int:
        text = table.search(queries, 10, recall=recall).explain()
        return int(text.partition("distances ")[2].split()[0].replace(",", ""))

    assert distances(0.8) < distances(0.99) < distances(1.0) == 50 * ROWS


def test_same_table_gives_the_same_curve(table: vdb.Table) -> None:
    with vdb.connect(":memory:", threads=1) as db:
        other = loaded(db)
        other.create_index("e", SPEC)
        assert curve_of(other) == curve_of(table)


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
@pytest.mark.parametrize("dtype", ["FLOAT", "FLOAT16", "BFLOAT16", "TINYINT"])
def test_every_metric_and_dtype_has_a_curve(metric: Metric, dtype: str) -> None:
    with vdb.connect(":memory:") as db:
        made = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"{dtype}[{DIM}]"}, metric=metric)
        made.add({"id": np.arange(1200)}, e=np.rint(clusters(1200) * 10))
        made.create_index("e", SPEC)
        curve = curve_of(made)
        assert curve is not None
        assert curve.recalls[1][-1] > 0.9
        queries = made_queries(Vectors(made._state, "e", metric, 1), 20, 0)
        assert len(made.search(queries, 3)) == 20
        assert made.measure_recall(recall=0.9).recall >= 0.85


def test_made_queries_are_spread_as_the_rows_are_but_are_none_of_them(table: vdb.Table) -> None:
    vectors = vectors_of(table)
    queries = made_queries(vectors, 500, 1)
    data = vectors.state.vectors["e"].data
    np.testing.assert_allclose(queries.std(axis=0), data.std(axis=0), rtol=0.25)
    np.testing.assert_allclose(queries.mean(axis=0), data.mean(axis=0), atol=0.4)
    assert np.linalg.norm(queries[:, None] - data, axis=2).min() > 0


def test_made_queries_are_the_same_for_the_same_seed(table: vdb.Table) -> None:
    vectors = vectors_of(table)
    queries = made_queries(vectors, 50, 1)
    assert np.array_equal(queries, made_queries(vectors, 50, 1))
    assert not np.array_equal(queries, made_queries(vectors, 50, 2))


def test_queries_made_of_opposite_or_huge_rows_are_valid() -> None:
    with vdb.connect(":memory:") as db:
        made = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT16[2]"}, metric="cosine")
        made.add([{"id": 0, "e": [1, 0]}, {"id": 1, "e": [-1, 0]}, {"id": 2, "e": [65504, 65504]}])
        queries = made_queries(Vectors(made._state, "e", "cosine", 1), 200, 0)
        assert np.isfinite(queries).all()
        assert queries.any(axis=1).all()
        assert made.measure_recall(2).recall == 1.0


def test_equally_near_rows_stand_in_for_each_other() -> None:
    truth = np.array([[1, 2, 2], [0, 1, np.inf]], np.float32)
    found = np.array([[1, 2, 2], [0, np.inf, np.inf]], np.float32)
    assert recall_of(found, truth, 3) == 4 / 6, "what is missing does not count as found"
    assert recall_of(found, truth, 2) == 3 / 4
    assert recall_of(found[:, :1], truth, 3) == 2 / 6


def test_few_rows_have_no_curve_and_are_scanned() -> None:
    with vdb.connect(":memory:") as db:
        made = loaded(db, LEAST_ROWS - 1)
        made.create_index("e", SPEC)
        assert curve_of(made) is None
        text = made.search(np.ones(DIM), recall=0.9).explain()
        assert "strategy  scan" in text
        assert "no recall curve" in text
        with pytest.raises(vdb.InvalidArgument, match="no recall curve"):
            made.search(np.ones(DIM), recall=0.9, strategy="graph")


def test_flat_index_needs_no_curve() -> None:
    with vdb.connect(":memory:") as db:
        made = loaded(db)
        made.create_index("e", vdb.Flat(codes="sq8"))
        assert curve_of(made) is None
        assert made.measure_recall(recall=0.9).recall == 1.0


def test_measuring_is_bounded_by_its_sample(table: vdb.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = vectors_of(table)
    graph = table._database.indexes.graph(vectors.state, next(iter(vectors.state.indexes.values())))
    for budget, queries in ((2**26, 200), (100 * ROWS, 100), (1, 64)):
        monkeypatch.setattr(measure, "_EXACT_DISTANCES", budget)
        curve = measure_curve(vectors, graph)
        assert curve is not None
        assert curve.queries == queries


# The life of a curve


def test_curve_is_kept_through_a_reopen_and_not_measured_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with vdb.connect(path) as db:
        before = curve_of(db.table("t"))
    monkeypatch.setattr("vdb.index.manager.measure_curve", None)
    for read_only in (True, False):
        with vdb.connect(path, read_only=read_only) as db:
            assert before is not None
            assert "for recall 0.9" in db.table("t").search(np.ones(DIM), recall=0.9).explain()
            assert curve_of(db.table("t")) == before


def test_curve_is_measured_again_when_the_table_has_grown_by_half(path: Path) -> None:
    x = clusters(2 * ROWS, seed=7)
    with vdb.connect(path) as db:
        made = db.table("t")
        before = curve_of(made)
        made.add({"id": np.arange(ROWS, ROWS + 1000)}, e=x[:1000])
        assert curve_of(made) == before
        made.add({"id": np.arange(ROWS + 1000, ROWS + 1600)}, e=x[1000:1600])
        after = curve_of(made)
        assert after is not None
        assert after.slots == ROWS + 1600
    with vdb.connect(path) as db:
        assert curve_of(db.table("t")) == after


def test_curve_is_measured_again_when_a_fifth_of_the_rows_died(path: Path) -> None:
    with vdb.connect(path) as db:
        made = db.table("t")
        before = curve_of(made)
        made.delete("id < 600")
        assert curve_of(made) == before
        made.delete("id = 700")
        after = curve_of(made)
        assert after is not None
        assert after.rows == ROWS - 601
        assert made.measure_recall(recall=0.9, queries=clusters(200, seed=6)).recall >= 0.88
    with vdb.connect(path) as db:
        assert curve_of(db.table("t")) == after, "a curve is saved where the graph is as before"


def test_index_of_an_empty_table_gets_its_curve_with_its_rows() -> None:
    with vdb.connect(":memory:") as db:
        made = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"FLOAT[{DIM}]"})
        made.create_index("e", SPEC)
        assert curve_of(made) is None
        made.add({"id": np.arange(ROWS)}, e=clusters(ROWS))
        assert curve_of(made) is not None
        assert "for recall 0.9" in made.search(np.ones(DIM), recall=0.9).explain()


def test_rows_rolled_back_leave_the_curve_alone(path: Path) -> None:
    with vdb.connect(path) as db:
        made = db.table("t")
        before = curve_of(made)
        with pytest.raises(ZeroDivisionError), db.transaction():  # noqa: PT012
            made.add({"id": np.arange(ROWS, 3 * ROWS)}, e=clusters(2 * ROWS))
            assert len(made.search(clusters(3), 5, recall=0.9)) == 3
            raise ZeroDivisionError
        assert curve_of(made) == before


@pytest.mark.parametrize("loss", ["DROP TABLE vdb.recall_curves", "UPDATE vdb.recall_curves SET curve = 'rot'"])
def test_database_without_a_usable_curve_measures_one_when_it_is_asked_for(path: Path, loss: str) -> None:
    import duckdb

    with vdb.connect(path) as db:
        before = curve_of(db.table("t"))
    with duckdb.connect(str(path / "catalog.duckdb")) as catalog:
        catalog.execute(loss)
    with vdb.connect(path) as db:
        assert curve_of(db.table("t")) is None
        db.table("t").search(np.ones(DIM), ef_search=50)
        assert curve_of(db.table("t")) is None, "nobody asked for a recall"
        assert "for recall 0.9" in db.table("t").search(np.ones(DIM), recall=0.9).explain()
        assert curve_of(db.table("t")) == before
    with vdb.connect(path, read_only=True) as db:
        assert curve_of(db.table("t")) == before


def test_curve_of_an_index_with_other_parameters_is_not_taken(path: Path) -> None:
    import duckdb

    with duckdb.connect(str(path / "catalog.duckdb")) as catalog:
        catalog.execute("UPDATE vdb.recall_curves SET params = replace(params, '40', '41')")
    with vdb.connect(path) as db:
        assert curve_of(db.table("t")) is None


def test_dropped_index_takes_its_curve_with_it(path: Path) -> None:
    with vdb.connect(path) as db:
        db.table("t").drop_index("h")
        db.table("t").create_index("e", vdb.Flat(codes="sq8"), name="h")
        assert curve_of(db.table("t")) is None
        db.drop_table("t")
    import duckdb

    with duckdb.connect(str(path / "catalog.duckdb")) as catalog:
        assert catalog.execute("SELECT count(*) FROM vdb.recall_curves").fetchall() == [(0,)]


def test_search_beside_a_measurement_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(*given: Any) -> RecallCurve | None:
        started.set()
        assert go_on.wait(60)
        return measure_curve(*given)

    with vdb.connect(path) as db:
        made = db.table("t")
        before = curve_of(made)
        monkeypatch.setattr("vdb.index.manager.measure_curve", slow)
        writer = threading.Thread(target=made.delete, args=("id < 1000",))
        writer.start()
        try:
            assert started.wait(60)
            assert "for recall 0.9" in made.search(np.ones(DIM), recall=0.9).explain()
            assert curve_of(made) == before
        finally:
            go_on.set()
            writer.join()
        after = curve_of(made)
        assert after is not None
        assert after.rows == ROWS - 1000
