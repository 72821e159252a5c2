"""UNIQUE: columns that no two rows may have the same values of, but for NULL.

It is listed as an attribute index, and checked by DuckDB after each write, inside its transaction: the rows that came
or were changed against all. DuckDB keeps no constraint of its own, as for the primary key, and one checked afterwards
lets rows swap their values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from vdb.errors import AlreadyExists
from vdb.storage import rows
from vdb.storage.state import ATTRIBUTE_KIND, LISTED, IndexRecord, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from vdb.storage.state import TableState
    from vdb.types import Slots

_UNIQUE: Final = "unique"
_EVERY: Final = 0  # from this slot on


def unique_record(table: str, columns: Sequence[str], name: str | None = None) -> IndexRecord:
    """The record of a UNIQUE over columns of a table, `<table>_<columns>_unique` where it has no name."""
    chosen = "_".join([table, *columns, _UNIQUE]) if name is None else name
    params: dict[str, int | float | str] = {_UNIQUE: 1, LISTED: listing(columns)}
    return IndexRecord(chosen, table, columns[0], ATTRIBUTE_KIND, params)


def unique_columns(record: IndexRecord) -> tuple[str, ...]:
    """The columns that a record makes unique, none where it is of another kind."""
    return record.listed if _UNIQUE in record.params else ()


def check_unique(cursor: duckdb.DuckDBPyConnection, before: TableState | None, after: TableState) -> None:
    """AlreadyExists where a row that came or was changed since `before` has the values of another in unique columns.

    What has become unique since is checked for every row.
    """
    for name, record in after.attribute_indexes.items():
        columns = unique_columns(record)
        if not columns:
            continue
        known = before is not None and name in before.attribute_indexes
        for which in _written(before, after, columns) if known and before is not None else (_EVERY,):
            values = rows.first_repeated(cursor, after.schema, columns, which)
            if values is not None:
                shown = ", ".join(f"{column} = {value!r}" for column, value in zip(columns, values, strict=True))
                raise AlreadyExists(
                    f"Table {after.schema.name} would have two rows with {shown}; UNIQUE {name} allows one."
                    f" Fix: change one of them, or drop index {name}."
                )


def _written(before: TableState, after: TableState, columns: Sequence[str]) -> list[int | Slots]:
    """The slots that came or changed in some columns since, as `Reader.values` takes them."""
    if after.generation is not before.generation:  # rows were moved, or columns renamed
        return []
    changed = after.rewrites.since(columns, before.rewrites.count)
    if changed is None:
        return [_EVERY]
    found: list[int | Slots] = [np.ascontiguousarray(changed)] if len(changed) else []
    if after.next_slot > before.next_slot:
        found.append(before.next_slot)
    return found
