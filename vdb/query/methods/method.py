"""What every method of answering a query is: a price and an effort, both pure, and a run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    least : float
        Nanoseconds that no search of sparse rows by it takes less than: where another method does, it is not priced.
    looking : float
        Nanoseconds of `least` that go into finding what lies near the query: lost where another method is chosen then.
    is_scan, exact : bool
        Whether it looks at every allowed row, and whether it finds the true neighbours.
    looks_near : bool
        Whether it goes by how dense the matching rows are near the query, or begins at some of them, where they are
        sparse.
    """

    strategy: ClassVar[str]
    is_scan: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    looks_near: ClassVar[bool] = False

    def __init__(self, index: str, unusable: str = "") -> None:
        self.index = index
        self.unusable = unusable
        self.least = 0.0
        self.looking = 0.0

    def refusal(self, seen: Situation) -> str:  # noqa: ARG002
        """Why it cannot serve this search; empty where it can."""
        return self.unusable

    @abstractmethod
    def cost(self, seen: Situation) -> float:
        """Nanoseconds a query is expected to take where the method is not unusable.

        `IMPOSSIBLE` where it cannot serve this search, or only the caller may choose it.
        """

    @abstractmethod
    def effort(self, seen: Situation) -> Effort:
        """How hard to try, without a budget."""

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


class Methods(NamedTuple):
    """The methods that might answer one question, an exact scan among them: all, and the usable by how they are priced.

    Attributes
    ----------
    scans : tuple of Method
        What looks at every allowed row, and may finish what others leave short.
    others : tuple of Method
        Those that go by the number of rows alone.
    near : tuple of Method
        Those that go by how dense the matching rows are near the query, the one that may cost least first.
    """

    every: tuple[Method, ...]
    scans: tuple[Method, ...]
    others: tuple[Method, ...]
    near: tuple[Method, ...]

    @classmethod
    def of(cls, methods: Iterable[Method]) -> Methods:
        """Methods in the order of the indexes."""
        every = tuple(methods)
        usable = [method for method in every if not method.unusable]
        return cls(
            every,
            tuple(method for method in usable if method.is_scan),
            tuple(method for method in usable if not method.is_scan and not method.looks_near),
            tuple(sorted((method for method in usable if method.looks_near), key=lambda method: method.least)),
        )
