"""Reading rows: a session sees one committed state, in memory and in DuckDB, however many commits pass meanwhile."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from vdb._core import ABSENT_SLOT
from vdb.dtypes import shown
from vdb.errors import InvalidArgument, InvalidState, PredicateError
from vdb.storage import catalog, rows
from vdb.storage.connection import FATAL, wrapped
from vdb.storage.state import DatabaseState, TableState, check_columns
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vdb.storage.handle import Handle
    from vdb.storage.rows import ColumnQuery
    from vdb.types import Predicate, Slots

_ATTEMPTS: Final = 100  # each fails only if several commits pass between two statements


class Reader(ABC):
    """What a read session and a write transaction (which reads its own writes) have in common.

    Belongs to one thread, for the time of its `with` block. Results of `fetch` must be taken out before that ends.
    """

    def __init__(self, handle: Handle, cursor: duckdb.DuckDBPyConnection) -> None:
        self._handle = handle
        self._cursor = cursor

    @property
    def cursor(self) -> duckdb.DuckDBPyConnection:
        """DuckDB's, inside the transaction that this reads in; storage's own."""
        return self._cursor

    @property
    def failed(self) -> bool:
        """Whether what it is part of can only be rolled back."""
        return False

    @property
    @abstractmethod
    def state(self) -> DatabaseState:
        """The state that every answer of this reader is about."""

    def slots(self, table: str, predicate: Predicate | None = None) -> Slots:
        """The slots of the rows for which `predicate` is TRUE, of every row where it is None; any order, uint32.

        NotFound where there is no such table, PredicateError where a row makes the predicate fail.
        """
        found = self._table(table)
        if predicate is None:
            return found.live.to_slots()
        with self._asking(f"where {predicate.sql}", PredicateError):
            return rows.matching(self._cursor, found.schema, predicate)

    def values(self, table: str, query: ColumnQuery, which: int | Slots = 0) -> tuple[Slots, npt.NDArray[Any]]:
        """Slots and what `query` makes of the values of a column, or of items of its lists, where they are not NULL.

        Of the rows from slot `which` on, or of those in the slots `which`; (n,) each, in any order.
        """
        found = self._table(table)
        with self._asking(f"to read {query.column} of table {table}"):
            return rows.values(self._cursor, found.schema, query, which)

    def nulls(self, table: str, column: str, which: int | Slots = 0) -> Slots:
        """The slots where a column is NULL, in any order; as `values` for `which`."""
        found = self._table(table)
        with self._asking(f"to read {column} of table {table}"):
            return rows.nulls(self._cursor, found.schema, column, which)

    def fetch(
        self,
        table: str,
        slots: Slots,
        columns: Sequence[str],
        extra: dict[str, npt.NDArray[Any]] | None = None,
    ) -> duckdb.DuckDBPyConnection:
        """Run the query for `columns` of the live rows in `slots`, in that order, and for `extra` beside them.

        Parameters
        ----------
        slots : (n,) uint32; a slot may come twice
        extra : dict of (n,) arrays
            Further columns of the result, such as distances.

        Returns
        -------
        An object with `fetchall`, `fetchnumpy`, `df` and `to_arrow_table`, to be read before anything else is asked;
        vector columns are FLOAT[dim], or TINYINT[dim] where they store int8.
        """
        found = self._table(table)
        hidden = found.schema.row_id_column
        check_columns(found.schema, tuple(name for name in columns if name != hidden))
        wanted = {name: _as_lists(found, name, slots) if name in found.vectors else None for name in columns}
        with self._asking(f"to read {', '.join(columns)} of table {table}"):
            return rows.select(self._cursor, found.schema, slots, wanted, extra or {})

    def slots_of_keys(self, table: str, keys: Sequence[object] | npt.NDArray[Any]) -> Slots:
        """The slot of each primary key (row id where the table has none), ABSENT_SLOT where there is no such row."""
        found = self._table(table)
        result = np.full(len(keys), ABSENT_SLOT, np.uint32)
        if len(keys):
            with self._asking(f"these keys of table {table}"):
                positions, slots = rows.slots_of_keys(self._cursor, found.schema, _as_keys(found, keys))
            result[positions] = slots
        return result

    def _check(self) -> None:
        self._handle.check_session()

    def _table(self, name: str) -> TableState:
        self._check()
        return self.state.table(name)

    def _fail(self) -> None:  # noqa: B027 -- nothing to do unless a transaction is aborted by it
        """DuckDB refused a statement."""

    @contextmanager
    def _asking(self, what: str, raised: type[InvalidArgument] | None = None) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            self._fail()
            if isinstance(error, FATAL):
                self._handle.end(f"DuckDB failed: {error}. Fix: close the database and open it again.")
            failure = wrapped(error, what)
            if raised is not None and isinstance(failure, InvalidArgument):
                raise raised(str(failure)) from error
            raise failure from error


class ReadSession(Reader):
    """One committed state, held by a DuckDB transaction of this thread's cursor."""

    def __init__(self, handle: Handle, cursor: duckdb.DuckDBPyConnection, state: DatabaseState) -> None:
        super().__init__(handle, cursor)
        self._state = state

    @property
    def state(self) -> DatabaseState:
        """The state this session began with."""
        return self._state


