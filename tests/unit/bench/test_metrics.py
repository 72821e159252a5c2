from __future__ import annotations

import numpy as np
import pytest

from bench.ground_truth import GroundTruth
from bench.metrics import Spread, SweepPoint, Timing, pareto_front, qps_at_recall, recall_at_k, recall_per_query

NONE = np.inf


def truth(rows: list[list[int]], distances: list[list[float]]) -> GroundTruth:
    return GroundTruth(np.array(rows, dtype=np.int64), np.array(distances))


PLAIN = truth([[4, 2, 7, 1]], [[0.1, 0.2, 0.3, 0.4]])


@pytest.mark.parametrize(
    ("found", "recall"),
    [([4, 2], 1.0), ([2, 4], 1.0), ([4, 7], 0.5), ([9, 8], 0.0), ([4, -1], 0.5), ([4, 4], 0.5)],
)
def test_recall_is_the_share_of_true_neighbours_found(found: list[int], recall: float) -> None:
    assert recall_at_k(np.array([found]), PLAIN, 2) == recall


def test_only_the_first_k_found_count() -> None:
    assert recall_at_k(np.array([[9, 4, 2]]), PLAIN, 2) == 0.5


def test_row_that_ties_with_the_last_true_neighbour_counts_as_found() -> None:
    tied = truth([[4, 2, 7, 1]], [[0.1, 0.2, 0.2, 0.4]])
    assert recall_at_k(np.array([[4, 7]]), tied, 2) == 1.0
    assert recall_at_k(np.array([[2, 7]]), tied, 2) == 1.0
    assert recall_at_k(np.array([[4, 1]]), tied, 2) == 0.5


def test_query_with_fewer_matches_than_k_is_measured_against_its_matches() -> None:
    short = truth([[4, 2, -1, -1]], [[0.1, 0.2, NONE, NONE]])
    assert recall_at_k(np.array([[2, 4, -1]]), short, 3) == 1.0
    assert recall_at_k(np.array([[2, -1, -1]]), short, 3) == 0.5


def test_query_without_matches_has_recall_one() -> None:
    empty = truth([[-1, -1]], [[NONE, NONE]])
    assert recall_at_k(np.array([[-1, -1]]), empty, 2) == 1.0


def test_recall_is_kept_per_query_and_averaged() -> None:
    two = truth([[1, 2], [3, 4]], [[0.1, 0.2], [0.1, 0.2]])
    found = np.array([[1, 2], [3, 9]])
    assert recall_per_query(found, two, 2).tolist() == [1.0, 0.5]
    assert recall_at_k(found, two, 2) == 0.75


@pytest.mark.parametrize(("found", "k"), [(np.zeros((2, 2), int), 2), (np.zeros((1, 9), int), 9), (PLAIN.rows, 0)])
def test_recall_refuses_what_the_truth_cannot_judge(found: np.ndarray, k: int) -> None:
    with pytest.raises(ValueError, match="truth"):
        recall_at_k(found, PLAIN, k)


SWEEP = [SweepPoint(0.80, 1600.0), SweepPoint(0.90, 800.0), SweepPoint(1.00, 200.0)]


def test_qps_at_a_measured_recall_is_the_measured_qps() -> None:
    assert qps_at_recall(SWEEP, 0.90) == pytest.approx(800.0)
    assert qps_at_recall(SWEEP, 1.00) == pytest.approx(200.0)


def test_qps_between_two_points_is_their_geometric_mean_half_way() -> None:
    assert qps_at_recall(SWEEP, 0.95) == pytest.approx(400.0)


def test_qps_below_the_sweep_is_that_of_the_fastest_point() -> None:
    assert qps_at_recall(SWEEP, 0.50) == 1600.0


def test_qps_above_the_sweep_is_unknown() -> None:
    assert qps_at_recall(SWEEP[:2], 0.95) is None
    assert qps_at_recall([], 0.95) is None


def test_qps_does_not_depend_on_the_order_of_the_sweep() -> None:
    assert qps_at_recall(SWEEP[::-1], 0.93) == qps_at_recall(SWEEP, 0.93)


def test_point_beaten_in_both_is_not_on_the_front() -> None:
    beaten = SweepPoint(0.85, 700.0)
    assert pareto_front([beaten, *SWEEP]) == SWEEP


def test_spread_is_median_least_and_greatest() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)


def test_times_of_a_question_are_the_median_of_its_repetitions_as_far_as_all_of_them_came() -> None:
    timed = Timing.of([[0.5, 0.125, 0.375], [0.125, 0.375], [0.25, 0.0625, 7.0, 7.0]])
    assert timed is not None
    assert timed.qps == [3.0, 4.0, 4 / 14.3125]
    assert timed.each_us.tolist() == [250_000.0, 125_000.0]
    assert Timing.of([]) is None
    assert Timing.of([[0.5], []]) is None
