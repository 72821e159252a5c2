"""What a search found beside what there was to find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdb import _core

if TYPE_CHECKING:
    from vdb.query.answer import Answer
    from vdb.query.plan import Plan


@dataclass(frozen=True)
class RecallReport:
    """What `Table.measure_recall` found; prints as one line.

    Attributes
    ----------
    recall : float
        The mean share of the true k nearest rows that the search found, 0 to 1.
    k : int
        Rows asked for.
    queries : int
        Searches made.
    ef_search : int or None
        The effort of the walks; None where there were none, as the planner may choose.
    worst_query : int
        The number of the query of which the smallest share was found, the first of them.
    worst_recall : float
        That share.
    nprobe : int or None
        Lists of an inverted file that each search read; None where there was none.
    """

    recall: float
    k: int
    queries: int
    ef_search: int | None
    worst_query: int
    worst_recall: float
    nprobe: int | None = None

    def __str__(self) -> str:
        efforts = (("ef_search", self.ef_search), ("nprobe", self.nprobe))
        how = next((f"at {name}={value}" for name, value in efforts if value is not None), "by scan")
        worst = f"worst: query {self.worst_query} with {self.worst_recall:.4f}"
        return f"recall@{self.k} {self.recall:.4f} {how}, {self.queries} queries, {worst}"


def compare(found: Answer, truth: Answer, plan: Plan) -> RecallReport:
    """Report what `plan` found beside the exact answer to the same queries, at least one.

    A row that is as near as the last true one counts: equal distances are equally right. Where nothing matches, nothing
    is missing.
    """
    there = (truth.slots != _core.ABSENT_SLOT).sum(axis=1)
    last = np.maximum(there - 1, 0)[:, None]
    reach = np.take_along_axis(truth.distances, last, 1) if truth.distances.shape[1] else np.zeros((len(there), 1))
    hits = ((found.slots != _core.ABSENT_SLOT) & (found.distances <= reach)).sum(axis=1)
    shares = np.where(there == 0, 1.0, hits / np.maximum(there, 1))
    worst = int(shares.argmin())
    return RecallReport(
        recall=float(shares.mean()),
        k=plan.situation.k,
        queries=len(shares),
        ef_search=plan.effort.ef or None,
        worst_query=worst,
        worst_recall=float(shares[worst]),
        nprobe=plan.effort.nprobe or None,
    )
