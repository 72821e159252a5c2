"""Tables searched by a metric written in Python: the answers of the built-in, and what is remembered of it."""

from __future__ import annotations

import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from brute_force import assert_allowed, assert_exact, recall

import vdb

pytest.importorskip("numba")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIM = 12
ROWS = 500
SPEC: dict[str, Any] = {"M": 8, "ef_construction": 60}
QUERIES = 20


def euclid(a: Any, b: Any, dim: int) -> Any:
    total = np.float32(0)
    for i in range(dim):
        d = a[i] - b[i]
        total += d * d
    return np.sqrt(total)


def manhattan(a: Any, b: Any, dim: int) -> Any:
    total = np.float32(0)
    for i in range(dim):
        total += abs(a[i] - b[i])
    return total


def fragile(a: Any, b: Any, dim: int) -> Any:
    """Raises where a vector begins with 100, is NaN where it begins with 200."""
    for first in (a[0], b[0]):
        if first == 100:
            raise ValueError("a hundred")
        if first == 200:
            return np.float32(np.nan)
    return abs(a[0] - b[0])


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(ROWS + QUERIES, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def l2() -> vdb.CustomMetric:
    return vdb.metric(euclid)


@pytest.fixture(scope="module")
def l1() -> vdb.CustomMetric:
    return vdb.metric(manhattan, "l1")


def fill(db: vdb.Database, x: np.ndarray, type_: str = "FLOAT") -> vdb.Table:
    table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "n": "INTEGER", "e": f"{type_}[{DIM}]"})
    table.add({"id": np.arange(ROWS), "n": np.arange(ROWS) % 7}, e=x[:ROWS])
    return table


@pytest.fixture
def table(x: np.ndarray) -> Iterator[vdb.Table]:
    with vdb.connect(":memory:") as db:
        yield fill(db, x)


def l1_of(query: np.ndarray, rows: np.ndarray) -> dict[int, float]:
    return dict(enumerate(np.abs(rows.astype(np.float64) - query).sum(axis=1).tolist()))


def failing(table: vdb.Table, first: float) -> None:
    table.update({"e": [first] + [0] * (DIM - 1)}, where="id = 3")


def test_answers_are_those_of_the_built_in(table: vdb.Table, x: np.ndarray, l2: vdb.CustomMetric) -> None:
    table.create_index("e", vdb.HNSW(**SPEC), name="built_in")
    table.create_index("e", vdb.HNSW(metric=l2, **SPEC), name="custom")
    queries = x[ROWS:]
    for where in (None, "n < 2"):
        expected = table.search(queries, where=where, strategy="scan")
        found = table.search(queries, where=where, strategy="scan", metric=l2)
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-6)
        walked = table.search(queries, where=where, strategy="graph", metric=l2)
        built_in = table.search(queries, where=where, strategy="graph")
        assert abs(recall(walked.ids, expected.ids) - recall(built_in.ids, expected.ids)) <= 0.01
    assert "custom, plain walk, ef_search" in str(table.search(queries[0], metric=l2, strategy="graph").explain())
    assert "built_in: metric is l2" in str(table.search(queries[0], metric=l2).explain())


@pytest.mark.parametrize("strategy", ["scan", "graph", "post", "auto"])
@pytest.mark.parametrize("k", [1, 10, ROWS + 5])
def test_metric_without_a_built_in_twin_finds_the_nearest(
    table: vdb.Table, x: np.ndarray, l1: vdb.CustomMetric, strategy: str, k: int
) -> None:
    table.create_index("e", vdb.HNSW(metric=l1, **SPEC))
    expected = l1_of(x[ROWS], x[:ROWS])
    hits = table.search(x[ROWS], k, metric=l1, strategy=strategy)
    (assert_exact if strategy == "scan" else assert_allowed)(hits, expected, k)
    allowed = {key: d for key, d in expected.items() if key % 7 == 3}
    assert_allowed(table.search(x[ROWS], k, where="n = 3", metric=l1, strategy=strategy), allowed, k)


@pytest.mark.parametrize("type_", ["FLOAT16", "BFLOAT16", "TINYINT"])
def test_every_stored_dtype_is_measured_as_float32(x: np.ndarray, l1: vdb.CustomMetric, type_: str) -> None:
    whole = np.rint(x * 20).clip(-100, 100)  # exact in each of them
    with vdb.connect(":memory:") as db:
        table = fill(db, whole, type_)
        table.create_index("e", vdb.HNSW(metric=l1, **SPEC))
        for query in whole[ROWS:]:
            assert_exact(table.search(query, metric=l1, strategy="scan"), l1_of(query, whole[:ROWS]), 10)
            assert_allowed(table.search(query, metric=l1, strategy="graph"), l1_of(query, whole[:ROWS]), 10)


