"""A database: tables by name, transactions, and the one place where a commit reaches the indexes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from vdb.attributes.keeper import Attributes
from vdb.errors import InvalidArgument, InvalidState, VdbError
from vdb.index.manager import IndexManager
from vdb.index.spec import check_integer, check_name
from vdb.query.execute import Executor
from vdb.query.resolve import Resolver
from vdb.storage.batch import make_batch
from vdb.storage.compact import Compaction, is_worthwhile
from vdb.storage.infer import infer_schema
from vdb.storage.schema import parse_schema
from vdb.storage.store import Store, WriteTransaction
from vdb.table import Table

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt
    from typing_extensions import Self

    from vdb.metrics.custom import CustomMetric
    from vdb.storage.state import TableState
    from vdb.types import Metric


_log = logging.getLogger(__name__)
_MORE_DEAD: Final = 2  # times as many dead slots as when compacting failed, before it is tried again by itself


def connect(
    path: str | os.PathLike[str],
    *,
    read_only: bool = False,
    memory_limit: str | None = None,
    threads: int = 0,
) -> Database:
    """Open a database directory, or create it where there is none.

    Parameters
    ----------
    path : path-like
        The directory; ":memory:" for one that is gone when closed.
    read_only : bool
        Change nothing on disk; any number of processes may, while none writes.
    memory_limit : str, optional
        DuckDB's, such as "2GB".
    threads : int
        For builds and batches of queries; 0: all.

    Raises
    ------
    Locked
        Another process has it open; the message names it.
    NotFound
        Read-only, and there is no database.
    InvalidArgument
        The path is a file or another directory.
    Corrupted
        A file is damaged (MetadataLost and FormatVersionError are such errors). An index file never is the reason.

    Examples
    --------
    >>> import vdb
    >>> with vdb.connect(":memory:") as db:
    ...     items = db.create_table("items", {"id": "BIGINT PRIMARY KEY", "embedding": "FLOAT[2]"})
    ...     items.add([{"id": 1, "embedding": [0, 1]}, {"id": 2, "embedding": [3, 4]}])
    ...     items.search([0, 0], k=1).to_dicts()
    2
    [{'id': 1, '_distance': 1.0}]
    """
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 0:
        raise InvalidArgument(f"threads must be 0 (all) or a positive integer, got {threads!r}.")
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidArgument(f'path must be a path or ":memory:", got {path!r}.')
    place = None if path == ":memory:" else path
    return Database(Store.open(place, read_only, memory_limit, threads or None), threads)


class Database:
    """An open database. Any thread may use it; writes take turns. Close it, or use it in a `with` block."""

    def __init__(self, store: Store, threads: int = 0) -> None:
        self.store = store
        self.attributes = Attributes(store)
        self.indexes = IndexManager(store, self.attributes, threads)
        self.resolver = Resolver(store, self.attributes)
        self.executor = Executor(store, self.indexes, self.resolver, threads)
        self._failed_with: dict[int, int] = {}  # dead slots of a table, by id, when compacting it failed

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

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """Make the writes of a `with` block one commit: all of them, or none where the block raises.

        Reads of this thread inside the block see them; other threads do not until the block ends, and wait for it
        before they write.
        """
        transaction = self.store.begin()
        try:
            with transaction:
                yield self
                touched = list(transaction.state.tables)
        except BaseException:
            self.executor.disown(transaction)
            raise
        self._after_commit(*touched)

    @contextmanager
    def writing(self, table: str) -> Iterator[WriteTransaction]:
        """The open transaction of this thread, or one of its own around the block; then the table's indexes follow."""
        current = self.store.transaction
        if current is not None:
            yield current
            return
        with self.store.begin() as own:
            yield own
        self._after_commit(table)

    def compact(self, table: str, progress: Callable[[int, int], None] | None = None) -> Compaction:
        """Do what `Table.compact` says."""
        if self.store.transaction is not None:
            raise InvalidState("A table cannot be compacted inside a transaction. Fix: compact it after the commit.")
        if progress is not None and not callable(progress):
            raise InvalidArgument(f"progress must be callable, got {progress!r}.\n  Fix: pass f(done, total), or None.")
        with self.store.begin() as transaction:
            return self._compact(transaction, check_name("a table", table), progress)

    def _compact(
        self, transaction: WriteTransaction, table: str, progress: Callable[[int, int], None] | None = None
    ) -> Compaction:
        """Compact a table, its indexes with it, and commit; the transaction is good for nothing else."""
        before = transaction.state.table(table)
        try:
            done = transaction.compact(table, progress)
            if done.dead_slots:
                self.indexes.move(transaction, before)
            transaction.commit()
        except BaseException:
            self.indexes.discard(before)
            raise
        self.attributes.follow(table)
        self.indexes.follow(table)
        self.executor.forget_older()
        return done

    def _after_commit(self, *tables: str) -> None:
        """Let the indexes follow, and compact those of the tables whose slots are mostly dead.

        The commit stands whatever happens here: what cannot be compacted is logged and left until more has died.
        """
        self.attributes.follow(*tables)
        self.indexes.follow(*tables)
        for state in [self.store.state.tables.get(name) for name in tables]:
            if state is not None and self._is_due(state):
                self._try_to_compact(state)

    def _try_to_compact(self, state: TableState) -> None:
        name = state.schema.name
        try:
            with self.store.begin() as transaction:
                if self._is_due(transaction.state.table(name)):  # else another thread was first
                    self._compact(transaction, name)
        except (VdbError, OSError, MemoryError) as error:
            self._failed_with[state.id] = state.dead_slots
            _log.warning("table %s was not compacted: %s", name, error)

    def _is_due(self, table: TableState) -> bool:
        return is_worthwhile(table) and table.dead_slots > _MORE_DEAD * self._failed_with.get(table.id, 0)

    def register_metric(self, metric: CustomMetric) -> None:
        """Give the database a metric written in Python: indexes built with one of its name can be used again.

        Nothing of it is stored but the name, so it is given anew after every open, here or with the first search or
        index that it is passed to. An index that was built with another function of that name is rebuilt when it is
        next needed, and says so in the log. Bytecode decides: so does a new minor version of Python.
        """
        self.indexes.metrics.register(metric)

    def has_commit(self, seq: int) -> bool:
        """Whether commit `seq` is in the database: what to ask after `CommitOutcomeUnknown`."""
        return self.store.has_commit(check_integer("seq", seq))

    def check(self) -> None:
        """Compare every vector with its checksum; Corrupted names the first damage."""
        self.store.check()

    def close(self) -> None:
        """Save the indexes, finish and let go of the directory; a second call does nothing."""
        if not self.store.closed and not self.store.read_only:
            self.indexes.save()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        where = self.path or ":memory:"
        return f"<vdb.Database {where}{' (read-only)' if self.read_only else ''}>"
