"""How to search: a pure function of what is known, the exact number of matching rows above all.

Every method says what it costs; the scan's own cost is known best, so it bounds every other one: a walk that has taken
as long as the scan would goes over to it, and the worst case is twice the better of the two.
"""

from __future__ import annotations

import math
from math import ldexp
from typing import TYPE_CHECKING, Final, NamedTuple

from vdb.errors import InvalidArgument
from vdb.query.plan import Plan

if TYPE_CHECKING:
    from vdb.query.methods.method import Method, Methods
    from vdb.query.plan import Situation

# An exact answer is worth a little more time, and its cost is known best.
_EXACT_WORTH: Final = 1.05
# Of the cost of the scan that a walk may take before the scan takes over: the whole bounds both together at twice the
# better one (ski rental), a part at less, and is used where the cost of the walk is little more than a guess.
_BUDGET: Final = 1.0
_GUESS_BUDGET: Final = 0.3
# Of what a walk was expected to cost itself: one that has taken so much is not the walk that was chosen.
_SURPRISE: Final = 4.0

_LEADING_BITS: Final = 5  # that decide, of a count
_DENSITY_BITS: Final = 20
_DENSITY_UNIT: Final = 1 << _DENSITY_BITS
_DECISIONS: Final = 4096  # kept
_OVERLAYS: Final = ("range", "label", "partial")  # strategies that go by a kind of terms

_REMEDIES: Final = {
    "graph": "create_index(column, HNSW(metric=...)) for this metric",
    "post": "create_index(column, HNSW(metric=...)) for this metric",
    "codes": "create_index(column, HNSW(metric=..., codes='rabitq')) for this metric, or strategy='scan'",
    "acorn": "create_index(column, ACORN(metric=...)) or HNSW(metric=...) for this metric",
    "range": "create_index(column, Range(attribute)) and a predicate that demands a range of the attribute",
    "label": "create_index(column, Label(attribute)) and a predicate that demands values of the attribute",
    "partial": "create_index(column, HNSW(metric=...), where=...) and a predicate that asks for rows of it only",
    "ivf": "create_index(column, IVFPQ(metric=...)) or IVFRaBitQ(metric=...) for this metric",
}
_MISSING: Final = {
    "ivf": "the column has no inverted lists",
    "range": "the column has no range index",
    "label": "the column has no label index",
    "partial": "the column has no index with WHERE",
}


class Decision(NamedTuple):
    """A plan, and the walk that seeds and the density of matching rows near the query are worth finding for first.

    `near` is None where they are not; else a second decision knows the density.
    """

    plan: Plan
    near: Method | None


class Planner:
    """Decides for one question how to search, and keeps what it decided.

    Numbers of rows that round up to the same five bits are decided alike, as for the most of them: the price of a plan
    moves by some 6 % at most. So a decision depends on nothing that was asked before, nor on terms of the predicate
    that no method goes by.
    """

    def __init__(self, methods: Methods) -> None:
        """`methods` hold at least one exact scan."""
        self.methods = methods
        self._decided: dict[tuple[object, ...], Decision] = {}
        strategies = {method.strategy for method in methods.every}
        self._by_ranges, self._by_labels, self._by_parts = (one in strategies for one in _OVERLAYS)

    def decide(self, seen: Situation) -> Decision:
        """InvalidArgument where a forced strategy cannot run."""
        rows, density = seen.matching, seen.density
        ranges = seen.ranges if self._by_ranges else ()
        labels = seen.labels if self._by_labels else ()
        parts = seen.parts if self._by_parts else ()
        if 2 * seen.k <= rows < seen.rows:  # else k or every row is a limit of its own
            rows = min(_rounded(rows), seen.rows - 1)
        if density is not None:
            density = min(ldexp(_rounded(int(density * _DENSITY_UNIT)), -_DENSITY_BITS), 1.0)
        if ranges:
            ranges = tuple(term.like(_rounded(term.rows)) for term in ranges)
        if labels:
            labels = tuple(term.like(_rounded(term.rows)) for term in labels)
        if parts:
            parts = tuple(term.like(_rounded(term.rows)) for term in parts)
        key = rows, density, ranges, labels, parts
        known = self._decided.get(key)
        if known is None:
            alike = seen._replace(matching=rows, density=density, ranges=ranges, labels=labels, parts=parts)
            quote = quoted(alike, self.methods)
            known = Decision(make_plan(alike, self.methods, quote), wants_density(alike, self.methods, quote))
            if len(self._decided) >= _DECISIONS:
                self._decided.clear()
            self._decided[key] = known
        method, effort, finish, _, methods = known.plan
        return Decision(Plan(method, effort, finish, seen, methods), known.near)


