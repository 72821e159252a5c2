"""How to search: a pure function of what is known, the exact number of matching rows above all.

Costs count distances of a sequential scan. The scan's own is known exactly, so it bounds every other plan: a walk that
has cost as much as the scan would goes over to it, and the worst case is twice the better of the two.
"""

from __future__ import annotations

import math
from typing import Final

from vdb.errors import InvalidArgument
from vdb.index.spec import EF_SEARCH
from vdb.query.plan import Candidate, Plan, Situation

# Distances of an unfiltered walk at M=16: _WALK * ln(rows) * ef ** _WALK_POWER, fitted to the counts that
# bench/run.py records on 20,000 and 100,000 rows of the real set, ef 10 to 240.
_WALK: Final = 6.2
_WALK_POWER: Final = 0.68
_WALK_M_POWER: Final = 0.75
# A distance of the walk, its share of hops and cache misses included, against one of the scan.
_WALK_TO_SCAN: Final = 2.0


def make_plan(situation: Situation) -> Plan:
    """Choose the cheaper of scan and graph, or what the caller forced.

    InvalidArgument where a forced strategy has no index to run on: it never switches silently.
    """
    usable = [c for c in situation.candidates if not c.unusable]
    best = min(usable, key=lambda c: _walk_cost(c, situation), default=None)
    forced_walk = situation.strategy in ("graph", "post")
    if forced_walk and best is None:
        raise _no_index(situation)
    if situation.matching == 0:
        return Plan("empty", "no row matches", situation)
    scan_cost = float(situation.matching)
    if forced_walk and best is not None:
        return _walk(situation, best, f"forced; est. {situation.selectivity:.1%} match")
    if situation.strategy == "scan":
        return Plan("scan", "forced: exact over the matching rows", situation, scan_cost=scan_cost)
    if best is None:
        why = "no index" if not situation.candidates else "no usable index"
        return Plan("scan", f"auto: {why}; exact over the matching rows", situation, scan_cost=scan_cost)
    walk = _walk(situation, best, "auto: cheaper than the scan of the matching rows")
    if walk.graph_cost >= scan_cost:
        reason = "auto: few enough rows match for the exact scan"
        return Plan("scan", reason, situation, scan_cost=scan_cost, graph_cost=walk.graph_cost)
    return walk


def effort(situation: Situation) -> int:
    """Candidates a walk keeps: what the caller said or the default, at least as many as will be returned."""
    return max(situation.ef_search or EF_SEARCH.default, min(situation.k, situation.matching))


def _walk(situation: Situation, index: Candidate, reason: str) -> Plan:
    forced = situation.strategy != "auto"
    return Plan(
        method="post" if situation.strategy == "post" else "graph",
        reason=reason,
        situation=situation,
        index=index.name,
        ef=effort(situation),
        pool=_pool(situation, index),
        budget=0 if forced or situation.matching == situation.rows else _budget(situation),
        scan_cost=float(situation.matching),
        graph_cost=_walk_cost(index, situation),
    )


def _pool(situation: Situation, index: Candidate) -> int:
    """Nodes a walk must keep to meet `ef` allowed ones, if those are spread evenly."""
    dilution = index.nodes / max(situation.matching, 1)
    return min(math.ceil(effort(situation) * max(dilution, 1.0)), max(index.nodes, 1))


def _budget(situation: Situation) -> int:
    return max(math.ceil(situation.matching / _WALK_TO_SCAN), effort(situation))


def _walk_cost(index: Candidate, situation: Situation) -> float:
    nodes = max(index.nodes, 2)
    reach = math.log(nodes) * _pool(situation, index) ** _WALK_POWER
    distances: float = _WALK * (index.M / 16) ** _WALK_M_POWER * reach
    return _WALK_TO_SCAN * min(distances, nodes)


def _no_index(situation: Situation) -> InvalidArgument:
    why = "; ".join(f"{c.name}: {c.unusable}" for c in situation.candidates) or "the column has no index"
    return InvalidArgument(
        f"strategy {situation.strategy!r} cannot run: {why}.\n"
        "  Fix: create_index(column, HNSW(metric=...)) for this metric, or strategy='auto'."
    )
