"""Settling an answer: ties by row id, walks that fall short, padding."""

from __future__ import annotations

import numpy as np
import pytest

from vdb import _core
from vdb.index.machine import guessed
from vdb.query.answer import Answer
from vdb.query.methods.method import Methods
from vdb.query.methods.model import Graph
from vdb.query.methods.scans import CodeScan, Scan
from vdb.query.methods.walks import GraphWalk, PostWalk
from vdb.query.nearest import Search, settle
from vdb.query.plan import Actuals, Effort, Plan, Question, Situation

MACHINE = guessed(4, None)


class Indexes:
    """The one graph of a test."""

    def __init__(self, graph: _core.Hnsw) -> None:
        self._graph = graph

    def graph(self, name: str) -> _core.Hnsw:
        return self._graph


def search_of(
    data: np.ndarray, strategy: str, allowed: list[int] | None, graph: _core.Hnsw, effort: Effort | None = None
) -> Search:
    """A search for 0 over the vectors."""
    n = len(data)
    rows = None if allowed is None else _core.RowSet.from_slots(np.array(allowed, np.uint32), n)
    question = Question(1, strategy=strategy)
    walks = {"graph": GraphWalk, "post": PostWalk}
    if strategy in walks:
        method = walks[strategy]("h", Graph(4, n), MACHINE, question)
        arms = {"graph": "plain", "post": "post"}
        effort = effort or Effort(40, 40, arm=arms[strategy])
    else:
        method = Scan(MACHINE.vectors) if strategy == "scan" else CodeScan(MACHINE, "h")
    seen = Situation(question, n, n if rows is None else rows.count, n)
    plan = Plan(method, effort or Effort(), Scan(MACHINE.vectors), seen, Methods.of([method]))
    query = np.zeros((1, data.shape[1]), np.float32)
    return Search(_core.VectorView(data, "l2"), query, rows, plan, Indexes(graph), 1, Actuals())


def searched(
    values: list[float], k: int, strategy: str, allowed: list[int] | None = None, graph_slots: int | None = None
) -> tuple[Search, int]:
    """A search for 0 over one-dimensional vectors and the number of rows to settle."""
    data = np.array(values, np.float32)[:, None]
    graph = _core.Hnsw(1, "l2", 4, 20)
    graph.extend(_core.VectorView(data[:graph_slots], "l2"))
    search = search_of(data, strategy, allowed, graph)
    return search, min(k, search.plan.situation.matching)


@pytest.mark.parametrize("method", ["scan", "codes", "graph", "post"])
@pytest.mark.parametrize("k", range(1, 31))
def test_all_rows_at_the_last_distance_compete_by_row_id(method: str, k: int) -> None:
    values = [1.0] * 5 + [2.0] * 20 + [3.0] * 5
    row_ids = np.random.default_rng(k).permutation(30).astype(np.int64)
    search, width = searched(values, k, method)
    answer = settle(search, width, row_ids)
    wanted = sorted(range(30), key=lambda slot: (values[slot], row_ids[slot]))[:k]
    assert answer.slots[0].tolist() == wanted
    assert answer.distances[0].tolist() == [values[slot] for slot in wanted]


@pytest.mark.parametrize("method", ["scan", "codes", "graph", "post"])
def test_ties_among_allowed_rows_only(method: str) -> None:
    row_ids = np.arange(20)[::-1].astype(np.int64)
    search, width = searched([1.0] * 20, 3, method, allowed=[2, 5, 8, 11, 19])
    assert settle(search, width, row_ids).slots[0].tolist() == [19, 11, 8]


def test_squares_that_share_a_root_are_a_tie() -> None:
    # Neighbouring float32 squares have the same float32 root: what the user sees as equal goes by row id.
    near, far = np.float32(1.0), np.nextafter(np.float32(1.0), np.float32(0))
    data = np.array([[near, 0], [far, 3e-4]], np.float32)
    assert np.sqrt(np.float32((data[0] ** 2).sum())) == np.sqrt(np.float32((data[1] ** 2).sum()))
    search = search_of(data, "scan", None, _core.Hnsw(2, "l2", 4, 20))
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
    search.plan = search.plan._replace(effort=Effort(8, 400, budget=5, arm="plain"))
    assert settle(search, width, np.arange(500)).slots[0].tolist() == [400, 401, 402]
    assert search.actuals.fallbacks == 1


def test_what_a_walk_found_is_kept_where_the_codes_miss_it() -> None:
    search, width = searched([float(i) for i in range(60)], 2, "graph", allowed=[0, 30, 50], graph_slots=60)

    class Blind(CodeScan):
        def run(self, search: Search, effort: Effort, k: int) -> tuple[Answer, np.ndarray]:
            answer = Answer.nothing(len(search.queries), k)
            answer.slots[:, 0], answer.distances[:, 0] = 30, 30.0
            return answer, np.empty(0, np.uint32)

    search.plan = search.plan._replace(effort=Effort(2, 60, budget=1, arm="plain"), finish=Blind(MACHINE, "h"))
    found = search.run(width)
    assert search.actuals.fallbacks == 1
    assert 30 in found.slots[0].tolist()
    assert len(set(found.slots[0].tolist())) == 2


def test_graph_beyond_the_view_is_cut_to_it() -> None:
    data = np.arange(50, dtype=np.float32)[::-1].copy()[:, None]
    graph = _core.Hnsw(1, "l2", 4, 20)
    graph.extend(_core.VectorView(data, "l2"))
    for strategy in ("graph", "post"):
        search = search_of(data[:20], strategy, None, graph)
        assert settle(search, 5, np.arange(20)).slots[0].tolist() == [19, 18, 17, 16, 15]


def test_joined_answers_hold_each_row_once_and_know_their_ties() -> None:
    absent = _core.ABSENT_SLOT
    one = Answer(np.array([[3, 7], [1, absent]], np.uint32), np.array([[1.0, 2.0], [5.0, np.inf]], np.float32))
    other = Answer(np.array([[7, 9], [1, absent]], np.uint32), np.array([[2.0, 2.0], [5.0, np.inf]], np.float32))
    joined = one.joined(other)
    assert joined.slots.tolist() == [[3, 7], [1, absent]]
    assert joined.distances.tolist() == [[1.0, 2.0], [5.0, np.inf]]
    assert joined.cut.tolist() == [0]
    assert joined.tied.tolist() == []


def test_padding_widens_and_keeps_what_is_there() -> None:
    answer = Answer(np.array([[3, 1]], np.uint32), np.array([[0.5, 1.5]], np.float32))
    assert answer.padded(2) is answer
    wide = answer.padded(4)
    assert wide.slots.tolist() == [[3, 1, _core.ABSENT_SLOT, _core.ABSENT_SLOT]]
    assert wide.distances.tolist() == [[0.5, 1.5, np.inf, np.inf]]
    assert Answer.nothing(2, 0).slots.shape == (2, 0)
