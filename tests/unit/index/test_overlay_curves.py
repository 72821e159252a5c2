"""What walks within ranges and among the rows of values take, measured beside the index and used by the planner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb.index import sources
from vdb.index.effort import KS
from vdb.index.filtered import LEAST_PASSING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vdb.index.recall import RecallCurve

DIM, ROWS, DAYS = 16, 6000, 400
RANGE = vdb.Range("day", M=6, ef_construction=40)
LABEL = vdb.Label("color", M=6, ef_construction=40)
COLORS = ["red"] * 3 + ["green"] * 2 + ["blue"]


def clusters(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(30, DIM))
    return (centers[rng.integers(0, 30, n)] + rng.normal(size=(n, DIM))).astype(np.float32)


def made(db: vdb.Database, rows: int = ROWS) -> vdb.Table:
    days = np.random.default_rng(3).integers(0, DAYS, rows)
    columns = {"id": np.arange(rows), "day": days, "color": [COLORS[i % 6] for i in range(rows)]}
    return db.create_table("t", columns, e=clusters(rows, 5), key="id")


def curve_of(table: vdb.Table, name: str) -> RecallCurve:
    (found,) = [info.recall_curve for info in table.list_indexes() if info.name == name]
    assert found is not None
    return found


@pytest.fixture(scope="module")
def table() -> Iterator[vdb.Table]:
    with vdb.connect(":memory:") as db:
        table = made(db)
        table.create_index("e", RANGE, name="r")
        table.create_index("e", LABEL, name="l")
        yield table


def test_walks_among_fewer_rows_are_measured_until_their_scan_is_cheaper(table: vdb.Table) -> None:
    ranges, labels = curve_of(table, "r").filtered, curve_of(table, "l").filtered
    assert [round(walks.share, 2) for walks in ranges[:2]] == [1.0, 0.25]
    assert [round(walks.share, 2) for walks in labels] == [0.5, 0.33, 0.17]
    for walks in (*ranges, *labels):
        assert walks.share * ROWS >= LEAST_PASSING
        assert all(a < b for a, b in zip(walks.steps, walks.steps[1:], strict=False))
        assert len(walks.recalls) == len(KS)
        assert not walks.apart
    widest, narrower = ranges[:2]
    assert narrower.steps[0] < widest.steps[0]


@pytest.mark.parametrize("recall", [0.9, 0.95])
def test_asked_recall_is_reached_in_ranges_and_among_values_never_seen(table: vdb.Table, recall: float) -> None:
    queries = clusters(100, seed=6)
    for strategy, where in (("range", "day BETWEEN 31 AND 140"), ("range", "day < 250"), ("label", "color = 'green'")):
        report = table.measure_recall(10, queries, recall=recall, strategy=strategy, where=where)
        assert report.ef_search is not None
        assert report.recall >= recall - 0.02


def test_a_narrower_range_takes_no_more_effort_and_fewer_steps_than_the_graph_over_all_rows_would(
    table: vdb.Table,
) -> None:
    curve = curve_of(table, "r")
    wide, narrow = (
        table.search(clusters(1, 8)[0], 10, where=where, recall=0.97, strategy="range").plan.plan.effort.ef
        for where in ("day >= 0", "day < 100")
    )
    assert narrow <= wide
    steps = [walks.steps[0] for walks in curve.filtered]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] < steps[0]


def test_curves_are_kept_with_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with vdb.connect(tmp_path / "d") as db:
        made(db).create_index("e", RANGE, name="r")
        before = curve_of(db.table("t"), "r")
    monkeypatch.setattr(sources, "measure_overlays", None)
    with vdb.connect(tmp_path / "d") as db:
        assert curve_of(db.table("t"), "r") == before
        assert len(db.table("t").search(clusters(1, 8)[0], 10, where="day < 100")) == 10


def test_curves_are_measured_again_when_the_rows_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, 3000)
        table.create_index("e", RANGE, name="r")
        assert curve_of(table, "r").rows == 3000
        rows = np.arange(3000, 6000)
        table.add({"id": rows, "day": rows % DAYS, "color": ["red"] * 3000}, e=clusters(3000, 9))
        assert curve_of(table, "r").rows == 6000


def test_few_rows_have_no_curve_and_are_searched_all_the_same() -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, 700)
        table.create_index("e", RANGE, name="r")
        table.create_index("e", vdb.Label("color", min_rows=50), name="l")
        assert [info.recall_curve for info in table.list_indexes()] == [None, None]
        for strategy, where in (("range", "day < 300"), ("label", "color = 'red'")):
            assert len(table.search(clusters(1, 8)[0], 10, where=where, strategy=strategy)) == 10
