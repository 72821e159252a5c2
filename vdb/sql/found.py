"""Rows that a step found, as DuckDB sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy.typing as npt

    from vdb.types import Slots

    Nearest: TypeAlias = tuple[Slots, npt.NDArray[np.float32]]

NO_SLOTS: Final = np.empty(0, np.uint32)
NO_DISTANCES: Final = np.empty(0, np.float32)


class Outdated(Exception):
    """The table moved on while a statement ran; it is to run again."""


@dataclass
class Found:
    """Rows of one table, nearest first, and their distances: NaN where there is no direction, masked without vector.

    `needle` is the number of the query that found each, where there are several.
    """

    slots: Slots
    distances: list[npt.NDArray[Any]] = field(default_factory=list)
    needle: npt.NDArray[np.int64] | None = None

    def relation(self) -> dict[str, npt.NDArray[Any]]:
        """As DuckDB sees it."""
        columns: dict[str, npt.NDArray[Any]] = {"slot": self.slots}
        columns["pos"] = np.arange(len(self.slots), dtype=np.int64)
        if self.needle is not None:
            columns["n"] = self.needle
        return columns | {f"d{i}": distances for i, distances in enumerate(self.distances)}
