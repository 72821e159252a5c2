"""Recall and speed, computed by the bench from what a peer returned; nothing is taken on its word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.ground_truth import GroundTruth


def recall_per_query(found: npt.NDArray[np.integer], truth: GroundTruth, k: int) -> npt.NDArray[np.float64]:
    """recall@k of every query: the share of the min(k, matches) true neighbours among the first k found.

    Parameters
    ----------
    found : (nq, >= k) integers
        Row numbers, best first; negative entries pad short results. A row counts once, however often it is returned.
    truth : GroundTruth
        At least k deep. A found row that shares the distance of the k-th true neighbour counts as found, as far as
        the stored depth shows such ties.

    Returns
    -------
    (nq,) float64
        1.0 for a query that no row matches.
    """
    depth = truth.rows.shape[1]
    if not 1 <= k <= depth or len(found) != len(truth.rows):
        raise ValueError(f"k is {k} and {len(found)} queries were answered; the truth has {truth.rows.shape}")
    recalls = np.ones(len(found))
    for i, answer in enumerate(found):
        expected = min(k, int(np.count_nonzero(truth.rows[i] >= 0)))
        if expected:
            accepted = truth.rows[i][truth.distances[i] <= truth.distances[i, expected - 1]]
            hits = np.intersect1d(answer[:k], accepted).size
            recalls[i] = min(hits, expected) / expected
    return recalls


def recall_at_k(found: npt.NDArray[np.integer], truth: GroundTruth, k: int) -> float:
    """Mean of `recall_per_query`."""
    return float(recall_per_query(found, truth, k).mean())


@dataclass(frozen=True)
class SweepPoint:
    """One setting of the effort knob: what it found and how fast."""

    recall: float
    qps: float


def qps_at_recall(sweep: Sequence[SweepPoint], floor: float) -> float | None:
    """Queries per second at a recall floor, interpolated between the sweep points around it.

    The logarithm of the speed is linear in recall between two points, which is how these curves look. Where every
    point is above the floor the fastest one is returned (a lower bound); where none is, None. Points that a faster
    point beats in recall do not count.
    """
    front = pareto_front(sweep)
    above = next((i for i, point in enumerate(front) if point.recall >= floor), None)
    if above is None:
        return None
    if above == 0:
        return front[0].qps
    low, high = front[above - 1], front[above]
    share = (floor - low.recall) / (high.recall - low.recall)
    return float(np.exp((1 - share) * np.log(low.qps) + share * np.log(high.qps)))


def pareto_front(sweep: Sequence[SweepPoint]) -> list[SweepPoint]:
    """The points that no other beats in both recall and speed, by rising recall and falling speed."""
    front: list[SweepPoint] = []
    for point in sorted(sweep, key=lambda p: (-p.qps, -p.recall)):
        if not front or point.recall > front[-1].recall:
            front.append(point)
    return front


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of repeated measurements."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """Summarise at least one value."""
        return Spread(float(np.median(values)), float(min(values)), float(max(values)))


@dataclass(frozen=True)
class Timing:
    """Queries a second of each repetition, and the microseconds of each question: the median of its repetitions."""

    qps: list[float]
    each_us: npt.NDArray[np.float64]

    @staticmethod
    def of(repetitions: Sequence[Sequence[float]]) -> Timing | None:
        """Of the seconds of the first questions, as many as every repetition asked; None where one asked none."""
        if not repetitions or not all(repetitions):
            return None
        common = min(map(len, repetitions))  # where a cap cut some of them
        each = np.median([times[:common] for times in repetitions], axis=0) * 1e6
        return Timing([len(times) / sum(times) for times in repetitions], each)
