"""Overlays over their life in a database: built, saved, loaded, grown with commits, compacted, refused."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
from brute_force import distances

import vdb
from vdb.index.view import measurable, vector_view

if TYPE_CHECKING:
    from pathlib import Path

DIM = 8
ROWS = 600
SPEC = vdb.Label("color", M=8, ef_construction=60, min_rows=50)
COLORS = ["red", "green", "blue"]


def rows(n: int, seed: int) -> tuple[dict[str, object], np.ndarray]:
    """Rows with a color, one in ten rare, one in ten NULL, and a list of tags."""
    rng = np.random.default_rng(seed)
    first = seed * 10_000
    colors = [None if i % 10 == 9 else "rare" if i % 100 == 0 else COLORS[i % 3] for i in rng.permutation(n)]
    tags = [[tag for tag in ("a", "b", "c") if rng.random() < 0.3] for _ in range(n)]
    columns = {"id": np.arange(first, first + n), "color": colors, "tags": tags}
    return columns, rng.normal(size=(n, DIM)).astype(np.float32)


def add(table: vdb.Table, n: int, seed: int) -> None:
    columns, vectors = rows(n, seed)
    table.add(columns, e=vectors)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed database of 600 rows with the index `o`."""
    with vdb.connect(tmp_path / "d") as db:
        types = {"id": "INTEGER PRIMARY KEY", "color": "VARCHAR", "tags": "VARCHAR[]", "e": f"FLOAT[{DIM}]"}
        table = db.create_table("t", types)
        add(table, ROWS, 0)
        table.create_index("e", SPEC, name="o")
    return tmp_path / "d"


def number_of(db: vdb.Database, label: str, attribute: str = "color") -> int:
    number = db.attributes.column(db.store.state.table("t"), attribute).label_of(label)
    assert number is not None
    return number


def found(db: vdb.Database, label: str, name: str = "o") -> tuple[float, int]:
    """Recall of the overlay of a label over its living rows, and how many there are; none other is returned."""
    state = db.store.state.table("t")
    record = state.indexes[name]
    at_hand = db.indexes.overlays(state, record)
    assert at_hand is not None
    graph, codes = at_hand
    graph.check()
    assert graph.covered == state.next_slot
    attribute = str(record.params["attribute"])
    _, offsets, labels = db.attributes.column(state, attribute).memberships()
    number = number_of(db, label, attribute)
    slots = np.flatnonzero([number in labels[a:b] for a, b in itertools.pairwise(offsets)])
    view = vector_view(state, "e", "l2")
    allowed = vdb._core.RowSet.from_slots(slots.astype(np.uint32), state.next_slot) & measurable(state, "e", "l2")
    queries = np.random.default_rng(5).normal(size=(20, DIM)).astype(np.float32)
    nearest, far, stats = graph.search(view, queries, 10, 100, [number], allowed, codes=codes)
    truth = np.sort([distances(q, state.vectors["e"].data[allowed.to_slots()], "l2") for q in queries])[:, :10]
    if graph.has(number):
        assert not len(stats.unfinished)
        assert all(int(slot) in allowed for slot in nearest.ravel())
    return float((far <= truth[:, -1:] * (1 + 1e-6)).mean()), allowed.count


def test_first_search_after_an_open_finds_the_overlays(path: Path) -> None:
    with vdb.connect(path) as db:
        hits = db.table("t").search(np.zeros(DIM), 10, where="color = 'green'", strategy="label", ef_search=100)
        assert len(hits.ids) == 10
        assert {hit["color"] for hit in hits} == {"green"}


def test_overlays_of_frequent_values_are_built_and_listed(path: Path) -> None:
    with vdb.connect(path) as db:
        (info,) = db.table("t").list_indexes()
        for color in COLORS:
            assert found(db, color)[0] >= 0.99
        state = db.store.state.table("t")
        graph, codes = db.indexes.overlays(state, state.indexes["o"])  # type: ignore[misc]
        assert not graph.has(number_of(db, "rare"))
        assert codes is None
    assert (info.kind, info.column, info.overlays, info.covered) == ("label", "e", 3, ROWS)
    assert info.params["attribute"] == "color"
    assert info.params["min_rows"] == 50
    assert info.memory_bytes > 0
    assert info.dead_nodes is None


def test_elements_of_lists_have_overlays(path: Path) -> None:
    with vdb.connect(path) as db:
        info = db.table("t").create_index("e", vdb.Label("tags", M=8, ef_construction=60, min_rows=50))
        assert (info.name, info.overlays) == ("t_e_tags_label", 3)
        for tag in "abc":
            assert found(db, tag, "t_e_tags_label")[0] >= 0.99