def test_equal_distances_are_ordered_by_id(l1: vdb.CustomMetric) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[2]"})
        table.add({"id": [5, 2, 9, 1]}, e=[[0, 1], [1, 0], [-1, 0], [3, 3]])
        assert table.search([0, 0], 2, metric=l1).ids.tolist() == [2, 5]
        assert table.search([0, 0], 3, metric=l1).ids.tolist() == [2, 5, 9]


def test_writes_reach_the_index_and_reads_follow(table: vdb.Table, x: np.ndarray, l1: vdb.CustomMetric) -> None:
    table.create_index("e", vdb.HNSW(metric=l1, **SPEC))
    table.add({"id": np.arange(ROWS, ROWS + 5), "n": [0] * 5}, e=x[ROWS : ROWS + 5])
    table.delete("id < 10")
    expected = {key: d for key, d in l1_of(x[ROWS], x[: ROWS + 5]).items() if key >= 10}
    hits = table.search(x[ROWS], metric=l1, strategy="graph")
    assert_allowed(hits, expected, 10)
    assert hits.ids[0] == ROWS


def test_index_is_listed_but_unusable_until_its_metric_is_given(
    tmp_path: Path, x: np.ndarray, l1: vdb.CustomMetric, caplog: pytest.LogCaptureFixture
) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = fill(db, x)
        table.create_index("e", vdb.HNSW(metric=l1, **SPEC), name="h")
        expected = table.search(x[ROWS:], metric=l1, strategy="graph")
    with vdb.connect(tmp_path / "d") as db:
        table = db.table("t")
        (info,) = table.list_indexes()
        assert (info.metric, info.covered, info.memory_bytes) == ("l1", ROWS, 0)
        assert "'l1'" in info.unusable
        assert table.search(x[0]).ids[0] == 0  # l2, by scan
        with pytest.raises(vdb.InvalidArgument, match=r"(?s)unknown metric 'l1'.*db\.register_metric"):
            table.search(x[0], metric="l1")
        with pytest.raises(vdb.InvalidArgument, match="metric is l1"):
            table.search(x[0], strategy="graph")
        table.add({"id": [ROWS], "n": [0]}, e=x[ROWS : ROWS + 1])
        table.delete(ids=[ROWS])
        db.register_metric(l1)
        found = table.search(x[ROWS:], metric="l1", strategy="graph")
        np.testing.assert_array_equal(found.ids, expected.ids)
        (info,) = table.list_indexes()
        assert (info.unusable, info.covered) == ("", ROWS + 1)
    with vdb.connect(tmp_path / "d") as db:  # passing it is as good as registering it
        np.testing.assert_array_equal(db.table("t").search(x[ROWS:], metric=l1, strategy="graph").ids, expected.ids)
        assert db.table("t").search(x[0], metric="l1").ids[0] == 0
    assert caplog.text == ""


def test_index_that_lacks_its_metric_is_an_error_where_it_is_asked_for(
    tmp_path: Path, x: np.ndarray, l1: vdb.CustomMetric
) -> None:
    with vdb.connect(tmp_path / "d") as db:
        fill(db, x).create_index("e", vdb.HNSW(metric=l1, **SPEC), name="h")
    with vdb.connect(tmp_path / "d") as db:
        state = db.store.state.table("t")
        with pytest.raises(
            vdb.InvalidState, match=r"Index h of table t needs its metric 'l1'.*Fix: db\.register_metric"
        ):
            db.indexes.built(state, state.indexes["h"])
        db.table("t").drop_index("h")
        assert db.table("t").list_indexes() == []


