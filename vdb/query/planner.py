"""How to search: a pure function of what is known, the exact number of matching rows above all.

Every method says what it costs; the scan's own cost is known best, so it bounds every other one: a walk that has taken
as long as the scan would goes over to it, and the worst case is twice the better of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vdb.errors import InvalidArgument
from vdb.query.methods.method import IMPOSSIBLE
from vdb.query.plan import Considered, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdb.query.methods.method import Method
    from vdb.query.plan import Situation

# An exact answer is worth a little more time, and its cost is known best.
_EXACT_WORTH: Final = 1.05
# Of the cost of the scan that a walk may take before the scan takes over: the whole bounds both together at twice the
# better one (ski rental), a part at less, and is used where the cost of the walk is little more than a guess.
_BUDGET: Final = 1.0
_GUESS_BUDGET: Final = 0.3

_REMEDIES: Final = {
    "graph": "create_index(column, HNSW(metric=...)) for this metric",
    "post": "create_index(column, HNSW(metric=...)) for this metric",
    "codes": "create_index(column, HNSW(metric=..., codes='rabitq')) for this metric, or strategy='scan'",
    "acorn": "create_index(column, ACORN(metric=...)) or HNSW(metric=...) for this metric",
    "range": "create_index(column, Range(attribute)) and a predicate that demands a range of the attribute",
    "label": "create_index(column, Label(attribute)) and a predicate that demands values of the attribute",
    "ivf": "strategy='codes' scans compressed rows too",
}
_MISSING: Final = {
    "ivf": "this version has no IVF index",
    "range": "the column has no range index",
    "label": "the column has no label index",
}


def make_plan(seen: Situation, methods: Sequence[Method]) -> Plan:
    """Choose the cheapest method, or what the caller forced.

    `methods` hold at least one exact scan. InvalidArgument where a forced strategy cannot run: it never switches
    silently.
    """
    strategy = seen.question.strategy
    considered = tuple(_priced(method, seen) for method in methods)
    finish = min((c for c in considered if c.method.is_scan and not c.refusal), key=_cost)
    if strategy != "auto":
        usable = [c for c in considered if c.method.strategy == strategy and not c.refusal]
        if not usable:
            raise _cannot_run(seen, considered)
        forced = min(usable, key=_cost).method
        why = f"forced; {seen.selectivity:.1%} of the rows match"
        return Plan(forced, forced.effort(seen), finish.method, why, seen, considered)
    best = min(considered, key=_cost)
    exact = min((c for c in considered if c.method.exact and not c.refusal), key=_cost)
    if exact.cost <= _EXACT_WORTH * best.cost:
        why = _why_exact(seen, considered)
        return Plan(exact.method, exact.method.effort(seen), exact.method, why, seen, considered)
    effort = best.method.effort(seen)
    if not best.method.is_scan and seen.matching < seen.rows:
        part = _GUESS_BUDGET if best.method.is_guess(seen) else _BUDGET
        effort = effort._replace(budget=best.method.steps_within(part * finish.cost, seen))
    return Plan(best.method, effort, finish.method, "auto: the cheapest", seen, considered)


def wants_density(seen: Situation, methods: Sequence[Method]) -> Method | None:
    """The walk that seeds and the density of matching rows near the query are worth finding for; None where none is.

    That is a forced one, or one that would be chosen if every row near the query matched.
    """
    strategy = seen.question.strategy
    if seen.matching == seen.rows:
        return None
    walks = [m for m in methods if m.looks_near and not m.refusal(seen)]
    if strategy != "auto":
        return next((m for m in walks if m.strategy == strategy), None)
    if not walks:
        return None
    others = min((m.cost(seen) for m in methods if not m.looks_near and not m.refusal(seen)), default=IMPOSSIBLE)
    best = min(walks, key=lambda m: m.best_case(seen))
    return best if best.best_case(seen) < others else None


def _why_exact(seen: Situation, considered: tuple[Considered, ...]) -> str:
    if seen.matching == 0:
        return "no row matches"
    graphs = [c for c in considered if not c.method.exact]
    if not graphs:
        return "auto: no graph; exact over the matching rows"
    if all(c.refusal for c in graphs):
        return "auto: no usable graph; exact over the matching rows"
    return "auto: few enough rows match for the exact scan"


def _cost(considered: Considered) -> float:
    return considered.cost


def _priced(method: Method, seen: Situation) -> Considered:
    refusal = method.refusal(seen)
    return Considered(method, IMPOSSIBLE if refusal else method.cost(seen), refusal)


def _cannot_run(seen: Situation, considered: tuple[Considered, ...]) -> InvalidArgument:
    strategy = seen.question.strategy
    refusals = [f"{c.method.index}: {c.refusal}" for c in considered if c.method.strategy == strategy]
    why = "; ".join(refusals) or _MISSING.get(strategy, "the column has no graph")
    return InvalidArgument(
        f"strategy {strategy!r} cannot run: {why}.\n  Fix: {_REMEDIES[strategy]}"
        ", or strategy='auto'" + (", or ef_search= in place of recall=." if seen.question.recall is not None else ".")
    )
