"""What a search asks for, checked against the table it is asked of."""

from __future__ import annotations

import time
from collections.abc import Sized
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from vdb.arrays import as_queries
from vdb.dtypes import zero_rows
from vdb.errors import InvalidArgument, PredicateError
from vdb.index.recall import check_recall
from vdb.index.spec import EF_SEARCH, check_integer, check_metric, check_name, check_option
from vdb.metrics.custom import CustomMetric
from vdb.query.parse import parse_predicate
from vdb.storage.state import check_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdb._core import RowSet
    from vdb.metrics.custom import AnyMetric
    from vdb.types import Dtype, Predicate, StoredMatrix, TableSchema, VectorColumn

STRATEGIES: Final = ("auto", "scan", "codes", "graph", "post", "acorn", "range", "label", "partial", "ivf")
_MOST_LISTS: Final = 2**31 - 1  # more than any index has


class SearchOptions(NamedTuple):
    """The keyword arguments of `Table.search`, as the caller gave them."""

    where: str | None = None
    params: object = None
    column: str | None = None
    select: Sequence[str] | None = None
    metric: AnyMetric | str | None = None
    ef_search: int | None = None
    strategy: str = "auto"
    recall: float | None = None
    nprobe: int | None = None


class Request(NamedTuple):
    """A search of one vector column.

    Attributes
    ----------
    queries : (nq, dim) of the column's dtype
    is_batch : bool
        Whether the caller passed a matrix; else nq is 1.
    ef_search : int or None
        What the caller insists on.
    recall : float or None
        What the caller wants to find of the true neighbours; never given together with `ef_search` or `nprobe`.
    columns : tuple of str
        The columns the hits will show.
    parse_seconds : float
        What reading the predicate took.
    rows : RowSet or None
        The rows that may be found, of the state that is searched, in place of a predicate.
    """

    column: VectorColumn
    queries: StoredMatrix
    is_batch: bool
    k: int
    metric: AnyMetric
    predicate: Predicate | None
    ef_search: int | None
    strategy: str
    columns: tuple[str, ...]
    recall: float | None = None
    parse_seconds: float = 0.0
    nprobe: int | None = None
    rows: RowSet | None = None


def make_request(schema: TableSchema, query: Any, k: int, options: SearchOptions) -> Request:
    """Check a search and read its predicate.

    Raises
    ------
    InvalidArgument
        k, an effort, the strategy, the metric, a column or the query is not valid; DimensionMismatch and PredicateError
        are such errors too.
    """
    column = choose_column(schema, options.column)
    queries, is_batch = as_queries(query, column.dim, f"{schema.name}.{column.name}", column.dtype)
    metric = _metric(column, options.metric)
    if metric == "cosine":
        _check_directions(queries, column.dtype)
    if type(k) is not int or k < 1:
        k = check_integer("k", k)
        if k < 1:
            raise InvalidArgument(f"k must be at least 1, got {k}.\n  Fix: ask for the number of rows you want.")
    if options.strategy not in STRATEGIES:
        raise _unknown_strategy(options.strategy)
    ef_search = options.ef_search
    if ef_search is not None:
        ef_search = check_option("ef_search", ef_search, EF_SEARCH)
    nprobe = None if options.nprobe is None else _checked_nprobe(options.nprobe)
    wanted = None if options.recall is None else _checked_recall(options.recall, ef_search, nprobe)
    unfiltered = options.where is None and options.params is None
    predicate, parse_seconds = None, 0.0
    if not unfiltered:
        began = time.perf_counter()
        predicate = parse_where(options.where, options.params, schema)
        parse_seconds = time.perf_counter() - began
    columns = schema.shown if options.select is None else shown_columns(schema, options.select)
    asked = Request(column, queries, is_batch, k, metric, predicate, ef_search, options.strategy, columns)
    return asked._replace(recall=wanted, parse_seconds=parse_seconds, nprobe=nprobe)


def _checked_nprobe(value: object) -> int:
    nprobe = check_integer("nprobe", value)
    if nprobe < 1:
        raise InvalidArgument(
            f"nprobe must be at least 1, got {nprobe}.\n"
            "  Fix: pass the number of lists to read, or leave it out to have it chosen."
        )
    return min(nprobe, _MOST_LISTS)


def _checked_recall(recall: object, ef_search: int | None, nprobe: int | None) -> float:
    checked = check_recall(recall)
    for name, effort in (("ef_search", ef_search), ("nprobe", nprobe)):
        if effort is not None:
            raise InvalidArgument(
                f"got both recall={checked:g} and {name}={effort}, and each decides how hard to search.\n"
                f"  Fix: pass recall= to have {name} chosen, or {name}= to force it."
            )
    return checked


def parse_where(where: str | None, params: object, schema: TableSchema) -> Predicate | None:
    """The predicate of a `where`, if there is one; values without it are a PredicateError."""
    if where is not None:
        return parse_predicate(where, params, schema)
    if params is not None and not (isinstance(params, Sized) and len(params) == 0):
        raise PredicateError("params are given, but no where that uses them.\n  Fix: pass where=, or leave params out.")
    return None


def choose_column(schema: TableSchema, name: str | None) -> VectorColumn:
    """The vector column to search: the named one, or the only one there is."""
    if name is None and len(schema.vectors) == 1:
        return schema.vectors[0]
    known = ", ".join(column.name for column in schema.vectors)
    if not known:
        raise InvalidArgument(f"table {schema.name} has no vector column.\n  Fix: search a table that has one.")
    if name is None:
        raise InvalidArgument(f"table {schema.name} has several vector columns: {known}.\n  Fix: pass column=.")
    for column in schema.vectors:
        if column.name == name:
            return column
    raise InvalidArgument(f"{name!r} is not a vector column of table {schema.name}. Vector columns: {known}.")


def shown_columns(schema: TableSchema, select: Sequence[str] | None) -> tuple[str, ...]:
    """The columns of a result: those of `select`, else every column but the vectors."""
    if select is None:
        return schema.shown
    if isinstance(select, str):
        raise InvalidArgument(f"select must be a list of columns, got the string {select!r}.\n  Fix: [{select!r}].")
    try:
        columns = tuple(check_name("a column to select", name) for name in select)
    except TypeError:
        raise InvalidArgument(f"select must be a list of columns, got {select!r}.\n  Fix: ['name', ...].") from None
    check_columns(schema, tuple(name for name in columns if name != schema.row_id_column))
    return columns


def _metric(column: VectorColumn, asked: AnyMetric | str | None) -> AnyMetric:
    if asked is None:
        return column.metric
    if isinstance(asked, CustomMetric):
        asked.check_dim(column.dim)
        return asked
    return check_metric(asked)


def _check_directions(queries: StoredMatrix, dtype: Dtype) -> None:
    # A nonzero value is enough: no sum of squares can underflow to zero in float64 unless all of them do.
    zero = zero_rows(queries, dtype)
    if len(zero):
        which = "the query" if len(queries) == 1 else f"query {int(zero[0])}"
        raise InvalidArgument(
            f"{which} is a zero vector in {dtype}, which has no direction, and the metric is cosine.\n"
            "  Fix: pass a nonzero vector, or metric='l2'."
        )


def _unknown_strategy(strategy: object) -> InvalidArgument:
    return InvalidArgument(
        f"unknown strategy {strategy!r}; expected one of {', '.join(STRATEGIES)}.\n"
        "  Fix: pass one of them, or leave it out for 'auto'."
    )