def test_snapshot_is_loaded_without_a_rebuild(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with vdb.connect(path) as db:
        monkeypatch.setattr(db.indexes, "_rebuild", None)
        assert [found(db, color)[0] >= 0.99 for color in COLORS] == [True] * 3
    assert caplog.text == ""


def test_damaged_snapshot_is_rebuilt(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (file,) = [p for p in path.rglob("*") if p.is_file() and "index" in str(p.relative_to(path))]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with caplog.at_level(logging.WARNING), vdb.connect(path) as db:
        assert found(db, "red")[0] >= 0.99
    assert "rebuilding it" in caplog.text


def test_overlays_follow_rows_that_come_change_and_go(path: Path) -> None:
    with vdb.connect(path) as db:
        table = db.table("t")
        before = found(db, "red")[1]
        add(table, 100, 1)
        assert found(db, "red")[1] > before
        table.update({"color": "red"}, where="color = 'green' AND id % 2 = 0")
        table.update({"color": "rare"}, where="color = 'blue' AND id < 400")
        table.delete("id % 5 = 0")
        table.upsert(rows(50, 0)[0], e=np.zeros((50, DIM), np.float32), on="id")
        for color in (*COLORS, "rare"):
            recall, members = found(db, color)
            assert recall >= 0.99
            assert members == table.count("color = ?", [color])
        assert table.list_indexes()[0].overlays == 4
    with vdb.connect(path) as db:  # the snapshot of the end is that of the table
        for color in (*COLORS, "rare"):
            assert found(db, color)[0] >= 0.99


def test_overlays_are_set_aside_in_a_transaction_that_has_changed_labels(path: Path) -> None:
    with vdb.connect(path) as db:
        table = db.table("t")
        record = db.store.state.table("t").indexes["o"]
        with db.transaction():
            assert db.indexes.overlays(db.store.state.table("t"), record) is None, "they are not loaded for it either"
        assert db.indexes.overlays(db.store.state.table("t"), record) is not None
        with db.transaction():
            add(table, 10, 2)
            assert db.indexes.overlays(db.store.state.table("t"), record) is not None
            table.update({"color": "red"}, where="id = 1")
            assert db.indexes.overlays(db.store.state.table("t"), record) is None
        assert found(db, "red")[0] >= 0.99


@pytest.mark.parametrize("loaded", [True, False])
def test_compaction_makes_overlays_of_the_new_slots(path: Path, loaded: bool) -> None:
    with vdb.connect(path) as db:
        table = db.table("t")
        if loaded:
            table.list_indexes()
        table.delete("id % 3 = 0")
        table.compact()
        for color in COLORS:
            assert found(db, color)[0] >= 0.99
        (info,) = table.list_indexes()
        assert info.covered == len(table)


def test_walks_read_the_codes_of_a_graph_of_the_same_metric(path: Path) -> None:
    with vdb.connect(path) as db:
        table = db.table("t")
        table.create_index("e", vdb.HNSW(metric="ip", codes="sq8"), name="other")
        state = db.store.state.table("t")
        assert db.indexes.overlays(state, state.indexes["o"])[1] is None  # type: ignore[index]
        table.create_index("e", vdb.HNSW(codes="sq8"), name="h")
        add(table, 50, 3)  # the graph grows first though it was made later
        state = db.store.state.table("t")
        graph, codes = db.indexes.overlays(state, state.indexes["o"])  # type: ignore[misc]
        assert codes is db.indexes.graph(state, state.indexes["h"])
        red = number_of(db, "red")
        _, _, stats = graph.search(
            vector_view(state, "e", "l2"), np.zeros((1, DIM), np.float32), 5, 20, [red], codes=codes
        )
        assert stats.estimates > stats.distances > 0
        assert found(db, "red")[0] >= 0.99


def test_index_without_overlays_is_refused_as_such(path: Path) -> None:
    with vdb.connect(path) as db:
        db.table("t").create_index("e", name="h")
        state = db.store.state.table("t")
        with pytest.raises(vdb.InvalidState, match="'hnsw', which has no overlays"):
            db.indexes.overlays(state, state.indexes["h"])
        with pytest.raises(vdb.InvalidState, match="'label', which has no graph"):
            db.indexes.graph(state, state.indexes["o"])


@pytest.mark.parametrize("name", vdb.Label.options)
def test_option_out_of_range_is_refused(name: str) -> None:
    option = vdb.Label.options[name]
    for value in (option.least, option.greatest):
        assert getattr(vdb.Label("c", **{name: value}), name) == value
    for value in (option.least - 1, option.greatest + 1):
        with pytest.raises(vdb.InvalidArgument, match=rf"{name} must be an integer from {option.least:,} to .*got"):
            vdb.Label("c", **{name: value})


def test_attribute_and_metric_are_checked() -> None:
    with pytest.raises(vdb.InvalidArgument, match="the attribute of a Label must be a name, got 3"):
        vdb.Label(3)  # type: ignore[arg-type]
    with pytest.raises(vdb.InvalidArgument, match="unknown metric 'L2'"):
        vdb.Label("c", metric="L2")  # type: ignore[arg-type]
    spec = vdb.Label("c", "ip", M=4)
    assert vdb.Label(**spec.params("l2")) == spec  # type: ignore[arg-type]
