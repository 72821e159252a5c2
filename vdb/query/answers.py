"""Row sets that were found before, by what was asked and of which state: the least recently used ones go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Hashable

    from vdb._core import RowSet
    from vdb.query.parameters import Values
    from vdb.storage.state import TableState

_BYTES: Final = 64 << 20
_ENTRY_BYTES: Final = 1 << 10  # about what an entry takes beside its row set
_ITEM_BYTES: Final = 64  # and each item of a list among its values
_ASKED: Final = 4_096
_PLAIN: Final = (str, int, bool, bytes, type(None))  # equal and of one type: the same value


class Answer(NamedTuple):
    """What was found, and what the caller wants to remember with it."""

    rows: RowSet
    more: Any = None


class Answers:
    """Answers about table states; thread-safe. Holds no state alive, nor an answer about one that is gone."""

    def __init__(self, most_bytes: int = _BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[Hashable, tuple[ref[TableState], Answer, int]] = OrderedDict()
        self._asked: dict[int, None] = {}  # the hashes of what was asked once, the oldest first
        self._lock = threading.Lock()

    def get(self, state: TableState, asked: Hashable) -> Answer | None:
        """The answer about exactly this state, None where there is none."""
        key = (state.id, asked)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry[0]() is not state:
                return None
            self._entries.move_to_end(key)
            return entry[1]

    def put(self, state: TableState, asked: Hashable, answer: Answer) -> None:
        """Remember an answer, in place of that to the same question about another state."""
        key = state.id, asked
        size = answer.rows.size // 8 + _ENTRY_BYTES + _size(key)
        with self._lock:
            before = self._entries.pop(key, None)
            self._bytes -= 0 if before is None else before[2]
            if size > self._most_bytes:
                return
            self._entries[key] = ref(state), answer, size
            self._bytes += size
            while self._bytes > self._most_bytes:
                self._bytes -= self._entries.popitem(last=False)[1][2]

    def put_if_again(self, state: TableState, asked: Hashable, answer: Answer) -> None:
        """Remember an answer that costs little from the second time on that it is asked for.

        Most are asked for once, and new memory for each would cost more than the answer does.
        """
        mark = hash((state.id, asked))
        if mark in self._asked:
            self.put(state, asked, answer)
            return
        with self._lock:
            if len(self._asked) >= _ASKED:
                del self._asked[next(iter(self._asked))]
            self._asked[mark] = None

    @property
    def memory_bytes(self) -> int:
        """About what the answers take."""
        return self._bytes


def key_of(values: Values) -> Hashable:
    """Something that is equal for values that DuckDB takes for the same only."""
    if isinstance(values, dict):
        return tuple((name, _key(values[name])) for name in sorted(values))
    return tuple(map(_key, values))


def _key(value: object) -> Hashable:
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if isinstance(value, list):
        kinds = set(map(type, value))
        if len(kinds) == 1 and kinds.issubset(_PLAIN):
            return kinds.pop(), tuple(value)
        return list, tuple(map(_key, value))
    return kind, repr(value)  # 0.0 and -0.0, 1.0 and 1.00, an hour in two zones: equal, but not the same


def _size(asked: tuple[Hashable, ...]) -> int:
    """About what a question takes, which is what its lists do."""
    size = _ITEM_BYTES * len(asked)
    for item in asked:
        if isinstance(item, tuple):
            size += _size(item)
    return size
