"""The scans: by vector, by codes that leave no doubt, and by the codes of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vdb import _core
from vdb.query.answer import NO_QUERIES, Answer, Found, Queries
from vdb.query.methods.method import DEFAULT_RECALL, IMPOSSIBLE, Method
from vdb.query.plan import Effort

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.index.machine import Machine, ScanTimes
    from vdb.query.nearest import Search
    from vdb.query.plan import Question, Situation

_MEASURED_K: Final = 10  # rows that the times of scans were measured with
_RERANKED: Final = 3  # vectors read for each further row of an answer


class Scan(Method):
    """Every allowed row by its vector, or by the codes of a Flat that decide which vectors are read: exact."""

    strategy = "scan"
    is_scan = True
    exact = True

    def __init__(self, times: ScanTimes, index: str = "", unusable: str = "") -> None:
        super().__init__(index, unusable)
        self._times = times

    def cost(self, seen: Situation) -> float:
        """What it reads, at the pace its rows lie at."""
        return self._times.of(seen.matching, seen.slots)

    def effort(self, seen: Situation) -> Effort:  # noqa: ARG002
        """Nothing to choose."""
        return Effort()

    def run(self, search: Search, effort: Effort, k: int) -> tuple[Answer, Queries]:  # noqa: ARG002
        """The exact answer."""
        return scanned(search, search.indexes.codes(self.index).scan if self.index else _core.scan, k), NO_QUERIES


class CodeScan(Method):
    """Every allowed row by its code in a graph, the nearest of them by their vectors."""

    strategy = "codes"
    is_scan = True

    def __init__(self, machine: Machine, index: str, unusable: str = "") -> None:
        super().__init__(index, unusable)
        self._machine = machine

    def cost(self, seen: Situation) -> float:
        """The rows by their codes, and some by their vectors for each row asked for."""
        machine, k = self._machine, seen.returned
        if 2 * k > seen.matching:  # nearly all of them are measured in the end
            return IMPOSSIBLE
        more = max(k - _MEASURED_K, 0) * _RERANKED * machine.vectors.rows[-1]
        return machine.codes.of(seen.matching, seen.slots) + more

    def effort(self, seen: Situation) -> Effort:  # noqa: ARG002
        """Nothing to choose."""
        return Effort()

    def run(self, search: Search, effort: Effort, k: int) -> tuple[Answer, Queries]:  # noqa: ARG002
        """The nearest by what the codes say of them."""
        return scanned(search, search.indexes.graph(self.index).scan, k), NO_QUERIES


def scanned(search: Search, scan: Callable[..., Found], k: int, begin: int = 0) -> Answer:
    """The answer of one of the scans of the core over the allowed slots from `begin` on."""
    slots, distances, stats = scan(search.view, search.queries, k, search.allowed, begin, search.threads)
    search.actuals.work.append(stats)
    return Answer(slots, distances) if stats.settled else Answer(slots, distances, stats.tied, stats.cut)


def why_no_codes(recall: float | None, question: Question) -> str:
    """Why a question cannot be answered by codes of that measured recall, None where it is not known; else empty."""
    wanted = DEFAULT_RECALL if question.recall is None else question.recall
    if wanted == 1.0:
        return "only the exact scan has recall 1"
    if question.strategy == "codes" and question.recall is None:
        return ""
    if recall is None:
        return "the recall of its codes is not measured yet"
    return f"its codes have recall {recall:.4f}, below {wanted:g}" if recall < wanted else ""
