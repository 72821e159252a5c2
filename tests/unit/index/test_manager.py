"""Indexes over their life: built, saved, loaded, damaged, extended, rolled back under, dropped."""

from __future__ import annotations

import logging
import shutil
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from brute_force import assert_exact, by_id

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIM = 4
ROWS = 200
SPEC = vdb.HNSW(M=6, ef_construction=40)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(11).normal(size=(2 * ROWS, DIM)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path, x: np.ndarray) -> Path:
    """A closed database of 200 rows with the index `h`."""
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[:ROWS], key="id")
        table.create_index("e", SPEC, name="h")
    return tmp_path / "d"


def snapshots(path: Path) -> list[Path]:
    """Files of the indexes, by their suffix or folder."""
    return sorted(p for p in path.rglob("*") if p.is_file() and "index" in str(p.relative_to(path)))


def assert_sound(db: vdb.Database, expected: dict[int, np.ndarray], covered: int | None = None) -> None:
    """A walk wide enough to reach every node finds exactly what the scan finds."""
    table = db.table("t")
    state = db.store.state.table("t")
    graph = db.indexes.built(state, state.indexes["h"])
    graph.check()
    assert graph.covered == (state.next_slot if covered is None else covered)
    for query in np.random.default_rng(1).normal(size=(5, DIM)):
        truth = by_id(query, expected)
        for strategy in ("graph", "post"):
            assert_exact(table.search(query, 10, strategy=strategy, ef_search=500), truth, 10)
        assert_exact(table.search(query, 1000, strategy="graph"), truth, 1000)


