"""A growable numpy array whose views stay valid: growing copies into new memory and leaves the old to its views."""

from __future__ import annotations

import math
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)

_SPARE = 8  # an eighth more than asked for, so that n appends copy O(n) rows


class Growing(Generic[T]):
    """Rows of one shape and dtype, written at the end and read through read-only views of a prefix.

    A row may be written again only while no view that must not change covers it.
    """

    def __init__(self, dtype: npt.DTypeLike, width: tuple[int, ...] = ()) -> None:
        self._rows: npt.NDArray[Any] = np.empty((0, *width), dtype)

    def write(self, begin: int, rows: npt.NDArray[T]) -> None:
        """Put `rows` at [begin, begin + len(rows))."""
        end = begin + len(rows)
        if end > len(self._rows):
            self._grow(_with_spare(end), begin)
        self._rows[begin:end] = rows

    @property
    def memory_bytes(self) -> int:
        """Of the rows and the room after them."""
        return self._rows.nbytes

    def growth(self, n: int) -> int:
        """Bytes that writing up to row `n` takes, beside what there is: the old rows stay until their views go."""
        return _with_spare(n) * self._rows.itemsize * math.prod(self._rows.shape[1:]) if n > len(self._rows) else 0

    def reserve(self, n: int) -> None:
        """Take the memory of `n` rows in all, so that writing them copies nothing."""
        if n > len(self._rows):
            self._grow(n, len(self._rows))

    def _grow(self, n: int, kept: int) -> None:
        grown = np.empty((n, *self._rows.shape[1:]), self._rows.dtype)
        grown[:kept] = self._rows[:kept]
        self._rows = grown

    def view(self, n: int) -> npt.NDArray[T]:
        """The first `n` rows, read-only."""
        view = self._rows[:n]
        view.flags.writeable = False
        return view


def _with_spare(n: int) -> int:
    return n + n // _SPARE
