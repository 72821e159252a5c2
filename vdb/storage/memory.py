"""How much memory a database may take: DuckDB's part of it, and an account of what vdb holds itself.

DuckDB's limit cannot change once it is open, so it gets a part, and writes what it has no room for to the disk. The
rest is for vectors of databases in memory, row ids, indexes and columns of attributes, and asked for before they grow.
Vectors in files are not counted: they are mapped, and the system takes their pages back when it needs them.
"""

from __future__ import annotations

import re
import reprlib
import weakref
from typing import TYPE_CHECKING, Any, Final

from vdb.errors import InvalidArgument, OutOfMemory

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_TOO_MUCH: Final = 1 << 63  # bytes
_DUCKDB_PART: Final = 4  # a quarter
_DUCKDB_LEAST: Final = 64 << 20  # bytes, or half of a limit that is smaller than twice that


class Account:
    """What is held of `limit` bytes, and whether more may be; None is no limit."""

    def __init__(self, limit: int | None) -> None:
        self._limit = None if limit is None else limit - duckdb_part(limit)
        self._given = limit
        self._holders: list[weakref.WeakMethod[Callable[[], int]]] = []
        self._growers: list[weakref.WeakMethod[Callable[[int, int], int]]] = []

    def hold(self, count: Callable[[], int]) -> None:
        """Count what a method of some holder says, in bytes, as long as the holder lives."""
        self._holders.append(weakref.WeakMethod(count))

    def grow(self, growth: Callable[[int, int], int]) -> None:
        """Ask a method of some holder what it will take for so many new slots of the table of that number."""
        self._growers.append(weakref.WeakMethod(growth))

    def growth(self, table: int, n: int) -> int:
        """Bytes that the holders will take for `n` new slots of a table, beside the vectors."""
        if self._limit is None:
            return 0
        growths = [growth for method in self._growers if (growth := method()) is not None]
        return sum(growth(table, n) for growth in growths)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self._limit is not None

    @property
    def used(self) -> int:
        """Bytes that the holders have."""
        counts = [count for method in self._holders if (count := method()) is not None]
        return sum(count() for count in counts)

    def lacks(self, more: int) -> str:
        """Why there is no room for so many bytes; empty where there is."""
        if self._limit is None or more <= 0 or (used := self.used) + more <= self._limit:
            return ""
        return (
            f"{more:,} bytes are needed, and {used:,} are taken of the {self._limit:,} that a memory_limit of"
            f" {self._given:,} leaves beside DuckDB"
        )

    def demand(self, what: str, more: int) -> None:
        """OutOfMemory where there is no room for so many bytes; to be asked before they are taken."""
        if reason := self.lacks(more):
            raise OutOfMemory(
                f"There is no room for {what}: {reason}. Nothing was changed. Fix: raise memory_limit in vdb.connect,"
                " or drop an index."
            )


def parse_size(text: Any) -> int | None:
    """Bytes of a size such as "2GB" or "512 MiB", None of None; InvalidArgument where it is none."""
    if text is None:
        return None
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    number, power, binary = ("inf", "", "") if match is None else match.groups()
    size = float(number) * (1024 if binary else 1000) ** _POWERS[power.upper()]
    if size >= _TOO_MUCH:
        raise InvalidArgument(
            f"memory_limit must be a size below 8 EiB, got {reprlib.repr(text)}."
            " Fix: pass one such as '2GB' or '512MiB'."
        )
    return int(size)


def duckdb_part(limit: int) -> int:
    """Of a limit, the bytes that are DuckDB's."""
    return max(limit // _DUCKDB_PART, min(_DUCKDB_LEAST, limit // 2))
