"""What a search and a lookup return.

Slots, row ids and distances are at hand; the columns are read when they are first asked for, so a caller who wants
ids and distances never waits for DuckDB.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

from vdb._core import ABSENT_SLOT
from vdb.dtypes import shown
from vdb.errors import InvalidArgument, VdbError
from vdb.query import export
from vdb.types import DISTANCE_COLUMN, QUERY_COLUMN, ROW_ID_COLUMN, FloatMatrix, RowIds, Slots, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vdb.storage.state import TableState

Keys: TypeAlias = npt.NDArray[Any]
T = TypeVar("T")

_NO_ROW: Final = -1  # pads the row ids of a batch
_SHOWN_ROWS: Final = 10
_SHOWN_WIDTH: Final = 32


@dataclass(slots=True)
class RowSource:
    """Where a result reads its rows: the state they were found in, and DuckDB.

    `check` raises InvalidState where that state is of no more use.
    """

    found_in: TableState
    fetch: export.Fetch
    check: Callable[[], None] | None = None

    @property
    def state(self) -> TableState:
        """The state the rows were found in."""
        if self.check is not None:
            self.check()
        return self.found_in


class Lazy(Generic[T]):
    """A value computed when it is first asked for: `cached_property` without the lock it has before Python 3.12.

    The lock costs more than the values of `Hits` do; two threads may compute the same one.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Lazy[T] | T:
        if instance is None:
            return self
        value = self._compute(instance)
        instance.__dict__[self._name] = value
        return value


class Neighbors(NamedTuple):
    """What the core found, nearest first.

    Attributes
    ----------
    slots : Slots
        (nq, k), padded with ABSENT_SLOT.
    distances : FloatMatrix
        (nq, k) float32, padded with infinity.
    is_batch : bool
        Whether the caller passed a matrix of queries; else nq is 1.
    """

    slots: Slots
    distances: FloatMatrix
    is_batch: bool


