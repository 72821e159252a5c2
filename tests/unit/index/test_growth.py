"""What a commit costs an index over an attribute: its own rows, by counters, however many there were before."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb import _core
from vdb.attributes import column as columns
from vdb.attributes.texts import Numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 20_000
BATCH = 200


def rows(count: int, seed: int) -> tuple[dict[str, object], np.ndarray]:
    """Rows whose title no other row has, and whose color and tags many have."""
    rng = np.random.default_rng(seed)
    first = seed * 100_000
    given = {
        "id": np.arange(first, first + count),
        "day": rng.integers(0, 3000, count),
        "title": [f"{rng.integers(10**9):09}-{i}" for i in range(first, first + count)],
        "color": [f"c{i % 5}" for i in rng.permutation(count)],
        "tags": [[f"t{i % 4}", "x"] for i in rng.permutation(count)],
    }
    return given, rng.normal(size=(count, 4)).astype(np.float32)


def made(db: vdb.Database, count: int, *specs: vdb.Range | vdb.Label) -> vdb.Table:
    columns = {"id": "BIGINT PRIMARY KEY", "day": "INTEGER", "title": "VARCHAR", "color": "VARCHAR"}
    table = db.create_table("t", {**columns, "tags": "VARCHAR[]", "e": "FLOAT[4]"})
    given, vectors = rows(count, 0)
    table.add(given, e=vectors)
    for spec in specs:
        table.create_index("e", spec)
    return table


class Looks:
    """Counts entries of pieces that are looked at, and slots that graphs are told of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entries = self.slots = self.linked = 0
        read, link, label = columns._without_stale, _core.RangeGraph.extend, _core.LabelGraph.extend

        def entries(piece: Any) -> Any:
            self.entries += len(piece.order)
            return read(piece)

        def linked(graph: _core.RangeGraph, *args: Any) -> int:
            self.slots += len(args[4])
            done = link(graph, *args)
            self.linked += done
            return done

        def labelled(graph: _core.LabelGraph, *args: Any) -> None:
            self.slots += len(args[4])
            label(graph, *args)

        monkeypatch.setattr(columns, "_without_stale", entries)
        monkeypatch.setattr(_core.RangeGraph, "extend", linked)
        monkeypatch.setattr(_core.LabelGraph, "extend", labelled)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


OPTIONS: dict[str, Any] = {"M": 4, "ef_construction": 10}
SPECS = (
    vdb.Range("day", **OPTIONS),
    vdb.Range("title", **OPTIONS),
    vdb.Label("color", **OPTIONS),
    vdb.Label("tags", **OPTIONS),
)


def test_a_commit_is_looked_at_and_not_the_table(looks: Looks) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, ROWS, *SPECS)
        commits: list[tuple[int, Callable[[], object]]] = []
        for number in range(1, 9):
            given, vectors = rows(BATCH, number)
            commits.append((BATCH, lambda given=given, vectors=vectors: table.add(given, e=vectors)))  # type: ignore[misc]
            one, vector = rows(1, 100 + number)
            commits.append((1, lambda one=one, vector=vector: table.add(one, e=vector)))  # type: ignore[misc]
        commits += [
            (3, lambda: table.update({"day": 7}, where="id BETWEEN 5 AND 7")),
            (3, lambda: table.update({"color": "c1", "tags": ["t0"]}, where="id BETWEEN 10 AND 12")),
            (2, lambda: table.update({"title": "another", "day": None}, where="id < 2")),
            (0, lambda: table.delete("id BETWEEN 20 AND 40")),
        ]
        entries = slots = 0
        for count, commit in commits:
            looks.entries = looks.slots = looks.linked = 0
            commit()
            entries, slots = entries + looks.entries, slots + looks.slots
            assert looks.slots <= len(SPECS) * count
            assert looks.linked <= 2 * count
        changed = sum(count for count, _ in commits)
        assert slots >= 2 * changed
        # A row is read once for each index, and moved from a piece into a larger one now and then.
        assert entries <= 12 * len(SPECS) * changed < len(SPECS) * ROWS
        state = db.store.state.table("t")
        for record in state.indexes.values():
            assert db.indexes.built(state, record).covered == state.next_slot


