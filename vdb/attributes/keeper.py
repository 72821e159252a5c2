"""The attribute indexes of a database: read from DuckDB when first needed, then brought along with the commits."""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from vdb._core import RowSet
from vdb.attributes.column import ColumnIndex, Meaning, Part
from vdb.attributes.keys import KEY_MAX
from vdb.attributes.source import Holds, columns_of, sql_of
from vdb.attributes.spec import check_indexable, encoding_for
from vdb.attributes.texts import Exhausted, Labels, Numbers
from vdb.errors import AlreadyExists, InvalidArgument, InvalidState, VdbError
from vdb.storage.rows import ColumnQuery
from vdb.storage.state import ATTRIBUTE_KIND, IndexRecord
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from vdb.attributes.source import Source
    from vdb.storage.read import Reader
    from vdb.storage.state import TableState
    from vdb.storage.store import Store
    from vdb.types import Slots, TableSchema

_log = logging.getLogger(__name__)

_RECENT: Final = 4  # views of a column that are kept beside the newest, for searches that began before a commit
_ATTEMPTS: Final = 100
_BYTES_PER_ROW: Final = 12  # a key and a slot
_NONE: Final = np.empty(0, np.uint32)


class Unreadable(InvalidArgument):
    """DuckDB cannot give the keys of the column, as where memory_limit leaves no room for it."""


class Outdated(InvalidState):
    """The column has changed since that state, whose values are nowhere any more; ask for those of a newer state."""


@dataclass
class _Kept:
    """What there is of one column. `used` says whether anybody asked for it since it was brought along last."""

    meaning: Meaning
    type: str  # of the columns it is read from, as declared
    lock: threading.Lock = field(default_factory=threading.Lock)  # while it is read
    newest: ColumnIndex | None = None
    recent: deque[ColumnIndex] = field(default_factory=lambda: deque(maxlen=_RECENT))
    used: bool = False

    def find(self, state: TableState) -> ColumnIndex | None:
        view = self.newest
        if view is not None and view.is_of(state):
            return view
        return next((older for older in tuple(self.recent) if older.is_of(state)), None)