class Rows:
    """Rows of a table in a given order. Iterating, indexing and the `to_` methods read their columns.

    Columns are as of the moment they are read; a row deleted or replaced in between is an InvalidState.

    Parameters
    ----------
    slots : Slots
        (n,), the rows.
    columns : tuple of str
        The columns to show: attributes, vector columns, or `_row_id`.
    source : RowSource
        Where they are read.
    extra : dict of str to ndarray, optional
        (n,) arrays to show beside them: `query` goes first, others last.
    """

    def __init__(
        self,
        slots: Slots,
        columns: tuple[str, ...],
        source: RowSource,
        extra: dict[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        self.slots = slots
        self._names = tuple(dict.fromkeys(columns))
        self._source = source
        self._extra = extra or {}

    @property
    def ids(self) -> Keys:
        """The primary keys, (n,): int64, or objects where the key is text; row ids where there is no key."""
        return _keys(self.slots, self._source)

    @property
    def row_ids(self) -> RowIds:
        """(n,) int64."""
        return self._source.state.row_ids[self.slots]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict per row; vectors are (dim,) arrays: float16, int8, or float32 for FLOAT and BFLOAT16."""
        return export.to_dicts(self._columns)

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame; InvalidState where pandas is not installed."""
        return export.to_pandas(self._columns)

    def to_arrow(self) -> Any:
        """Return a pyarrow.Table; InvalidState where pyarrow is not installed."""
        return export.to_arrow(self._columns)

    def to_polars(self) -> Any:
        """Return a polars.DataFrame; InvalidState where polars or pyarrow is not installed."""
        return export.to_polars(self._columns)

    def __len__(self) -> int:
        return len(self.slots)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._dicts)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._dicts[index]

    def __repr__(self) -> str:
        head = f"{len(self)} row{'' if len(self) == 1 else 's'} of {self._source.state.schema.name}"
        return "\n".join([head, *self._preview()])

    @cached_property
    def _dicts(self) -> list[dict[str, Any]]:
        return self.to_dicts()

    @cached_property
    def _columns(self) -> export.Columns:
        """Decide for every column whether it is fetched or computed."""
        state = self._source.state
        stored: dict[str, str] = {}
        computed: dict[str, export.Computed] = {}
        for name in self._names:
            column = state.schema.by_name.get(name)
            if isinstance(column, VectorColumn):
                computed[name] = self._vectors(column)
            elif column is not None:
                stored[name] = column.type
            elif name == ROW_ID_COLUMN:
                computed[name] = self.row_ids
            else:
                raise InvalidArgument(f"no column {name!r} in table {state.schema.name}.\n  Fix: select its columns.")
        first, last = {}, dict(self._extra)
        if QUERY_COLUMN in last:  # a table may have a column of that name itself
            first["_" + QUERY_COLUMN if QUERY_COLUMN in self._names else QUERY_COLUMN] = last.pop(QUERY_COLUMN)
        return export.Columns(
            slots=self.slots,
            order=(*first, *self._names, *last),
            stored=stored,
            computed=first | computed | last,
            fetch=self._source.fetch,
        )

    def _vectors(self, column: VectorColumn) -> export.Vectors:
        vectors = self._source.state.vectors[column.name]
        present = vectors.present
        marks = None if present is None else np.array([int(slot) in present for slot in self.slots], dtype=np.bool_)
        values = shown(vectors.data[self.slots], column.dtype)
        return export.Vectors(values, None if marks is None or marks.all() else marks)

    def _preview(self) -> list[str]:
        """Return the first rows as aligned lines, or nothing where they cannot be read any more."""
        shown = {name: values[:_SHOWN_ROWS] for name, values in self._extra.items()}
        try:
            rows = Rows(self.slots[:_SHOWN_ROWS], self._names, self._source, shown).to_dicts()
        except VdbError:
            return []
        if not rows:
            return []
        cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
        return lines if len(self) <= _SHOWN_ROWS else [*lines, "..."]


class Hits:
    """The nearest rows to one query, or to each query of a batch; nearest first, equal distances by row id.

    For one query it is a sequence of rows, each a dict with `_distance`; for a batch, a sequence of such `Hits`.

    Parameters
    ----------
    neighbors : Neighbors
        What was found.
    columns : tuple of str
        The columns to show, as for `Rows`.
    source : RowSource
        Where they are read.
    plan : object
        What was done, as text by `str`.
    """

    truncated: bool = False  # whether a budget set by the caller cut the search short

    def __init__(self, neighbors: Neighbors, columns: tuple[str, ...], source: RowSource, plan: object = "") -> None:
        self._neighbors = neighbors
        self._names = columns
        self._source = source
        self._plan = plan

    @Lazy
    def ids(self) -> Keys:
        """The primary keys, or row ids where there is no key: (n,) for one query, (nq, k) for a batch.

        int64, padded with -1; objects padded with None where the key is text.
        """
        schema = self._source.state.schema
        if schema.key is None or schema.integer_key is not None:
            return self.row_ids
        return self._spread(_keys(self._flat_slots, self._source), None)

    @Lazy
    def row_ids(self) -> RowIds:
        """(n,) int64 for one query, (nq, k) padded with -1 for a batch."""
        row_ids = self._source.state.row_ids[self._flat_slots]
        return self._spread(row_ids, _NO_ROW) if self._neighbors.is_batch else row_ids

    @Lazy
    def distances(self) -> npt.NDArray[np.float32]:
        """(n,) float32 for one query, (nq, k) padded with infinity for a batch."""
        found = self._neighbors
        return found.distances if found.is_batch else found.distances[0, : len(self._flat_slots)]

    def to_numpy(self) -> tuple[Keys, npt.NDArray[np.float32]]:
        """Return `ids` and `distances`."""
        return self.ids, self.distances

    def to_dicts(self) -> Any:
        """Return a dict per row, `_distance` last; for a batch, a list of such lists."""
        rows = self._rows.to_dicts()
        if not self._neighbors.is_batch:
            return rows
        ends = np.cumsum(self._is_row.sum(axis=1)).tolist()
        return [_without_query(rows[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame, `_distance` last; a batch has the number of the query first, as `query`."""
        return self._rows.to_pandas()

    def to_arrow(self) -> Any:
        """Return a pyarrow.Table with the columns of `to_pandas`."""
        return self._rows.to_arrow()

    def to_polars(self) -> Any:
        """Return a polars.DataFrame with the columns of `to_pandas`."""
        return self._rows.to_polars()

    def explain(self) -> str:
        """Say how the search was done and why."""
        return str(self._plan)

    @property
    def plan(self) -> object:
        """What `explain()` prints, as values: `vdb.query.explain.Explanation`."""
        return self._plan

    def __len__(self) -> int:
        return len(self._neighbors.slots) if self._neighbors.is_batch else len(self._flat_slots)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int | slice) -> Any:
        if not self._neighbors.is_batch:
            return self._rows[index]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        one = Neighbors(self._neighbors.slots[i : i + 1], self._neighbors.distances[i : i + 1], is_batch=False)
        return Hits(one, self._names, self._source, self._plan)

    def __repr__(self) -> str:
        if self._neighbors.is_batch:
            found = f"{len(self._flat_slots)} rows of {self._source.state.schema.name}"
            return f"{len(self)} queries, {found}"
        return repr(self._rows)

    @Lazy
    def _is_row(self) -> npt.NDArray[np.bool_]:
        return np.not_equal(self._neighbors.slots, ABSENT_SLOT)

    @Lazy
    def _flat_slots(self) -> Slots:
        """The slots of all queries without their padding."""
        slots: Slots = self._neighbors.slots
        full = len(slots) == 1 and slots.shape[1] > 0 and slots[0, -1] != ABSENT_SLOT  # the usual: nothing to count
        return slots[0] if full else slots[self._is_row]

    @Lazy
    def _rows(self) -> Rows:
        extra: dict[str, npt.NDArray[Any]] = {}
        if self._neighbors.is_batch:
            extra[QUERY_COLUMN] = np.nonzero(self._is_row)[0]
        extra[DISTANCE_COLUMN] = self._neighbors.distances[self._is_row]
        return Rows(self._flat_slots, self._names, self._source, extra)

    def _spread(self, flat: npt.NDArray[Any], pad: object) -> npt.NDArray[Any]:
        """Put one value per row back into the shape of the batch."""
        if not self._neighbors.is_batch:
            return flat
        full = np.full(self._neighbors.slots.shape, pad, dtype=flat.dtype)
        full[self._is_row] = flat
        return full


def found_in(hits: Hits) -> tuple[TableState, Slots]:
    """The state that hits are of and their slots, those of one query after those of another, without padding."""
    return hits._source.found_in, hits._flat_slots


def found_each(hits: Hits) -> list[tuple[Slots, npt.NDArray[np.float32]]]:
    """The slots and distances of each query of a batch, without padding."""
    found = hits._neighbors
    counts = hits._is_row.sum(axis=1).tolist()
    return [(slots[:n], away[:n]) for slots, away, n in zip(found.slots, found.distances, counts, strict=True)]


def _keys(slots: Slots, source: RowSource) -> Keys:
    schema = source.state.schema
    if schema.key is None or schema.integer_key is not None:
        return source.state.row_ids[slots]
    rows = Rows(slots, (schema.key,), source).to_dicts()
    return np.fromiter((row[schema.key] for row in rows), dtype=np.object_, count=len(rows))


def _without_query(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop the first column, the number of the query."""
    return [dict(list(row.items())[1:]) for row in rows]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, np.ndarray):
        return f"[{len(value)} values]"
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN_WIDTH else text[: _SHOWN_WIDTH - 3] + "..."