def test_texts_numbered_anew_after_an_open_leave_their_range_graph_as_it_is(tmp_path: Path, looks: Looks) -> None:
    with vdb.connect(tmp_path / "d") as db:
        made(db, 3000, vdb.Range("title", **OPTIONS)).delete("id % 10 = 3")
    looks.linked = 0
    with vdb.connect(tmp_path / "d") as db:
        (info,) = db.table("t").list_indexes()
        assert (info.covered, looks.linked) == (3000, 0)
        db.table("t").update({"title": "0"}, where="id BETWEEN 5 AND 9")
        assert looks.linked == 5
        titles = {row["id"]: row["title"] for row in db.table("t").get(np.arange(4, 11)).to_dicts()}
    with vdb.connect(tmp_path / "d") as db:
        table = db.table("t")
        table.update({"title": "~"}, where="id BETWEEN 14 AND 15")  # while the graph is not in memory
        table.list_indexes()
        assert looks.linked == 5 + 5 + 2  # the snapshot is from before both changes
        assert {row["id"]: row["title"] for row in table.get(np.arange(4, 11)).to_dicts()} == titles
        state = db.store.state.table("t")
        graph = db.indexes.built_as(state, next(iter(state.indexes.values())), _core.RangeGraph, "ranges")
        view = _core.VectorView(state.vectors["e"].data, "l2")
        column = db.attributes.column(state, "title")
        low, high = column.starting_with("~") or (0, 0)
        found, _, _ = graph.search(view, np.zeros((1, 4), np.float32), 5, 10, low, high)
        assert sorted(found[0].tolist()) == [14, 15, *[_core.ABSENT_SLOT] * 3]


def test_texts_without_room_between_them_are_numbered_anew_and_stay_linked(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, 2000, vdb.Range("title", **OPTIONS))
        state = db.store.state.table("t")
        before = db.attributes.column(state, "title").meaning
        last, added = "5", 0
        while db.attributes.column(db.store.state.table("t"), "title").meaning is before:
            looks.linked = 0
            last = last[:-1] + "4" + last[-1]
            table.add({"id": [1_000_000 + added], "title": [last]}, e=np.ones((1, 4)))
            added += 1
            assert added < 100
        assert looks.linked == 1


def test_overlays_are_made_anew_in_slices_after_commits_beside_those_they_replace() -> None:
    with vdb.connect(":memory:") as db:
        table = made(db, 2000, vdb.Label("color", **OPTIONS, min_rows=100))
        state = db.store.state.table("t")
        (record,) = state.indexes.values()
        graph = db.indexes.built_as(state, record, _core.LabelGraph, "overlays")
        label = db.attributes.column(state, "color").label_of("c1")
        assert label is not None
        assert (graph.count(label), graph.lacking) == (400, 0)
        ids = [row["id"] for row in table.search(np.zeros(4), 400, where="color = 'c1'").to_dicts()]
        table.delete(ids=ids[:150])  # more than a third of the overlay, which the next commit finds
        lacking = []
        while not lacking or graph.lacking:
            given, vectors = rows(1, 1 + len(lacking))
            table.add({**given, "color": ["c1"]}, e=vectors)
            lacking.append(graph.lacking)
            if graph.lacking:
                assert graph.count(label) == 400 + len(lacking)
            found = table.search(np.zeros(4), 1000, where="color = 'c1'").ids
            assert len(found) == 250 + len(lacking)
        assert len(lacking) == 4
        assert all(0 < before - after <= 64 for before, after in itertools.pairwise(lacking))
        assert graph.count(label) == 254


def test_copies_of_the_order_of_texts_are_small() -> None:
    numbers = Numbers()
    numbers.add(f"{i:06}" for i in range(100_000))
    before = {id(block) for block in numbers._ordered.blocks}
    assert len(before) > 100
    numbers.add(["050000x", "050000y"])
    new = [block for block in numbers._ordered.blocks if id(block) not in before]
    assert sum(len(block.texts) for block in new) <= 1100
