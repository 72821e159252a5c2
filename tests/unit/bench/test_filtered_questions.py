from __future__ import annotations

import numpy as np
import pytest
from filtered_data import clustered

from bench import ground_truth
from bench.filtered.cells import CELLS, draw_predicates
from bench.filtered.predicate import (
    Between,
    Contains,
    Dialect,
    Equal,
    Every,
    Inexpressible,
    Predicate,
    Some,
    Substring,
    Without,
    to_sql,
)
from bench.filtered.questions import Allowed, Questioner, RowFinder

DATA = clustered(800, 12)
ROWS = DATA.attributes.to_pylist()
NEAREST = (DATA.dataset.queries @ DATA.vectors.T).argmax(axis=1)


def holds(predicate: Predicate, row: dict) -> bool:
    if isinstance(predicate, Every):
        return all(holds(part, row) for part in predicate.parts)
    if isinstance(predicate, Some):
        return any(holds(part, row) for part in predicate.parts)
    value = row[predicate.column]
    if isinstance(predicate, Between):
        return predicate.low <= value <= predicate.high
    if isinstance(predicate, Substring):
        return predicate.letters.lower() in value.lower()
    if isinstance(predicate, Equal):
        return value == predicate.value
    return (predicate.value in value) == isinstance(predicate, Contains)


@pytest.fixture
def questioner(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ground_truth, "CACHE", tmp_path)
    finder = RowFinder(DATA.attributes)
    yield Questioner(DATA, "ip", finder, warm=2, seed=5)
    finder.close()


@pytest.mark.parametrize("cell", CELLS)
def test_questions_of_every_cell_are_answered_by_brute_force(cell: str, questioner: Questioner) -> None:
    questions = questioner.questions(cell)
    assert len(questions) == 10
    assert questions.warm is not None
    assert len(questions.warm) == 2
    for i, (predicate, allowed) in enumerate(zip(questions.predicates, questions.allowed, strict=True)):
        expected = [row for row, values in enumerate(ROWS) if holds(predicate, values)]
        assert allowed.rows.tolist() == expected
        assert questions.counts[i] == len(expected)
        scores = -(DATA.vectors[expected].astype(np.float64) * questions.queries[i]).sum(axis=1)
        nearest = np.array(expected)[np.lexsort((expected, scores))][:10]
        assert questions.truth.rows[i, : len(nearest)].tolist() == nearest.tolist()
    assert questions.share == pytest.approx(questions.counts.mean() / 800)


def test_questions_are_the_same_for_the_same_seed_and_differ_between_cells() -> None:
    r, same, other = (draw_predicates(CELLS["r"], DATA.attributes, NEAREST, seed) for seed in (5, 5, 6))
    assert r == same
    assert r != other
    assert draw_predicates(CELLS["random_50"], DATA.attributes, NEAREST, 5) != draw_predicates(
        CELLS["random_10"], DATA.attributes, NEAREST, 5
    )


@pytest.mark.parametrize(("cell", "rows"), [("random_50", 400), ("random_1", 8), ("random_0.01", 1)])
def test_random_cells_allow_exactly_their_share(cell: str, rows: int, questioner: Questioner) -> None:
    questions = questioner.questions(cell)
    assert (questions.counts == rows).all()
    assert len({tuple(allowed.rows) for allowed in questions.allowed}) > 1


def test_own_category_holds_the_nearest_row_and_its_archive_is_left_out(questioner: Questioner) -> None:
    for i, allowed in enumerate(questioner.questions("own_category").allowed):
        assert allowed.mask[NEAREST[i]]
    for i, allowed in enumerate(questioner.questions("outside_archive_5").allowed):
        archive = ROWS[NEAREST[i]]["primary_category"].split(".")[0]
        assert not any(archive in ROWS[row]["main_categories"] for row in allowed.rows)
        assert 0 < len(allowed.rows) <= 40


def test_predicates_are_written_in_the_words_of_a_dialect() -> None:
    predicate = Every((Equal("a", 3), Some((Contains("c", "x'y"), Without("d", "z"))), Between("b", 1, 2)))
    text = "a = ? AND (list_contains(c, ?) OR NOT list_contains(d, ?)) AND b BETWEEN ? AND ?"
    assert to_sql(predicate) == (text, [3, "x'y", "z", 1, 2])
    plain = Dialect("plain", contains="{column} HAS {value}", substring="")
    assert plain.text(Contains("c", "x'y")) == "c HAS 'x''y'"
    assert plain.text(Equal("a", 3)) == "a = 3"
    with pytest.raises(Inexpressible, match="plain has no substring"):
        plain.text(Substring("t", "word"))


def test_a_set_of_rows_is_bits_rows_and_mask() -> None:
    allowed = Allowed.of(np.array([0, 3, 8]), 11)
    assert allowed.bits.tolist() == [0b1001, 0b1]
    assert allowed.rows.tolist() == [0, 3, 8]
    assert allowed.mask.tolist() == [row in (0, 3, 8) for row in range(11)]


@pytest.mark.parametrize("metric", ["ip", "l2", "cosine"])
def test_neighbours_among_allowed_rows_equal_those_of_a_scan_of_them(metric, rng: np.random.Generator) -> None:
    vectors, queries = (rng.standard_normal((n, 9), dtype=np.float32) for n in (700, 6))
    allowed = rng.random((6, 700)) < np.array([[0.0], [0.002], [0.1], [0.5], [0.99], [1.0]])
    found = ground_truth.exact_neighbors(vectors, queries, metric, 15, allowed)
    for i in range(6):
        rows = np.flatnonzero(allowed[i])
        alone = ground_truth.exact_neighbors(vectors[rows], queries[i : i + 1], metric, 15)
        count = min(15, len(rows))
        assert found.rows[i, :count].tolist() == rows[alone.rows[0, :count]].tolist()
        assert (found.rows[i, count:] == ground_truth.ABSENT).all()
        np.testing.assert_array_equal(found.distances[i], alone.distances[0])
