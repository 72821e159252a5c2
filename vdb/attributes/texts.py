"""The texts of a column as numbers in their order, which stay valid as texts come, and labels in order of appearance.

Order maintenance as in a list with gaps: a new text gets a number between those of its neighbours. DuckDB compares
texts by their UTF-8 bytes, and Python by code points, which is the same order.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vdb.attributes.keys import KEY_MAX, Position, exactly

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import numpy.typing as npt

_END: Final = 2**61  # the first numbers lie between -_END and _END, which leaves as much beyond them as between
_LIMIT: Final = 2**62
_STEP: Final = 2**32  # between texts that come after, or before, all others, as names with a date in them do
_BLOCK: Final = 512  # texts of a block, to twice as many
_SURROGATES: Final = (0xD800, 0xE000)
_LAST_CHARACTER: Final = "\U0010ffff"


class Exhausted(Exception):
    """Somewhere no number is left between two texts: all of them are to be numbered anew."""


class _Block(NamedTuple):
    texts: list[str]  # ascending
    numbers: list[int]


class _Gap(NamedTuple):
    """Between two neighbours in the order; an end of the order is None."""

    low: int | None
    high: int | None


class _Order(NamedTuple):
    """All texts in blocks, so that new ones copy no more than the blocks they come into and the list of blocks."""

    firsts: list[str]  # of each block
    starts: list[int]
    blocks: list[_Block]

    @classmethod
    def of(cls, blocks: list[_Block]) -> _Order:
        return cls([block.texts[0] for block in blocks], [block.numbers[0] for block in blocks], blocks)

    def place(self, text: str) -> tuple[int, int]:
        """The block a text is in or belongs into, and where; not of an empty order."""
        at = max(bisect_right(self.firsts, text) - 1, 0)
        return at, bisect_left(self.blocks[at].texts, text)

    def gap(self, at: int, place: int) -> _Gap:
        numbers = self.blocks[at].numbers
        after = self.starts[at + 1] if at + 1 < len(self.starts) else None
        return _Gap(numbers[place - 1] if place else None, numbers[place] if place < len(numbers) else after)

    def between(self, new: list[str]) -> list[int]:
        """Numbers for sorted new texts. Exhausted where there is no room."""
        given: list[int] = []
        for (at, place), texts in groupby(new, self.place):
            given += _spaced(self.gap(at, place), sum(1 for _ in texts))
        return given

    def having(self, new: list[str], numbers: list[int]) -> _Order:
        """The order with sorted new texts too; who holds this one sees no change."""
        firsts, starts, blocks = self.firsts.copy(), self.starts.copy(), self.blocks.copy()
        end = len(new)
        while end:  # block by block from behind, where places do not move
            at, _ = self.place(new[end - 1])
            begin = bisect_left(new, self.firsts[at], 0, end) if at else 0
            old = self.blocks[at]
            merged = _blocks(sorted(old.texts + new[begin:end]), sorted(old.numbers + numbers[begin:end]))
            piece = _Order.of(merged)
            firsts[at : at + 1], starts[at : at + 1], blocks[at : at + 1] = piece
            end = begin
        return _Order(firsts, starts, blocks)


class Numbers:
    """Numbers of texts. Who reads needs no lock; one thread at a time adds."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}
        self._ordered = _Order.of([])

    def add(self, texts: Iterable[str]) -> None:
        """Number the texts that have none. Exhausted where there is no room; nothing is changed then."""
        new = sorted({text for text in texts if text not in self.of})
        if not new:
            return
        order = self._ordered
        given = order.between(new) if order.blocks else _spread(new)
        self._ordered = order.having(new, given) if order.blocks else _Order.of(_blocks(new, given))
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
        order = self._ordered
        at = bisect_right(order.starts, number) - 1
        if at < 0:
            return None
        texts, numbers = order.blocks[at]
        place = bisect_left(numbers, number)
        return texts[place] if place < len(numbers) and numbers[place] == number else None

    def memory_bytes(self) -> int:
        """About what the texts and their numbers take."""
        per_text = 49 + 100 + 40  # a str, an entry of the dictionary and two of lists, an int
        lengths = sum(len(text) for block in self._ordered.blocks for text in block.texts)
        return lengths + per_text * len(self.of)

    def _first_from(self, text: str) -> int:
        """The number of the first text that is not less."""
        order = self._ordered
        number = order.gap(*order.place(text)).high if order.blocks else None
        return KEY_MAX if number is None else number


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


def _blocks(texts: list[str], numbers: list[int]) -> list[_Block]:
    """Sorted texts as blocks, one where they are few enough."""
    if len(texts) <= 2 * _BLOCK:
        return [_Block(texts, numbers)]
    return [_Block(texts[at : at + _BLOCK], numbers[at : at + _BLOCK]) for at in range(0, len(texts), _BLOCK)]


def _spread(texts: list[str]) -> list[int]:
    """Numbers at equal distances."""
    step = 2 * _END // (len(texts) + 1)
    return [step * place - _END for place in range(1, len(texts) + 1)]


def _spaced(gap: _Gap, count: int) -> list[int]:
    """So many numbers in a gap, ascending: at equal distances, but beyond an end not too far away."""
    low = -_LIMIT if gap.low is None else gap.low
    high = _LIMIT if gap.high is None else gap.high
    step = (high - low) // (count + 1)
    if step == 0:
        raise Exhausted
    if gap.low is None or gap.high is None:
        step = min(step, _STEP)
    if gap.low is None:
        low = high - (count + 1) * step
    return [low + step * number for number in range(1, count + 1)]


def _following(prefix: str) -> str | None:
    """The least text above all that begin with `prefix`, None where there is none."""
    cut = prefix.rstrip(_LAST_CHARACTER)
    if not cut:
        return None
    code = ord(cut[-1]) + 1
    return cut[:-1] + chr(_SURROGATES[1] if _SURROGATES[0] <= code < _SURROGATES[1] else code)
