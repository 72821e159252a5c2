"""A write transaction: one over the catalog, the user's tables and the vector files.

Each operation checks what can be checked, then changes DuckDB inside its open transaction and appends vectors as
pending, and last replaces this transaction's table state. What fails after the checks leaves the transaction good for
`rollback` only.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import duckdb

from vdb.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound, VdbError
from vdb.storage import alter, catalog, change, commit, insert, rows
from vdb.storage.commit import Pending
from vdb.storage.compact import Compaction, Work, compacted, summary
from vdb.storage.connection import FATAL, wrapped
from vdb.storage.files import translated
from vdb.storage.read import Reader
from vdb.storage.schema import check_table_name
from vdb.storage.state import ATTRIBUTE_KIND, DatabaseState, Generation, IndexRecord, TableState, VectorState
from vdb.storage.unique import check_unique
from vdb.storage.vector_header import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from vdb.storage.append import NewVectors
    from vdb.storage.batch import Batch
    from vdb.storage.handle import Handle
    from vdb.storage.vectors import Vectors
    from vdb.storage.writer import Owner
    from vdb.types import Column, Slots, StoredMatrix, TableSchema, VectorColumn

_REFUSALS = (InvalidArgument, AlreadyExists, NotFound, InvalidState)  # raised by checks, before anything changes


class WriteTransaction(Reader):
    """The one open write transaction. As a context manager it commits, or rolls back where the body raises.

    Reads through it, and `Store.state` in its thread, include what it has written. `owner` holds the writer mutex.
    """

    def __init__(self, handle: Handle, owner: Owner) -> None:
        super().__init__(handle, handle.engine.writer)
        self.owner = owner
        self._failed = False
        self._done = False
        self._committed = False
        self._abandoned = False
        self._ending = threading.RLock()  # its thread's successor rolls back, a collected generator may at that moment
        self._state = handle.state
        self._pending = Pending(handle, self._cursor, dict(handle.state.tables), handle.state.views)
        self._cursor.execute("BEGIN")

    @property
    def failed(self) -> bool:
        """Whether it can only be rolled back."""
        return self._failed

    @property
    def rolled_back(self) -> bool:
        """Whether it has ended without a commit."""
        return self._done and not self._committed

    @property
    def state(self) -> DatabaseState:
        """What was committed before it, with what it has written."""
        return self._state

    def create_table(self, schema: TableSchema, checks: Sequence[str] = ()) -> None:
        """Create an empty table whose rows satisfy `checks`, expressions that DuckDB keeps.

        AlreadyExists where its name is taken, in any case of letters.
        """
        with self._changing(f"to create table {schema.name}"):
            self._check_free(schema.name)
            rows.create(self._cursor, schema, checks)
            table = TableState.empty(self._handle.next_table_id(), schema)
            sources = {column.name: self._new_vectors(table, column, table.generation) for column in schema.vectors}
            vectors = {name: VectorState(source, source.view(0), None) for name, source in sources.items()}
            table = replace(table, vectors=vectors)
            catalog.add_table(self._cursor, table)
            self._pending.folds_log = True
            self._put(table)

    def drop_table(self, name: str) -> None:
        """Drop a table with its rows, vectors and indexes."""
        with self._changing(f"to drop table {name}"):
            table = self._state.table(name)
            self._handle.home.make_room()
            rows.drop(self._cursor, table.schema)
            catalog.remove_table(self._cursor, table)
            self._pending.dropped += [column.source for column in table.vectors.values()]
            self._pending.folds_log = True
            del self._pending.tables[name]
            self._refresh()

    def rename_table(self, name: str, new: str) -> None:
        """Give a table another name. AlreadyExists where it is taken, in any case of letters."""
        with self._altering(name, f"to rename table {name}") as (table, work):
            if new.casefold() != name.casefold():
                self._check_free(new)
            state = alter.rename_table(table, new, work)
            del self._pending.tables[name]
            self._put(state)

    def add_column(self, table: str, column: Column | VectorColumn, value: object = None) -> None:
        """Add a column with `value` in every row; a vector column has none.

        InvalidArgument where its name is taken or reserved, or it takes no NULL and there are rows without a value.
        """
        with self._altering(table, f"to add {column.name} to table {table}") as (state, work):
            self._put(alter.add_column(state, column, value, work))

    def drop_column(self, table: str, name: str) -> None:
        """Drop a column with its vectors and indexes. InvalidArgument for the key and for the only vector column."""
        with self._altering(table, f"to drop {name} of table {table}") as (state, work):
            self._handle.home.make_room()
            self._put(alter.drop_column(state, name, work))
            if name in state.vectors:
                self._pending.dropped.append(state.vectors[name].source)

    def rename_column(self, table: str, name: str, new: str) -> None:
        """Give a column another name. InvalidArgument where it is taken or reserved."""
        with self._altering(table, f"to rename {name} of table {table}") as (state, work):
            self._put(alter.rename_column(state, name, new, work))

    def set_default(self, table: str, column: str, default: str | None) -> None:
        """Have rows that are added without a value get that of an expression, or NULL. The rows there stay."""
        with self._changing(f"the default of {column} of table {table}"):
            self._pending.folds_log = True
            self._put(alter.set_default(self._state.table(table), column, default, self._cursor))

    def put_view(self, name: str, query: str) -> None:
        """List a view by its query, or replace the one of that name. AlreadyExists where a table has the name."""
        with self._changing(f"to create view {name}"):
            check_table_name(name)
            self._check_free(name, views=False)
            others = {own: text for own, text in self._pending.views.items() if own.casefold() != name.casefold()}
            for replaced in self._pending.views.keys() - others.keys():
                catalog.remove_view(self._cursor, replaced)
            catalog.add_view(self._cursor, name, query)
            self._pending.views = {**others, name: query}
            self._refresh()

    def drop_view(self, name: str) -> None:
        """Forget a view."""
        with self._changing(f"to drop view {name}"):
            catalog.remove_view(self._cursor, name)
            self._pending.views = {own: text for own, text in self._pending.views.items() if own != name}
            self._refresh()

    def insert(self, table: str, batch: Batch) -> int:
        """Add the rows of a batch and return their number.

        AlreadyExists where a key is taken or comes twice, InvalidArgument for unknown columns, NULL where none may be,
        and values that do not cast to the column's type.
        """
        with self._changing(f"the batch for table {table}"):
            self._demand_rows(table, batch.n)
            self._put(insert.insert(self._cursor, self._state.table(table), batch))
        return batch.n

    def upsert(self, table: str, batch: Batch, on: str) -> int:
        """Add the rows of a batch, replacing those with the same primary key `on`, and return their number.

        A replaced row keeps its row id and what the batch has no column for.
        """
        with self._changing(f"the batch for table {table}"):
            state = self._state.table(table)
            if state.schema.key is None or on != state.schema.key:
                key = state.schema.key or "none; declare one as PRIMARY KEY when creating the table"
                raise InvalidArgument(f"upsert needs the primary key of table {table} (it is: {key}), got on={on!r}.")
            self._demand_rows(table, batch.n)
            self._put(insert.upsert(self._cursor, state, batch))
        return batch.n

    def update(
        self,
        table: str,
        slots: Slots,
        values: Mapping[str, object],
        vectors: Mapping[str, StoredMatrix | None] | None = None,
    ) -> int:
        """Set columns of the live rows among `slots` and return how many there were.

        `values` are attributes; `vectors` gives all of them one (dim,) row of the column's dtype, or None to remove it.
        """
        with self._changing(f"the new values for table {table}"):
            if vectors:
                self._demand_rows(table, len(slots))
            state, n = change.update(self._cursor, self._state.table(table), slots, values, vectors or {})
            self._put(state)
        return n

    def assign(
        self, table: str, slots: Slots, columns: tuple[str, ...], vectors: Mapping[str, NewVectors] | None = None
    ) -> int:
        """Give each of the live rows in `slots` values of its own and return how many there were.

        Those of the attributes in `columns` stand by slot in the temporary table of `staged.WrittenRows`.
        """
        with self._changing(f"the new values for table {table}"):
            if vectors:
                self._demand_rows(table, len(slots))
            self._put(change.assign(self._cursor, self._state.table(table), slots, columns, vectors or {}))
        return len(slots)

    def delete(self, table: str, slots: Slots) -> int:
        """Delete the live rows among `slots` and return how many there were."""
        with self._changing(f"to delete from table {table}"):
            self._handle.home.make_room()
            state, n = change.delete(self._cursor, self._state.table(table), slots)
            self._put(state)
        return n

    def compact(self, table: str, progress: Callable[[int, int], None] | None = None) -> Compaction:
        """Give the living rows dense new slots in new vector files and say what that saves; row ids stay.

        Indexes lose their snapshots: who has them under the new slots lists others (`put_index`) in this transaction.
        How old slots are called now is known to the old state's `generation`. `progress` is called with vectors copied
        and vectors in all. InvalidState where this transaction has changed the table, Corrupted where a stored vector
        is damaged, DiskFull where the living rows find no room beside the old files.
        """
        with self._changing(f"to compact table {table}"):
            state = self._state.table(table)
            if state is not self._handle.state.tables.get(table):
                raise InvalidState(f"Table {table} was changed in this transaction. Fix: compact it after the commit.")
            done = summary(state)
            if done.dead_slots:
                self._handle.home.make_room()
                self._pending.folds_log = True
                work = Work(self._cursor, partial(self._new_vectors, state), progress)
                try:
                    self._put(compacted(state, work))
                except BaseException:  # of any class: `progress` is the caller's
                    self._failed = True
                    raise
                self._pending.dropped += [column.source for column in state.vectors.values()]
        return done

    def put_index(self, record: IndexRecord) -> None:
        """List an index, or replace the record of that name."""
        with self._changing(f"to list index {record.name}"):
            table = self._state.table(record.table)
            of_attribute = record.kind == ATTRIBUTE_KIND
            if record.column not in table.schema.by_name or of_attribute == (record.column in table.vectors):
                kind = "an attribute" if of_attribute else "a vector"
                raise InvalidArgument(f"{record.table}.{record.column} is not {kind} column. Fix: index one that is.")
            catalog.put_index(self._cursor, table.id, record)
            self._put(table.with_indexes({**table.all_indexes, record.name: record}))

    def drop_index(self, table: str, name: str) -> None:
        """Forget an index; its snapshot goes with the commit."""
        with self._changing(f"to drop index {name}"):
            state = self._state.table(table)
            records = state.all_indexes
            if records.pop(name, None) is None:
                known = ", ".join(records) or "none"
                raise NotFound(f"Table {table} has no index {name!r}. Indexes: {known}.")
            catalog.remove_index(self._cursor, state.id, name)
            self._put(state.with_indexes(records))

    def commit(self) -> int:
        """Make everything durable and visible; returns the sequence number of the commit.

        DiskFull where there was no room: nothing was changed. CommitOutcomeUnknown where a flush failed.
        """
        self._check()
        try:
            seq = commit.commit(self._pending)
            self._committed = True
            return seq
        finally:
            self._end()

    def rollback(self) -> None:
        """Forget everything; a second call does nothing."""
        if self._handle.is_inherited:
            return
        with self._ending:
            if not self._done:
                try:
                    commit.roll_back(self._pending)
                finally:
                    self._end()

    def abandon(self) -> None:
        """Forget everything, for a thread that has ended and left it open; another one holds the writer mutex now."""
        self._abandoned = True
        self.rollback()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._done and not (self._abandoned and kind is None):
            return
        if kind is None and not self._failed:
            self.commit()
            return
        self.rollback()
        if kind is None:
            raise InvalidState("A call of this transaction failed, so all of it was rolled back.")

    @contextmanager
    def _altering(self, table: str, what: str) -> Iterator[tuple[TableState, alter.Work]]:
        with self._changing(what):
            state = self._state.table(table)
            self._pending.folds_log = True
            yield state, alter.Work(self._cursor, partial(self._new_file, state, state.generation))

    def _check_free(self, name: str, *, views: bool = True) -> None:
        for kind, names in (("table", self._pending.tables), ("view", self._pending.views if views else ())):
            taken = {own.casefold(): own for own in names}
            if (found := taken.get(name.casefold())) is not None:
                raise AlreadyExists(f"There is a {kind} {found!r} already. Fix: choose another name, or drop it first.")

    @contextmanager
    def _changing(self, what: str) -> Iterator[None]:
        self._check()
        try:
            yield
        except _REFUSALS:
            raise
        except duckdb.Error as error:
            self._failed = True
            if isinstance(error, FATAL):
                self._handle.end(f"DuckDB failed: {error}. Fix: close the database and open it again.")
            raise wrapped(error, what) from error
        except OSError as error:
            self._failed = True
            if isinstance(error, VdbError):
                raise
            raise translated(error, "write", self._handle.home.path) from error
        except BaseException:
            self._failed = True
            raise

    def _demand_rows(self, table: str, n: int) -> None:
        """OutOfMemory where the memory limit leaves no room for so many new slots of a table, in its indexes too."""
        state, memory = self._state.table(table), self._handle.memory
        grown = sum(column.source.growth(n) for column in state.vectors.values()) + state.row_id_buffer.growth(n)
        memory.demand(f"{n:,} more rows of table {table}", grown + memory.growth(state.id, n))

    def _fail(self) -> None:
        self._failed = True

    def _check(self) -> None:
        self._handle.check()
        if self._done:
            how = "was rolled back, for its thread had ended" if self._abandoned else "has ended"
            raise InvalidState(f"This transaction {how}. Fix: begin another one.")
        if not self.owner.is_current:
            raise InvalidState("This transaction belongs to another thread. Fix: write in the thread that began it.")
        if self._failed:
            raise InvalidState("An earlier call of this transaction failed. Fix: roll it back and begin another one.")

    def _new_vectors(self, table: TableState, column: VectorColumn, generation: Generation) -> Vectors:
        """A file for a column of the table; it keeps the number it has, and has its place in a table that is new."""
        known = table.vectors.get(column.name)
        number = table.schema.columns.index(column) if known is None else known.source.identity.column
        return self._new_file(table, generation, column, number)

    def _new_file(self, table: TableState, generation: Generation, column: VectorColumn, number: int) -> Vectors:
        home = self._handle.home
        identity = Identity(
            home.uuid, uuid.uuid4(), table.id, number, column.dim, generation.number, dtype=column.dtype
        )
        source = home.new_vectors(identity)
        self._pending.created.append(source)
        return source

    def _put(self, table: TableState) -> None:
        try:
            check_unique(self._cursor, self._pending.tables.get(table.schema.name), table)
        except AlreadyExists:  # of rows that are written
            self._failed = True
            raise
        self._pending.tables[table.schema.name] = table
        self._refresh()

    def _refresh(self) -> None:
        self._state = DatabaseState(self._handle.state.seq, dict(self._pending.tables), self._pending.views)

    def _end(self) -> None:
        self._done = True
        self._handle.transaction = None
        self._handle.writer.release(self.owner)
