"""What a call of the core found: slots and distances, and which queries have ties to settle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vdb import _core

if TYPE_CHECKING:
    from vdb.types import FloatMatrix, Slots

Queries: TypeAlias = npt.NDArray[np.uint32]  # numbers of queries
Found: TypeAlias = "tuple[Slots, FloatMatrix, _core.SearchStats]"  # what a call of the core returns

NO_QUERIES: Final[Queries] = np.empty(0, np.uint32)


class Answer(NamedTuple):
    """(nq, k) slots and distances, nearest first, padded with ABSENT_SLOT and infinity.

    `tied` are the queries with equal distances in their answer, `cut` those with a row outside it as near as its last.
    """

    slots: Slots
    distances: FloatMatrix
    tied: Queries = NO_QUERIES
    cut: Queries = NO_QUERIES

    @classmethod
    def nothing(cls, nq: int, k: int) -> Answer:
        """Padding only."""
        return cls(np.full((nq, k), _core.ABSENT_SLOT, np.uint32), np.full((nq, k), np.inf, np.float32))

    def padded(self, k: int) -> Answer:
        """The same answer in `k` columns, at least as many as it has."""
        nq, width = self.slots.shape
        if width == k:
            return self
        wide = Answer.nothing(nq, k)
        wide.slots[:, :width] = self.slots
        wide.distances[:, :width] = self.distances
        return wide

    def of(self, queries: Queries) -> Answer:
        """The rows of some of its queries, without what is known of their ties."""
        return Answer(self.slots[queries], self.distances[queries])

    def joined(self, other: Answer) -> Answer:
        """The nearest of both to each query, in as many columns; a row in both counts once."""
        k = self.slots.shape[1]
        slots, distances = np.hstack([self.slots, other.slots]), np.hstack([self.distances, other.distances])
        order = np.lexsort((slots, distances), axis=1)
        slots, distances = np.take_along_axis(slots, order, 1), np.take_along_axis(distances, order, 1)
        twice = np.zeros(slots.shape, np.bool_)  # a row has one distance, so the same one stands beside it
        twice[:, 1:] = (slots[:, 1:] == slots[:, :-1]) & (slots[:, 1:] != _core.ABSENT_SLOT)
        if twice.any():
            slots[twice], distances[twice] = _core.ABSENT_SLOT, np.inf
            order = np.argsort(twice, axis=1, kind="stable")
            slots, distances = np.take_along_axis(slots, order, 1), np.take_along_axis(distances, order, 1)
        equal = (distances[:, 1:] == distances[:, :-1]) & np.isfinite(distances[:, 1:])
        cut = np.union1d(np.flatnonzero(equal[:, k - 1]), np.append(self.cut, other.cut))
        tied = np.flatnonzero(equal[:, : k - 1].any(axis=1))
        return Answer(slots[:, :k], distances[:, :k], tied.astype(np.uint32), cut.astype(np.uint32))

    def replaced(self, queries: Queries, by: Answer) -> Answer:
        """The same answer with that of some of its queries, changed in place, and what is known of their ties."""
        self.slots[queries], self.distances[queries] = by.slots, by.distances
        return Answer(
            self.slots,
            self.distances,
            np.append(np.setdiff1d(self.tied, queries), queries[by.tied]),
            np.append(np.setdiff1d(self.cut, queries), queries[by.cut]),
        )