def test_another_function_of_the_name_is_an_error_until_it_is_registered(
    tmp_path: Path, x: np.ndarray, l1: vdb.CustomMetric, caplog: pytest.LogCaptureFixture
) -> None:
    other = vdb.metric(euclid, "l1")
    with vdb.connect(tmp_path / "d") as db:
        table = fill(db, x)
        table.create_index("e", vdb.HNSW(metric=l1, **SPEC), name="h")
        for ask in (lambda: table.search(x[0], metric=other), lambda: table.create_index("e", vdb.HNSW(metric=other))):
            with pytest.raises(vdb.InvalidArgument, match=r"(?s)'l1' is another function.*Fix: give it another name="):
                ask()
        db.register_metric(other)
        found = table.search(x[ROWS:], metric=other, strategy="graph")
        np.testing.assert_allclose(found.distances, table.search(x[ROWS:], strategy="scan").distances, rtol=1e-5)
        assert "another function as the metric; rebuilding it" in caplog.text
        caplog.clear()
    for metric, rebuilt in ((other, 0), (l1, 1), (l1, 0)):  # what was rebuilt is saved
        with vdb.connect(tmp_path / "d") as db:
            db.table("t").search(x[0], metric=metric, strategy="graph")
        assert caplog.text.count("another function as the metric; rebuilding it") == rebuilt
        caplog.clear()


@pytest.mark.parametrize(("first", "reason"), [(100, "raised an exception for 1 of"), (200, "was NaN for 1 of")])
def test_distance_that_fails_in_a_search_is_an_error(
    table: vdb.Table, first: float, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    metric = vdb.metric(fragile)
    failing(table, first)
    query = [0.5] * DIM
    with pytest.raises(vdb.MetricError, match=rf"(?s)'fragile' {reason} the distances of this call.*Fix"):
        table.search(query, metric=metric)
    assert 3 not in table.search(query, ROWS, where="id <> 3", metric=metric).ids
    assert len(table.search(query, ROWS)) == ROWS
    assert capfd.readouterr() == ("", "")


def test_distance_that_fails_in_a_build_leaves_no_index(table: vdb.Table) -> None:
    failing(table, 100)
    with pytest.raises(vdb.MetricError, match="'fragile' raised an exception"):
        table.create_index("e", vdb.HNSW(metric=vdb.metric(fragile), **SPEC))
    assert table.list_indexes() == []


def test_rows_are_committed_though_an_index_cannot_measure_them(
    table: vdb.Table, caplog: pytest.LogCaptureFixture
) -> None:
    metric = vdb.metric(fragile)
    table.create_index("e", vdb.HNSW(metric=metric, **SPEC), name="h")
    assert table.add({"id": [ROWS], "n": [1]}, e=[[200] + [0] * (DIM - 1)]) == 1
    assert "index h of table t: metric 'fragile' was NaN" in caplog.text
    assert len(table) == ROWS + 1
    with pytest.raises(vdb.MetricError):
        table.search([0.5] * DIM, metric=metric, strategy="scan")
    hits = table.search([0.5] * DIM, 5, where=f"id <> {ROWS}", metric=metric, strategy="scan")
    assert len(hits) == 5


@pytest.mark.parametrize("reopened", [False, True])
def test_row_that_has_no_distance_is_no_error_once_it_is_deleted_or_excluded(
    tmp_path: Path, x: np.ndarray, reopened: bool
) -> None:
    metric = vdb.metric(fragile)
    query = [0.5] * DIM
    db = vdb.connect(tmp_path / "d")
    table = fill(db, x)
    table.create_index("e", vdb.HNSW(metric=metric, **SPEC), name="h")
    table.add({"id": [ROWS], "n": [1]}, e=[[100] + [0] * (DIM - 1)])
    expected = dict(enumerate(np.abs(x[:ROWS, 0].astype(np.float64) - 0.5).tolist()))
    for strategy in ("graph", "post"):
        with pytest.raises(vdb.MetricError):
            table.search(query, ROWS + 1, metric=metric, strategy=strategy)
        assert_exact(table.search(query, ROWS, where=f"id <> {ROWS}", metric=metric, strategy=strategy), expected, ROWS)
    table.delete(ids=[ROWS])
    if reopened:
        db.close()
        db = vdb.connect(tmp_path / "d")
        table = db.table("t")
    table.add({"id": [ROWS + 1], "n": [1]}, e=x[ROWS : ROWS + 1])
    expected[ROWS + 1] = abs(float(x[ROWS, 0]) - 0.5)
    for strategy in ("graph", "post", "scan"):
        assert_exact(table.search(query, ROWS + 1, metric=metric, strategy=strategy), expected, ROWS + 1)
    db.close()


def test_infinite_distance_is_the_farthest(table: vdb.Table) -> None:
    @vdb.metric
    def same_side(a: Any, b: Any, dim: int) -> Any:
        return np.inf if a[0] * b[0] < 0 else abs(a[0] - b[0])

    hits = table.search([1.0] * DIM, ROWS, metric=same_side)
    assert len(hits) == ROWS
    assert np.isinf(hits.distances[-1])
    assert np.isfinite(hits.distances[0])


def test_metric_for_one_dimension_refuses_other_columns(table: vdb.Table) -> None:
    metric = vdb.metric(euclid, dim=DIM + 1)
    for ask in (
        lambda: table.search([0.0] * DIM, metric=metric),
        lambda: table.create_index("e", vdb.HNSW(metric=metric)),
    ):
        with pytest.raises(vdb.DimensionMismatch, match=f"'euclid' is for {DIM + 1} dimensions, got vectors of {DIM}"):
            ask()


def test_metric_that_nothing_else_holds_stays_alive_in_the_table(table: vdb.Table, x: np.ndarray) -> None:
    table.create_index("e", vdb.HNSW(metric=vdb.metric(manhattan, "gone"), **SPEC))
    gc.collect()
    expected = l1_of(x[ROWS], x[:ROWS])
    for strategy in ("scan", "graph"):
        assert_allowed(table.search(x[ROWS], metric="gone", strategy=strategy), expected, 10)


def test_threads_search_by_different_metrics_at_once(
    table: vdb.Table, x: np.ndarray, l1: vdb.CustomMetric, l2: vdb.CustomMetric
) -> None:
    table.create_index("e", vdb.HNSW(metric=l1, **SPEC))
    expected = {m.name: table.search(x[ROWS:], metric=m, strategy="scan") for m in (l1, l2)}

    def read(turn: int) -> None:
        metric = (l1, l2)[turn % 2]
        found = table.search(x[ROWS:], metric=metric, strategy="scan")
        np.testing.assert_array_equal(found.ids, expected[metric.name].ids)
        np.testing.assert_array_equal(found.distances, expected[metric.name].distances)
        hits = table.search(x[ROWS], metric=l1, strategy="graph")
        assert set(hits.ids.tolist()) <= set(range(ROWS))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(64)))


