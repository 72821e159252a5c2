"""What a search found beside the truth, as numbers and as a table's own report of it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING

import numpy as np
import pytest
from brute_force import distances

import vdb
from vdb._core import ABSENT_SLOT
from vdb.index.machine import guessed
from vdb.query.accuracy import compare
from vdb.query.answer import Answer
from vdb.query.methods.method import Methods
from vdb.query.methods.scans import Scan
from vdb.query.plan import Effort, Plan, Question, Situation

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, DIM = 2000, 8
X = np.random.default_rng(3).normal(size=(ROWS, DIM)).astype(np.float32)
QUERIES = np.random.default_rng(4).normal(size=(60, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def table() -> Iterator[vdb.Table]:
    with vdb.connect(":memory:") as db:
        made = db.create_table("t", {"id": np.arange(ROWS), "n": np.arange(ROWS) % 10}, e=X, key="id")
        made.create_index("e", vdb.HNSW(M=3, ef_construction=20))
        yield made


def answer(slots: list[list[int]], found: list[list[float]]) -> Answer:
    return Answer(np.array(slots, np.uint32), np.array(found, np.float32))


def plan(ef: int = 40) -> Plan:
    scan = Scan(guessed(32, None).vectors)
    return Plan(scan, Effort(ef), scan, Situation(Question(3), 9, 9, 9), Methods.of([scan]))


def test_share_of_the_true_rows_is_counted_by_query() -> None:
    truth = answer([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [1, 2, 3]])
    found = answer([[1, 2, 3], [4, 7, 8]], [[1, 2, 3], [1, 4, 5]])
    report = compare(found, truth, plan())
    assert report.recall == pytest.approx((1 + 1 / 3) / 2)
    assert (report.worst_query, report.worst_recall) == (1, pytest.approx(1 / 3))
    assert (report.k, report.queries, report.ef_search) == (3, 2, 40)
    assert compare(truth, truth, plan(0)).ef_search is None


def test_row_as_near_as_the_last_true_one_counts() -> None:
    truth = answer([[1, 2]], [[1, 2]])
    assert compare(answer([[1, 9]], [[1, 2]]), truth, plan()).recall == 1.0


def test_answer_padded_where_few_rows_match_lacks_nothing() -> None:
    truth = answer([[1, ABSENT_SLOT]], [[1, np.inf]])
    assert compare(truth, truth, plan()).recall == 1.0
    missed = answer([[ABSENT_SLOT, ABSENT_SLOT]], [[np.inf, np.inf]])
    assert compare(missed, truth, plan()).recall == 0.0
    assert compare(missed, missed, plan()).recall == 1.0
    assert compare(Answer.nothing(2, 0), Answer.nothing(2, 0), plan()).recall == 1.0


def test_report_is_what_an_oracle_counts(table: vdb.Table) -> None:
    for ef in (10, 30):
        found = table.search(QUERIES, 10, ef_search=ef, strategy="graph").ids
        truth = [np.argsort(distances(q, X, "l2"))[:10] for q in QUERIES]
        shares = [len(np.intersect1d(f, t)) / 10 for f, t in zip(found, truth, strict=True)]
        report = table.measure_recall(10, QUERIES, ef_search=ef)
        assert report.recall == pytest.approx(np.mean(shares))
        assert report.worst_recall == pytest.approx(min(shares))
        assert report.worst_query == int(np.argmin(shares))
        assert report.ef_search == ef


def test_report_prints_as_one_line_and_cannot_be_changed(table: vdb.Table) -> None:
    report = table.measure_recall(10, 20, ef_search=30)
    assert str(report).startswith(f"recall@10 {report.recall:.4f} at ef_search=30, 20 queries, worst: query ")
    assert "by scan" in str(table.measure_recall(recall=1.0))
    with pytest.raises(FrozenInstanceError):
        report.recall = 1.0  # type: ignore[misc]


def test_report_of_made_queries_is_seeded(table: vdb.Table) -> None:
    assert table.measure_recall(ef_search=12) == table.measure_recall(ef_search=12)
    assert table.measure_recall(ef_search=12).queries == 200
    assert table.measure_recall(ef_search=12) != table.measure_recall(ef_search=12, seed=1)


def test_report_goes_by_the_predicate(table: vdb.Table) -> None:
    report = table.measure_recall(5, QUERIES, where="n = ?", params=[3], ef_search=500)
    assert report.recall == 1.0
    assert table.measure_recall(5, QUERIES, where="n > 10").recall == 1.0


def test_report_measures_the_effort_a_recall_takes(table: vdb.Table) -> None:
    # As many queries as put the sampling error of their mean below 0.005, a quarter of the tolerance.
    many = np.random.default_rng(5).normal(size=(2000, DIM)).astype(np.float32)
    report = table.measure_recall(10, many, recall=0.9)
    assert report.ef_search is not None
    assert report.recall >= 0.88
    text = table.search(QUERIES[0], 10, recall=0.9).explain()
    assert f"ef_search={report.ef_search} for recall 0.9\n" in text


def test_single_query_and_lists_are_taken(table: vdb.Table) -> None:
    assert table.measure_recall(3, QUERIES[0]).queries == 1
    assert table.measure_recall(3, QUERIES[:4].tolist()).queries == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"queries": 0}, "queries must be an integer from 1 to 100,000"),
        ({"queries": 10**9}, "queries must be an integer from 1 to 100,000"),
        ({"queries": 2.5}, "queries must be an integer"),
        ({"queries": True}, "queries must be an integer"),
        ({"queries": None}, "queries must be an integer"),
        ({"queries": np.empty((0, DIM), np.float32)}, "queries is empty"),
        ({"queries": np.zeros((3, DIM + 1))}, "9 values"),
        ({"queries": "abc"}, "quer"),
        ({"seed": -1}, "seed must be an integer"),
        ({"k": 0}, "k must be at least 1"),
        ({"column": "n"}, "'n' is not a vector column"),
        ({"metric": "dot"}, "unknown metric 'dot'"),
        ({"recall": 2}, "recall must be a number"),
        ({"recall": 0.9, "ef_search": 10}, "both recall=0.9 and ef_search=10"),
        ({"ef_search": 0}, "ef_search must be"),
        ({"where": "nope = 1"}, "nope"),
        ({"params": [1]}, "no where that uses them"),
    ],
)
def test_bad_argument_is_one_clear_error(table: vdb.Table, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(vdb.InvalidArgument, match=message):
        table.measure_recall(**arguments)  # type: ignore[arg-type]


def test_table_without_vectors_has_nothing_to_make_queries_of() -> None:
    with vdb.connect(":memory:") as db:
        made = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[2]"})
        with pytest.raises(vdb.InvalidArgument, match=r"table t has no vector in e.*\n.*Fix: add rows"):
            made.measure_recall()
        assert made.measure_recall(queries=[[1, 2]]).recall == 1.0
        made.add([{"id": 1, "e": None}])
        with pytest.raises(vdb.InvalidArgument, match="no vector"):
            made.measure_recall()
