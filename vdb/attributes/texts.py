"""The texts of a column as numbers in their order, which stay valid as texts come, and labels in order of appearance.

Order maintenance as in a list with gaps: a new text gets a number between those of its neighbours. DuckDB compares
texts by their UTF-8 bytes, and Python by code points, which is the same order.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from vdb.attributes.keys import KEY_MAX, Position, exactly

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import numpy.typing as npt

T = TypeVar("T", str, int)

_END: Final = 2**61  # the first numbers lie between -_END and _END, which leaves as much beyond them as between
_LIMIT: Final = 2**62
_STEP: Final = 2**32  # between texts that come after, or before, all others, as names with a date in them do
_FEW: Final = 100  # values that are cheaper to insert one by one than to merge
_SURROGATES: Final = (0xD800, 0xE000)
_LAST_CHARACTER: Final = "\U0010ffff"


class Exhausted(Exception):
    """Somewhere no number is left between two texts: all of them are to be numbered anew."""


class Numbers:
    """Numbers of texts. Who reads needs no lock; one thread at a time adds."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}
        self._ordered: tuple[list[str], list[int]] = [], []

    def add(self, texts: Iterable[str]) -> None:
        """Number the texts that have none. Exhausted where there is no room; nothing is changed then."""
        new = sorted({text for text in texts if text not in self.of})
        if not new:
            return
        old, numbers = self._ordered
        given = _between(old, numbers, new) if old else _spread(new)
        self._ordered = _merged(old, new), _merged(numbers, given)
        self.of.update(zip(new, given, strict=True))

    def position(self, text: str) -> Position:
        """Where a text stands among the numbers."""
        number = self.of.get(text)
        if number is not None:
            return exactly(number)
        above = self._first_from(text)
        return Position(above - 1, above)

    def starting_with(self, prefix: str) -> tuple[int, int]:
        """The least and the greatest number of the texts that begin with `prefix`; none where the first is greater."""
        end = _following(prefix)
        return self._first_from(prefix), KEY_MAX if end is None else self._first_from(end) - 1

    def text(self, number: int) -> str | None:
        """The text of a number, None where it has none."""
        texts, numbers = self._ordered
        place = bisect_left(numbers, number)
        return texts[place] if place < len(numbers) and numbers[place] == number else None

    def texts(self, numbers: npt.NDArray[np.int64]) -> list[str]:
        """The texts of numbers."""
        texts, known = self._ordered
        return [texts[place] for place in np.searchsorted(np.array(known, np.int64), numbers).tolist()]

    def memory_bytes(self) -> int:
        """About what the texts and their numbers take."""
        texts, _ = self._ordered
        per_text = 49 + 100 + 40  # a str, an entry of the dictionary and two of lists, an int
        return sum(map(len, texts)) + per_text * len(texts)

    def _first_from(self, text: str) -> int:
        """The number of the first text that is not less."""
        texts, numbers = self._ordered
        place = bisect_left(texts, text)
        return numbers[place] if place < len(texts) else KEY_MAX


class Labels:
    """The distinct values of a column, numbered from 0 as they appear, for good."""

    def __init__(self) -> None:
        self._of: dict[Hashable, int] = {}
        self._values: list[Hashable] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._of)

    def get(self, value: Hashable) -> int | None:
        """The label of a value, None where it never appeared."""
        return self._of.get(value)

    def value(self, label: int) -> Hashable | None:
        """The value of a label, None where there is no such label."""
        return self._values[label] if 0 <= label < len(self._values) else None

    def add(self, values: Sequence[Hashable]) -> npt.NDArray[np.int64]:
        """The label of each value, a new one for each new value."""
        of = self._of
        with self._lock:
            for value in dict.fromkeys(values):
                if value not in of:
                    of[value] = len(of)
                    self._values.append(value)
        return np.fromiter(map(of.__getitem__, values), np.int64, len(values))

    def add_keys(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """As `add`, of integers."""
        distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
        appearance = np.argsort(first)
        labels = np.empty(len(distinct), np.int64)
        labels[appearance] = self.add(distinct[appearance].tolist())
        return labels[which]


def _merged(old: list[T], new: list[T]) -> list[T]:
    """A sorted list with the values of two; readers may still hold the old one."""
    merged = old.copy()
    if old and len(new) <= _FEW:
        for value in new:
            insort(merged, value)
    else:
        merged += new
        merged.sort()
    return merged


def _spread(texts: list[str]) -> list[int]:
    """Numbers at equal distances."""
    step = 2 * _END // (len(texts) + 1)
    return [step * place - _END for place in range(1, len(texts) + 1)]


def _between(old: list[str], numbers: list[int], new: list[str]) -> list[int]:
    """Numbers for sorted `new` texts between those of the sorted `old` ones."""
    given: list[int] = []
    places = [bisect_left(old, text) for text in new]
    begin = 0
    while begin < len(new):
        place, end = places[begin], begin + 1
        while end < len(new) and places[end] == place:
            end += 1
        low = numbers[place - 1] if place else -_LIMIT
        high = numbers[place] if place < len(old) else _LIMIT
        count = end - begin
        step = (high - low) // (count + 1)
        if step == 0:
            raise Exhausted
        if place == 0:
            step = min(step, _STEP)
            low = high - (count + 1) * step
        elif place == len(old):
            step = min(step, _STEP)
        given += [low + step * number for number in range(1, count + 1)]
        begin = end
    return given


def _following(prefix: str) -> str | None:
    """The least text above all that begin with `prefix`, None where there is none."""
    cut = prefix.rstrip(_LAST_CHARACTER)
    if not cut:
        return None
    code = ord(cut[-1]) + 1
    return cut[:-1] + chr(_SURROGATES[1] if _SURROGATES[0] <= code < _SURROGATES[1] else code)
