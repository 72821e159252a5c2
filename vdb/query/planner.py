"""How to search: a pure function of what is known, the exact number of matching rows above all.

Costs count distances of a sequential scan. The scan's own is known exactly, so it bounds every other plan: a walk that
has cost as much as the scan would goes over to it, and the worst case is twice the better of the two.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from vdb.errors import InvalidArgument
from vdb.index.spec import EF_SEARCH
from vdb.query.plan import Candidate, CodeCandidate, Plan, Situation

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


def effort(situation: Situation) -> int:
    """Candidates a walk keeps: what the caller said or the default, at least as many as will be returned."""
    return max(situation.ef_search or EF_SEARCH.default, min(situation.k, situation.matching))


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
        ef=effort(situation),
        pool=_pool(situation, index),
        budget=0 if forced or situation.matching == situation.rows else _budget(situation, scan_cost),
        scan_cost=scan_cost,
        graph_cost=_walk_cost(index, situation),
    )


def _pool(situation: Situation, index: Candidate) -> int:
    """Nodes a walk must keep to meet `ef` allowed ones, if those are spread evenly."""
    dilution = index.nodes / max(situation.matching, 1)
    return min(math.ceil(effort(situation) * max(dilution, 1.0)), max(index.nodes, 1))


def _budget(situation: Situation, scan_cost: float) -> int:
    return max(math.ceil(scan_cost / _WALK_TO_SCAN), effort(situation))


def _walk_cost(index: Candidate, situation: Situation) -> float:
    nodes = max(index.nodes, 2)
    reach = math.log(nodes) * _pool(situation, index) ** _WALK_POWER
    distances: float = _WALK * (index.M / 16) ** _WALK_M_POWER * reach
    return _WALK_TO_SCAN * min(distances, nodes)


def _no_index(situation: Situation) -> InvalidArgument:
    why = "; ".join(f"{c.name}: {c.unusable}" for c in situation.candidates) or "the column has no graph"
    return InvalidArgument(
        f"strategy {situation.strategy!r} cannot run: {why}.\n"
        "  Fix: create_index(column, HNSW(metric=...)) for this metric, or strategy='auto'."
    )
