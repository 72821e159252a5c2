"""Table.search: which rows, in which order, for every metric, strategy and form of query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from brute_force import assert_allowed, assert_exact, by_id

import vdb

if TYPE_CHECKING:
    from collections.abc import Iterator

DIM = 12
ROWS = 600
METRICS = ("l2", "cosine", "ip")
STRATEGIES = ("auto", "scan", "graph", "post")


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(ROWS, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def papers(vectors: np.ndarray) -> Iterator[vdb.Table]:
    """600 rows in shuffled key order, an index for each metric."""
    with vdb.connect(":memory:") as db:
        table = db.create_table("papers", {"id": "BIGINT PRIMARY KEY", "lang": "VARCHAR", "e": f"FLOAT[{DIM}]"})
        ids = np.random.default_rng(2).permutation(ROWS)
        table.add({"id": ids, "lang": [("en", "de", None)[i % 3] for i in ids]}, e=vectors[ids])
        for metric in METRICS:
            table.create_index("e", vdb.HNSW(metric=metric, M=8, ef_construction=60), name=metric)
        yield table


@pytest.fixture(scope="module")
def query() -> np.ndarray:
    return np.random.default_rng(3).normal(size=DIM).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 10, ROWS - 1, ROWS, ROWS + 5])
def test_scan_finds_exactly_the_nearest(
    papers: vdb.Table, vectors: np.ndarray, query: np.ndarray, metric: str, k: int
) -> None:
    expected = by_id(query, dict(enumerate(vectors)), metric)
    assert_exact(papers.search(query, k, metric=metric, strategy="scan"), expected, k)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("strategy", ["graph", "post"])
@pytest.mark.parametrize("k", [1, 10, ROWS - 1, ROWS, ROWS + 5, 2**70])
def test_graph_returns_min_of_k_and_rows(
    papers: vdb.Table, vectors: np.ndarray, query: np.ndarray, metric: str, strategy: str, k: int
) -> None:
    expected = by_id(query, dict(enumerate(vectors)), metric)
    assert_allowed(papers.search(query, k, metric=metric, strategy=strategy), expected, k)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("where", "passes"),
    [
        ("lang = 'de'", lambda i: i % 3 == 1),
        ("lang IS NULL", lambda i: i % 3 == 2),
        ("NOT (lang = 'en')", lambda i: i % 3 == 1),
        ("lang NOT IN ('en', NULL)", lambda i: False),
        ("id < 5", lambda i: i < 5),
        ("id = 77", lambda i: i == 77),
        ("TRUE", lambda i: True),
        ("FALSE", lambda i: False),
        ("lang = NULL", lambda i: False),
    ],
)
def test_every_strategy_returns_min_of_k_and_matches(
    papers: vdb.Table, vectors: np.ndarray, query: np.ndarray, strategy: str, where: str, passes: Any
) -> None:
    expected = by_id(query, {i: row for i, row in enumerate(vectors) if passes(i)})
    hits = papers.search(query, 20, where=where, strategy=strategy)
    assert_allowed(hits, expected, 20)
    if len(expected) <= 20 or strategy == "scan":
        assert_exact(hits, expected, 20)


def test_parameters_are_bound_by_position_and_by_name(papers: vdb.Table, query: np.ndarray) -> None:
    by_position = papers.search(query, 5, where="lang = ? AND id < ?", params=["en", 300])
    by_name = papers.search(query, 5, where="lang = $lang AND id < $top", params={"lang": "en", "top": 300})
    assert by_position.ids.tolist() == by_name.ids.tolist()
    assert all(row["lang"] == "en" and row["id"] < 300 for row in by_position)


def test_metric_other_than_that_of_the_index_goes_to_the_scan_and_says_so(query: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        x = np.random.default_rng(0).normal(size=(2000, 4))
        table = db.create_table("t", {"id": np.arange(2000)}, e=x, key="id")
        table.create_index("e", vdb.HNSW(metric="l2", M=4, ef_construction=20), name="h")
        hits = table.search(query[:4], 5, metric="ip")
        assert_exact(hits, by_id(query[:4], dict(enumerate(x)), "ip"), 5)
        assert "strategy  scan" in hits.explain()
        assert "no usable graph" in hits.explain()
        assert "h: metric is l2" in hits.explain()
        with pytest.raises(vdb.InvalidArgument, match=r"'graph' cannot run: h: metric is l2"):
            table.search(query[:4], 5, metric="ip", strategy="graph")


@pytest.mark.parametrize("strategy", ["graph", "post"])
@pytest.mark.parametrize("where", [None, "id < 10", "FALSE"])
def test_forced_strategy_without_an_index_raises_whatever_matches(strategy: str, where: str | None) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(20)}, e=np.eye(20), key="id")
        with pytest.raises(vdb.InvalidArgument, match=r"the column has no graph[\s\S]*create_index"):
            table.search(np.ones(20), 3, where=where, strategy=strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("k", [1, 3, 7, 8, 20, 40, 64])
def test_equal_distances_are_ordered_by_row_id_where_k_cuts_them(strategy: str, k: int) -> None:
    # 8 groups of 8 equal vectors; keys are given in shuffled order, so slots and row ids disagree.
    ids = np.random.default_rng(5).permutation(64)
    x = np.repeat(np.arange(8, dtype=np.float32), 8)[ids][:, None] * np.ones(3, np.float32)
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": ids}, e=x, key="id")
        table.create_index("e", vdb.HNSW(M=4, ef_construction=30))
        hits = table.search(np.zeros(3), k, strategy=strategy)
        assert hits.ids.tolist() == list(range(k))
        found = table.search(np.zeros((2, 3)), k, strategy=strategy, where="id % 2 = 1")
        assert found.ids.tolist() == [[i for i in range(64) if i % 2][:k] + [-1] * max(0, k - 32)] * 2


def test_ties_go_by_row_id_where_the_key_is_text() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": ["z", "a", "m", "b"]}, e=np.ones((4, 2)), key="id")
        assert table.search([0, 0], 3).ids.tolist() == ["z", "a", "m"]


def test_row_without_a_vector_is_never_found() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[2]"})
        table.add([{"id": 1, "e": [1, 0]}, {"id": 2, "e": None}, {"id": 3, "e": [0, 2]}])
        table.create_index()
        for strategy in STRATEGIES:
            assert table.search([0, 0], 10, strategy=strategy).ids.tolist() == [1, 3]
            assert table.search([0, 0], 10, where="id > 1", strategy=strategy).ids.tolist() == [3]
            assert len(table.search([0, 0], 10, where="e IS NULL", strategy=strategy)) == 0
        assert table.count("e IS NULL") == 1


def test_zero_vector_of_an_l2_column_is_not_found_under_cosine() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": [1, 2, 3]}, e=[[0.0, 0.0], [0.0, 5.0], [3.0, 3.0]], key="id")
        table.create_index("e", vdb.HNSW(metric="cosine"), name="c")
        for strategy in STRATEGIES:
            hits = table.search([1, 0], 10, metric="cosine", strategy=strategy)
            assert hits.ids.tolist() == [3, 2]
            np.testing.assert_allclose(hits.distances, [1 - np.sqrt(0.5), 1], atol=1e-6)
        assert table.search([1, 0], 10).ids.tolist() == [1, 3, 2]


@pytest.mark.parametrize("strategy", ["auto", "scan", "graph", "post"])
def test_batch_answers_as_its_queries_one_by_one(papers: vdb.Table, strategy: str) -> None:
    queries = np.random.default_rng(9).normal(size=(17, DIM)).astype(np.float32)
    batch = papers.search(queries, 10, strategy=strategy, where="lang = 'en'")
    assert batch.ids.shape == batch.distances.shape == (17, 10)
    for query, hits in zip(queries, batch, strict=True):
        alone = papers.search(query, 10, strategy=strategy, where="lang = 'en'")
        assert hits.ids.tolist() == alone.ids.tolist()
        assert hits.distances.tobytes() == alone.distances.tobytes()


def test_batch_is_padded_with_minus_one_and_infinity(papers: vdb.Table) -> None:
    hits = papers.search(np.ones((3, DIM)), 8, where="id IN (4, 9)")
    ids, distances = hits.to_numpy()
    assert ids.shape == (3, 8)
    assert (np.sort(ids[:, :2]) == [4, 9]).all()
    assert (ids[:, 2:] == -1).all()
    assert np.isinf(distances[:, 2:]).all()
    assert np.isfinite(distances[:, :2]).all()
    assert len(hits.to_pandas()) == 6
    assert hits.to_pandas()["query"].tolist() == [0, 0, 1, 1, 2, 2]


def test_batch_without_a_match_is_all_padding(papers: vdb.Table) -> None:
    ids, distances = papers.search(np.ones((2, DIM)), 4, where="FALSE").to_numpy()
    assert ids.tolist() == [[-1] * 4] * 2
    assert np.isinf(distances).all()


def test_batch_of_no_queries_has_no_answers(papers: vdb.Table) -> None:
    hits = papers.search(np.zeros((0, DIM)), 4)
    assert len(hits) == 0
    assert hits.ids.shape == (0, 4)
    assert hits.to_dicts() == []


def test_search_of_an_empty_table_finds_nothing(db: vdb.Database) -> None:
    table = db.create_table("t", {"e": "FLOAT[2]"})
    assert table.search([1, 2]).ids.tolist() == []
    assert table.search([1, 2]).to_dicts() == []
    table.create_index()
    for strategy in STRATEGIES:
        assert len(table.search([1, 2], strategy=strategy)) == 0


FORMS = {
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: x[..., ::-1].copy()[..., ::-1],
    "big endian": lambda x: x.astype(">f4"),
    "read-only": lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    "list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_query_and_rows_gives_equal_answers(form: str) -> None:
    x = np.random.default_rng(4).integers(-8, 8, (50, 6)).astype(np.float32)  # exact in float16 too
    convert = FORMS[form]
    with vdb.connect(":memory:") as db:
        plain = db.create_table("plain", {"id": np.arange(50)}, e=x, key="id")
        other = db.create_table("other", {"id": np.arange(50)}, e=convert(x), key="id")
        for query in (x[3], x[:5]):
            hits = plain.search(query, 7)
            for found in (plain.search(convert(query), 7), other.search(query, 7)):
                assert found.ids.tolist() == hits.ids.tolist()
                assert found.distances.tobytes() == hits.distances.tobytes()


def test_search_leaves_the_query_as_it_was(papers: vdb.Table, query: np.ndarray) -> None:
    before = query.copy()
    papers.search(query, metric="cosine")
    assert (query == before).all()


def test_each_vector_column_is_searched_by_its_name() -> None:
    with vdb.connect(":memory:") as db:
        schema = {"id": "BIGINT PRIMARY KEY", "a": "FLOAT[2]", "b": "FLOAT[3]"}
        table = db.create_table("t", schema, metric={"a": "l2", "b": "ip"})
        table.add({"id": [1, 2]}, a=[[0, 0], [5, 5]], b=[[1, 0, 0], [9, 0, 0]])
        assert table.search([0, 0], column="a").ids.tolist() == [1, 2]
        assert table.search([1, 0, 0], column="b").ids.tolist() == [2, 1]
        assert table.search([1, 0, 0], column="b").distances.tolist() == [-9, -1]


def test_select_chooses_and_orders_the_columns(papers: vdb.Table, query: np.ndarray) -> None:
    (row,) = papers.search(query, 1, select=["e", "id"]).to_dicts()
    assert list(row) == ["e", "id", "_distance"]
    assert row["e"].shape == (DIM,)
    assert list(papers.search(query, 1)[0]) == ["id", "lang", "_distance"]
    assert list(papers.search(query, 1, select=[])[0]) == ["_distance"]


def test_table_without_attributes_shows_row_ids() -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"e": "FLOAT[2]"})
        table.add(e=[[3, 4], [0, 1]])
        assert table.search([0, 0]).to_dicts() == [{"_row_id": 1, "_distance": 1.0}, {"_row_id": 0, "_distance": 5.0}]


def test_higher_ef_search_does_more_work(papers: vdb.Table, query: np.ndarray) -> None:
    def distances(ef: int) -> int:
        text = papers.search(query, 1, strategy="graph", ef_search=ef).explain()
        return int(text.partition("distances ")[2].split()[0].replace(",", ""))

    assert distances(10) < distances(100) < distances(600)
    assert distances(600) <= ROWS * 1.1


def test_index_does_not_change_which_rows_qualify(vectors: np.ndarray, query: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=vectors, key="id")
        before = {w: set(table.search(query, ROWS, where=w).ids.tolist()) for w in ("id % 7 = 3", "id > 590", "TRUE")}
        table.create_index("e", vdb.HNSW(M=4, ef_construction=20))
        for where, ids in before.items():
            for strategy in STRATEGIES:
                assert set(table.search(query, ROWS, where=where, strategy=strategy).ids.tolist()) == ids


def test_cosine_row_whose_product_overflows_is_far_not_near(db: vdb.Database) -> None:
    table = db.create_table("huge", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[2]"}, metric="cosine")
    table.add({"id": [1, 2]}, e=np.array([[3e38, 3e38], [1.0, 0.9]], np.float32))
    hits = table.search([1.0, 1.0], k=2)  # the product with the first row, the nearest by angle, is infinite
    assert hits.ids.tolist() == [2, 1]
    assert hits.distances[1] == np.inf
