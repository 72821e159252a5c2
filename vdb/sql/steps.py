"""What a statement needs of vdb before DuckDB can run it, as values: made once for a text, used for every call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.storage.state import DatabaseState
    from vdb.types import Metric, TableSchema


@dataclass(frozen=True)
class Fragment:
    """SQL of vdb's own making, and the names of the parameters in it."""

    sql: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Distances of a column to one query vector.

    Attributes
    ----------
    query : Fragment or str
        A query for the vector, or the name of the parameter that holds it.
    """

    column: str
    metric: Metric
    query: Fragment | str


@dataclass(frozen=True)
class Top:
    """Only the nearest rows count: `limit` of them behind `offset`, numbers or names of parameters.

    Attributes
    ----------
    ties : bool
        Whether rows at the last distance must all be there, because further keys order them.
    falls : bool
        Whether the order is one in which rows without a direction come first.
    """

    limit: int | str
    offset: int | str = 0
    ties: bool = False
    falls: bool = False


@dataclass(frozen=True)
class Batch:
    """The rows around a correlated query: it is searched once for all that differ.

    Attributes
    ----------
    needles : Fragment
        A query for what it reads of them: `v`, the query vector, and `p0`, `p1`, ... for its conditions.
    parameters : tuple of str
        The names that `p0`, `p1`, ... have in `TableUse.where`.
    stub : str
        A query without rows for the same columns, and `n`, the number of each.
    """

    needles: Fragment
    parameters: tuple[str, ...]
    stub: str


@dataclass(frozen=True)
class TableUse:
    """One table in one FROM clause whose vectors matter.

    Attributes
    ----------
    number : int
        Of the relations `vdb_hits_<number>` and `vdb_vectors_<number>` that it gets.
    measured : tuple
        The distances its rows get; where there is a `top`, the first is the one that orders them.
    vectors : tuple of str
        The columns whose values are needed.
    where : Fragment or None
        What a row must satisfy, as `where=` of a search takes it.
    candidates : Fragment or None
        A query for the slots that can matter. Neither: every row.
    reason : str
        Why there is no `top`, for EXPLAIN.
    batch : Batch or None
        The nearest rows are searched for each of these; the query of `measured` is not used.
    """

    number: int
    schema: TableSchema
    measured: tuple[Measured, ...]
    vectors: tuple[str, ...]
    where: Fragment | None = None
    candidates: Fragment | None = None
    top: Top | None = None
    reason: str = ""
    batch: Batch | None = None

    @property
    def needles(self) -> str:
        """The relation of what a batch is for, by number."""
        return f"vdb_needles_{self.number}"

    @property
    def reads_others(self) -> bool:
        """Whether what it asks depends on the rows that uses before it find."""
        asked = [self.candidates, self.batch and self.batch.needles, *(one.query for one in self.measured)]
        texts = [one.sql for one in asked if isinstance(one, Fragment)]
        return any(f"vdb_{kind}_" in text for text in texts for kind in ("hits", "needles"))

    @property
    def hits(self) -> str:
        """The relation of slots and distances."""
        return f"vdb_hits_{self.number}"

    @property
    def values(self) -> str:
        """The relation of vectors."""
        return f"vdb_vectors_{self.number}"


@dataclass(frozen=True)
class Compiled:
    """A query as DuckDB will run it, after these steps."""

    final: Fragment
    uses: tuple[TableUse, ...] = ()
    schemas: tuple[TableSchema, ...] = ()
    views: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # why relations are not searched by an index, for EXPLAIN
    parameters: frozenset[str] = frozenset()  # that the text asks for
    catalogs: tuple[str, ...] = ()  # the relations about the database itself that it reads

    def is_of(self, state: DatabaseState) -> bool:
        """Whether it was made for these very tables and views."""
        tables = state.tables
        if len(self.schemas) != len(tables) or self.views is not state.views:
            return False
        return all(a is table.schema for a, table in zip(self.schemas, tables.values(), strict=True))
