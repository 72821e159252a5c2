"""What the filtered bench asks of a peer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from bench.adapters.base import FloatVector, GraphParams, RowNumbers
from bench.filtered.predicate import to_sql

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.filtered.predicate import Dialect, Predicate
    from bench.filtered.questions import Allowed, FilteredData

Effort: TypeAlias = dict[str, int]  # what is turned for more recall, by its name; empty: nothing is
Sweep: TypeAlias = list[Effort]  # from the fastest to the hardest


@dataclass(frozen=True)
class Setup:
    """The parameters all graph peers share, and the indexes of vdb's table."""

    params: GraphParams
    indexes: tuple[str, ...] = ()


class FilteredPeer(ABC):
    """A peer that answers one query at a time on one thread among the rows of a predicate.

    Attributes
    ----------
    knows_rows : bool
        Whether a set of rows is handed to it, or the text of the predicate.
    stages : dict
        Seconds of the stages of the last search, where a peer that reads the text says so. Its core are `plan` and
        `search`, of searches whose rows are at hand.
    done : str
        How the last search was done, where a peer chooses.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    knows_rows: ClassVar[bool] = True
    stages: Mapping[str, float] = {}
    done: str = ""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.effort: Effort = {}
        self.parts: dict[str, dict[str, float]] = {}  # seconds and bytes of each index, where there are several

    @abstractmethod
    def build(self, data: FilteredData, threads: int) -> None:
        """Index (n, dim) float32 unit vectors and their attributes on `threads` threads; afterwards search on one."""

    def sweeps(self) -> dict[str, list[Sweep]]:
        """The methods the peer offers by name, each with what is tried of it: one with nothing to turn by default."""
        return {self.name: [[{}]]}

    def choose(self, method: str, effort: Effort) -> None:  # noqa: ARG002 -- most peers have one method
        """Take a method and an effort for the searches to come."""
        self.effort = effort

    @abstractmethod
    def bind(self, predicate: Predicate, allowed: Allowed) -> Any:
        """The filter as the peer takes it: made of `allowed` where `knows_rows`, else of `predicate`.

        Inexpressible where it cannot be said.
        """

    @abstractmethod
    def search(self, q: FloatVector, k: int, bound: Any) -> RowNumbers:
        """Row numbers of the nearest allowed rows, best first, at most k. Inexpressible where the method cannot."""

    @abstractmethod
    def memory_bytes(self) -> int:
        """Bytes of links and vectors by the peer's own count, or of its serialised form."""

    def forget(self) -> None:  # noqa: B027 -- most peers keep no answers
        """Forget the answers to predicates that were asked before, so that a text is new again."""

    def remember(self, bound: list[Any]) -> None:  # noqa: B027 -- asked of a peer with stages
        """Keep the rows of filters that were just asked for, so that they are at hand from now on."""

    def close(self) -> None:  # noqa: B027 -- most peers hold nothing open
        """Release what the peer holds."""


class TextPeer(FilteredPeer):
    """A peer that reads the text of a predicate: in its own `words`, or else as SQL with its values apart."""

    knows_rows = False
    words: ClassVar[Dialect | None] = None

    def bind(self, predicate: Predicate, allowed: Allowed) -> Any:  # noqa: ARG002
        return to_sql(predicate) if self.words is None else self.words.text(predicate)


def probes(lists: int) -> list[int]:
    """Numbers of lists to scan, the same steps for every peer that has lists: three to the double, from four to all."""
    steps = math.ceil(3 * math.log2(max(lists, 4)))
    return sorted({min(round(2 ** (step / 3)), lists) for step in range(6, steps + 1)})
