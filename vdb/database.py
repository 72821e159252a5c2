"""A database: tables by name, transactions, and the one place where a commit reaches the indexes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vdb.attributes.keeper import Attributes
from vdb.errors import InvalidArgument, InvalidState, VdbError
from vdb.index.manager import IndexManager
from vdb.index.snapshot import Snapshots
from vdb.index.spec import check_integer, check_name, check_progress
from vdb.query.execute import Executor
from vdb.query.resolve import Resolver
from vdb.sql.session import Session
from vdb.storage.batch import make_batch
from vdb.storage.handout import hand_out
from vdb.storage.infer import infer_schema
from vdb.storage.schema import parse_column, parse_schema
from vdb.storage.stop import Stops
from vdb.table import Table
from vdb.transfer import export_table, import_table
from vdb.upkeep import Upkeep

if TYPE_CHECKING:
    import os
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt
    from duckdb import DuckDBPyConnection
    from typing_extensions import Self

    from vdb.metrics.custom import CustomMetric
    from vdb.sql.result import Result
    from vdb.storage.compact import Compaction
    from vdb.storage.report import RecoveryReport
    from vdb.storage.store import Store, WriteTransaction
    from vdb.types import Metric


_log = logging.getLogger(__name__)


class Database:
    """An open database. Any thread may use it; writes take turns. Close it, or use it in a `with` block.

    The end of that block closes it in any case. A transaction that SQL began there and did not end is rolled back,
    which is InvalidState unless the block raises.
    """

    def __init__(self, store: Store, threads: int = 0) -> None:
        self._threads = threads
        self._serve(store)
        self.session = Session(self)
        self.stops = Stops()
        self._upkeep = Upkeep(self)

    def _serve(self, store: Store) -> None:
        attributes = Attributes(store)
        indexes = IndexManager(store, attributes, self._threads)
        resolver = Resolver(store, attributes)
        executor = Executor(store, indexes, resolver, self._threads)
        self.attributes, self.indexes, self.resolver, self.executor = attributes, indexes, resolver, executor
        self.store = store

    @property
    def path(self) -> Path | None:
        """The directory; None for ":memory:"."""
        return self.store.path

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self.store.read_only

    def create_table(
        self,
        name: str,
        schema: Any,
        *,
        key: str | None = None,
        metric: Metric | Mapping[str, Metric] = "l2",
        **vectors: npt.ArrayLike,
    ) -> Table:
        """Create a table, from a declaration or from data, which it then holds.

        Parameters
        ----------
        name : str
            Not taken yet.
        schema : mapping of str to str, or data as for `Table.add`
            A DuckDB type for each column, with `PRIMARY KEY` or `NOT NULL` behind it. A vector is `FLOAT[n]`, or in
            fewer bytes `FLOAT16[n]`, `BFLOAT16[n]` or, of whole numbers from -128 to 127, `TINYINT[n]`.
        key : str, optional
            The primary key where the schema is read from data.
        metric : {"l2", "cosine", "ip"}, or mapping of column to these
            What distance means, by vector column.
        **vectors : array_like
            Vector columns beside data, (n, dim). A numpy array of float16, bfloat16 or int8 keeps its dtype, as a
            column of float16 or int8 in an Arrow table or polars frame does; all else becomes float32.

        Raises
        ------
        AlreadyExists
            The name is taken.
        InvalidArgument
            A name, type, key or metric is not valid, or the data is not.
        """
        if isinstance(schema, Mapping) and not vectors and all(isinstance(value, str) for value in schema.values()):
            if key is not None:
                raise InvalidArgument(f"key is for tables made from data.\n  Fix: declare {key!r} as PRIMARY KEY.")
            declared = parse_schema(name, schema, metric)
            with self.writing(name) as transaction:
                transaction.create_table(declared)
            return Table(self, name)
        found = infer_schema(name, schema, vectors, key, metric)
        batch = make_batch(found, schema, vectors)
        with self.writing(name) as transaction:
            transaction.create_table(found)
            try:
                transaction.insert(name, batch)
            except VdbError:
                with suppress(InvalidState):  # the transaction has failed; it can only be rolled back
                    transaction.drop_table(name)
                raise
        return Table(self, name)

    def table(self, name: str) -> Table:
        """Return a table; NotFound with the nearest name where there is none."""
        self.store.state.table(check_name("a table", name))
        return Table(self, name)

    def tables(self) -> list[str]:
        """Return the names of the tables."""
        return list(self.store.state.tables)

    def drop_table(self, name: str) -> None:
        """Drop a table with its rows, vectors and indexes."""
        with self.writing(check_name("a table", name)) as transaction:
            transaction.drop_table(name)

    def rename_table(self, name: str, new: str) -> Table:
        """Give a table another name; AlreadyExists where it is taken. Returns it: a `Table` goes by its name."""
        with self.writing(check_name("a table", name)) as transaction:
            transaction.rename_table(name, check_name("the new name of a table", new))
        return Table(self, new)

    def add_column(
        self,
        table: str,
        name: str,
        type: str,  # noqa: A002
        *,
        default: object = None,
        metric: Metric = "l2",
    ) -> None:
        """Add a column to a table, in one commit.

        `type` is as `create_table` takes it, `NOT NULL` included, `PRIMARY KEY` not. Rows that are there have
        `default`, or NULL; a vector column takes none, `update` sets it; `metric` is of such a column. InvalidArgument
        where the name is taken or reserved, the type is unknown, or rows would lack a value that is declared NOT NULL.
        """
        column = parse_column(table, check_name("the column to add", name), type, metric)
        with self.writing(check_name("a table", table)) as transaction:
            transaction.add_column(table, column, default)

    def drop_column(self, table: str, name: str) -> None:
        """Drop a column with its values and the indexes that read it.

        InvalidArgument for the primary key and for the only vector column.
        """
        with self.writing(check_name("a table", table)) as transaction:
            transaction.drop_column(table, check_name("the column to drop", name))

    def rename_column(self, table: str, name: str, new: str) -> None:
        """Give a column another name, which its indexes follow; InvalidArgument where it is taken or reserved."""
        with self.writing(check_name("a table", table)) as transaction:
            transaction.rename_column(
                table, check_name("the column to rename", name), check_name("the new name of a column", new)
            )

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """Make the writes of a `with` block one commit: all of them, or none where the block raises.

        Reads of this thread inside the block see them; other threads do not until the block ends, and wait for it
        before they write. What a thread has left open when it ends is rolled back by the next write.
        """
        with self.store.begin() as transaction:
            yield self
            touched = list(transaction.state.tables)
        self._upkeep.after_commit(*touched)

    @contextmanager
    def writing(self, table: str) -> Iterator[WriteTransaction]:
        """The open transaction of this thread, or one of its own around the block; then the table's indexes follow."""
        current = self.store.transaction
        if current is not None:
            yield current
            return
        with self.store.begin() as own:
            yield own
        self._upkeep.after_commit(table)

    def compact(self, table: str, progress: Callable[[int, int], None] | None = None) -> Compaction:
        """Do what `Table.compact` says."""
        if self.store.transaction is not None:
            raise InvalidState("A table cannot be compacted inside a transaction. Fix: compact it after the commit.")
        check_progress(progress)
        with self.store.begin() as transaction:
            return self._upkeep.compact(transaction, check_name("a table", table), progress)

    def sql(self, statement: str, params: object = None, *, timeout: float | None = None) -> Result:
        """Run SQL: DuckDB's, over the tables of this database with their vectors.

        Parameters
        ----------
        statement : str
            One statement, or several with semicolons between them: the result is that of the last. Nearest rows, by
            `ORDER BY embedding <-> ? LIMIT 10` and the like, are found by the planner of `Table.search`, everything
            else by DuckDB. Writes go through the one commit of every write.
        params : sequence or mapping, optional
            Values for `?` in order, or for `$name`: numpy vectors need no cast. They are never spliced into the text.
        timeout : float, optional
            Seconds for running it and for reading its rows. A commit that has begun is finished.

        Returns
        -------
        Result
            `fetchall()`, `df()`, `arrow()`, `pl()`, `fetchnumpy()`; `explain()` says how nearest rows were found.

        Raises
        ------
        InvalidArgument
            It is no SQL, is not supported, names what is not there, or does not fit its parameters.
        QueryTimeout
            It took longer; nothing was changed. Reading its rows may raise it too.

        Notes
        -----
        This is the owner's SQL: it may read and write every table. It reaches no files but those COPY names. A text
        from somebody else belongs into `where=` of a search, which is confined.
        """
        return self.session.run(statement, params, timeout)

    execute = sql

    def duckdb(self) -> DuckDBPyConnection:
        """Return a DuckDB of your own that holds the newest commit: for its extensions, functions and files.

        Tables and views are temporary views there, vectors FLOAT[n] or TINYINT[n]. Attributes are copied, vectors read
        in place. Nothing written there comes back, and later commits are not seen: ask again. Close it when done.
        """
        return hand_out(self.store)

    def interrupt(self) -> None:
        """Stop the searches, statements and index builds that run, from any thread: each raises Cancelled there.

        It takes some hundredths of a second, inside a large operation of DuckDB's a few seconds. A commit that has
        begun is finished.
        """
        self.stops.interrupt()

    def register_metric(self, metric: CustomMetric) -> None:
        """Give the database a metric written in Python: indexes built with one of its name can be used again.

        Nothing of it is stored but the name, so it is given anew after every open, here or with the first search or
        index that it is passed to. An index that was built with another function of that name is rebuilt when it is
        next needed, and says so in the log. Bytecode decides: so does a new minor version of Python.
        """
        self.indexes.metrics.register(metric)

    def has_commit(self, seq: int) -> bool:
        """Whether commit `seq` is in the database: what to ask after `CommitOutcomeUnknown`.

        Of commits before the newest thousand it may be forgotten.
        """
        return self.store.has_commit(check_integer("seq", seq))

    def publish(self) -> int:
        """Let readers in other processes see the newest commit, while this one goes on writing; returns its number.

        They open the database with `read_only=True` and keep what they opened until they `refresh`. Costs a copy of
        the catalog, none of the vectors; only commits that change a schema wait for it. From then on `close` publishes
        too. InvalidState inside a transaction, read-only and for ":memory:"; DiskFull leaves what was published before.
        """
        self.indexes.save()
        return self.store.publish()

    def refresh(self) -> bool:
        """In a reader beside a writer: go on to what was published since; whether there was anything.

        Searches that run, and results that were found, stay with what they began with. InvalidState where the database
        was not opened read-only. Where no writer could begin since it was opened, there is nothing new.
        """
        newer = self.store.newer()
        if newer is None:
            return False
        metrics = self.indexes.metrics
        self._serve(newer)
        self.indexes.metrics = metrics
        return True

    def backup(self, path: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None) -> None:
        """Copy the newest commit to `path`, while searches and, but for a moment, writes go on.

        The copy is a database of its own: open it, or `vdb.restore` it. AlreadyExists where something is at `path`,
        InvalidState inside a transaction and for ":memory:", DiskFull where there is no room, MetadataLost where
        commits are missing; a copy that failed leaves nothing. `progress` is called with bytes copied and in all.
        """
        check_progress(progress)
        self.store.back_up(path, progress)

    def export_table(
        self, name: str, path: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Write a table to a file whose name ends in .parquet, .csv or .jsonl, and return the number of rows.

        The file appears whole, or an older one stays. Values come back as they were; in Parquet, INTERVAL and TIMETZ
        are texts, HUGEINT is DECIMAL(38,0): InvalidArgument where one has more digits. Vectors are lists of numbers,
        those of half precision floats. `progress` is called with rows written and rows in all.
        """
        return export_table(self, check_name("a table", name), path, progress)

    def import_table(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        key: str | None = None,
        metric: Metric | Mapping[str, Metric] = "l2",
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Add the rows of a .parquet, .csv, .jsonl or .arrow file to a table in one commit and return how many.

        CSV and JSON are read with the types of the table. It is made, with `key` and `metric` as for `create_table`,
        where there is none of that name; columns with lists of numbers of one length are vectors then. `progress` is
        called with rows added and rows in all.
        InvalidArgument where the file is missing, not what its name ends in, or does not fit the table; AlreadyExists
        where a primary key is taken. Nothing was added then: a transaction in which some rows were written before can
        only be rolled back.
        """
        return import_table(self, check_name("a table", name), path, (key, metric), progress)

    def recovery_report(self) -> RecoveryReport:
        """Return what opening the database had to put in order: a log replayed, unfinished writes removed."""
        return self.store.recovery

    def check(self) -> list[str]:
        """Read every value and every vector and compare them with their checksums; Corrupted names the first damage.

        MetadataLost where commits are missing that a witness proves. Of a reader's snapshot, the database beside it is
        read too, unless somebody has it open for writing. What DuckDB has in memory by now is not read again: the
        check of a database that was just opened finds most.

        Returns what is wrong with snapshots of indexes, each read whole with every checksum, slot and edge: such an
        index is rebuilt when it is next needed, so it is no error.
        """
        self.store.check()
        snapshots = Snapshots(self.store)
        records = [r for table in self.store.state.tables.values() for r in table.indexes.values()]
        return [problem for record in records if (problem := snapshots.problem(record)) is not None]

    def close(self) -> None:
        """Save the indexes, finish and let go of the directory; a second call does nothing."""
        try:
            if not self.store.closed and not self.store.read_only:
                self.indexes.save()
                if self.store.has_published and self.store.transaction is None:
                    self._publish_last()
        finally:
            self.store.close()

    def _publish_last(self) -> None:
        try:
            self.store.publish()
        except (VdbError, OSError) as error:  # what was published before stays
            _log.warning("%s: the last commit was not published: %s", self.path, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        left_open = self.store.transaction
        try:
            if left_open is not None:
                left_open.rollback()
        finally:
            self.close()
        if left_open is not None and left_open.rolled_back and kind is None:  # a forked child leaves it to its parent
            raise InvalidState(
                "A transaction was open at the end of the `with` block and was rolled back.\n  Fix: COMMIT it before."
            )

    def __repr__(self) -> str:
        where = self.path or ":memory:"
        return f"<vdb.Database {where}{' (read-only)' if self.read_only else ''}>"