class Attributes:
    """The columns of an open database as keys. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._columns: dict[tuple[int, Source, bool], _Kept] = {}  # by table, column, and whether values are known
        self._lock = threading.Lock()
        store.memory.hold(self._held)

    def column(self, state: TableState, name: Source) -> ColumnIndex:
        """A column exactly as it is in a committed state, or in that of this thread's transaction, which is read anew.

        InvalidArgument where there is no such column, or its type has no order (`vdb.Attribute`); Outdated where the
        state is older than what memory and DuckDB have.
        """
        kept = self._kept(state, name, True)
        if kept is None:
            found = encoding_for(state.schema, name)
            if found is None and isinstance(name, str):
                check_indexable(state.schema, name)
            assert found is not None
            kept = self._place(state, Meaning(name, *found, Numbers(), Labels()))
        return self._current(kept, state)

    def nulls(self, state: TableState, name: str) -> RowSet:
        """The slots where a column of any type is NULL in a committed state; Outdated as for `column`."""
        declared = state.schema.by_name[name]
        if isinstance(declared, VectorColumn):
            present = state.vectors[name].present
            return RowSet.none(state.next_slot) if present is None else ~present
        if not declared.nullable:
            return RowSet.none(state.next_slot)
        kept = self._kept(state, name, True) or self._kept(state, name, False)
        if kept is None:
            kept = self._place(state, Meaning(name, None, False, Numbers(), Labels()))
        return self._current(kept, state).null

    def is_known(self, state: TableState, name: str) -> bool:
        """Whether a column is in memory as of a state."""
        kept = self._columns.get((state.id, name, True))
        return kept is not None and kept.find(state) is not None

    def follow(self, *tables: str) -> None:
        """After a commit: bring the columns of these tables along that were used since the last time; free others.

        A column that nobody used meanwhile is brought along when it is next asked for.
        """
        database = self._store.committed
        known = {table.id: _sources_of(table) for table in database.tables.values()}
        with self._lock:
            for key in [key for key in self._columns if key[1] not in known.get(key[0], ())]:
                del self._columns[key]
            columns = list(self._columns.items())
        for state in [database.tables[name] for name in tables if name in database.tables]:
            for (table, _, _), kept in columns:
                if table == state.id and kept.used and kept.find(state) is None:
                    self._try_to_bring_along(kept, state)
                    kept.used = False

    def create(self, table: str, column: str, name: str | None = None) -> IndexRecord:
        """List an index of a column and read it; AlreadyExists where the name is taken."""
        check_indexable(self._store.state.table(table).schema, column)
        chosen = f"{table}_{column}_{ATTRIBUTE_KIND}" if name is None else name
        record = self.put(IndexRecord(chosen, table, column, ATTRIBUTE_KIND, {}))
        self._newest(table, column)
        return record

    def put(self, record: IndexRecord) -> IndexRecord:
        """List an index; AlreadyExists where its name is taken, or it is unique and the rows are not."""
        if self._store.transaction is not None:
            raise InvalidState("An index cannot be created inside a transaction. Fix: create it after the commit.")
        table, name = record.table, record.name
        if not isinstance(name, str) or not name.strip():
            raise InvalidArgument(
                f"the name of an index must be a name, got {name!r}.\n  Fix: pass a string that is not empty."
            )
        with self._store.begin() as transaction:
            if name in transaction.state.table(table).all_indexes:
                raise AlreadyExists(f"Table {table} has an index {name!r}. Fix: drop it first, or pass name=.")
            transaction.put_index(record)
        return record

    def drop(self, table: str, name: str) -> None:
        """Forget the record of an index; what is in memory stays while it is used."""
        transaction = self._store.transaction
        if transaction is not None:
            transaction.drop_index(table, name)
            return
        column = self._store.state.table(table).attribute_indexes[name].column
        with self._store.begin() as own:
            own.drop_index(table, name)
        state = self._store.state.table(table)
        with self._lock:
            self._columns.pop((state.id, column, True), None)

    def size_of(self, record: IndexRecord) -> tuple[int, int]:
        """The slots that the index of a record covers and the bytes it takes, (0, 0) where it is not in memory."""
        state = self._store.state.tables.get(record.table)
        kept = None if state is None else self._columns.get((state.id, record.column, True))
        view = None if kept is None else kept.newest
        return (0, 0) if view is None else (view.next_slot, view.memory_bytes)

    def _held(self) -> int:
        """Bytes of the columns in memory."""
        newest = [kept.newest for kept in list(self._columns.values())]
        return sum(view.memory_bytes for view in newest if view is not None)

    def _newest(self, table: str, column: str) -> ColumnIndex:
        """A column in the newest committed state, however many commits pass."""
        for _ in range(_ATTEMPTS):
            with suppress(Outdated):
                return self.column(self._store.committed.table(table), column)
        raise InvalidState("Commits follow one another faster than a column can be read. Fix: try again.")

    def _kept(self, state: TableState, name: Source, valued: bool) -> _Kept | None:
        """The place of a column, None where there is none yet or it is of another column that had the name."""
        kept = self._columns.get((state.id, name, valued))
        return kept if kept is not None and kept.type == _type_of(state.schema, name) else None

    def _place(self, state: TableState, meaning: Meaning) -> _Kept:
        """The place of a column; it begins anew where another one had the name."""
        key, declared = (state.id, meaning.column, meaning.encoding is not None), _type_of(state.schema, meaning.column)
        with self._lock:
            kept = self._columns.get(key)
            if kept is None or kept.type != declared:
                kept = self._columns[key] = _Kept(meaning, declared)
            return kept

    def _current(self, kept: _Kept, state: TableState) -> ColumnIndex:
        kept.used = True
        view = kept.find(state)
        if view is not None:
            return view
        with kept.lock:
            view = kept.find(state)
            if view is None:
                view = self._bring_along(kept, state)
        if view is None or not view.is_of(state):
            raise Outdated(f"Table {state.schema.name} was changed meanwhile. Fix: search again.")
        return view

    def _try_to_bring_along(self, kept: _Kept, state: TableState) -> None:
        """The commit stands whatever happens here: a column that cannot be read now is read when it is needed."""
        try:
            with kept.lock:
                self._bring_along(kept, state)
        except (VdbError, MemoryError) as error:
            _log.warning("column %s of table %s was not read: %s", kept.meaning.column, state.schema.name, error)

    def _bring_along(self, kept: _Kept, state: TableState) -> ColumnIndex | None:
        """Read what has changed up to the newest state, under the lock of the column."""
        try:
            return self._read_changes(kept, state)
        except InvalidArgument as error:
            raise Unreadable(str(error)) from error

    def _read_changes(self, kept: _Kept, state: TableState) -> ColumnIndex | None:
        with self._store.read() as session:
            name = state.schema.name
            now = session.state.tables.get(name)
            if now is None or now.id != state.id:
                return None
            if self._store.transaction is not None and now is not self._store.committed.tables.get(name):
                return _read_anew(session, kept.meaning, now)[0]  # for this call only: it may be rolled back
            view = kept.find(now)
            if view is not None:
                return view
            before = kept.newest
            view = None if before is None else _extended(session, before, now)
            if view is None:
                self._store.memory.demand(f"column {kept.meaning.column}", _BYTES_PER_ROW * now.live.count)
                view, kept.meaning = _read_anew(session, kept.meaning, now)
        if before is not None and before.moment.generation is now.generation:
            kept.recent.appendleft(before)
        else:
            kept.recent.clear()
        kept.newest = view
        return view


def _sources_of(table: TableState) -> set[Source]:
    """What may be asked for of a table."""
    partial = (record for record in table.indexes.values() if "where" in record.params)
    return {*table.schema.by_name, *map(Holds.of, partial)}


def _type_of(schema: TableSchema, name: Source) -> str:
    return ", ".join(schema.by_name[column].type for column in columns_of(name))


def _extended(session: Reader, before: ColumnIndex, now: TableState) -> ColumnIndex | None:
    """The column as of a later state by what has changed since, None where all of it is to be read."""
    moment, name = before.moment, before.meaning.column
    if moment.generation is not now.generation or moment.rewrites > now.rewrites.count:
        return None
    changed = now.rewrites.since(columns_of(name), moment.rewrites)
    if changed is None or len(changed) * 2 > moment.next_slot:
        return None
    changed = changed[changed < moment.next_slot]
    try:
        part = _read(session, now, before.meaning, moment.next_slot, changed)
    except Exhausted:
        return None
    return before.extended(part, now)


def _read_anew(session: Reader, meaning: Meaning, now: TableState) -> tuple[ColumnIndex, Meaning]:
    """The whole column; texts get new numbers, and no value another label."""
    fresh = Meaning(meaning.column, meaning.encoding, meaning.is_list, Numbers(), meaning.labels)
    view = ColumnIndex.empty(fresh, now)
    return view.extended(_read(session, now, fresh, 0, _NONE), now), fresh


def _read(session: Reader, now: TableState, meaning: Meaning, first: int, changed: Slots) -> Part:
    """What DuckDB has of a column in the slots from `first` on and in those that were changed."""
    table, name, encoding = now.schema.name, meaning.column, meaning.encoding
    ranges: list[int | Slots] = [first] if first < now.next_slot or first == 0 else []
    if len(changed):
        ranges.append(changed)
    slots, values, null = [_NONE], [], [_NONE]
    for which in ranges:
        if isinstance(name, str) and now.schema.by_name[name].nullable:
            null.append(session.nulls(table, name, which))
        if encoding is not None:
            found = session.values(table, ColumnQuery(sql_of(name), encoding.sql, meaning.is_list), which)
            slots.append(found[0])
            values.append(found[1])
    keys = [np.empty(0, np.int64), *(_keys(meaning, some) for some in values)]
    return Part(*_distinct(meaning, np.concatenate(keys), np.concatenate(slots)), np.concatenate(null), changed)


def _keys(meaning: Meaning, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    assert meaning.encoding is not None
    if not meaning.encoding.is_text:
        keys = meaning.encoding.keys(values)
        return meaning.labels.add_keys(keys) if meaning.is_list else keys
    texts: list[str] = values.tolist()
    if meaning.is_list:
        return meaning.labels.add(texts)
    meaning.numbers.add(texts)
    return np.fromiter(map(meaning.numbers.of.__getitem__, texts), np.int64, len(texts))


def _distinct(meaning: Meaning, keys: npt.NDArray[np.int64], slots: Slots) -> tuple[npt.NDArray[np.int64], Slots]:
    """Keys by slot, an item that a list has twice only once."""
    if not meaning.is_list:
        return keys, slots
    assert len(keys) == 0 or 0 <= int(keys.max()) < KEY_MAX >> 32
    both = keys << 32 | slots.astype(np.int64)
    both.sort()
    both = both[np.append(True, both[1:] != both[:-1])[: len(both)]]
    return both >> 32, (both & 0xFFFF_FFFF).astype(np.uint32)