def test_index_is_saved_and_loaded_without_a_rebuild(
    path: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(snapshots(path)) == 1
    with vdb.connect(path) as db:
        monkeypatch.setattr(db.indexes, "_rebuild", None)
        assert_sound(db, dict(enumerate(x[:ROWS])))
        (info,) = db.table("t").list_indexes()
    assert (info.name, info.column, info.kind, info.metric, info.covered) == ("h", "e", "hnsw", "l2", ROWS)
    options = {"metric": "l2", "M": 6, "ef_construction": 40, "seed": 42, "codes": "none", "bits": 0}
    assert info.params == options
    assert info.memory_bytes > 0
    assert caplog.text == ""


def missing(file: Path, other: Path) -> None:
    file.unlink()


def empty(file: Path, other: Path) -> None:
    file.write_bytes(b"")


def truncated(file: Path, other: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def short_of_a_byte(file: Path, other: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flipped(file: Path, other: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


def first_byte_flipped(file: Path, other: Path) -> None:
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)


def zeros(file: Path, other: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def of_another_database(file: Path, other: Path) -> None:
    shutil.copy(other, file)


def replaced_by_a_folder(file: Path, other: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGE = [
    missing,
    empty,
    truncated,
    short_of_a_byte,
    flipped,
    first_byte_flipped,
    zeros,
    of_another_database,
    replaced_by_a_folder,
]


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("damage", DAMAGE, ids=lambda f: f.__name__)
def test_snapshot_that_is_not_as_saved_is_rebuilt_with_a_warning(
    path: Path,
    tmp_path: Path,
    x: np.ndarray,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path, Path], None],
    read_only: bool,
) -> None:
    with vdb.connect(tmp_path / "other") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=x[ROWS:], key="id")
        table.create_index("e", SPEC, name="h")
    damage(snapshots(path)[0], snapshots(tmp_path / "other")[0])
    with caplog.at_level(logging.WARNING, "vdb"), vdb.connect(path, read_only=read_only) as db:
        assert_sound(db, dict(enumerate(x[:ROWS])))
    assert caplog.text.count("rebuilding it") == 1
    assert "index h of table t" in caplog.text


def test_snapshot_of_another_table_is_rebuilt(tmp_path: Path, x: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    with vdb.connect(tmp_path / "d") as db:
        for name, part in (("t", x[:ROWS]), ("u", x[ROWS:])):
            db.create_table(name, {"id": np.arange(ROWS)}, e=part, key="id").create_index("e", SPEC, name="h")
    first, second = snapshots(tmp_path / "d")
    both = first.read_bytes(), second.read_bytes()
    first.write_bytes(both[1])
    second.write_bytes(both[0])
    with vdb.connect(tmp_path / "d") as db:
        assert_sound(db, dict(enumerate(x[:ROWS])))
        db.table("u").list_indexes()
    assert caplog.text.count("is of other vectors; rebuilding it") == 2


def test_every_kind_of_write_reaches_the_index(path: Path, x: np.ndarray) -> None:
    with vdb.connect(path) as db:
        table = db.table("t")
        table.add({"id": np.arange(300, 310)}, e=x[300:310])
        table.upsert({"id": [5, 310]}, e=x[[311, 310]])
        table.update({"e": x[312]}, where="id = 6")
        table.delete("id < 5")
        expected = {i: x[i] for i in [*range(7, ROWS), *range(300, 311)]} | {5: x[311], 6: x[312]}
        assert_sound(db, expected)
    with vdb.connect(path) as db:
        assert_sound(db, expected)


@pytest.mark.parametrize("replace", [False, True])
def test_a_loaded_index_answers_and_grows_without_its_snapshot(path: Path, x: np.ndarray, replace: bool) -> None:
    with vdb.connect(path) as db:
        assert_sound(db, dict(enumerate(x[:ROWS])))
        (file,) = snapshots(path)
        if replace:
            (other := file.with_suffix(".other")).write_bytes(b"\xff" * file.stat().st_size)
            other.rename(file)
        else:
            file.unlink()
        assert_sound(db, dict(enumerate(x[:ROWS])))
        db.table("t").add({"id": np.arange(ROWS, ROWS + 20)}, e=x[ROWS : ROWS + 20])
        assert_sound(db, dict(enumerate(x[: ROWS + 20])))
    with vdb.connect(path) as db:
        db.indexes._rebuild = None  # type: ignore[method-assign, assignment]
        assert_sound(db, dict(enumerate(x[: ROWS + 20])))


def test_grown_index_is_saved_at_close_and_only_then(path: Path, x: np.ndarray) -> None:
    (before,) = snapshots(path)
    with vdb.connect(path) as db:
        db.table("t").search(x[0])
    assert snapshots(path) == [before]
    with vdb.connect(path) as db:
        db.table("t").search(x[0], strategy="graph")
        db.table("t").add({"id": [900]}, e=x[:1])
        assert snapshots(path) == [before]
    (after,) = snapshots(path)
    assert after != before
    with vdb.connect(path) as db:
        record = db.store.state.table("t").indexes["h"]
        assert record.covers_slots == ROWS + 1
        db.indexes._rebuild = None  # type: ignore[method-assign, assignment]
        assert db.table("t").list_indexes()[0].covered == ROWS + 1


def test_index_nobody_used_is_caught_up_when_it_is_loaded(path: Path, x: np.ndarray) -> None:
    with vdb.connect(path) as db:
        db.table("t").add({"id": np.arange(ROWS, 2 * ROWS)}, e=x[ROWS:])
    with vdb.connect(path, read_only=True) as db:
        assert_sound(db, dict(enumerate(x)))


class Stop(Exception):
    """Leaves a transaction."""


@pytest.mark.parametrize("loaded", [False, True])
def test_slots_of_a_rollback_are_used_again_without_harm_to_the_index(path: Path, x: np.ndarray, loaded: bool) -> None:
    with vdb.connect(path) as db:
        table = db.table("t")
        if loaded:
            table.list_indexes()
        with pytest.raises(Stop), db.transaction():  # noqa: PT012
            table.add({"id": np.arange(500, 550)}, e=np.full((50, DIM), 9.0))
            table.add({"id": [600]}, e=[None])
            table.delete("id < 20")
            table.update({"e": np.full(DIM, 7.0)}, where="id = 30")
            found = table.search(np.full(DIM, 9.0), 52, strategy="graph")
            assert found.ids[:50].tolist() == list(range(500, 550))
            assert found.ids[50] == 30
            assert table.list_indexes()[0].covered == ROWS
            raise Stop
        assert_sound(db, dict(enumerate(x[:ROWS])))
        table.add({"id": np.arange(ROWS, ROWS + 52)}, e=x[ROWS : ROWS + 52])
        assert_sound(db, dict(enumerate(x[: ROWS + 52])))
    with vdb.connect(path) as db:
        assert_sound(db, dict(enumerate(x[: ROWS + 52])))


def test_graph_is_not_extended_by_rows_without_a_vector(tmp_path: Path, x: np.ndarray) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"FLOAT[{DIM}]"})
        table.create_index("e", SPEC, name="h")
        table.add([{"id": i, "e": None if i % 3 else x[i]} for i in range(30)])
        expected = {i: x[i] for i in range(0, 30, 3)}
        assert_sound(db, expected)
    with vdb.connect(tmp_path / "d") as db:
        assert_sound(db, expected)


def test_index_of_an_empty_table_grows_with_it(tmp_path: Path, x: np.ndarray) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"FLOAT[{DIM}]"})
        assert table.create_index("e", SPEC, name="h").covered == 0
        for begin in range(0, 60, 20):
            table.add({"id": np.arange(begin, begin + 20)}, e=x[begin : begin + 20])
        assert_sound(db, dict(enumerate(x[:60])))