def wants_density(seen: Situation, methods: Methods, quote: Quote) -> Method | None:
    """The walk that seeds and the density of matching rows near the query are worth finding for; None where none is.

    That is a forced one, or one that would be chosen if every row near the query matched, and save what looking costs.
    """
    strategy = seen.question.strategy
    if seen.density is not None or not seen.is_sparse or not methods.near:
        return None
    if strategy != "auto":
        return next((walk for walk in methods.near if walk.strategy == strategy), None)
    first = methods.near[0]
    return first if first.least + first.looking < quote.best_cost else None


def make_plan(seen: Situation, methods: Methods, quote: Quote) -> Plan:
    """Choose the cheapest method, or what the caller forced; `quote` is `quoted(seen, methods)`.

    InvalidArgument where a forced strategy cannot run: it never switches silently.
    """
    finish, finish_cost, exact, exact_cost, best, best_cost = quote
    if seen.question.strategy != "auto":
        forced = _forced(seen, methods)
        return Plan(forced, forced.effort(seen), finish, seen, methods)
    sparse = seen.is_sparse
    for walk in methods.near:
        if sparse and walk.least >= best_cost:
            break
        cost = walk.cost(seen)
        if cost < best_cost:
            best, best_cost = walk, cost
    if exact_cost <= _EXACT_WORTH * best_cost:
        return Plan(exact, exact.effort(seen), exact, seen, methods)
    effort = best.effort(seen)
    if not best.is_scan and seen.matching < seen.rows:
        part = _GUESS_BUDGET if best.is_guess(seen) else _BUDGET
        most = min(part * finish_cost, _SURPRISE * best_cost)
        effort = effort._replace(budget=best.steps_within(most, seen))
    return Plan(best, effort, finish, seen, methods)


class Quote(NamedTuple):
    """The cheapest of the methods that do not go by what lies near the query, and their nanoseconds.

    `finish` is the cheapest scan, `exact` the cheapest that finds the true neighbours, `best` the cheapest of all.
    """

    finish: Method
    finish_cost: float
    exact: Method
    exact_cost: float
    best: Method
    best_cost: float


def quoted(seen: Situation, methods: Methods) -> Quote:
    """Price what needs no density."""
    exact = finish = methods.scans[0]
    exact_cost = finish_cost = math.inf
    for scan in methods.scans:
        cost = scan.cost(seen)
        if cost < finish_cost:
            finish, finish_cost = scan, cost
        if scan.exact and cost < exact_cost:
            exact, exact_cost = scan, cost
    best, best_cost = finish, finish_cost
    for walk in methods.others:
        cost = walk.cost(seen)
        if cost < best_cost:
            best, best_cost = walk, cost
    return Quote(finish, finish_cost, exact, exact_cost, best, best_cost)


def _rounded(count: int) -> int:
    """A count rounded up to so many bits."""
    shift = count.bit_length() - _LEADING_BITS
    return count if shift <= 0 else -(-count >> shift) << shift


def _forced(seen: Situation, methods: Methods) -> Method:
    """The cheapest of the methods that a forced strategy names and that can serve."""
    strategy = seen.question.strategy
    named = [method for method in methods.every if method.strategy == strategy]
    refusals = [f"{method.index}: {method.refusal(seen)}" for method in named]
    usable = [method for method in named if not method.refusal(seen)]
    if usable:
        return min(usable, key=lambda method: method.cost(seen))
    why = "; ".join(refusals) or _MISSING.get(strategy, "the column has no graph")
    raise InvalidArgument(
        f"strategy {strategy!r} cannot run: {why}.\n  Fix: {_REMEDIES[strategy]}"
        ", or strategy='auto'"
        + (f", or {_knob(strategy)}= in place of recall=." if seen.question.recall is not None else ".")
    )


def _knob(strategy: str) -> str:
    return "nprobe" if strategy == "ivf" else "ef_search"
