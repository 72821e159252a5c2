"""Which attributes were changed in place, and in which slots: with it, what was made of a column follows the column.

New rows need no record: their slots are the new ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from vdb.types import Slots

_KEPT: Final = 64
_KEPT_SLOTS: Final = 1 << 20  # 4 MiB; who is further behind reads the column again


@dataclass(frozen=True, slots=True)
class _Rewrite:
    columns: frozenset[str]
    slots: Slots


@dataclass(frozen=True, slots=True)
class Rewrites:
    """The changes in place of a table so far, as a value: `count` of them, of which the newest are kept."""

    count: int = 0
    latest: Mapping[str, int] = field(default_factory=dict)  # of each changed column: the count after its last change
    kept: tuple[_Rewrite, ...] = ()

    def after(self, columns: Iterable[str], slots: Slots) -> Rewrites:
        """These and one more, of `columns` in `slots`."""
        rewrite = _Rewrite(frozenset(columns), slots)
        kept = [*self.kept[-_KEPT + 1 :], rewrite]
        while kept and sum(len(one.slots) for one in kept) > _KEPT_SLOTS:
            kept.pop(0)
        count = self.count + 1
        return Rewrites(count, {**self.latest, **dict.fromkeys(rewrite.columns, count)}, tuple(kept))

    def latest_of(self, columns: Iterable[str]) -> int:
        """The count after the last change of any of these columns."""
        return max((self.latest.get(column, 0) for column in columns), default=0)

    def since(self, columns: Collection[str], count: int) -> Slots | None:
        """The slots, ascending, in which one of `columns` changed after the first `count` changes; None: not known."""
        if self.latest_of(columns) <= count:
            return np.empty(0, np.uint32)
        behind = self.count - count
        if behind > len(self.kept):
            return None
        changed = [one.slots for one in self.kept[-behind:] if not one.columns.isdisjoint(columns)]
        return np.unique(np.concatenate(changed))
