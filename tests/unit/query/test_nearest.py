"""Settling an answer: ties by row id, walks that fall short, padding."""

from __future__ import annotations

import numpy as np
import pytest

from vdb import _core
from vdb.query.nearest import Answer, Search, settle
from vdb.query.plan import Actuals, Candidate, Plan, Situation


def searched(
    values: list[float], k: int, method: str, allowed: list[int] | None = None, graph_slots: int | None = None
) -> tuple[Search, int]:
    """A search for 0 over one-dimensional vectors and the number of rows to settle."""
    data = np.array(values, np.float32)[:, None]
    view = _core.VectorView(data, "l2")
    rows = None if allowed is None else _core.RowSet.from_slots(np.array(allowed, np.uint32), len(values))
    matching = len(values) if rows is None else rows.count
    graph = None
    if method != "scan":
        graph = _core.Hnsw(1, "l2", 4, 20)
        graph.extend(_core.VectorView(data[:graph_slots], "l2"))
    situation = Situation(len(values), matching, k, None, "auto", (Candidate("h", 4, len(values)),))
    plan = Plan(method, "", situation, "h", ef=40, pool=40)  # type: ignore[arg-type]
    search = Search(view, np.zeros((1, 1), np.float32), rows, plan, graph, 1, Actuals())
    return search, min(k, matching)


@pytest.mark.parametrize("method", ["scan", "graph", "post"])
@pytest.mark.parametrize("k", range(1, 31))
def test_all_rows_at_the_last_distance_compete_by_row_id(method: str, k: int) -> None:
    values = [1.0] * 5 + [2.0] * 20 + [3.0] * 5
    row_ids = np.random.default_rng(k).permutation(30).astype(np.int64)
    search, width = searched(values, k, method)
    answer = settle(search, width, row_ids)
    wanted = sorted(range(30), key=lambda slot: (values[slot], row_ids[slot]))[:k]
    assert answer.slots[0].tolist() == wanted
    assert answer.distances[0].tolist() == [values[slot] for slot in wanted]


@pytest.mark.parametrize("method", ["scan", "graph", "post"])
def test_ties_among_allowed_rows_only(method: str) -> None:
    row_ids = np.arange(20)[::-1].astype(np.int64)
    search, width = searched([1.0] * 20, 3, method, allowed=[2, 5, 8, 11, 19])
    assert settle(search, width, row_ids).slots[0].tolist() == [19, 11, 8]


def test_squares_that_share_a_root_are_a_tie() -> None:
    # Neighbouring float32 squares have the same float32 root: what the user sees as equal goes by row id.
    near, far = np.float32(1.0), np.nextafter(np.float32(1.0), np.float32(0))
    data = np.array([[near, 0], [far, 3e-4]], np.float32)
    assert np.sqrt(np.float32((data[0] ** 2).sum())) == np.sqrt(np.float32((data[1] ** 2).sum()))
    view = _core.VectorView(data, "l2")
    situation = Situation(2, 2, 1, None, "auto", ())
    search = Search(view, np.zeros((1, 2), np.float32), None, Plan("scan", "", situation), None, 1, Actuals())
    for row_ids in (np.array([1, 2]), np.array([2, 1])):
        assert row_ids[settle(search, 1, row_ids).slots[0]].tolist() == [1]


@pytest.mark.parametrize("method", ["graph", "post"])
def test_walk_that_finds_too_little_is_finished_by_the_scan(method: str) -> None:
    search, width = searched([float(i) for i in range(60)], 6, method, allowed=[0, 30, 50, 55, 58, 59], graph_slots=40)
    answer = settle(search, width, np.arange(60))
    assert answer.slots[0].tolist() == [0, 30, 50, 55, 58, 59]
    if method == "post":
        assert search.actuals.fallbacks == 1


def test_exhausted_budget_goes_over_to_the_scan() -> None:
    search, width = searched([float(i) for i in range(500)], 3, "graph", allowed=list(range(400, 500)))
    plan = Plan("graph", "", search.plan.situation, "h", ef=8, pool=400, budget=5)
    short = Search(search.view, search.queries, search.allowed, plan, search.graph, 1, Actuals())
    assert settle(short, width, np.arange(500)).slots[0].tolist() == [400, 401, 402]
    assert short.actuals.fallbacks == 1


def test_graph_beyond_the_view_is_cut_to_it() -> None:
    data = np.arange(50, dtype=np.float32)[::-1].copy()[:, None]
    graph = _core.Hnsw(1, "l2", 4, 20)
    graph.extend(_core.VectorView(data, "l2"))
    for method in ("graph", "post"):
        situation = Situation(20, 20, 5, None, "auto", (Candidate("h", 4, 20),))
        plan = Plan(method, "", situation, "h", ef=40, pool=40)  # type: ignore[arg-type]
        search = Search(
            _core.VectorView(data[:20], "l2"), np.zeros((1, 1), np.float32), None, plan, graph, 1, Actuals()
        )
        assert settle(search, 5, np.arange(20)).slots[0].tolist() == [19, 18, 17, 16, 15]


def test_padding_widens_and_keeps_what_is_there() -> None:
    answer = Answer(np.array([[3, 1]], np.uint32), np.array([[0.5, 1.5]], np.float32))
    assert answer.padded(2) is answer
    wide = answer.padded(4)
    assert wide.slots.tolist() == [[3, 1, _core.ABSENT_SLOT, _core.ABSENT_SLOT]]
    assert wide.distances.tolist() == [[0.5, 1.5, np.inf, np.inf]]
    assert Answer.nothing(2, 0).slots.shape == (2, 0)
