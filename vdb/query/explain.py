"""A plan beside what came of it, as text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vdb._core import ABSENT_SLOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.query.plan import Actuals, Considered, Plan
    from vdb.types import Predicate, Slots

_SHOWN_SQL: Final = 200  # characters of a predicate


@dataclass(slots=True)
class Explanation:
    """A plan and what came of it; `str` is what `hits.explain()` shows.

    Attributes
    ----------
    target : str
        table.column.
    slots : Slots or None
        (nq, k), padded with ABSENT_SLOT; None where the plan was made and not run.
    actuals : Actuals
        The counts, and the seconds of each stage: `predicate_seconds` to find the rows, `search_seconds` for the rest.
    """

    target: str
    metric: str
    slots: Slots | None
    plan: Plan
    actuals: Actuals
    predicate: Predicate | None = None

    def __str__(self) -> str:
        plan, seen, actuals = self.plan, self.plan.situation, self.actuals
        queries = 1 if self.slots is None else len(self.slots)
        batch = f"  queries={queries}" if queries != 1 else ""
        lines = [f"VECTOR_SEARCH {self.target}  k={seen.k}  metric={self.metric}{batch}"]
        if self.predicate is not None:
            how = f"   by {actuals.predicate_how}" if actuals.predicate_how else ""
            lines.append(f"  predicate {_shortened(self.predicate.sql)}{how}")
        near = "" if seen.density is None else f", {seen.density:.2%} near the query"
        lines.append(f"  matching  {seen.matching:,} of {seen.rows:,} rows ({seen.selectivity:.2%}){near}")
        lines.append(f"  strategy  {plan.method.strategy}   {plan.reason}")
        if plan.method.index:
            lines.append(f"  index     {plan.method.index}{self._effort()}")
        lines += self._considered()
        if self.slots is None:
            return "\n".join(lines)
        returned = int((self.slots != ABSENT_SLOT).sum())
        estimates = f"estimates {actuals.estimates:,}   " if actuals.estimates else ""
        tests = f"bitmap tests {actuals.tests:,}   " if actuals.tests else ""
        way = f"lists {actuals.lists:,}   " if actuals.lists else f"hops {actuals.hops:,}   "
        work = f"{way}{estimates}distances {actuals.distances:,}   {tests}"
        lines += [
            f"  {work}fallbacks {actuals.fallbacks}",
            f"  returned  {returned} of {seen.returned * queries}",
            "  " + "   ".join(f"{stage} {_time(seconds * 1e9)}" for stage, seconds in self._stages()),
        ]
        return "\n".join(lines)

    def _effort(self) -> str:
        plan, effort = self.plan, self.plan.effort
        if not plan.is_walk:
            return ": codes decide which rows are measured"
        wanted = plan.situation.question.recall
        parts = [f"{effort.arm} walk"] if effort.arm else []
        knob = f"nprobe={effort.nprobe}" if effort.nprobe else f"ef_search={effort.ef}"
        parts.append(knob + ("" if wanted is None else f" for recall {wanted:g}"))
        parts += [f"pool={effort.pool}"] if effort.pool > effort.ef else []
        parts += [f"budget={effort.budget:,} steps, then {plan.finish}"] if effort.budget else []
        return ", " + ", ".join(parts)

    def _considered(self) -> Iterator[str]:
        """A line for each method, the cheapest first, those that cannot serve last."""
        chosen = self.plan.method
        others = [c for c in self.plan.considered if c.method is not chosen]
        for considered in self.plan.considered:
            if considered.method is chosen and math.isfinite(considered.cost):
                yield f"  estimated {_time(considered.cost)} a query"
        for considered in sorted(others, key=lambda c: c.cost):
            yield f"  rejected  {considered.method}: {self._why_not(considered)}"

    def _why_not(self, considered: Considered) -> str:
        if considered.refusal:
            return considered.refusal
        if not math.isfinite(considered.cost):
            return "no recall is promised where so few rows match, or so few near the query"
        forced = self.plan.situation.question.strategy != "auto"
        return f"est. {_time(considered.cost)} a query" + (", not forced" if forced else "")

    def _stages(self) -> list[tuple[str, float]]:
        actuals = self.actuals
        stages = [("plan", actuals.plan_seconds), ("search", actuals.search_seconds)]
        if self.predicate is None:
            return stages
        return [("parse", actuals.parse_seconds), ("predicate", actuals.predicate_seconds), *stages]


def _time(nanoseconds: float) -> str:
    if nanoseconds < 1e6:
        return f"{nanoseconds / 1e3:.0f} us"
    return f"{nanoseconds / 1e6:.2f} ms" if nanoseconds < 1e9 else f"{nanoseconds / 1e9:.2f} s"


def _shortened(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= _SHOWN_SQL else line[: _SHOWN_SQL - 3] + "..."
