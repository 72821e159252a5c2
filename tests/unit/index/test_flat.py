"""Flat indexes: a scan over codes gives the answers of the scan without them, over the whole life of a table."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
from brute_force import assert_exact, by_id

import vdb
from vdb.query import planner

if TYPE_CHECKING:
    from pathlib import Path

DIM = 192  # wide enough that codes spare more than it costs to bind a query to them
ROWS = 600


@pytest.fixture
def x() -> np.ndarray:
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(12, DIM))
    return (centres[rng.integers(12, size=2 * ROWS)] + 0.3 * rng.normal(size=(2 * ROWS, DIM))).astype(np.float32)


def answers(table: vdb.Table, queries: np.ndarray, metric: str, where: str | None = None) -> list[object]:
    hits = [table.search(query, 10, where, metric=metric, strategy="scan") for query in queries]  # type: ignore[arg-type]
    batch = table.search(queries, 10, where, metric=metric, strategy="scan")  # type: ignore[arg-type]
    return [(h.ids.tolist(), h.distances.tolist()) for h in [*hits, *batch]]


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_answers_are_those_of_the_scan_without_codes(x: np.ndarray, metric: str) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS), "part": np.arange(ROWS) % 7}, e=x[:ROWS], key="id")
        queries = x[ROWS : ROWS + 20]
        for where in (None, "part < 5", "part = 3", "id = 11", "id < 0"):
            expected = answers(table, queries, metric, where)
            table.create_index("e", vdb.Flat(metric=metric), name="codes")  # type: ignore[arg-type]
            assert answers(table, queries, metric, where) == expected
            table.drop_index("codes")


def test_explain_shows_what_the_codes_spared(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        assert "estimates" not in table.search(x[0]).explain()
        table.create_index("e", vdb.Flat(), name="codes")
        hits = table.search(x[0])
        text = hits.explain()
        assert "index     codes: codes decide which rows are measured" in text
        assert f"estimates {ROWS}" in text
        assert hits._plan.actuals.distances < ROWS / 4  # type: ignore[attr-defined]
        assert "codes: metric is l2" in table.search(x[0], metric="ip").explain()


def test_follows_every_change_and_is_loaded_again(tmp_path: Path, x: np.ndarray) -> None:
    expected = {i: x[i] for i in range(ROWS)}
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", vdb.Flat())
        table.add({"id": np.arange(ROWS, ROWS + 100)}, e=x[ROWS : ROWS + 100])
        table.delete("id % 5 = 0")
        table.upsert({"id": [1, 2]}, e=x[ROWS + 100 : ROWS + 102])
        expected |= {i: x[i] for i in range(ROWS, ROWS + 100)}
        expected = {i: row for i, row in expected.items() if i % 5 != 0}
        expected[1], expected[2] = x[ROWS + 100], x[ROWS + 101]
        for query in x[-5:]:
            assert_exact(table.search(query, 10), by_id(query, expected), 10)
    with vdb.connect(tmp_path / "d") as db:
        table = db.table("t")
        (info,) = table.list_indexes()
        assert (info.name, info.kind, info.params["codes"]) == ("t_e_flat", "flat", "sq8")
        assert info.covered == ROWS + 102
        assert info.memory_bytes >= info.covered * DIM
        for query in x[-5:]:
            assert_exact(table.search(query, 10), by_id(query, expected), 10)


def test_damaged_snapshot_is_rebuilt(tmp_path: Path, x: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", vdb.Flat())
        expected = answers(table, x[-5:], "l2")
    (path,) = (p for p in (tmp_path / "d").rglob("*") if p.is_file() and "index" in str(p.relative_to(tmp_path / "d")))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING), vdb.connect(tmp_path / "d") as db:
        assert answers(db.table("t"), x[-5:], "l2") == expected
    assert "rebuilding it" in caplog.text


def test_serves_the_few_matching_rows_beside_a_graph(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", vdb.HNSW())
        table.create_index("e", vdb.Flat())
        hits = table.search(x[0], 10, "id < 100")
        assert_exact(hits, by_id(x[0], {i: x[i] for i in range(100)}), 10)
        assert "estimates 100" in hits.explain()


def test_missing_and_zero_vectors_are_not_found(x: np.ndarray) -> None:
    rows = [None if i % 3 == 0 else (np.zeros(DIM) if i % 3 == 1 else x[i]) for i in range(90)]
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"FLOAT[{DIM}]"})
        table.create_index("e", vdb.Flat(metric="cosine"))
        table.create_index("e", vdb.Flat(metric="l2"), name="l2")
        assert len(table.search(x[0], metric="cosine")) == 0
        table.add({"id": np.arange(90), "e": rows})
        assert sorted(table.search(x[0], 90, metric="cosine").ids.tolist()) == list(range(2, 90, 3))
        assert len(table.search(x[0], 90)) == 60


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"codes": "sq9"}, r"unknown codes 'sq9'; expected one of auto, sq8, projection\.\n  Fix: pass one of them"),
        ({"codes": 8}, "unknown codes 8"),
        ({"metric": "dot"}, "unknown metric 'dot'"),
        ({"seed": -1}, r"seed must be an integer from 0 .*\n  seed: of the samples of rows that choose and train"),
        ({"seed": 0.5}, "seed must be an integer, got 0.5"),
    ],
)
def test_wrong_options_are_refused_where_they_are_written(options: dict[str, object], text: str) -> None:
    with pytest.raises(vdb.InvalidArgument, match=text):
        vdb.Flat(**options)  # type: ignore[arg-type]


def test_low_rank_vectors_get_a_projection_and_others_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    low = (rng.normal(size=(4000, 40)) @ rng.normal(size=(40, 512))).astype(np.float32)
    full = rng.normal(size=(4000, 512)).astype(np.float32)
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(4000)}, low=low, full=full, key="id")
        expected = [table.search(row, 10, column="low", metric="ip").to_numpy() for row in low[:5]]
        assert table.create_index("low", vdb.Flat(metric="ip")).params["codes"] == "projection"
        assert table.create_index("full", vdb.Flat()).params["codes"] == "sq8"
        info = table.stats()["indexes"]["t_low_flat"]
        assert (info.width, info.record_bytes < 4 * 64) == (40, True)
    with vdb.connect(tmp_path / "d") as db:
        for row, (ids, distances) in zip(low, expected, strict=False):
            hits = db.table("t").search(row, 10, column="low", metric="ip")
            assert hits.ids.tolist() == ids.tolist()
            assert hits.distances.tolist() == distances.tolist()
            assert "t_low_flat" in hits.explain()


@pytest.mark.parametrize(
    ("dtype", "codes"),
    [
        ("FLOAT16", "sq8"),
        ("FLOAT16", "projection"),
        ("BFLOAT16", "sq8"),
        ("BFLOAT16", "projection"),
        ("TINYINT", "projection"),
    ],
)
def test_codes_of_other_dtypes_give_the_scan_of_the_vectors(dtype: str, codes: str) -> None:
    rng = np.random.default_rng(6)
    few = rng.normal(size=(2 * ROWS, 16))  # tiled, so that coordinates along 16 directions are all there is
    rows = np.clip(np.rint(40 * few), -128, 127) if dtype == "TINYINT" else few
    rows = np.tile(rows, 16)
    if codes == "sq8":
        rows = rows + rng.normal(size=rows.shape)
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"{dtype}[{rows.shape[1]}]"})
        table.add({"id": np.arange(ROWS)}, e=rows[:ROWS])
        queries = rows[ROWS : ROWS + 10]
        for metric in ("l2", "cosine", "ip"):
            expected = answers(table, queries, metric)
            table.create_index("e", vdb.Flat(metric=metric, codes=codes), name="codes")  # type: ignore[arg-type]
            assert answers(table, queries, metric) == expected
            assert "estimates" in table.search(queries[0], metric=metric).explain()  # type: ignore[arg-type]
            table.drop_index("codes")


def test_codes_that_save_no_bytes_are_not_used_and_explain_says_why(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "TINYINT[24]"})
        table.add({"id": np.arange(ROWS)}, e=np.rint(x[:ROWS, :24]))
        table.create_index("e", vdb.Flat(), name="codes")
        text = table.search(np.rint(x[0, :24])).explain()
        assert "codes: a code of 80 bytes is no shorter than a vector of 24" in text
        assert "estimates" not in text


def test_codes_filled_after_a_search_are_used_by_the_next(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"FLOAT[{DIM}]"})
        table.create_index("e", vdb.Flat())
        with db.transaction():
            table.add({"id": np.arange(ROWS)}, e=x[:ROWS])
            assert "estimates" not in table.search(x[0]).explain()
        assert f"estimates {ROWS}" in table.search(x[0]).explain()


def test_plan_over_codes_of_every_row_is_made_once(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", vdb.Flat())
        first = table.search(x[0])
        monkeypatch.setattr(planner, "make_plan", None)
        assert table.search(x[0]).ids.tolist() == first.ids.tolist()


def test_codes_of_another_metric_are_not_loaded_by_a_search(tmp_path: Path, x: np.ndarray) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", vdb.Flat(metric="cosine"), name="codes")
    with vdb.connect(tmp_path / "d") as db:
        loaded: list[str] = []
        load = db.indexes.built
        db.indexes.built = lambda state, record: loaded.append(record.name) or load(state, record)  # type: ignore[func-returns-value, method-assign]
        assert "codes: metric is cosine" in db.table("t").search(x[0]).explain()
        assert loaded == []
        assert "estimates" in db.table("t").search(x[0], metric="cosine").explain()
        assert "codes" in loaded


def test_walk_asked_for_beside_codes_alone_says_there_is_no_graph(x: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", vdb.Flat())
        with pytest.raises(vdb.InvalidArgument, match=r"'graph' cannot run: the column has no graph"):
            table.search(x[0], strategy="graph")
