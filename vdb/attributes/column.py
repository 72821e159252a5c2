"""A column as it is in one state of its table: sorted pieces of keys, immutable, the newest for the rows changed last.

A commit adds a piece of its own rows and marks what it replaced in the older ones; pieces that are not much larger than
those after them are merged, as in a log-structured tree, so that there are few and each key is moved seldom.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vdb._core import RowSet, SortedSlots
from vdb.attributes.keys import KEY_MAX, KEY_MIN, Encoding, Position, cast_text, exactly, text_of
from vdb.attributes.source import columns_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from vdb.attributes.source import Source
    from vdb.attributes.texts import Labels, Numbers
    from vdb.storage.state import Generation, TableState
    from vdb.types import Slots

_GROWTH: Final = 2  # a piece is merged with the one before unless that is so many times as large
_STALE_SHARE: Final = 4  # a piece is written anew when one in so many of its entries is replaced
_KEPT_SETS: Final = 16  # of a view: those of values that many rows have
_WIDE: Final = 32  # one row in so many makes a set worth keeping


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the keys of a column mean, in all its states.

    Attributes
    ----------
    column : Source
        The column, or the condition, that gives TRUE or NULL.
    encoding : Encoding or None
        Of the values, or of the items of a list; None where only NULL or not is known.
    is_list : bool
        Then keys are labels of items.
    numbers : Numbers
        The keys of texts.
    labels : Labels
        Of the items of lists, and once memberships were asked for of other values, each by its text or key.
    """

    column: Source
    encoding: Encoding | None
    is_list: bool
    numbers: Numbers
    labels: Labels


@dataclass(frozen=True, slots=True)
class Moment:
    """A state of a table as far as a column tells it from others."""

    generation: Generation
    next_slot: int
    rewrites: int  # of the table
    latest: int  # of the column

    @classmethod
    def of(cls, state: TableState, column: Source) -> Moment:
        """That of a state."""
        rewrites = state.rewrites
        return cls(state.generation, state.next_slot, rewrites.count, rewrites.latest_of(columns_of(column)))

    def is_that_of(self, state: TableState, column: Source) -> bool:
        """Whether the column is the same in a state, earlier or later."""
        same_slots = self.generation is state.generation and self.next_slot == state.next_slot
        return same_slots and self.latest == state.rewrites.latest_of(columns_of(column))


class Since(NamedTuple):
    """What somebody has seen of a column: slots below `next_slot`, as the first `rewrites` changes in place left them.

    `changed` are those, ascending, in which the column was changed since.
    """

    next_slot: int
    rewrites: int
    changed: Slots


NOTHING: Final = Since(0, 0, np.empty(0, np.uint32))


@dataclass(frozen=True, slots=True)
class Part:
    """What was read of a column: keys by slot, (n,) each, the slots that are NULL, and those that were known before."""

    keys: npt.NDArray[np.int64]
    slots: Slots
    null: Slots
    changed: Slots


@dataclass(frozen=True, slots=True)
class _Piece:
    order: SortedSlots
    next_slot: int  # all entries have come after the table had so many slots,
    rewrites: int  # and so many changes in place
    stale: RowSet | None = None  # slots whose entry here no longer holds