def test_dropped_index_is_gone_with_its_file(path: Path, x: np.ndarray) -> None:
    with vdb.connect(path) as db:
        table = db.table("t")
        table.list_indexes()
        table.drop_index("h")
        assert table.list_indexes() == []
        assert snapshots(path) == []
        assert "no graph" in table.search(x[0]).explain()
        with pytest.raises(vdb.NotFound, match="no index 'h'"):
            table.drop_index("h")
        table.create_index("e", vdb.HNSW(M=3), name="h")
        assert_sound(db, dict(enumerate(x[:ROWS])))
    with vdb.connect(path) as db:
        assert db.table("t").list_indexes()[0].params["M"] == 3


def test_search_of_the_time_before_a_new_index_of_the_same_name_still_finds_its_own(path: Path, x: np.ndarray) -> None:
    with vdb.connect(path) as db:
        table, then = db.table("t"), db.store.state.table("t")
        table.drop_index("h")
        table.create_index("e", vdb.Flat(codes="sq8"), name="h")
        now = db.store.state.table("t")
        assert db.indexes.graph(then, then.indexes["h"]).size == ROWS
        assert db.indexes.codes(now, now.indexes["h"]).covered == ROWS
        with pytest.raises(vdb.InvalidState, match="'flat', which has no graph"):
            db.indexes.graph(now, now.indexes["h"])
        with pytest.raises(vdb.InvalidState, match="'hnsw', which has no codes"):
            db.indexes.codes(then, then.indexes["h"])


def test_index_dropped_in_a_transaction_comes_back_with_its_rollback(path: Path, x: np.ndarray) -> None:
    with vdb.connect(path) as db:
        table = db.table("t")
        with pytest.raises(Stop), db.transaction():  # noqa: PT012
            table.drop_index("h")
            assert table.list_indexes() == []
            raise Stop
        assert_sound(db, dict(enumerate(x[:ROWS])))
        with db.transaction():
            table.drop_index("h")
        assert table.list_indexes() == []
        assert snapshots(path) == []


def test_index_is_refused_in_a_transaction(path: Path) -> None:
    with vdb.connect(path) as db, db.transaction(), pytest.raises(vdb.InvalidState, match="after the commit"):
        db.table("t").create_index("e", name="i")


def test_default_name_tells_table_column_and_kind(path: Path) -> None:
    with vdb.connect(path) as db:
        assert db.table("t").create_index("e").name == "t_e_hnsw"
        with pytest.raises(vdb.AlreadyExists, match="pass name="):
            db.table("t").create_index("e")


def test_two_threads_building_under_one_name_make_one_index(path: Path) -> None:
    outcomes = []
    with vdb.connect(path) as db:
        gate = threading.Barrier(2)

        def build() -> None:
            gate.wait()
            try:
                outcomes.append(db.table("t").create_index("e", name="i").name)
            except vdb.AlreadyExists as error:
                outcomes.append(type(error))

        threads = [threading.Thread(target=build) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(str, outcomes)) == sorted(["i", str(vdb.AlreadyExists)])


def test_progress_counts_up_to_all_rows(path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with vdb.connect(path) as db:
        db.table("t").create_index("e", name="i", progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {ROWS}
    done = [done for done, _ in seen]
    assert done == sorted(done)
    assert done[-1] == ROWS


def test_same_seed_gives_the_same_graph_for_any_number_of_threads(tmp_path: Path, x: np.ndarray) -> None:
    graphs = []
    for threads in (1, 2):
        with vdb.connect(":memory:", threads=threads) as db:
            table = db.create_table("t", {"id": np.arange(2 * ROWS)}, e=x, key="id")
            table.create_index("e", SPEC, name="h")
            state = db.store.state.table("t")
            graph = db.indexes.built(state, state.indexes["h"])
            graphs.append([graph.neighbors(slot).tolist() for slot in range(2 * ROWS)])
    assert graphs[0] == graphs[1]
