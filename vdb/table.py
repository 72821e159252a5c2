"""A table: the noun most calls go through. Each method checks its words and hands over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vdb import _core
from vdb.arrays import as_matrix
from vdb.dtypes import zero_rows
from vdb.errors import InvalidArgument, NotFound, VdbError
from vdb.index.spec import HNSW, Flat, check_name
from vdb.query.parse import parse_predicate
from vdb.query.request import SearchOptions, choose_column, make_request, parse_where, shown_columns
from vdb.query.result import Hits, Rows
from vdb.storage.batch import make_batch
from vdb.types import Metric, TableSchema, VectorColumn

if TYPE_CHECKING:
    from vdb.database import Database
    from vdb.index.spec import Spec
    from vdb.storage.state import IndexRecord, TableState
    from vdb.types import StoredMatrix


@dataclass(frozen=True)
class IndexInfo:
    """An index as `list_indexes` shows it.

    Attributes
    ----------
    covered : int
        Slots it knows; a search scans the others.
    memory_bytes : int
        Of the graph or the codes, beside the vectors.
    width : int or None
        Values of a vector that a code holds: fewer than its dimensions where a projection could drop some.
    record_bytes : int or None
        Of one code.
    """

    name: str
    column: str
    kind: str
    metric: Metric
    params: dict[str, int | float | str]
    covered: int
    memory_bytes: int
    width: int | None = None
    record_bytes: int | None = None


class Table:
    """A table of an open database, by name; made by `Database.table` and `Database.create_table`."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name

    @property
    def name(self) -> str:
        """The name of the table."""
        return self._name

    @property
    def schema(self) -> TableSchema:
        """The columns as they are now."""
        return self._state.schema

    @property
    def _state(self) -> TableState:
        return self._database.store.state.table(self._name)

    def __len__(self) -> int:
        return self._state.live.count

    def __repr__(self) -> str:
        try:
            state = self._state
        except VdbError as error:  # a debugger may ask after the close
            return f"<vdb.Table {self._name}: {error}>"
        columns = ", ".join(f"{column.name} {column.type}" for column in state.schema.columns)
        return f"<vdb.Table {self._name}: {state.live.count:,} rows ({columns})>"

    def add(self, data: Any = None, **vectors: npt.ArrayLike) -> int:
        """Add rows in one commit and return their number.

        Parameters
        ----------
        data : mapping, sequence of dicts, pandas or polars frame, Arrow table, optional
            Columns by name, or rows.
        **vectors : array_like
            Vector columns, (n, dim), where they are not part of `data`.

        Raises
        ------
        AlreadyExists
            A primary key is taken, or comes twice. Use `upsert` to replace rows.
        InvalidArgument
            A column, type, dimension or value is wrong (DimensionMismatch is one). Nothing was added.
        """
        batch = make_batch(self.schema, data, vectors)
        with self._database.writing(self._name) as transaction:
            return transaction.insert(self._name, batch)

    def upsert(self, data: Any = None, *, on: str | None = None, **vectors: npt.ArrayLike) -> int:
        """Add rows, replacing those whose primary key exists, in one commit; returns the number of rows given.

        A replaced row keeps what `data` has no column for. `on` names the primary key, which is the default.
        """
        schema = self.schema
        batch = make_batch(schema, data, vectors, partial=True)
        with self._database.writing(self._name) as transaction:
            return transaction.upsert(self._name, batch, on or schema.key or "")

    def update(self, values: Mapping[str, Any], where: str | None = None, params: object = None) -> int:
        """Set columns of the rows where the predicate is TRUE and return how many there were.

        A vector column takes one vector for all of them, or None. Without `where` this is an error: to change every
        row, say `where="TRUE"`.
        """
        schema = self.schema
        predicate = parse_predicate(_demanded(where, "update"), params, schema)
        attributes: dict[str, object] = {}
        vectors: dict[str, StoredMatrix | None] = {}
        if not isinstance(values, Mapping):
            raise InvalidArgument(f"update needs a dict, got {values!r:.80}.\n  Fix: pass {{'column': value}}.")
        for name, value in values.items():
            column = schema.by_name.get(check_name("a column to update", name))
            if isinstance(column, VectorColumn):
                vectors[name] = _one_vector(schema, column, value)
            else:
                attributes[name] = value
        with self._database.writing(self._name) as transaction:
            return transaction.update(self._name, transaction.slots(self._name, predicate), attributes, vectors)

    def delete(self, where: str | None = None, params: object = None, *, ids: Any = None) -> int:
        """Delete the rows where the predicate is TRUE, or those with these ids, and return how many there were.

        Without either this is an error: to delete every row, say `where="TRUE"`.
        """
        if ids is not None and where is not None:
            raise InvalidArgument("delete got both where and ids.\n  Fix: pass one of them.")
        if ids is None:
            predicate = parse_predicate(_demanded(where, "delete"), params, self.schema)
        else:
            parse_where(None, params, self.schema)
            keys, _ = _as_keys(ids)
        with self._database.writing(self._name) as transaction:
            if ids is None:
                slots = transaction.slots(self._name, predicate)
            else:
                slots = _found(transaction.slots_of_keys(self._name, keys))
            return transaction.delete(self._name, slots)

    def get(self, ids: Any, select: Sequence[str] | None = None) -> Any:
        """Return the rows with these primary keys, or row ids where the table has no key.

        A list of ids gives `Rows`, those that exist, in the order asked; a single id gives a dict, NotFound where
        there is no such row.
        """
        columns = shown_columns(self.schema, select)
        keys, single = _as_keys(ids)
        with self._database.store.read() as session:
            slots = session.slots_of_keys(self._name, keys)
            state = session.state.table(self._name)
        rows = Rows(_found(slots), columns, self._database.executor.source(state))
        if not single:
            return rows
        if not len(rows):
            raise NotFound(f"table {self._name} has no row with id {ids!r}.")
        return rows[0]

    def count(self, where: str | None = None, params: object = None) -> int:
        """Return the number of rows, or of those where the predicate is TRUE."""
        predicate = parse_where(where, params, self.schema)
        if predicate is None:
            return len(self)
        return len(self._database.store.matching(self._name, predicate)[1])

    def search(
        self,
        query: npt.ArrayLike,
        k: int = 10,
        where: str | None = None,
        params: object = None,
        *,
        column: str | None = None,
        select: Sequence[str] | None = None,
        metric: Metric | None = None,
        ef_search: int | None = None,
        strategy: str = "auto",
    ) -> Hits:
        """Find the k nearest rows that satisfy a predicate: always min(k, matching rows) of them.

        Parameters
        ----------
        query : (dim,) array_like, or (nq, dim) for a batch
            Real numbers, rounded to the dtype of the column as its vectors are: a TINYINT column takes whole numbers
            from -128 to 127. For a FLOAT column float32 C-contiguous is the fast path.
        k : int
            Rows to return, at least 1; more than the table has is fine.
        where : str, optional
            A boolean SQL expression over the table's columns, with `?` or `$name` for values.
        params : sequence or mapping, optional
            The values.
        column : str, optional
            The vector column, needed where the table has several.
        select : list of str, optional
            Columns the hits show; every one but the vectors by default. They are read when first asked for.
        metric : {"l2", "cosine", "ip"}, optional
            The column's own by default. l2 is not squared, ip is the negative inner product: smaller is nearer.
        ef_search : int, optional
            Candidates an index keeps; more find more and take longer. 64 by default.
        strategy : {"auto", "scan", "graph", "post"}
            "auto" chooses by the number of matching rows; the others force one, and raise where it cannot run.

        Returns
        -------
        Hits
            Nearest first, equal distances by row id. A row without a vector has no distance and is not found, nor is
            a zero vector under cosine.

        Raises
        ------
        InvalidArgument
            DimensionMismatch for the query, PredicateError for `where`, or another argument is wrong.
        """
        state = self._state
        options = SearchOptions(where, params, column, select, metric, ef_search, strategy)
        return self._database.executor.search(state, make_request(state.schema, query, k, options))

    def create_index(
        self,
        column: str | None = None,
        spec: Spec | None = None,
        *,
        name: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> IndexInfo:
        """Build an index over a vector column.

        Parameters
        ----------
        column : str, optional
            Needed where the table has several vector columns.
        spec : HNSW or Flat, optional
            `HNSW()` by default.
        name : str, optional
            `<table>_<column>_<kind>` by default.
        progress : callable, optional
            Called with rows done and rows in all.
        """
        chosen = choose_column(self.schema, column).name
        if spec is not None and not isinstance(spec, (HNSW, Flat)):
            raise InvalidArgument(f"an index is described by vdb.HNSW(...) or vdb.Flat(...), got {spec!r}.")
        record = self._database.indexes.create(self._name, chosen, spec or HNSW(), name, progress)
        return self._info(record)

    def drop_index(self, name: str) -> None:
        """Drop an index; NotFound where there is none of that name. Searches then scan."""
        self._database.indexes.drop(self._name, name)

    def list_indexes(self) -> list[IndexInfo]:
        """Return the indexes of the table."""
        return [self._info(record) for record in self._state.indexes.values()]

    def stats(self) -> dict[str, Any]:
        """Return counts and sizes: rows, dead slots, bytes of vectors, indexes."""
        state = self._state
        return {
            "rows": state.live.count,
            "dead_slots": state.next_slot - state.live.count,
            "vector_bytes": {name: vectors.data.nbytes for name, vectors in state.vectors.items()},
            "indexes": {info.name: info for info in self.list_indexes()},
            "isa": _core.isa(),
        }

    def _info(self, record: IndexRecord) -> IndexInfo:
        built = self._database.indexes.built(self._state, record)
        metric: Metric = record.params["metric"]  # type: ignore[assignment]
        codes = built if isinstance(built, _core.Codes) else None
        return IndexInfo(
            name=record.name,
            column=record.column,
            kind=record.kind,
            metric=metric,
            params=dict(record.params),
            covered=built.covered,
            memory_bytes=built.memory_bytes,
            width=None if codes is None else codes.width,
            record_bytes=None if codes is None else codes.record_bytes,
        )


def _demanded(where: str | None, verb: str) -> str:
    if where is None:
        raise InvalidArgument(f'{verb} without where would touch every row.\n  Fix: if you mean it, pass where="TRUE".')
    return where


def _one_vector(schema: TableSchema, column: VectorColumn, value: Any) -> StoredMatrix | None:
    if value is None:
        return None
    what = f"{schema.name}.{column.name}"
    rows = as_matrix([value], column.dim, what, column.dtype)
    if column.metric == "cosine" and len(zero_rows(rows, column.dtype)):
        raise InvalidArgument(
            f"the new vector for {what} is zero in {column.dtype}, without a direction for cosine.\n"
            f"  Fix: pass another, or None."
        )
    vector: StoredMatrix = rows[0]
    return vector


def _as_keys(ids: Any) -> tuple[Any, bool]:
    """The ids as a flat sequence, and whether the caller gave a single one."""
    if isinstance(ids, (str, bytes)):
        return [ids], True
    if not isinstance(ids, (Sequence, np.ndarray)) and isinstance(ids, Iterable) and not hasattr(ids, "__array__"):
        ids = list(ids)
    try:
        dimensions = np.ndim(ids)
    except ValueError:  # ragged
        dimensions = 2
    if dimensions > 1:
        raise InvalidArgument("ids are nested.\n  Fix: pass one id, or a flat list of them.")
    return ([ids], True) if dimensions == 0 else (ids, False)


def _found(slots: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    found: npt.NDArray[np.uint32] = slots[slots != _core.ABSENT_SLOT]
    return found
