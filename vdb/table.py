"""A table: the noun most calls go through. Each method checks its words and hands over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

from vdb import _core
from vdb.arrays import as_keys, as_matrix
from vdb.attributes.spec import Attribute
from vdb.dtypes import zero_rows
from vdb.errors import InvalidArgument, NotFound, VdbError
from vdb.index.info import IndexInfo
from vdb.index.measure import SAMPLE, SAMPLE_SEED, Vectors, made_queries
from vdb.index.spec import check_name, check_option
from vdb.query.parse import parse_predicate
from vdb.query.request import SearchOptions, choose_column, make_request, parse_where, shown_columns
from vdb.query.result import Hits, Rows
from vdb.query.wanted import check_condition, wanted_index
from vdb.storage.batch import make_batch
from vdb.storage.state import ATTRIBUTE_KIND
from vdb.types import TableSchema, VectorColumn

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vdb.database import Database
    from vdb.index.spec import Spec
    from vdb.metrics.custom import AnyMetric
    from vdb.query.accuracy import RecallReport
    from vdb.storage.compact import Compaction
    from vdb.storage.state import IndexRecord, TableState
    from vdb.types import StoredMatrix


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
            keys, _ = as_keys(ids)
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
        keys, single = as_keys(ids)
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
        with self._database.stops.running():
            return self._database.resolver.resolve(predicate, self._state).rows.count

    def search(
        self,
        query: npt.ArrayLike,
        k: int = 10,
        where: str | None = None,
        params: object = None,
        *,
        column: str | None = None,
        select: Sequence[str] | None = None,
        metric: AnyMetric | str | None = None,
        ef_search: int | None = None,
        nprobe: int | None = None,
        recall: float | None = None,
        strategy: str = "auto",
        timeout: float | None = None,
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
        metric : {"l2", "cosine", "ip"}, CustomMetric or name of a registered one, optional
            The column's own by default. l2 is not squared, ip is the negative inner product: smaller is nearer.
            `vdb.metric` makes one of a function.
        ef_search : int, optional
            Candidates a graph keeps; more find more and take longer. 64 by default.
        nprobe : int, optional
            Lists of an `IVFPQ` or `IVFRaBitQ` to read; as many as find 95 of 100 neighbours by default.
        recall : float, optional
            In place of either: the share of the true neighbours to find on average, above 0 and at most 1. A curve
            measured on the table's vectors (`list_indexes()`) gives the effort (`hits.explain()`). Where it does not
            reach that far, as at 1.0, and without an index, the scan is exact. With `where` it is an estimate.
        strategy : {"auto", "scan", "codes", "graph", "post", "acorn", "range", "label", "partial", "ivf"}
            "auto" takes the cheapest that finds 95 of 100 neighbours or more. The others force one, and raise where it
            cannot run: "scan" is exact, "codes" scans the codes of a graph, "graph" walks one among the matching rows,
            "post" walks past the predicate, the last five need an `ACORN`, `Range`, `Label`, partial or inverted index.
        timeout : float, optional
            Seconds; then it raises QueryTimeout. `Database.interrupt` stops a search too.

        Returns
        -------
        Hits
            Nearest first, equal distances by row id. A row without a vector has no distance and is not found, nor is
            a zero vector under cosine.

        Raises
        ------
        InvalidArgument
            DimensionMismatch for the query, PredicateError for `where`, MetricError, or another argument is wrong.
        """
        state = self._state
        chosen = None if metric is None else self._database.indexes.metrics.resolve(metric)
        options = SearchOptions(where, params, column, select, chosen, ef_search, strategy, recall, nprobe)
        with self._database.stops.running(timeout):
            return self._database.executor.search(state, make_request(state.schema, query, k, options))

    def measure_recall(
        self,
        k: int = 10,
        queries: int | npt.ArrayLike = SAMPLE.default,
        *,
        column: str | None = None,
        metric: AnyMetric | str | None = None,
        ef_search: int | None = None,
        nprobe: int | None = None,
        recall: float | None = None,
        where: str | None = None,
        params: object = None,
        strategy: str = "auto",
        seed: int = SAMPLE_SEED.default,
    ) -> RecallReport:
        """Search and compare with the exact scan of the same rows: the recall as it is now.

        Parameters
        ----------
        k : int
            Rows to ask for.
        queries : int, or (nq, dim) array_like
            How many to make, each a mixture of three rows, or the queries themselves: real ones tell more.
        column, metric, ef_search, nprobe, recall, where, params, strategy
            As for `search`.
        seed : int
            Of the queries that are made; the same seed and rows give the same ones.

        Returns
        -------
        RecallReport
            Its `recall`, the `ef_search` or `nprobe` used, the worst query. Each query costs a scan.

        Raises
        ------
        InvalidArgument
            As for `search`; no queries are given, or the table has no vectors to make any of.
        """
        state = self._state
        chosen = choose_column(state.schema, column)
        resolved = self._database.indexes.metrics.resolve(chosen.metric if metric is None else metric)
        options = SearchOptions(where, params, chosen.name, None, resolved, ef_search, strategy, recall, nprobe)
        if not isinstance(queries, Sized):
            count = check_option("queries", queries, SAMPLE)
            seed = check_option("seed", seed, SAMPLE_SEED)
            queries = made_queries(Vectors(state, chosen.name, resolved, 1), count, seed)
        request = make_request(state.schema, queries, k, options)
        if not len(request.queries):
            raise InvalidArgument("queries is empty: there is nothing to measure.\n  Fix: pass vectors, or a number.")
        return self._database.executor.measure_recall(state, request)

    def create_index(
        self,
        column: str | None = None,
        spec: Spec | Attribute | None = None,
        *,
        name: str | None = None,
        where: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> IndexInfo:
        """Build an index over a vector column, or one for predicates over an attribute column.

        Parameters
        ----------
        column : str, optional
            Needed where the table has several vector columns, and for an attribute.
        spec : HNSW, ACORN, Flat, Range, Label, IVFPQ, IVFRaBitQ or Attribute, optional
            `HNSW()` by default.
        name : str, optional
            `<table>_<column>_<kind>` by default, of a Range or Label `<table>_<column>_<attribute>_<kind>`.
        where : str, optional
            Of the rows where this is TRUE alone, as every commit leaves them: for an HNSW, which is of kind "partial"
            then and serves searches for rows that are all in it. An Attribute holds all rows whatever this says.
        progress : callable, optional
            Called with rows done and rows in all.
        """
        if isinstance(spec, Attribute):
            check_condition(self.schema, where)
            record = self._database.attributes.create(self._name, check_name("the column to index", column), name)
            return self._info(record)
        chosen, spec = wanted_index(self.schema, column, spec, where)
        with self._database.stops.running():
            return self._info(self._database.indexes.create(self._name, chosen, spec, name, progress))

    def drop_index(self, name: str) -> None:
        """Drop an index; NotFound where there is none of that name. Searches then scan."""
        known = self._database.attributes if name in self._state.attribute_indexes else self._database.indexes
        known.drop(self._name, name)

    def list_indexes(self) -> list[IndexInfo]:
        """Return the indexes of the table."""
        return [self._info(record) for record in self._state.all_indexes.values()]

    def _info(self, record: IndexRecord) -> IndexInfo:
        if record.kind != ATTRIBUTE_KIND:
            return self._database.indexes.info(self._name, record.name)
        covered, memory_bytes = self._database.attributes.size_of(record)
        return IndexInfo(record.name, record.column, record.kind, "", dict(record.params), covered, memory_bytes)

    def compact(self, *, progress: Callable[[int, int], None] | None = None) -> Compaction:
        """Give back the room of deleted and replaced rows, in one commit.

        Their slots, vectors and graph nodes are kept until then. The living rows get new vector files beside the old
        ones, which go once nothing reads them; row ids, searches that are under way and results that were found before
        stay right. The catalog keeps its length: DuckDB fills its free blocks with later rows. Other writers wait,
        readers do not. A commit that leaves more than half of all slots dead, and some thousand of them, does this by
        itself.

        Parameters
        ----------
        progress : callable, optional
            Called with vectors copied and vectors in all.

        Returns
        -------
        Compaction
            Rows, slots given back, bytes of vectors before and after. Where no slot is dead, nothing is done.

        Raises
        ------
        InvalidState
            Inside a transaction, or the database is open read-only.
        DiskFull
            There is no room for the living rows beside the old files; nothing was changed.
        Corrupted
            A vector does not fit its checksum; nothing was changed.
        """
        return self._database.compact(self._name, progress)

    def stats(self) -> dict[str, Any]:
        """Return counts and sizes: rows, dead slots, bytes of vectors and of those in dead slots, indexes."""
        state = self._state
        return {
            "rows": state.live.count,
            "dead_slots": state.dead_slots,
            "vector_bytes": {name: vectors.data.nbytes for name, vectors in state.vectors.items()},
            "dead_bytes": {
                name: state.dead_slots * vectors.source.identity.stride for name, vectors in state.vectors.items()
            },
            "indexes": {info.name: info for info in self.list_indexes()},
            "isa": _core.isa(),
        }


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


def _found(slots: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    found: npt.NDArray[np.uint32] = slots[slots != _core.ABSENT_SLOT]
    return found
