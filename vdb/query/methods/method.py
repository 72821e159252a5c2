"""What every method of answering a query is: a price and an effort, both pure, and a run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from vdb.query.answer import Answer, Queries
    from vdb.query.nearest import Search
    from vdb.query.plan import Effort, Situation

IMPOSSIBLE: Final = math.inf
DEFAULT_RECALL: Final = 0.95  # that a plan chosen by "auto" has at least, where the caller says nothing


class Method(ABC):
    """One way to answer, bound to one question and to the index it would use.

    It is bound once for all searches that ask the same; what differs between them is the situation.

    Attributes
    ----------
    strategy : str
        What the caller forces it by, and what `explain()` calls it.
    index : str
        The index it uses, empty for the vectors alone.
    unusable : str
        Why no search can use it; empty where one can.
    is_scan, exact : bool
        Whether it looks at every allowed row, and whether it finds the true neighbours.
    looks_near : bool
        Whether it goes by how dense the matching rows are near the query, or begins at some of them.
    """

    strategy: ClassVar[str]
    is_scan: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    looks_near: ClassVar[bool] = False

    def __init__(self, index: str, unusable: str = "") -> None:
        self.index = index
        self.unusable = unusable

    def refusal(self, seen: Situation) -> str:  # noqa: ARG002
        """Why it cannot serve this search; empty where it can."""
        return self.unusable

    @abstractmethod
    def cost(self, seen: Situation) -> float:
        """Nanoseconds a query is expected to take, `IMPOSSIBLE` where only the caller may choose it."""

    @abstractmethod
    def effort(self, seen: Situation) -> Effort:
        """How hard to try, without a budget."""

    def best_case(self, seen: Situation) -> float:
        """What it would cost if all rows near the query matched: no less, wherever they are."""
        return self.cost(seen)

    def steps_within(self, nanoseconds: float, seen: Situation) -> int:  # noqa: ARG002
        """Rows a walk may look at in that time, 0 for no bound: a scan looks at every row."""
        return 0

    def is_guess(self, seen: Situation) -> bool:  # noqa: ARG002
        """Whether the cost is known badly enough to allow a walk but a part of the scan's time."""
        return False

    @abstractmethod
    def run(self, search: Search, effort: Effort, k: int) -> tuple[Answer, Queries]:
        """The k (at most the matching) nearest, and the queries that a scan has to finish."""

    def __str__(self) -> str:
        return f"{self.strategy} {self.index}" if self.index else self.strategy
