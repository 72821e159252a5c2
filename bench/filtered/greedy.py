"""The fastest setting at a recall floor with few settings measured, as the search of the paper does (arXiv 2507.21989).

Along a sweep, from the fastest setting to the hardest, recall is taken to rise: steps double until the floor is
reached, then halve back to the first setting that reaches it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.filtered.adapters.base import Effort, Sweep


@dataclass(frozen=True)
class Tried:
    """A setting, what it found, and how fast it was; `cut` where it took longer than a setting may."""

    effort: Effort
    recall: float
    qps: float
    cut: bool = False


def first_reaching(sweep: Sequence[Effort], try_: Callable[[Effort], Tried], floor: float) -> Tried | None:
    """The first setting of a sweep that reaches the floor, None where none does or it would take too long."""
    below, step = -1, 1
    while True:
        at = min(below + step, len(sweep) - 1)
        found = try_(sweep[at])
        if found.recall >= floor:
            break
        if at == len(sweep) - 1 or found.cut:
            return None
        below, step = at, 2 * step
    while at - below > 1:
        middle = (below + at) // 2
        tried = try_(sweep[middle])
        if tried.recall >= floor:
            at, found = middle, tried
        else:
            below = middle
    return found


def fastest(sweeps: Iterable[Sweep], try_: Callable[[Effort], Tried], floor: float) -> Tried | None:
    """The fastest of the first settings that reach the floor, one of each sweep."""
    reached = (first_reaching(sweep, try_, floor) for sweep in sweeps)
    return max((tried for tried in reached if tried), key=lambda tried: tried.qps, default=None)