def test_errors_of_one_search_do_not_reach_another(table: vdb.Table) -> None:
    metric = vdb.metric(fragile)
    failing(table, 100)

    def read(turn: int) -> int:
        if turn % 2:
            with pytest.raises(vdb.MetricError, match="for 1 of"):
                table.search([0.5] * DIM, metric=metric)
            return 0
        return len(table.search([0.5] * DIM, where="id <> 3", metric=metric))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(40))) == {0, 10}


def test_columns_and_codes_are_declared_with_built_in_metrics(db: vdb.Database, l1: vdb.CustomMetric) -> None:
    with pytest.raises(vdb.InvalidArgument, match=r"(?s)CustomMetric l1.*HNSW"):
        db.create_table("t", {"e": "FLOAT[3]"}, metric=l1)  # type: ignore[arg-type]
    with pytest.raises(vdb.InvalidArgument, match=r"(?s)codes know l2, cosine and ip.*'l1'.*Fix"):
        vdb.Flat(metric=l1)  # type: ignore[arg-type]
    with pytest.raises(vdb.InvalidArgument, match=r"(?s)codes know l2, cosine and ip.*'l1'.*Fix"):
        vdb.HNSW(metric=l1, codes="sq8")
    assert vdb.HNSW(metric=l1).codes == "none"


@pytest.mark.parametrize("value", [euclid, "l1", None])
def test_only_metrics_are_registered(db: vdb.Database, value: Any) -> None:
    with pytest.raises(vdb.InvalidArgument, match=r"(?s)register_metric takes .*Fix: pass vdb\.metric"):
        db.register_metric(value)


def test_function_that_is_no_metric_is_refused_by_search(table: vdb.Table) -> None:
    with pytest.raises(vdb.InvalidArgument, match=r"(?s)unknown metric <function euclid.*vdb\.metric\(function\)"):
        table.search([0.0] * DIM, metric=euclid)  # type: ignore[arg-type]


def test_failure_in_a_rebuild_is_an_error_of_the_search(tmp_path: Path, x: np.ndarray) -> None:
    logging.getLogger("vdb").setLevel(logging.NOTSET)
    with vdb.connect(tmp_path / "d") as db:
        table = fill(db, x)
        failing(table, 100)
        table.create_index("e", vdb.HNSW(metric=vdb.metric(euclid, "m"), **SPEC), name="h")
        db.register_metric(vdb.metric(fragile, "m"))
        for _ in range(2):
            with pytest.raises(vdb.MetricError):
                table.search(x[0], metric="m", strategy="graph")
        assert table.search(x[0]).ids[0] == 0
