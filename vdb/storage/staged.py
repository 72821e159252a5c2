"""The rows of a write as SQL of the writer sees them: a batch the caller gave, or rows that DuckDB computed."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from vdb.storage.rows import CHOSEN, POSITION, bound, quoted, table_name
from vdb.types import ROW_ID_COLUMN, SLOT_COLUMN, Column, RowIds, Slots, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vdb.storage.batch import Batch

_BATCH: Final = "vdb_batch"
_PRESENT: Final = "_vdb_present_"
WRITTEN: Final = "vdb_written"  # the temporary table of `WrittenRows`


class StagedBatch:
    """A batch as SQL of one cursor sees it, with the position of each row; for the time of `staged`."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, schema: TableSchema, batch: Batch) -> None:
        self._cursor = cursor
        self._schema = schema
        self._batch = batch

    def first_null(self) -> tuple[str, int] | None:
        """Column and row of a NULL in a given column that takes none."""
        required = [c.name for c in self._schema.attributes if not c.nullable or c.name == self._schema.key]
        given = [name for name in required if name in self._batch.columns and self._integers(name) is None]
        if not given:
            return None
        firsts = ", ".join(f"min({POSITION}) FILTER (WHERE b.{quoted(name)} IS NULL)" for name in given)
        (row,) = self._cursor.execute(f"SELECT {firsts} FROM {_BATCH} AS b").fetchall()
        return next(((name, at) for name, at in zip(given, row, strict=True) if at is not None), None)

    def integer_keys(self) -> RowIds:
        """The integer key of each row, (n,), in batch order."""
        given = self._integers(str(self._schema.key))
        if given is not None:
            return given.astype(np.int64)
        query = f"SELECT {POSITION} AS p, CAST({self._key()} AS BIGINT) AS k FROM {_BATCH} AS b"
        found = self._cursor.execute(query).fetchnumpy()
        keys = np.empty(self._batch.n, np.int64)
        keys[found["p"]] = found["k"]
        return keys

    def first_duplicate(self) -> object | None:
        """A key the batch has twice, or None."""
        query = f"SELECT {self._key()} AS k FROM {_BATCH} AS b GROUP BY k HAVING count(*) > 1 LIMIT 1"
        rows = self._cursor.execute(query).fetchall()
        return rows[0][0] if rows else None

    def first_taken(self) -> object | None:
        """A key the table has already, or None."""
        rows = self._cursor.execute(f"SELECT {self._key()} {self._matched()} LIMIT 1").fetchall()
        return rows[0][0] if rows else None

    def matches(self) -> tuple[npt.NDArray[np.int64], Slots]:
        """Positions of the rows whose key the table has, and the slots that hold them."""
        query = f"SELECT {POSITION} AS p, t.{SLOT_COLUMN} AS s {self._matched()}"
        found = self._cursor.execute(query).fetchnumpy()
        return np.asarray(found["p"], np.int64), np.asarray(found["s"], np.uint32)

    def insert(self, first_slot: int, next_row_id: int, merge: bool) -> None:
        """Insert row i at slot `first_slot + i`; with `merge` columns not given come from the row of the same key."""
        schema = self._schema
        values = {column.name: self._value(column, merge) for column in schema.columns if self._is_set(column, merge)}
        if schema.integer_key is None:
            new = f"{next_row_id} + {POSITION}"
            values[ROW_ID_COLUMN] = f"coalesce(t.{ROW_ID_COLUMN}, {new})" if merge else new
        values[SLOT_COLUMN] = f"CAST({first_slot} + {POSITION} AS UINTEGER)"
        source = f"FROM {_BATCH} AS b"
        if merge:
            source += f" LEFT JOIN {table_name(schema)} AS t ON t.{quoted(str(schema.key))} = {self._key()}"
        columns = ", ".join(map(quoted, values))
        sql = f"INSERT INTO {table_name(schema)} ({columns}) SELECT {', '.join(values.values())} {source}"
        self._cursor.execute(sql)

    def _value(self, column: Column | VectorColumn, merge: bool) -> str:
        name = quoted(column.name)
        if isinstance(column, VectorColumn):
            if column.name in self._batch.vectors:
                if self._batch.vectors[column.name].present is None:
                    return "TRUE"
                return f"CASE WHEN b.{_PRESENT}{self._schema.columns.index(column)} THEN TRUE END"
        elif column.name in self._batch.columns:
            return f"CAST(b.{name} AS {column.type})"
        if merge and isinstance(column, Column) and column.default is not None:
            return f"CASE WHEN t.{SLOT_COLUMN} IS NULL THEN {column.default} ELSE t.{name} END"
        return f"t.{name}"

    def _is_set(self, column: Column | VectorColumn, merge: bool) -> bool:
        """Whether a column has a value that is not its default."""
        return merge or column.name in self._batch.columns or column.name in self._batch.vectors

    def _integers(self, name: str) -> npt.NDArray[Any] | None:
        """The given column where it is a numpy array of int64 or smaller: then it needs no query, and has no NULL."""
        values = self._batch.relation.get(name) if isinstance(self._batch.relation, dict) else None
        if values is None or isinstance(values, np.ma.MaskedArray) or not np.can_cast(values.dtype, np.int64):
            return None
        return np.asarray(values)

    def _key(self) -> str:
        column = self._schema.key_column
        assert column is not None
        return f"CAST(b.{quoted(column.name)} AS {column.type})"

    def _matched(self) -> str:
        key = quoted(str(self._schema.key))
        return f"FROM {_BATCH} AS b JOIN {table_name(self._schema)} AS t ON t.{key} = {self._key()}"


