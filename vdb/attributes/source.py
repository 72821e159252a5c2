"""What a column index is of: a column of the table, or the rows where a condition holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from vdb.storage.rows import quoted

if TYPE_CHECKING:
    from typing_extensions import Self

    from vdb.storage.state import IndexRecord


class Holds(NamedTuple):
    """The rows for which a condition is TRUE, as a column that is TRUE there and NULL elsewhere.

    Attributes
    ----------
    sql : str
        The condition over the unaliased table, as the gate of predicates wrote it; no row makes it fail.
    columns : tuple of str
        What it reads.
    """

    sql: str
    columns: tuple[str, ...]

    @classmethod
    def of(cls, record: IndexRecord) -> Self:
        """The condition of a partial index."""
        return cls(str(record.params["where"]), record.listed)

    def __str__(self) -> str:
        return f"WHERE {self.sql}"


Source: TypeAlias = "str | Holds"


def columns_of(source: Source) -> tuple[str, ...]:
    """The columns that a source is read from."""
    return (source,) if isinstance(source, str) else source.columns


def sql_of(source: Source) -> str:
    """The value of a source in each row."""
    return quoted(source) if isinstance(source, str) else f"(CASE WHEN {source.sql} THEN TRUE END)"
