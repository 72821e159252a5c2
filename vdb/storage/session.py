"""Running statements that the caller wrote: a session on a cursor of its own, and a result that outlives it.

A result keeps its cursor, with the DuckDB transaction it was asked in, until it has been read; so what it shows is of
one committed state however late it is read. Inside a write transaction it is taken out at once.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import duckdb

from vdb.errors import InvalidState
from vdb.storage.casts import streamed
from vdb.storage.connection import FATAL, wrapped
from vdb.storage.interchange import Stream
from vdb.storage.read import begun
from vdb.storage.rows import quoted, table_name
from vdb.storage.stop import interruptible, renewal
from vdb.storage.vector_stream import VectorStream
from vdb.storage.zoned import lacks_python_form
from vdb.types import SLOT_COLUMN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vdb.storage.handle import Handle
    from vdb.storage.read import Reader
    from vdb.storage.state import DatabaseState, TableState
    from vdb.types import Slots

T = TypeVar("T")

_VECTORS: Final = "vdb_exported"


class Statement:
    """What one statement may ask of the database, all of it about one state. Belongs to one thread."""

    def __init__(self, handle: Handle, reader: Reader, cursor: duckdb.DuckDBPyConnection, owns_cursor: bool) -> None:
        self._handle = handle
        self._reader = reader
        self._cursor = cursor
        self._owns_cursor = owns_cursor
        self._bound: list[str] = []
        self.given_out = False  # the cursor belongs to a result now
        self._refused = False

    @property
    def failed(self) -> bool:
        """Whether DuckDB refused something, so that what was begun with it is over."""
        return self._refused or self._reader.failed

    @property
    def state(self) -> DatabaseState:
        """The state that every answer is about."""
        return self._reader.state

    def bind(self, name: str, relation: Any) -> None:
        """Let its SQL see a dict of arrays, or an object with `__arrow_c_stream__`, as `name`."""
        with self._asking():
            self._cursor.complete()
            self._cursor.register(name, relation)
        self._bound.append(name)

    def ask(self, sql: str, values: Any = None) -> Any:
        """Run SQL; what it returns has `fetchall` and `fetchnumpy`, to be called before anything else is asked."""
        with self._asking():
            return self._cursor.execute(sql, values or None)

    def answer(self, sql: str, values: Any = None) -> Answer:
        """Run the SQL whose rows are the result of the statement."""
        with self._asking():
            if self._owns_cursor:
                found: Any = self._cursor.execute(sql, values or None)
                description = found.description  # a relation gives columns of one name another
                if lacks_python_form(description):
                    self._cursor.abort()
                    found = self._cursor.sql(sql, params=values or None).materialize()
                self.given_out = True
                return Answer(self._handle, found, self._release, description)
            relation = self._cursor.sql(sql, params=values or None).materialize()
        self._release()
        return Answer(self._handle, relation, lambda: None, relation.description)

    def stream(self, sql: str, values: Any = None) -> Stream:
        """Run SQL for another DuckDB to scan its rows, before this statement is closed."""
        with self._asking():
            return Stream(self._cursor.sql(sql, params=values or None))

    def rows(self, table: TableState, slots: Slots) -> Stream:
        """The live rows in `slots`, which increase, with their vectors, for another DuckDB; until the next call.

        Attributes come in types that a cast makes theirs.
        """
        schema = table.schema
        vectors = [column.name for column in schema.vectors]
        self.bind(_VECTORS, VectorStream(table, vectors, slots))
        shown = [
            f"v.v{vectors.index(column.name)} AS {quoted(column.name)}"
            if column.name in vectors
            else f"CAST(r.{quoted(column.name)} AS {streamed(column.type)}) AS {quoted(column.name)}"
            for column in schema.columns
        ]
        return self.stream(
            f"SELECT {', '.join(shown)} FROM {table_name(schema)} AS r JOIN {_VECTORS} AS v"
            f" ON v.slot = r.{SLOT_COLUMN} ORDER BY r.{SLOT_COLUMN}"
        )

    def columns(self, sql: str, stubs: Mapping[str, Any], values: Any = None) -> list[tuple[str, str]] | None:
        """The names and types of the columns of a query over the committed tables and `stubs`, relations by name.

        None where DuckDB can make no sense of it. Asked on another cursor: in a transaction a failure would end that.
        """
        engine = self._handle.engine
        cursor = engine.lend()
        names: list[str] = []
        try:
            for name, relation in stubs.items():
                cursor.register(name, relation)
                names.append(name)
            found = cursor.execute(f"SELECT * FROM ({sql}\n) LIMIT 0", values or None)
            described = [(name, str(kind)) for name, kind, *_ in found.description]
            found.fetchall()
        except duckdb.Error:
            return None
        finally:
            _forget(cursor, names)
            engine.take_back(cursor)
        return described

    def _release(self) -> None:
        names, self._bound = self._bound, []
        if not self._owns_cursor:
            _forget(self._cursor, names)
            return
        handle = self._handle
        if handle.is_inherited or handle.ended is not None:
            return
        with suppress(duckdb.Error):
            self._cursor.complete()
        handle.engine.end(self._cursor)
        _forget(self._cursor, names)
        handle.engine.take_back(self._cursor)

    def close(self) -> None:
        """Let go of the cursor, unless a result has it."""
        if not self.given_out:
            self._release()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            self._refused = True
            self._reader._fail()
            raise _explained(self._handle, error) from error


class Answer:
    """The rows of one statement, to be read once, in one form."""

    def __init__(self, handle: Handle, found: Any, release: Callable[[], None], description: Sequence[Any]) -> None:
        self._handle = handle
        self._found = found
        self._again = renewal()
        self._release: Callable[[], None] | None = release
        self.description: list[tuple[Any, ...]] = list(description)

    def read(self, take: Callable[[Any], T]) -> T:
        """What `take` makes of an object with `fetchall`, `fetchnumpy`, `df` and `to_arrow_table`.

        InvalidState where the rows were read before, or the database has been closed.
        """
        if self._release is None:
            raise InvalidState("This result was read already. Fix: keep what it gave, or run the statement again.")
        self._handle.check()
        try:
            with self._handle.reading(), self._again() as stop:
                if stop is not None and isinstance(self._found, duckdb.DuckDBPyConnection):
                    stop.add(self._found)
                try:
                    return take(self._found)
                except duckdb.Error as error:
                    raise _explained(self._handle, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Forget the rows; a second call does nothing."""
        release, self._release = self._release, None
        self._found = None
        if release is not None:
            release()

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()


@contextmanager
def running(handle: Handle) -> Iterator[Statement]:
    """Open a statement: in the transaction of this thread where there is one, else on a cursor of its own."""
    handle.check_session()
    current = handle.own_transaction() or handle.session
    if current is not None:
        statement = Statement(handle, current, current._cursor, owns_cursor=False)
        with interruptible(current._cursor):  # of a transaction too, but not its COMMIT
            try:
                yield statement
            finally:
                statement.close()
        return
    with handle.reading():
        cursor = handle.engine.lend()
        try:
            session = begun(handle, cursor)
        except BaseException:
            handle.engine.take_back(cursor)
            raise
        statement = Statement(handle, session, cursor, owns_cursor=True)
        handle.session = session
        try:
            yield statement
        finally:
            handle.session = None
            statement.close()


def _forget(cursor: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    for name in names:
        with suppress(duckdb.Error):  # an aborted transaction refuses, and takes the name with it
            cursor.unregister(name)


def _explained(handle: Handle, error: duckdb.Error) -> Exception:
    if isinstance(error, FATAL):
        handle.end(f"DuckDB failed: {error}. Fix: close the database and open it again.")
    return wrapped(error, "the statement")
