"""A growable numpy array whose views stay valid: growing copies into new memory and leaves the old to its views."""

from __future__ import annotations

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
            grown = np.empty((end + end // _SPARE, *self._rows.shape[1:]), self._rows.dtype)
            grown[:begin] = self._rows[:begin]
            self._rows = grown
        self._rows[begin:end] = rows

    def view(self, n: int) -> npt.NDArray[T]:
        """The first `n` rows, read-only."""
        view = self._rows[:n]
        view.flags.writeable = False
        return view
