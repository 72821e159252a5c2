"""Codes left open are chosen by the rows they will be made of; a kind nobody knows is said so."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

import vdb
from vdb import _core
from vdb.index import manager
from vdb.index.build import renumbered

DIM = 256
ROWS = 1500


@pytest.fixture
def low() -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.normal(size=(ROWS, 10)) @ rng.normal(size=(10, DIM))).astype(np.float32)


@pytest.fixture
def full() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(ROWS, DIM)).astype(np.float32)


def chosen(table: vdb.Table, spec: vdb.Flat) -> object:
    codes = table.create_index("e", spec, name="i").params["codes"]
    table.drop_index("i")
    return codes


def test_long_rows_do_not_hide_the_others_from_codes_of_cosine(low: np.ndarray, full: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(2 * ROWS)}, e=np.vstack([low * 1e5, full]))
        assert chosen(table, vdb.Flat(metric="cosine")) == "sq8"
        assert chosen(table, vdb.Flat(metric="ip")) == "projection"
        cosine = db.create_table("c", {"id": np.arange(2 * ROWS)}, e=np.vstack([low * 1e5, full]), metric="cosine")
        assert chosen(cosine, vdb.Flat()) == "sq8"  # of the column's metric


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_deleted_rows_have_no_say_in_the_codes(low: np.ndarray, full: np.ndarray, metric: str) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(2 * ROWS)}, e=np.vstack([low, full]), key="id")
        spec = vdb.Flat(metric=metric)  # type: ignore[arg-type]
        assert chosen(table, spec) == "sq8"
        table.delete(f"id >= {ROWS}")
        assert chosen(table, spec) == "projection"


def test_few_vectors_among_missing_and_zero_ones_are_found(low: np.ndarray) -> None:
    rows = [*low[:300], *[None] * 20_000, *np.zeros((20_000, DIM), np.float32)]
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT", "e": f"FLOAT[{DIM}]"})
        table.add({"id": np.arange(len(rows)), "e": rows})
        assert chosen(table, vdb.Flat(metric="cosine")) == "projection"


@pytest.mark.parametrize("dtype", ["FLOAT16", "BFLOAT16", "TINYINT"])
def test_codes_of_narrow_dtypes_are_chosen_by_their_values(full: np.ndarray, dtype: str) -> None:
    full = np.rint(20 * full)
    repeated = np.tile(full[:, :16], DIM // 16)  # a rank that rounding leaves as it is
    with vdb.connect(":memory:") as db:
        for name, rows, codes in (("few", repeated, "projection"), ("all", full, "sq8")):
            table = db.create_table(name, {"id": "BIGINT", "e": f"{dtype}[{DIM}]"})
            table.add({"id": np.arange(ROWS)}, e=rows)
            assert chosen(table, vdb.Flat()) == codes


def test_table_without_vectors_gets_bytes() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT", "e": f"FLOAT[{DIM}]"})
        assert chosen(table, vdb.Flat()) == "sq8"
        table.add({"id": [1, 2], "e": [None, None]})
        assert chosen(table, vdb.Flat()) == "sq8"


def test_nothing_is_looked_at_for_an_index_that_cannot_be_made(
    full: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the rows were looked at")

    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=full)
        table.create_index("e", vdb.Flat(codes="sq8"), name="taken")
        monkeypatch.setattr(manager, "settled", refuse)
        with pytest.raises(vdb.AlreadyExists, match="'taken'"):
            table.create_index("e", vdb.Flat(), name="taken")
        with pytest.raises(vdb.InvalidArgument, match="progress must be callable"):
            table.create_index("e", vdb.Flat(), progress=5)  # type: ignore[arg-type]


def test_index_of_a_kind_nobody_knows_says_so_and_searches_go_on(full: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=full)
        table.create_index("e", vdb.Flat(codes="sq8"), name="x")
        record = db.store.state.table("t").indexes["x"]
        with db.store.begin() as transaction:
            transaction.put_index(replace(record, kind="ivf"))
        with pytest.raises(vdb.InvalidState, match="Index x of table t is of kind 'ivf', which this vdb does not know"):
            table.list_indexes()
        assert len(table.search(full[0], 3)) == 3
        table.drop_index("x")
        assert table.list_indexes() == []


@dataclass
class Renumberable:
    """Stands for a graph of `size` nodes, of which each repair drops the next of `dead`."""

    size: int
    dead: list[int]

    def repair(self, view: object, alive: _core.RowSet) -> None:
        self.size -= self.dead.pop(0)

    def renumbered(self, new_slot_of: np.ndarray, slots: int) -> tuple[list[int], int]:
        return new_slot_of.tolist(), slots


@pytest.mark.parametrize("dead", [[], [3], [1, 2]], ids=str)
def test_a_graph_is_repaired_until_it_has_no_dead_nodes_and_then_renumbered(dead: list[int]) -> None:
    moved, alive = np.array([0, _core.ABSENT_SLOT, 1], np.uint32), _core.RowSet.from_slots(np.array([0, 2], "u4"), 3)
    view = _core.VectorView(np.zeros((3, 4), np.float32), "l2")
    graph = Renumberable(2 + sum(dead), dead)
    assert renumbered(graph, moved, view, alive) == (moved.tolist(), 2)  # type: ignore[arg-type]
    assert graph.size == 2


def test_a_graph_that_keeps_dead_nodes_and_codes_are_built_anew() -> None:
    moved, alive = np.array([0, _core.ABSENT_SLOT, 1], np.uint32), _core.RowSet.from_slots(np.array([0, 2], "u4"), 3)
    view = _core.VectorView(np.zeros((3, 4), np.float32), "l2")
    assert renumbered(Renumberable(9, [1, 1]), moved, view, alive) is None  # type: ignore[arg-type]
    assert renumbered(_core.Codes(4, "l2", "sq8"), moved, view, alive) is None