@dataclass(frozen=True, slots=True)
class ColumnIndex:
    """A column in one state of its table, a value that any thread may read.

    Rows that were deleted are still in it: `TableState.live` tells them.

    Attributes
    ----------
    null : RowSet
        The slots whose value is NULL; not known of a condition.
    """

    meaning: Meaning
    moment: Moment
    null: RowSet
    _pieces: tuple[_Piece, ...] = ()
    _sets: dict[tuple[int, int], RowSet] = field(default_factory=dict)

    @classmethod
    def empty(cls, meaning: Meaning, state: TableState) -> ColumnIndex:
        """The column of a table without rows that is numbered as `state` is."""
        rewrites = state.rewrites.count
        return cls(meaning, Moment(state.generation, 0, rewrites, rewrites), RowSet.none(0))

    def extended(self, part: Part, state: TableState) -> ColumnIndex:
        """The column as it is in a later state of the same generation, by what has changed since."""
        n = state.next_slot
        changed = RowSet.from_slots(part.changed, n)
        null = self.null.resized(n) - changed | RowSet.from_slots(part.null, n)
        pieces = [replace(piece, stale=_replaced(piece.stale, changed, n)) for piece in self._pieces]
        if len(part.keys):
            pieces.append(_Piece(_sorted(part.keys, part.slots, n), self.moment.next_slot, self.moment.rewrites))
        moment = Moment.of(state, self.meaning.column)
        return ColumnIndex(self.meaning, moment, null, tuple(_tidied(pieces, n)))

    def is_of(self, state: TableState) -> bool:
        """Whether this is the column of a state."""
        return self.moment.is_that_of(state, self.meaning.column)

    @property
    def next_slot(self) -> int:
        """The slots of the table in this state."""
        return self.moment.next_slot

    @property
    def is_list(self) -> bool:
        """Whether each row has a list of values."""
        return self.meaning.is_list

    @property
    def is_text(self) -> bool:
        """Whether the values are texts, VARCHAR as they are."""
        return self.meaning.encoding is not None and self.meaning.encoding.type == "VARCHAR"

    @property
    def labels(self) -> int:
        """How many distinct values have a label: those of lists, of other columns once `memberships` was asked for."""
        return len(self.meaning.labels)

    @property
    def memory_bytes(self) -> int:
        """About what it takes."""
        pieces = sum(piece.order.memory_bytes + self.next_slot // 8 for piece in self._pieces)
        return pieces + (len(self._sets) + 1) * self.next_slot // 8 + self.meaning.numbers.memory_bytes()

    def between(self, low: int, high: int) -> RowSet:
        """The rows with a key from `low` to `high`, both included; of a list, with such an item."""
        low, high = max(low, KEY_MIN), min(high, KEY_MAX)
        n = self.next_slot
        known = self._sets.get((low, high))
        if known is not None:
            return known
        if low > high:
            return RowSet.none(n)
        found = self._union([piece.order.between(low, high, n) for piece in self._pieces])
        if found.count * _WIDE > n:
            if len(self._sets) >= _KEPT_SETS:
                self._sets.clear()
            self._sets[low, high] = found
        return found

    def any_of(self, keys: Iterable[int]) -> RowSet:
        """The rows with one of some keys: those that many rows have by the sets kept of them, the others at once."""
        wanted = [*keys]
        wide = [key for key in wanted if self._is_wide(key)] if len(wanted) <= _KEPT_SETS else []
        sets = [self.between(key, key) for key in wide]
        if len(wide) < len(wanted):
            narrow = np.array([key for key in wanted if key not in wide], np.int64)
            sets.append(self._union([piece.order.any_of(narrow, self.next_slot) for piece in self._pieces]))
        return reduce(or_, sets) if sets else RowSet.none(self.next_slot)

    def position(self, value: object) -> Position | None:
        """Where a value stands among the keys, None where that is left to DuckDB; not for lists."""
        encoding = self.meaning.encoding
        if encoding is None:
            return None
        if encoding.is_text:
            text = text_of(value)
            if text is not None and encoding.type != "VARCHAR":
                text = cast_text(encoding.type, text)
            return None if text is None else self.meaning.numbers.position(text)
        return encoding.position_of_text(value) if type(value) is str else encoding.position(value)

    def starting_with(self, prefix: str) -> tuple[int, int] | None:
        """The least and greatest key of the texts that begin with `prefix`, None where the column is not VARCHAR."""
        encoding = self.meaning.encoding
        if encoding is None or encoding.type != "VARCHAR" or self.is_list:
            return None
        return self.meaning.numbers.starting_with(prefix)

    def has_labels(self) -> bool:
        """Whether its values have labels by now: those of lists always have."""
        return self.is_list or len(self.meaning.labels) > 0

    def label_of(self, value: object) -> int | None:
        """The label of a value, or of an item of the lists; None where it has none or never appeared."""
        named = self._named(value)
        return None if named is None else self.meaning.labels.get(named)

    def label_of_key(self, key: int) -> int | None:
        """The label of the values that have a key; not for lists."""
        if self.meaning.encoding is not None and self.meaning.encoding.is_text:
            text = self.meaning.numbers.text(key)
            return None if text is None else self.meaning.labels.get(text)
        return self.meaning.labels.get(key)

    def can_compare_items(self, value: object) -> bool:
        """Whether an item of the lists equals a value, as DuckDB compares them, just where `label_of` says so."""
        encoding = self.meaning.encoding
        if encoding is None or value is None or value != value:
            return False
        return (type(value) is str) == (encoding.type == "VARCHAR") and self._named(value) is not None

    def count_of(self, label: int) -> int:
        """How many rows have the label, deleted ones among them."""
        return self.with_label(label).count

    def with_label(self, label: int) -> RowSet:
        """The rows that have the label."""
        key = label if self.is_list else self._key_of(label)
        return RowSet.none(self.next_slot) if key is None else self.between(key, key)

    def order_keys(self, since: Since = NOTHING) -> tuple[npt.NDArray[np.int64], Slots]:
        """The keys of the rows that came or were changed since, in no order: slots[i] has keys[i]. NULL has none.

        Keys are in the order of the values, equal ones for equal values: integers and booleans themselves, days or
        microseconds since 1970, unscaled decimals, the bits of floats (`KEY_NAN` above infinity, one zero), numbers of
        texts. Those of texts stay valid as rows come, until there is no room between two of them and all get new ones:
        `meaning` is another one then. Values beyond int64 share the key at its end. Not for lists.
        """
        return self._entries(since)

    def memberships(self, since: Since = NOTHING) -> tuple[Slots, npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
        """The labels of the slots that came or were changed since.

        Those of slots[i] are labels[offsets[i]:offsets[i + 1]], each once, none for NULL.

        Returns
        -------
        slots : (n,) uint32, ascending
        offsets : (n + 1,) uint64
        labels : uint32
        """
        keys, slots = self._entries(since)
        labels = self._labels_of(keys)
        order = np.lexsort((labels, slots))
        asked = np.append(since.changed, np.arange(since.next_slot, self.next_slot, dtype=np.uint32))
        offsets = np.zeros(len(asked) + 1, np.uint64)
        offsets[1:] = np.searchsorted(slots[order], asked, side="right")
        return asked, offsets, labels[order].astype(np.uint32)

    def _entries(self, since: Since) -> tuple[npt.NDArray[np.int64], Slots]:
        """Keys and slots of what came or was changed since: from the newest pieces, as far back as that goes."""
        found = []
        for piece in reversed(self._pieces):
            found.append(_without_stale(piece))
            if piece.next_slot <= since.next_slot and piece.rewrites <= since.rewrites:
                break
        keys = np.concatenate([np.empty(0, np.int64), *(keys for keys, _ in found)])
        slots = np.concatenate([np.empty(0, np.uint32), *(slots for _, slots in found)])
        if since.next_slot == 0:
            return keys, slots
        wanted = slots >= since.next_slot
        if len(since.changed):
            wanted |= RowSet.from_slots(since.changed, self.next_slot).holds(slots)
        return keys[wanted], slots[wanted]

    def _is_wide(self, key: int) -> bool:
        if (key, key) in self._sets:
            return True
        return sum(piece.order.count_between(key, key) for piece in self._pieces) * _WIDE > self.next_slot

    def _union(self, found: list[RowSet]) -> RowSet:
        rows = None
        for piece, some in zip(self._pieces, found, strict=True):
            current = some if piece.stale is None else some - piece.stale
            rows = current if rows is None else rows | current
        return RowSet.none(self.next_slot) if rows is None else rows

    def _named(self, value: object) -> Any:
        """What the labels know a value by."""
        encoding = self.meaning.encoding
        if encoding is None:
            return None
        if encoding.is_text:
            text = text_of(value)
            return text if text is None or encoding.type == "VARCHAR" else cast_text(encoding.type, text)
        position = encoding.position(value)
        return None if position is None else exact_key(position)

    def _key_of(self, label: int) -> int | None:
        value = self.meaning.labels.value(label)
        if isinstance(value, str):
            return self.meaning.numbers.of.get(value)
        return value if isinstance(value, int) else None

    def _labels_of(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        meaning = self.meaning
        if self.is_list:
            return keys
        if meaning.encoding is None or not meaning.encoding.is_text:
            return meaning.labels.add_keys(keys)
        distinct, which = np.unique(keys, return_inverse=True)
        return meaning.labels.add([meaning.numbers.text(key) for key in distinct.tolist()])[which]


def exact_key(position: Position) -> int | None:
    """The key of the one value that a position is of, None where it is none or several."""
    key = position.below + 1
    return key if position == exactly(key) else None


def _sorted(keys: npt.NDArray[np.int64], slots: Slots, size: int) -> SortedSlots:
    order = np.lexsort((slots, keys))
    return SortedSlots(keys[order], slots[order], size)


def _replaced(stale: RowSet | None, changed: RowSet, size: int) -> RowSet | None:
    if stale is None:
        return changed if changed.count else None
    return stale.resized(size) | changed


def _without_stale(piece: _Piece) -> tuple[npt.NDArray[np.int64], Slots]:
    """The keys and slots of the entries of a piece that still hold."""
    keys, slots = piece.order.keys(), piece.order.slots()
    if piece.stale is None:
        return keys, slots
    holds = ~piece.stale.holds(slots)
    return keys[holds], slots[holds]


def _tidied(pieces: list[_Piece], size: int) -> list[_Piece]:
    """The same entries in pieces of which each is larger than the next, few of their entries stale."""
    pieces = [
        replace(piece, order=_sorted(*_without_stale(piece), size), stale=None)
        if piece.stale is not None and piece.stale.count * _STALE_SHARE > len(piece.order)
        else piece
        for piece in pieces
    ]
    while len(pieces) > 1 and len(pieces[-2].order) < _GROWTH * len(pieces[-1].order):
        last, before = pieces.pop(), pieces.pop()
        (keys, slots), (later_keys, later_slots) = _without_stale(before), _without_stale(last)
        merged = np.concatenate([keys, later_keys]), np.concatenate([slots, later_slots])
        pieces.append(replace(before, order=_sorted(*merged, size), stale=None))
    return pieces
