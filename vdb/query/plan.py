"""What the planner decided and what came of it, as values that print themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from vdb._core import ABSENT_SLOT

if TYPE_CHECKING:
    from vdb._core import SearchStats
    from vdb.index.recall import RecallCurve
    from vdb.types import Slots

Method: TypeAlias = Literal["empty", "scan", "graph", "post"]


@dataclass(frozen=True)
class Candidate:
    """A graph that might serve a search; `unusable` says why it cannot.

    `read` is the bytes a walk reads at each node it looks at: of a code, None for the vector. `curve` is given where
    the search asks for a recall, None where there is none yet.
    """

    name: str
    M: int
    nodes: int
    unusable: str = ""
    read: int | None = None
    curve: RecallCurve | None = None


@dataclass(frozen=True)
class CodeCandidate:
    """Codes that the scan might read instead of vectors.

    `share` is the bytes of one beside a vector's, 0 where there are none yet: a scan costs what it reads. `lasting`
    says that it stays so while the table does: codes that miss rows are still to be extended, or trained again.
    """

    name: str
    share: float
    unusable: str = ""
    lasting: bool = False


@dataclass(frozen=True)
class Situation:
    """Everything the planner looks at.

    Attributes
    ----------
    rows : int
        Live rows with a vector.
    matching : int
        Those that the predicate allows: exact, not an estimate.
    recall : float or None
        What the caller wants to find of the true neighbours, in place of `ef_search`.
    """

    rows: int
    matching: int
    k: int
    ef_search: int | None
    strategy: str
    candidates: tuple[Candidate, ...]
    codes: tuple[CodeCandidate, ...] = ()
    row_bytes: int = 1536  # of a vector
    recall: float | None = None

    @property
    def selectivity(self) -> float:
        """The share of rows allowed, 0 to 1."""
        return self.matching / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Plan:
    """How a search is done.

    Attributes
    ----------
    index : str or None
        The graph to walk.
    codes : str or None
        The flat index a scan reads, its own or the one that finishes a walk; None: the vectors.
    ef : int
        Allowed candidates the walk keeps.
    pool : int
        Nodes it keeps to find its way.
    budget : int
        Distances or estimates after which a query goes over to the scan; 0: none.
    scan_cost, graph_cost : float
        Expected cost in distances of a sequential scan; infinite where impossible.
    """

    method: Method
    reason: str
    situation: Situation
    index: str | None = None
    codes: str | None = None
    ef: int = 0
    pool: int = 0
    budget: int = 0
    scan_cost: float = 0.0
    graph_cost: float = float("inf")


@dataclass(slots=True)
class Actuals:
    """What a search did, summed over its queries."""

    work: list[SearchStats] = field(default_factory=list)  # of every call of the core
    fallbacks: int = 0  # queries the scan had to finish
    predicate_seconds: float = 0.0
    search_seconds: float = 0.0

    @property
    def distances(self) -> int:
        """Exact distances computed."""
        return sum(stats.distances for stats in self.work)

    @property
    def estimates(self) -> int:
        """Distances estimated from codes."""
        return sum(stats.estimates for stats in self.work)

    @property
    def hops(self) -> int:
        """Graph nodes expanded."""
        return sum(stats.hops for stats in self.work)


@dataclass(slots=True)
class Explanation:
    """A plan beside what came of it, (nq, k) padded `slots` among it; `str` is what `hits.explain()` shows."""

    target: str  # table.column
    metric: str
    slots: Slots
    plan: Plan
    actuals: Actuals

    def __str__(self) -> str:
        plan, seen, actuals = self.plan, self.plan.situation, self.actuals
        queries = len(self.slots)
        batch = f"  queries={queries}" if queries != 1 else ""
        returned = int((self.slots != ABSENT_SLOT).sum())
        lines = [
            f"VECTOR_SEARCH {self.target}  k={seen.k}  metric={self.metric}{batch}",
            f"  strategy  {plan.method}   {plan.reason}",
            f"  matching  {seen.matching:,} of {seen.rows:,} rows ({seen.selectivity:.2%})",
        ]
        if plan.index is not None:
            wanted = "" if seen.recall is None else f" for recall {seen.recall:g}"
            limits = f"ef_search={plan.ef}{wanted}" + (f", pool={plan.pool}" if plan.pool > plan.ef else "")
            budget = f", budget={plan.budget:,} steps" if plan.budget else ""
            lines.append(f"  index     {plan.index}, {limits}{budget}")
        elif plan.codes is not None:
            lines.append(f"  index     {plan.codes}: codes decide which rows are measured")
        if rejected := self._rejected():
            lines.append(f"  rejected  {'; '.join(rejected)}")
        estimates = f"estimates {actuals.estimates:,}   " if actuals.estimates else ""
        lines += [
            f"  hops {actuals.hops:,}   {estimates}distances {actuals.distances:,}   fallbacks {actuals.fallbacks}",
            f"  returned  {returned} of {min(seen.k, seen.matching) * queries}",
            f"  predicate {actuals.predicate_seconds * 1e3:.2f} ms   search {actuals.search_seconds * 1e3:.2f} ms",
        ]
        return "\n".join(lines)

    def _rejected(self) -> list[str]:
        plan = self.plan
        unusable = [(c.name, c.unusable) for c in plan.situation.candidates]
        unusable += [(c.name, c.unusable) for c in plan.situation.codes]
        rejected = [f"{name}: {why}" for name, why in unusable if why]
        if plan.method == "graph":
            rejected.append(f"scan: est. {plan.scan_cost / max(plan.graph_cost, 1.0):.1f}x the cost")
        elif plan.method == "scan":
            rejected += [
                f"{c.name}: est. {plan.graph_cost / max(plan.scan_cost, 1.0):.1f}x the cost of the scan"
                for c in plan.situation.candidates
                if not c.unusable and plan.situation.strategy == "auto"
            ]
        return rejected