@contextmanager
def read(handle: Handle) -> Iterator[Reader]:
    """Open a read session. Inside a transaction of this thread, or another session, that one is returned."""
    handle.check_session()
    current = handle.own_transaction() or handle.session
    if current is not None:
        yield current
        return
    with handle.reading():
        session = begun(handle, handle.engine.cursor())
        handle.session = session
        try:
            yield session
        finally:
            handle.session = None
            handle.engine.end(session._cursor)


def matching(handle: Handle, table: str, predicate: Predicate | None) -> tuple[DatabaseState, Slots]:
    """The slots that match and the state they are of, in one statement where no commit is under way."""
    handle.check()
    current = handle.own_transaction() or handle.session
    state = handle.state
    if current is None and predicate is None:
        return state, state.table(table).live.to_slots()
    if current is None and handle.newest is state:
        with handle.reading():
            slots = ReadSession(handle, handle.engine.cursor(), state).slots(table, predicate)
        if handle.newest is state:  # then no commit became visible while the statement ran
            return state, slots
    with read(handle) as session:
        return session.state, session.slots(table, predicate)


def begun(handle: Handle, cursor: duckdb.DuckDBPyConnection) -> ReadSession:
    """A session on a cursor, over the state that goes with what the cursor sees."""
    try:
        for _ in range(_ATTEMPTS):
            cursor.execute("BEGIN")
            state = handle.state_of(catalog.last_seq(cursor))
            if state is not None:
                return ReadSession(handle, cursor, state)
            cursor.execute("ROLLBACK")
    except duckdb.Error as error:
        handle.engine.end(cursor)
        raise wrapped(error, "to begin a read") from error
    raise InvalidState("Commits follow one another faster than a read can begin. Fix: try again.")


def _as_lists(table: TableState, column: str, slots: Slots) -> npt.NDArray[np.object_]:
    vectors, declared = table.vectors[column], table.schema.by_name[column]
    assert isinstance(declared, VectorColumn)
    lists = np.empty(len(slots), object)
    values = shown(vectors.data[slots], declared.dtype)
    for position, row in enumerate(values.tolist()):
        if vectors.present is None or int(slots[position]) in vectors.present:
            lists[position] = row
    return lists


def _as_keys(table: TableState, keys: Sequence[object] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    key = table.schema.key
    integer = key is None or table.schema.integer_key is not None
    array = np.asarray(keys) if integer else np.asarray(keys, object)
    if array.ndim != 1:
        raise InvalidArgument(f"Keys of table {table.schema.name} must be a flat list, got shape {array.shape}.")
    if integer and array.dtype.kind not in "iu":
        raise InvalidArgument(
            f"Keys of table {table.schema.name} are integers ({key or 'row ids'}), got {array.dtype}."
            " Fix: pass integers."
        )
    return array
