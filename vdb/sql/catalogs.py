"""What the database says of itself in SQL: `FROM vdb_tables()`, `vdb_columns()` and so on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vdb.storage.state import ATTRIBUTE_KIND
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vdb.sql.session import Session

COLUMNS: Final = {
    "vdb_tables": ("table_name", "row_count", "dead_slots", "primary_key"),
    "vdb_views": ("view_name", "query"),
    "vdb_columns": ("table_name", "column_name", "column_type", "metric", "is_nullable", "default"),
    "vdb_indexes": ("table_name", "index_name", "column_name", "kind", "metric", "params", "covered", "memory_bytes"),
    "vdb_settings": ("name", "value", "meaning"),
}


def _tables(session: Session) -> Iterator[Sequence[object]]:
    for name, state in session.engine.store.state.tables.items():
        yield name, state.live.count, state.dead_slots, state.schema.key


def _columns(session: Session) -> Iterator[Sequence[object]]:
    for name, state in session.engine.store.state.tables.items():
        for column in state.schema.columns:
            metric = column.metric if isinstance(column, VectorColumn) else None
            default = None if isinstance(column, VectorColumn) else column.default
            yield name, column.name, column.type, metric, column.nullable, default


def _views(session: Session) -> Iterator[Sequence[object]]:
    yield from session.engine.store.state.views.items()


def _indexes(session: Session) -> Iterator[Sequence[object]]:
    engine = session.engine
    for name, state in engine.store.state.tables.items():
        for record in state.all_indexes.values():
            if record.kind == ATTRIBUTE_KIND:
                covered, memory_bytes = engine.attributes.size_of(record)
                params = json.dumps(dict(record.params))
                yield name, record.name, record.column, record.kind, None, params, covered, memory_bytes
            else:
                info = engine.indexes.info(name, record.name)
                params = json.dumps(info.params)
                yield name, info.name, info.column, info.kind, info.metric, params, info.covered, info.memory_bytes


def _settings(session: Session) -> Iterator[Sequence[object]]:
    yield from session.settings.rows()


def _relation(name: str, rows: Callable[[Session], Iterator[Sequence[object]]]) -> Callable[[Session], dict[str, Any]]:
    def made(session: Session) -> dict[str, Any]:
        columns = list(zip(*rows(session), strict=True)) or [()] * len(COLUMNS[name])
        return {key: _array(column) for key, column in zip(COLUMNS[name], columns, strict=True)}

    return made


def _array(values: Sequence[object]) -> Any:
    """An array of whole numbers or truth values where they are that, else of objects."""
    kinds = {type(value) for value in values}
    return np.array(values, object if len(kinds) != 1 or kinds == {str} else None)


CATALOGS: Final = {
    "vdb_tables": _relation("vdb_tables", _tables),
    "vdb_views": _relation("vdb_views", _views),
    "vdb_columns": _relation("vdb_columns", _columns),
    "vdb_indexes": _relation("vdb_indexes", _indexes),
    "vdb_settings": _relation("vdb_settings", _settings),
}
