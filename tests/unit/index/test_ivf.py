"""Inverted files in a database over their life: searched beside the scan, grown, repaired, compacted, damaged."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from brute_force import assert_allowed, assert_exact, by_id

import vdb
from vdb import _core
from vdb.index.view import measurable, vector_view

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIM = 12
ROWS = 1800
SPECS = {
    "pq": vdb.IVFPQ(nlist=40, m=6),
    "pq8": vdb.IVFPQ(nlist=40, m=4, nbits=8, opq=True),
    "rabitq": vdb.IVFRaBitQ(nlist=40, bits=3),
}
EVERY_LIST = 10_000


@pytest.fixture(params=["pq", "rabitq"])
def spec(request: pytest.FixtureRequest) -> Any:
    return SPECS[request.param]


@pytest.fixture(params=SPECS)
def each(request: pytest.FixtureRequest) -> Any:
    """8-bit codes and a trained rotation too."""
    return SPECS[request.param]


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    rng = np.random.default_rng(8)
    centers = rng.normal(size=(20, DIM)) * 2
    return (centers[rng.integers(0, 20, 3 * ROWS)] + rng.normal(size=(3 * ROWS, DIM))).astype(np.float32)


def made(db: vdb.Database, x: np.ndarray, spec: Any, rows: int = ROWS) -> vdb.Table:
    table = db.create_table("t", {"id": np.arange(rows), "n": np.arange(rows) % 100}, e=x[:rows], key="id")
    table.create_index("e", spec, name="l")
    return table


def lists_of(db: vdb.Database) -> _core.Ivf:
    state = db.store.state.table("t")
    return db.indexes.built_as(state, state.indexes["l"], _core.Ivf, "lists")


def assert_sound(db: vdb.Database, expected: dict[int, np.ndarray]) -> None:
    """Every row is in one list; all lists read and all rows measured is the scan, few lists are whole and allowed."""
    table, ivf = db.table("t"), lists_of(db)
    state = db.store.state.table("t")
    ivf.check()
    assert ivf.covered == state.next_slot
    view, alive = vector_view(state, "e", "l2"), measurable(state, "e", "l2")
    queries = (np.random.default_rng(2).normal(size=(4, DIM)) * 2).astype(np.float32)
    slots, _, _ = ivf.search(view, queries, 10, EVERY_LIST, alive, state.next_slot)
    assert slots.tolist() == _core.scan(view, queries, 10, alive)[0].tolist()
    for query in queries:
        truth = by_id(query, expected)
        assert_allowed(table.search(query, 10, strategy="ivf", nprobe=1), truth, 10)
        assert_exact(table.search(query, len(expected) + 5, strategy="ivf", nprobe=1), truth, len(expected) + 5)


def recall(table: vdb.Table, queries: np.ndarray, **how: Any) -> float:
    exact = table.search(queries, 10, strategy="scan").ids
    found = table.search(queries, 10, strategy="ivf", **how).ids
    return float(np.mean([np.isin(t, f).mean() for t, f in zip(exact, found, strict=True)]))


def recall_at(db: vdb.Database, queries: np.ndarray, nprobe: int) -> float:
    """With as many rows measured as the bounds of the codes ask for; a table asks its curve how many."""
    view = vector_view(db.store.state.table("t"), "e", "l2")
    exact = _core.scan(view, queries, 10)[1]
    return float((lists_of(db).search(view, queries, 10, nprobe)[1] <= exact[:, -1:]).mean())


def test_index_is_listed_with_its_lists_drift_and_curve(x: np.ndarray, each: Any) -> None:
    with vdb.connect(":memory:") as db:
        info = made(db, x, each).list_indexes()[0]
        assert lists_of(db).list_sizes().sum() == ROWS
    assert (info.kind, info.metric, info.covered, info.lists, info.dead_nodes) == (each.kind, "l2", ROWS, 40, 0)
    assert info.drift == pytest.approx(1.0)
    assert info.record_bytes is not None
    assert info.memory_bytes >= ROWS * info.record_bytes
    assert info.recall_curve is not None
    assert info.recall_curve.rungs[0].nprobe == 1
    assert info.recall_curve.recalls[1][-1] > 0.98


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_answer_is_whole_and_allowed_whatever_the_metric_and_predicate(x: np.ndarray, each: Any, metric: Any) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(1200), "n": np.arange(1200) % 40}, e=x[:1200], key="id")
        table.create_index("e", replace(each, metric=metric))
        for where, passing in (("TRUE", range(40)), ("n < 20", range(20)), ("n = 3", (3,)), ("n = 99", ())):
            expected = by_id(x[1201], {i: x[i] for i in range(1200) if i % 40 in passing}, metric)
            for nprobe in (1, 4, EVERY_LIST, None):
                hits = table.search(x[1201], 20, where=where, metric=metric, strategy="ivf", nprobe=nprobe)
                assert_allowed(hits, expected, 20)
                near = sorted(expected.values())[:20]
                if nprobe == EVERY_LIST and near:
                    assert np.mean(hits.distances <= near[-1] + 1e-4) >= 0.8


@pytest.mark.parametrize("dtype", ["FLOAT16", "BFLOAT16", "TINYINT"])
def test_every_dtype_has_lists(x: np.ndarray, spec: Any, dtype: str) -> None:
    values = np.rint(x[:600] * 8)
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"{dtype}[{DIM}]"})
        table.add({"id": np.arange(600)}, e=values)
        table.create_index("e", spec)
        exact = table.search(values[:5] + 1, 10, strategy="scan")
        found = table.search(values[:5] + 1, 10, strategy="ivf", nprobe=EVERY_LIST)
        assert np.isin(exact.ids, found.ids).mean() >= 0.9
        same = exact.ids == found.ids
        assert found.distances[same].tobytes() == exact.distances[same].tobytes()


@pytest.mark.parametrize("wanted", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("where", [None, "n < 50"])
def test_recall_that_is_asked_for_is_found_on_rows_that_were_not_there(
    x: np.ndarray, each: Any, wanted: float, where: str | None
) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, x, each)
        queries = x[ROWS : ROWS + 200]
        exact = table.search(queries, 10, where=where, strategy="scan").ids
        hits = table.search(queries, 10, where=where, strategy="ivf", recall=wanted)
        found = np.mean([np.isin(t, f).mean() for t, f in zip(exact, hits.ids, strict=True)])
        assert found >= wanted - 0.02
        assert f"for recall {wanted:g}" in hits.explain()


def test_more_lists_find_more_and_explain_counts_them(x: np.ndarray, spec: Any) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, x, spec)
        reached = [recall(table, x[ROWS : ROWS + 50], nprobe=nprobe) for nprobe in (1, 4, 16)]
        assert reached == sorted(reached)
        assert reached[0] < reached[-1]
        text = table.search(x[ROWS], 10, strategy="ivf", nprobe=4).explain()
        assert "strategy  ivf   forced" in text
        assert "index     l, nprobe=4" in text
        assert "lists 4   estimates " in text
        report = table.measure_recall(10, x[ROWS : ROWS + 20], nprobe=4)
        assert "by scan" in str(report) or report.nprobe == 4


def test_large_table_is_searched_by_its_lists_without_being_told(
    x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vdb.index import machine

    dear = machine.guessed
    monkeypatch.setattr(machine, "guessed", lambda *size: dear(*size)._replace(vectors=dear(*size).vectors.scaled(100)))
    monkeypatch.setattr("vdb.query.candidates.guessed", machine.guessed)
    with vdb.connect(":memory:") as db:
        table = made(db, x, SPECS["rabitq"])
        queries = x[ROWS : ROWS + 100]
        hits = table.search(queries, 10, where="n < 50")
        assert "strategy  ivf   auto: the cheapest" in hits.explain()
        exact = table.search(queries, 10, where="n < 50", strategy="scan").ids
        assert np.mean([np.isin(t, f).mean() for t, f in zip(exact, hits.ids, strict=True)]) >= 0.95


def test_same_answer_for_any_number_of_threads(x: np.ndarray, spec: Any) -> None:
    found = []
    for threads in (1, 2):
        with vdb.connect(":memory:", threads=threads) as db:
            hits = made(db, x, spec).search(x[ROWS : ROWS + 50], 10, strategy="ivf", nprobe=3)
            found.append((hits.ids.tobytes(), hits.distances.tobytes(), lists_of(db).list_sizes().tobytes()))
    assert found[0] == found[1]


def test_every_kind_of_write_reaches_the_lists(tmp_path: Path, x: np.ndarray, each: Any) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = made(db, x, each, 600)
        table.add({"id": np.arange(600, 700)}, e=x[600:700])
        table.upsert({"id": [5, 800]}, e=x[[801, 800]])
        table.update({"e": x[802]}, where="id = 6")
        table.delete("id < 5")
        expected = {i: x[i] for i in [*range(7, 700), 800]} | {5: x[801], 6: x[802]}
        assert_sound(db, expected)
    with vdb.connect(tmp_path / "d") as db:
        db.indexes._rebuild = None  # type: ignore[method-assign, assignment]
        assert_sound(db, expected)


def test_index_of_an_empty_table_grows_with_it(x: np.ndarray, spec: Any) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "n": "INTEGER", "e": f"FLOAT[{DIM}]"})
        info = table.create_index("e", type(spec)(), name="l")
        assert (info.covered, info.lists, info.recall_curve) == (0, 0, None)
        assert len(table.search(x[0], 3, strategy="ivf")) == 0
        for begin, end in ((0, 1), (1, 3), (3, 40), (40, 1600)):
            table.add({"id": np.arange(begin, end)}, e=x[begin:end])
            assert_sound(db, dict(enumerate(x[:end])))
        table.add([{"id": 9000, "e": None}])
        assert_sound(db, dict(enumerate(x[:1600])))
        info = table.list_indexes()[0]
        assert info.recall_curve is not None
        assert info.lists is not None
        assert info.lists > 20, "trained anew as the table grew"


def test_recall_after_half_as_many_inserts_is_that_of_a_fresh_build(x: np.ndarray, spec: Any) -> None:
    grown_rows, queries = ROWS * 3 // 2, x[2 * ROWS : 2 * ROWS + 300]
    with vdb.connect(":memory:") as db, vdb.connect(":memory:") as other:
        table = made(db, x, spec)
        trained = lists_of(db).trained_on
        for begin in range(ROWS, grown_rows, 100):
            table.add({"id": np.arange(begin, begin + 100), "n": [0] * 100}, e=x[begin : begin + 100])
        assert lists_of(db).trained_on == trained, "no rebuild for inserts"
        assert table.list_indexes()[0].drift == pytest.approx(1.0, abs=0.2)
        fresh = made(other, x, spec, grown_rows)
        assert len(fresh) == len(table)
        for nprobe in (4, 8):
            assert recall_at(db, queries, nprobe) >= recall_at(other, queries, nprobe) - 0.02


def test_rows_from_elsewhere_are_seen_as_drift_and_trained_on(x: np.ndarray, spec: Any) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, x, spec)
        trained = lists_of(db).trained_on
        table.add({"id": np.arange(ROWS, 2 * ROWS), "n": [0] * ROWS}, e=x[ROWS : 2 * ROWS] + 30)
        ivf = lists_of(db)
        assert ivf.trained_on > trained
        assert ivf.drift <= 1.25
        assert_sound(db, {i: x[i] + (30 if i >= ROWS else 0) for i in range(2 * ROWS)})


def test_dead_rows_leave_the_lists_once_they_are_many(x: np.ndarray, spec: Any) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, x, spec)
        table.delete("n < 5")
        assert table.list_indexes()[0].dead_nodes == ROWS // 20
        table.delete("n < 30")
        ivf = lists_of(db)
        assert table.list_indexes()[0].dead_nodes == 0
        assert ivf.size == ivf.list_sizes().sum() == ROWS - ROWS * 30 // 100
        assert_sound(db, {i: x[i] for i in range(ROWS) if i % 100 >= 30})


@pytest.mark.parametrize("loaded", [True, False])
def test_compaction_moves_the_lists(tmp_path: Path, x: np.ndarray, spec: Any, loaded: bool) -> None:
    expected = {i: x[i] for i in range(ROWS) if i % 100 >= 40}
    with vdb.connect(tmp_path / "d") as db:
        made(db, x, spec)
    with vdb.connect(tmp_path / "d") as db:
        table = db.table("t")
        if loaded:
            table.list_indexes()
        table.delete("n < 40")
        table.compact()
        assert lists_of(db).covered == len(table) == len(expected)
        assert_sound(db, expected)
    with vdb.connect(tmp_path / "d") as db:
        assert_sound(db, expected)


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def missing(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [flipped, truncated, missing], ids=lambda f: f.__name__)
def test_damaged_snapshot_is_built_anew_with_a_warning(
    tmp_path: Path, x: np.ndarray, spec: Any, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    with vdb.connect(tmp_path / "d") as db:
        made(db, x, spec, 600)
    (file,) = [p for p in (tmp_path / "d").rglob("*") if p.is_file() and "index" in str(p.relative_to(tmp_path))]
    damage(file)
    with caplog.at_level(logging.WARNING, "vdb"), vdb.connect(tmp_path / "d") as db:
        assert_sound(db, dict(enumerate(x[:600])))
    assert caplog.text.count("rebuilding it") == 1


def test_snapshot_is_loaded_with_its_curve_and_not_built(tmp_path: Path, x: np.ndarray, spec: Any) -> None:
    with vdb.connect(tmp_path / "d") as db:
        curve = made(db, x, spec).list_indexes()[0].recall_curve
    with vdb.connect(tmp_path / "d", read_only=True) as db:
        db.indexes._rebuild = db.indexes._measured = None  # type: ignore[method-assign, assignment]
        assert db.table("t").list_indexes()[0].recall_curve == curve
        assert_sound(db, dict(enumerate(x[:ROWS])))


def test_fewer_rows_than_lists_after_deletes_lose_nothing(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, x, vdb.IVFPQ(nlist=300), 400)
        table.delete("id >= 50")
        table.compact()
        assert_sound(db, dict(enumerate(x[:50])))


def test_equal_distances_are_ordered_by_row_id(spec: Any) -> None:
    ids = np.random.default_rng(5).permutation(640)
    rows = np.repeat(np.arange(8, dtype=np.float32), 80)[ids][:, None] * np.ones(DIM, np.float32)
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": ids}, e=rows, key="id")
        table.create_index("e", type(spec)())
        for k in (1, 7, 80, 100):
            assert table.search(np.zeros(DIM), k, strategy="ivf").ids.tolist() == list(range(k))


def test_without_refinement_only_the_rows_to_return_are_measured(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, x, vdb.IVFPQ(nlist=40, m=3, refine=False))
        curve = table.list_indexes()[0].recall_curve
        assert curve is not None
        assert {rung.factor for rung in curve.rungs} == {1}
        coarse = recall(table, x[ROWS : ROWS + 50], nprobe=40)
        table.drop_index("l")
        table.create_index("e", vdb.IVFPQ(nlist=40, m=3))
        assert coarse < recall(table, x[ROWS : ROWS + 50], nprobe=40)


def test_forced_lists_without_an_index_of_the_metric_say_so(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, x, SPECS["pq"], 600)
        with pytest.raises(vdb.InvalidArgument, match=r"'ivf' cannot run: l: metric is l2.*\n  Fix: create_index"):
            table.search(x[0], 3, strategy="ivf", metric="ip")
        with pytest.raises(vdb.InvalidArgument, match="only the scan has recall 1"):
            table.search(x[0], 3, strategy="ivf", recall=1.0)
        with pytest.raises(vdb.InvalidArgument, match=r"no recall curve, .*\n.*or nprobe= in place of recall="):
            table.search(x[0], 3, strategy="ivf", recall=0.9)
        state = db.store.state.table("t")
        with pytest.raises(vdb.InvalidState, match="'ivfpq', which has no graph"):
            db.indexes.graph(state, state.indexes["l"])
