"""What the planner looks at and what it decides, as values; what came of it, as counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from vdb.query.methods.method import IMPOSSIBLE

if TYPE_CHECKING:
    from vdb._core import SearchStats
    from vdb.query.methods.method import Method, Methods
    from vdb.query.resolve import LabelTerm, PartTerm, RangeTerm


_NEARLY_ALL: Final = 0.9  # of the rows


class Question(NamedTuple):
    """What the caller asked for, beside the query and the predicate.

    Attributes
    ----------
    strategy : str
        "auto", or the method that the caller forces.
    recall : float or None
        What the caller wants to find of the true neighbours, in place of `ef_search` and `nprobe`.
    nprobe : int or None
        Lists of an inverted file to read, where the caller insists.
    """

    k: int
    ef_search: int | None = None
    recall: float | None = None
    strategy: str = "auto"
    nprobe: int | None = None


class Situation(NamedTuple):
    """What the planner knows beside the indexes.

    Attributes
    ----------
    rows : int
        Live rows with a vector.
    matching : int
        Those that the predicate allows: exact, not an estimate.
    slots : int
        Of the table, live or not.
    density : float or None
        The share of the rows near the query that the predicate allows; None where nobody looked.
    ranges, labels : tuple
        The terms of the predicate that are a range of one column, or values of one.
    parts : tuple
        Which partial indexes have all of the matching rows.
    """

    question: Question
    rows: int
    matching: int
    slots: int
    density: float | None = None
    ranges: tuple[RangeTerm, ...] = ()
    labels: tuple[LabelTerm, ...] = ()
    parts: tuple[PartTerm, ...] = ()

    @property
    def k(self) -> int:
        """Rows asked for."""
        return self.question.k

    @property
    def returned(self) -> int:
        """Rows to return for each query."""
        return min(self.question.k, self.matching)

    @property
    def is_sparse(self) -> bool:
        """Whether a walk has to heed the filter: else the few rows that do not pass are walked through."""
        return self.matching < _NEARLY_ALL * self.rows

    @property
    def selectivity(self) -> float:
        """The share of rows allowed, 0 to 1."""
        return self.matching / self.rows if self.rows else 0.0


class Effort(NamedTuple):
    """How hard to search.

    Attributes
    ----------
    ef : int
        Allowed candidates a walk keeps; 0 where the method is no walk.
    pool : int
        Nodes it keeps to find its way; 0: as many. Of an inverted file, the rows measured; 0: as the codes ask for.
    budget : int
        Rows to look at before a query goes over to the scan; 0: none.
    arm : str
        How a graph is walked.
    nprobe : int
        Lists of an inverted file that are read.
    """

    ef: int = 0
    pool: int = 0
    budget: int = 0
    arm: str = ""
    nprobe: int = 0


class Considered(NamedTuple):
    """A method, the nanoseconds it was expected to take for a query, and why it cannot serve where it cannot."""

    method: Method
    cost: float
    refusal: str = ""

    @classmethod
    def of(cls, method: Method, seen: Situation) -> Considered:
        """A method in a situation."""
        refusal = method.refusal(seen)
        return cls(method, IMPOSSIBLE if refusal else method.cost(seen), refusal)


class Plan(NamedTuple):
    """How a search is done.

    Attributes
    ----------
    method : Method
        What answers the query.
    finish : Method
        The scan that finishes what `method` leaves short, and bounds what it may cost.
    """

    method: Method
    effort: Effort
    finish: Method
    situation: Situation
    methods: Methods

    @property
    def considered(self) -> tuple[Considered, ...]:
        """Every method with its price, in the order of the indexes."""
        return tuple(Considered.of(method, self.situation) for method in self.methods.every)

    @property
    def is_walk(self) -> bool:
        """Whether it has an effort that decides what is found."""
        return self.effort.ef > 0 or self.effort.nprobe > 0

    @property
    def reason(self) -> str:
        """Why the method was chosen."""
        seen = self.situation
        if seen.question.strategy != "auto":
            return f"forced; {seen.selectivity:.1%} of the rows match"
        if not self.method.exact:
            return "auto: the cheapest"
        if seen.matching == 0:
            return "no row matches"
        graphs = [method for method in self.methods.every if not method.exact]
        if not graphs:
            return "auto: no graph; exact over the matching rows"
        if all(method.refusal(seen) for method in graphs):
            return "auto: no usable graph; exact over the matching rows"
        return "auto: few enough rows match for the exact scan"


@dataclass(slots=True)
class Actuals:
    """What a search did, summed over its queries; seconds of its stages, of the whole call."""

    work: list[SearchStats] = field(default_factory=list)  # of every call of the core
    fallbacks: int = 0  # queries the scan had to finish
    predicate_how: str = ""  # what answered the predicate
    parse_seconds: float = 0.0
    predicate_seconds: float = 0.0
    plan_seconds: float = 0.0
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
    def lists(self) -> int:
        """Lists of inverted files read."""
        return sum(stats.lists for stats in self.work)

    @property
    def hops(self) -> int:
        """Graph nodes expanded."""
        return sum(stats.hops for stats in self.work)

    @property
    def tests(self) -> int:
        """Bits of the row set that walks tested."""
        return sum(stats.tests for stats in self.work)