@contextmanager
def staged(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, batch: Batch) -> Iterator[StagedBatch]:
    """Bind a batch to a cursor. The position is a column of its own: no plan has to keep the order of rows."""
    extra: dict[str, npt.NDArray[Any]] = {POSITION: np.arange(batch.n, dtype=np.int64)}
    for number, column in enumerate(schema.columns):
        vectors = batch.vectors.get(column.name)
        if vectors is not None and vectors.present is not None:
            extra[f"{_PRESENT}{number}"] = vectors.present
    if isinstance(batch.relation, WrittenRows):
        with batch.relation.viewed(cursor, batch.columns, extra):
            yield StagedBatch(cursor, schema, batch)
        return
    relation = _with_columns(batch.relation, extra) if batch.columns else extra
    with bound(cursor, _BATCH, relation):
        yield StagedBatch(cursor, schema, batch)


class WrittenRows:
    """The rows of a write that DuckDB has computed, in a temporary table of the writer's cursor.

    Row i of the batch is the one with the i-th smallest `rowid`.
    """

    @contextmanager
    def viewed(
        self, cursor: duckdb.DuckDBPyConnection, columns: tuple[str, ...], extra: Mapping[str, npt.NDArray[Any]]
    ) -> Iterator[None]:
        """Let SQL see the rows with their position and `extra` columns as a batch."""
        names = "".join(f", s.{quoted(name)}" for name in columns)
        marks = "".join(f", e.{name}" for name in extra if name != POSITION)
        place = f"row_number() OVER (ORDER BY rowid) - 1 AS {POSITION}"
        with bound(cursor, CHOSEN, dict(extra)):
            cursor.execute(
                f"CREATE TEMP VIEW {_BATCH} AS SELECT s.{POSITION}{names}{marks}"
                f" FROM (SELECT *, {place} FROM temp.{WRITTEN}) AS s JOIN {CHOSEN} AS e ON e.{POSITION} = s.{POSITION}"
            )
            try:
                yield
            finally:
                with suppress(duckdb.Error):
                    cursor.execute(f"DROP VIEW temp.{_BATCH}")


def assign_written(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, columns: tuple[str, ...]) -> None:
    """Set attribute columns of the rows whose slots are in the written rows to the values there."""
    sets = ", ".join(f"{quoted(name)} = w.{quoted(name)}" for name in columns)
    cursor.execute(
        f"UPDATE {table_name(schema)} AS t SET {sets} FROM temp.{WRITTEN} AS w WHERE t.{SLOT_COLUMN} = w.{SLOT_COLUMN}"
    )


def null_in_written(cursor: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> str | None:
    """One of these columns that is NULL in a written row."""
    for name in columns:
        found = cursor.execute(f"SELECT 1 FROM temp.{WRITTEN} WHERE {quoted(name)} IS NULL LIMIT 1").fetchall()
        if found:
            return name
    return None


def _with_columns(relation: Any, extra: dict[str, npt.NDArray[Any]]) -> Any:
    if isinstance(relation, dict):
        return {**relation, **extra}
    library = type(relation).__module__.partition(".")[0]
    if library == "pandas":
        return relation.assign(**extra)
    if library == "polars":
        return relation.with_columns(**extra)
    for name, values in extra.items():
        relation = relation.append_column(name, [values])
    return relation
