"""DB-API 2.0 (PEP 249): `vdb.dbapi.connect("papers.vdb")` for callers that know databases by it, as pandas does.

Parameters are `?`; `$name` with a mapping works too. A connection begins a transaction with its first write and ends it
with `commit` or `rollback`, unless `autocommit` is on; reads need none.
"""

from __future__ import annotations

import datetime
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

import vdb.opening
from vdb import errors
from vdb.sql.session import Session

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from vdb.database import Database
    from vdb.sql.result import Result

apilevel: Final = "2.0"
threadsafety: Final = 1  # threads may share the module, not connections
paramstyle: Final = "qmark"

# The classes PEP 249 asks for, as names of those that vdb raises.
Warning = UserWarning  # noqa: A001
Error = errors.VdbError
InterfaceError = errors.InvalidState
DatabaseError = errors.VdbError
DataError = errors.InvalidArgument
OperationalError = errors.VdbError
IntegrityError = errors.AlreadyExists
InternalError = errors.Corrupted
ProgrammingError = errors.InvalidArgument
NotSupportedError = errors.InvalidArgument

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
DateFromTicks = datetime.date.fromtimestamp
TimestampFromTicks = datetime.datetime.fromtimestamp
Binary = bytes


def TimeFromTicks(ticks: float) -> datetime.time:
    """The time of day of a moment in seconds since 1970."""
    return datetime.datetime.fromtimestamp(ticks).time()


class _Type:
    """A group of column types, equal to each of them in a `description`."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __eq__(self, other: object) -> bool:
        return str(other).upper().startswith(self._names)

    def __hash__(self) -> int:
        return hash(self._names)


STRING: Final = _Type("VARCHAR", "UUID", "ENUM")
BINARY: Final = _Type("BLOB")
_INTEGERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
NUMBER: Final = _Type(*_INTEGERS, *(f"U{name}" for name in _INTEGERS), "FLOAT", "DOUBLE", "DECIMAL")
DATETIME: Final = _Type("DATE", "TIME", "INTERVAL")
ROWID: Final = _Type("BIGINT")


def connect(database: str | os.PathLike[str] | Database, **options: Any) -> Connection:
    """Open a database, or speak to one that is open: then closing the connection leaves it open.

    `options` are those of `vdb.connect`.
    """
    if isinstance(database, vdb.database.Database):
        return Connection(database, owns=False)
    return Connection(vdb.opening.connect(database, **options), owns=True)


class Connection:
    """A session of SQL with transactions as DB-API has them.

    Attributes
    ----------
    autocommit : bool
        Whether every statement is a commit of its own; False at first.
    """

    def __init__(self, database: Database, owns: bool) -> None:
        self._database: Database | None = database
        self._owns = owns
        self._session = Session(database, self._begin)
        self._open: ExitStack | None = None
        self.autocommit = False

    def cursor(self) -> Cursor:
        """A cursor; those of one connection share its transaction."""
        self._check()
        return Cursor(self)

    def execute(self, statement: str, parameters: object = None) -> Cursor:
        """Run a statement on a new cursor."""
        return self.cursor().execute(statement, parameters)

    def commit(self) -> None:
        """Make what was written since the last commit or BEGIN durable; without writes nothing happens."""
        self._check()
        if (transaction := self._taken()) is not None:
            transaction.close()

    def rollback(self) -> None:
        """Undo what was written since the last commit."""
        self._check()
        transaction = self._taken()
        if transaction is not None:
            error = errors.InvalidState("The transaction was rolled back.")
            with suppress(errors.InvalidState):
                transaction.__exit__(type(error), error, None)

    def close(self) -> None:
        """Undo what is not committed and let go of the database; a second call does nothing."""
        if self._database is not None:
            self.rollback()
            if self._owns:
                self._database.close()
            self._database = None

    def run(self, statement: str, parameters: object) -> Result:
        """Run a statement inside of this connection's transaction."""
        self._check()
        return self._session.run(statement, parameters)

    def _begin(self) -> None:
        """Begin a transaction before the first write."""
        database = self._database
        assert database is not None
        if not self.autocommit and self._open is None and database.store.transaction is None:
            self._open = ExitStack()
            self._open.enter_context(database.transaction())

    def _taken(self) -> ExitStack | None:
        transaction, self._open = self._open, None
        return transaction or self._session.taken()

    def _check(self) -> None:
        if self._database is None:
            raise errors.InvalidState("This connection is closed. Fix: connect again.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None and self._database is not None:
            self.commit()
        self.close()


class Cursor:
    """Runs statements and hands out the rows of the last one.

    Attributes
    ----------
    arraysize : int
        Rows that `fetchmany` returns unless it is told.
    rowcount : int
        Rows the last statement wrote, -1 where it wrote none.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.arraysize = 1
        self.rowcount = -1
        self._result: Result | None = None
        self._closed = False

    @property
    def description(self) -> list[tuple[Any, ...]] | None:
        """Name, type and five times None for each column of the rows; None where there are none."""
        described = None if self._result is None else self._result.description
        return None if described is None else [(name, str(kind), *rest) for name, kind, *rest in described]

    def execute(self, statement: str, parameters: object = None) -> Cursor:
        """Run a statement."""
        self._check()
        if self._result is not None:
            self._result.close()
            self._result = None
        self._result = self.connection.run(statement, parameters)
        self.rowcount = self._result.rowcount
        return self

    def executemany(self, statement: str, parameters: Sequence[object]) -> Cursor:
        """Run a statement once for each of the parameters, in one transaction but for `autocommit`."""
        written = 0
        for one in parameters:
            self.execute(statement, one)
            written += max(self.rowcount, 0)
        self.rowcount = written
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, None behind the last."""
        return self._rows().fetchone()

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next rows, `arraysize` of them by default."""
        return self._rows().fetchmany(self.arraysize if size is None else size)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that are left."""
        return self._rows().fetchall()

    def setinputsizes(self, sizes: object) -> None:
        """Nothing: values have their own types."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Nothing: columns are read whole."""

    def close(self) -> None:
        """Forget the rows; a second call does nothing."""
        if self._result is not None:
            self._result.close()
        self._closed = True

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _rows(self) -> Result:
        self._check()
        if self._result is None or self._result.description is None:
            raise errors.InvalidState("The last statement returned no rows. Fix: execute a query first.")
        return self._result

    def _check(self) -> None:
        if self._closed:
            raise errors.InvalidState("This cursor is closed. Fix: ask the connection for another one.")
