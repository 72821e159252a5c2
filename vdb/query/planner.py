"""How to search: a pure function of what is known, the exact number of matching rows above all.

Costs count distances of a sequential scan. The scan's own is known exactly, so it bounds every other plan: a walk that
has cost as much as the scan would goes over to it, and the worst case is twice the better of the two.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from vdb.errors import InvalidArgument
from vdb.index.recall import LEAST_ROWS, widened
from vdb.index.spec import EF_SEARCH
from vdb.query.plan import Candidate, CodeCandidate, Plan, Situation

# Distances of an unfiltered walk at M=16: _WALK * ln(rows) * ef ** _WALK_POWER, fitted to the counts that
# bench/run.py records on 20,000 and 100,000 rows of the real set, ef 10 to 240.
_WALK: Final = 6.2
_WALK_POWER: Final = 0.68
_WALK_M_POWER: Final = 0.75
# A step of a walk costs as much as a scan's reading of this many bytes (hops, lists, cache misses), and what it reads
# itself comes so much dearer than in order (bench/micro/gather.py).
_STEP_BYTES: Final = 400
_GATHERED: Final = 2.0
# And a scan spends on each row what reading so many bytes costs.
_ROW_BYTES: Final = 100


def make_plan(situation: Situation) -> Plan:
    """Choose the cheaper of scan and graph, or what the caller forced.

    InvalidArgument where a forced strategy has no index to run on: it never switches silently.
    """
    if situation.recall is not None:
        situation = replace(situation, candidates=tuple(_judged(c, situation) for c in situation.candidates))
    usable = [c for c in situation.candidates if not c.unusable]
    best = min(usable, key=lambda c: _walk_cost(c, situation), default=None)
    forced_walk = situation.strategy in ("graph", "post")
    if forced_walk and best is None:
        raise _no_index(situation)
    if situation.matching == 0:
        return Plan("empty", "no row matches", situation)
    if forced_walk and best is not None:
        return _walk(situation, best, f"forced; est. {situation.selectivity:.1%} match")
    if situation.strategy == "scan":
        return _scan(situation, "forced: exact over the matching rows")
    if best is None:
        why = "no graph" if not situation.candidates else "no usable graph"
        return _scan(situation, f"auto: {why}; exact over the matching rows")
    walk = _walk(situation, best, "auto: cheaper than the scan of the matching rows")
    if walk.graph_cost >= walk.scan_cost:
        return replace(_scan(situation, "auto: few enough rows match for the exact scan"), graph_cost=walk.graph_cost)
    return walk


def effort(situation: Situation, index: Candidate) -> int:
    """Candidates a walk keeps, at least as many as will be returned.

    What the caller said, or the index's curve of the recall the caller wants, or the default. The curve is of walks
    over all rows: under a predicate it is an estimate, as the wider pool of such a walk is.
    """
    returned = min(situation.k, situation.matching)
    wanted = _effort_for_recall(situation, index)
    return max(situation.ef_search or EF_SEARCH.default, returned) if wanted is None else wanted


def _effort_for_recall(situation: Situation, index: Candidate) -> int | None:
    if situation.recall is None or index.curve is None:
        return None
    return index.curve.ef_for(situation.recall, max(min(situation.k, situation.matching), 1))


def _judged(index: Candidate, situation: Situation) -> Candidate:
    """The candidate, unusable where only the scan surely reaches the recall that is asked for."""
    if index.unusable or _effort_for_recall(situation, index) is not None:
        return index
    if situation.recall == 1.0:
        why = "only the scan has recall 1"
    elif index.curve is None:
        why = f"no recall curve, as of fewer than {LEAST_ROWS:,} rows or while it is measured"
    else:
        why = f"its recall curve does not reach {situation.recall:g} for k={situation.k}"
    return replace(index, unusable=why)


def _scan(situation: Situation, reason: str) -> Plan:
    codes = _best_codes(situation)
    return Plan(
        "scan", reason, situation, codes=None if codes is None else codes.name, scan_cost=_scan_cost(situation, codes)
    )


def _best_codes(situation: Situation) -> CodeCandidate | None:
    usable = (c for c in situation.codes if not c.unusable and 0 < c.share < 1)
    return min(usable, key=lambda c: c.share, default=None)


def _scan_cost(situation: Situation, codes: CodeCandidate | None) -> float:
    return situation.matching * (1.0 if codes is None else codes.share)


def _walk(situation: Situation, index: Candidate, reason: str) -> Plan:
    forced = situation.strategy != "auto"
    codes = _best_codes(situation)
    scan_cost = _scan_cost(situation, codes)
    return Plan(
        method="post" if situation.strategy == "post" else "graph",
        reason=reason,
        situation=situation,
        index=index.name,
        codes=None if codes is None else codes.name,
        ef=effort(situation, index),
        pool=_pool(situation, index),
        budget=0 if forced or situation.matching == situation.rows else _budget(situation, index, scan_cost),
        scan_cost=scan_cost,
        graph_cost=_walk_cost(index, situation),
    )


def _pool(situation: Situation, index: Candidate) -> int:
    return widened(effort(situation, index), index.nodes, situation.matching)


def _budget(situation: Situation, index: Candidate, scan_cost: float) -> int:
    return max(math.ceil(scan_cost / _step_cost(index, situation)), effort(situation, index))


def _step_cost(index: Candidate, situation: Situation) -> float:
    read = situation.row_bytes if index.read is None else index.read
    return (_STEP_BYTES + _GATHERED * read) / (_ROW_BYTES + situation.row_bytes)


def _walk_cost(index: Candidate, situation: Situation) -> float:
    nodes = max(index.nodes, 2)
    reach = math.log(nodes) * _pool(situation, index) ** _WALK_POWER
    steps: float = _WALK * (index.M / 16) ** _WALK_M_POWER * reach
    measured = (
        0 if index.read is None else _GATHERED * effort(situation, index)
    )  # of what a walk by codes found, at most
    return _step_cost(index, situation) * min(steps, nodes) + measured


def _no_index(situation: Situation) -> InvalidArgument:
    why = "; ".join(f"{c.name}: {c.unusable}" for c in situation.candidates) or "the column has no graph"
    return InvalidArgument(
        f"strategy {situation.strategy!r} cannot run: {why}.\n"
        "  Fix: create_index(column, HNSW(metric=...)) for this metric, or strategy='auto'"
        + (", or ef_search= in place of recall=." if situation.recall is not None else ".")
    )
