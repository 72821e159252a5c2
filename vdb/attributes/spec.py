"""What a user may ask of an attribute index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdb.attributes.keys import Encoding, encoding_of, item_type
from vdb.attributes.source import columns_of
from vdb.errors import InvalidArgument
from vdb.storage.state import check_columns
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from vdb.attributes.source import Source
    from vdb.types import TableSchema


@dataclass(frozen=True)
class Attribute:
    """An index of an attribute column, for predicates: `table.create_index("year", vdb.Attribute())`.

    The column as sorted keys in memory, the values of lists as lists of their rows: comparisons with constants, IN,
    BETWEEN, IS NULL, prefixes and list membership are then answered in microseconds instead of by DuckDB, with the same
    rows. Columns that predicates use get one by themselves, when first needed, so this only names what is there anyway:
    it is listed, and built at once instead of by the first search.

    It holds numbers, DECIMAL of up to 18 digits, BOOLEAN, VARCHAR, UUID, dates and times, and lists of these. Nothing
    of it is on disk but its name: it is read from DuckDB, in one query, when it is first needed after an open.
    """


def encoding_for(schema: TableSchema, name: Source) -> tuple[Encoding, bool] | None:
    """How the values of a column, or (True) the items of its lists, become keys; None where they cannot.

    InvalidArgument where there is no such column or it holds vectors.
    """
    check_columns(schema, columns_of(name))
    if not isinstance(name, str):
        truth = encoding_of("BOOLEAN")
        return None if truth is None else (truth, False)
    column = schema.by_name[name]
    if isinstance(column, VectorColumn):
        raise InvalidArgument(
            f"{schema.name}.{name} is {column.type}, a vector column, which has no order.\n"
            "  Fix: name an attribute column, or create vdb.HNSW() or vdb.Flat() on this one."
        )
    items = item_type(column.type)
    encoding = encoding_of(column.type if items is None else items)
    return None if encoding is None else (encoding, items is not None)


def check_indexable(schema: TableSchema, name: str) -> None:
    """InvalidArgument where a column cannot have an attribute index."""
    if encoding_for(schema, name) is None:
        raise InvalidArgument(
            f"{schema.name}.{name} is {schema.by_name[name].type}, which has no attribute index: expected numbers, "
            "DECIMAL of up to 18 digits, BOOLEAN, VARCHAR, UUID, dates, times, or lists of one of these.\n"
            "  Fix: keep what you filter by in a column of its own; DuckDB answers the rest."
        )
