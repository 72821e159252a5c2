"""The value types that cross layers: schemas of tables and the metrics of vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Metric: TypeAlias = Literal["l2", "cosine", "ip"]
METRICS: tuple[Metric, ...] = ("l2", "cosine", "ip")

FloatMatrix: TypeAlias = npt.NDArray[np.float32]
StoredMatrix: TypeAlias = npt.NDArray[Any]  # float32, float16, int8, or uint16: the bits of bfloat16
RowIds: TypeAlias = npt.NDArray[np.int64]
Slots: TypeAlias = npt.NDArray[np.uint32]

MAX_DIM = 65_535
MAX_ROWS = 2**31 - 1  # slots share a word with one mark bit in the candidate pool

SLOT_COLUMN = "_slot"  # position in the vector files, in every table
ROW_ID_COLUMN = "_row_id"  # in tables without an integer primary key
DISTANCE_COLUMN = "_distance"  # in results
QUERY_COLUMN = "query"  # in results of a batch

Durability: TypeAlias = Literal["full", "normal", "off"]
DURABILITIES: Final[tuple[Durability, ...]] = ("full", "normal", "off")

Dtype: TypeAlias = Literal["float32", "float16", "bfloat16", "int8"]


class DtypeForms(NamedTuple):
    """What a dtype is called where: `sql` in a declaration, `code` in files and the core, `memory` in numpy.

    `fetched` is the DuckDB type of its values in a result.
    """

    sql: str
    code: int
    memory: np.dtype[Any]
    fetched: str


DTYPES: Final[dict[Dtype, DtypeForms]] = {
    "float32": DtypeForms("FLOAT", 1, np.dtype("<f4"), "FLOAT"),
    "float16": DtypeForms("FLOAT16", 2, np.dtype("<f2"), "FLOAT"),
    "bfloat16": DtypeForms("BFLOAT16", 3, np.dtype("<u2"), "FLOAT"),  # numpy has no such dtype: its bits
    "int8": DtypeForms("TINYINT", 4, np.dtype("i1"), "TINYINT"),
}

INTEGER_TYPES = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})


@dataclass(frozen=True, slots=True)
class Column:
    """An attribute column, stored in DuckDB. `type` is DuckDB's own spelling, such as `VARCHAR[]`.

    `default` is SQL for the value of a row that is added without one; None: NULL.
    """

    name: str
    type: str
    nullable: bool = True
    default: str | None = field(default=None, compare=False)

    @property
    def is_required(self) -> bool:
        """Whether a row cannot be added without a value."""
        return not self.nullable and self.default is None


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """A vector column, `dim` values of `dtype` per row in vdb's own file; DuckDB keeps a presence mark."""

    name: str
    dim: int
    metric: Metric = "l2"
    nullable: bool = True
    dtype: Dtype = "float32"

    @property
    def is_required(self) -> bool:
        """Whether a row cannot be added without a vector."""
        return not self.nullable

    @property
    def type(self) -> str:
        """The type as a declaration spells it, such as `FLOAT16[384]`."""
        return f"{DTYPES[self.dtype].sql}[{self.dim}]"

    @property
    def fetched_type(self) -> str:
        """The DuckDB type its values have in a query's result."""
        return f"{DTYPES[self.dtype].fetched}[{self.dim}]"


@dataclass(frozen=True)
class TableSchema:
    """Columns of a table in declaration order and the name of its primary key, if any."""

    name: str
    columns: tuple[Column | VectorColumn, ...]
    key: str | None = None

    @cached_property
    def by_name(self) -> dict[str, Column | VectorColumn]:
        """Every column by its name."""
        return {c.name: c for c in self.columns}

    @cached_property
    def attributes(self) -> tuple[Column, ...]:
        """The columns DuckDB stores."""
        return tuple(c for c in self.columns if isinstance(c, Column))

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The columns a result shows unless others are named: every one but the vectors, or the row id."""
        return tuple(column.name for column in self.attributes) or (self.row_id_column,)

    @cached_property
    def vectors(self) -> tuple[VectorColumn, ...]:
        """The columns the vector files store."""
        return tuple(c for c in self.columns if isinstance(c, VectorColumn))

    @cached_property
    def key_column(self) -> Column | None:
        """The primary key column."""
        column = self.by_name[self.key] if self.key is not None else None
        assert not isinstance(column, VectorColumn)
        return column

    @cached_property
    def integer_key(self) -> str | None:
        """Name of the primary key where it is an integer: then it is the row id."""
        column = self.key_column
        return column.name if column is not None and column.type in INTEGER_TYPES else None

    @property
    def row_id_column(self) -> str:
        """The stored column that holds the row id: the integer primary key, else `_row_id`."""
        return self.integer_key or ROW_ID_COLUMN


class Predicate(NamedTuple):
    """A boolean SQL expression over one table's columns, confined and re-rendered, with the values it binds.

    `condition` is what it asks, for the layer that made it (`vdb.query.condition`); None: only DuckDB knows. It may be
    that of other expressions too, and speak of `constants` by their number.
    """

    sql: str
    parameters: tuple[object, ...] | dict[str, object]
    columns: frozenset[str]
    condition: Any = None
    constants: tuple[Any, ...] = ()
