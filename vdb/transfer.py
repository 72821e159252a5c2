"""Tables into files of other programs and out of them, a chunk of rows at a time."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from vdb.errors import InvalidArgument
from vdb.index.spec import check_name, check_progress
from vdb.sql.staging import filled
from vdb.storage import foreign
from vdb.storage.rows import quoted
from vdb.storage.store import all_or_none
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.database import Database
    from vdb.index.spec import Progress
    from vdb.storage.foreign import ForeignRows
    from vdb.storage.interchange import Stream
    from vdb.types import Metric, TableSchema

_CHUNK = "vdb_chunk"


def export_table(database: Database, name: str, path: str | os.PathLike[str], progress: Progress) -> int:
    """Do what `Database.export_table` says."""
    place = _path(path)
    check_progress(progress)
    with database.store.statement() as statement, database.store.beside() as other:
        table = statement.state.table(name)
        slots = table.live.to_slots()
        types = {c.name: c.fetched_type if isinstance(c, VectorColumn) else c.type for c in table.schema.columns}
        with foreign.writing(other, place, types) as file:
            size = foreign.chunk_rows(database.store.duckdb_memory)
            for begin in range(0, len(slots), size):
                chosen = slots[begin : begin + size]
                file.add(statement.rows(table, chosen))
                if progress is not None:
                    progress(begin + len(chosen), len(slots))
    return len(slots)


def import_table(
    database: Database,
    name: str,
    path: str | os.PathLike[str],
    made: tuple[str | None, Metric | Mapping[str, Metric]],
    progress: Progress,
) -> int:
    """Do what `Database.import_table` says; `made` is the key and the metric of a table that is made."""
    place = _path(path)
    check_progress(progress)
    if made[0] is not None:
        check_name("key", made[0])
    done = 0
    with _transaction(database), all_or_none(database.store), database.store.beside() as other:
        known = database.store.state.tables.get(name)
        rows = foreign.read(other, place, None if known is None else known.schema)
        if known is None:
            key, metric = made
            _check_key(key, rows.declared, place)
            declared = {n: f"{t} PRIMARY KEY" if n == key else t for n, t in rows.declared.items()}
            database.create_table(name, declared, metric=metric)
        schema = database.table(name).schema
        for chunk in rows.chunks(foreign.chunk_rows(database.store.duckdb_memory)):
            done += _add(database, schema, rows, chunk)
            if progress is not None:
                progress(done, rows.count)
    return done


def _add(database: Database, schema: TableSchema, rows: ForeignRows, chunk: Stream) -> int:
    with database.writing(schema.name) as transaction, database.store.statement() as statement:
        statement.bind(_CHUNK, chunk)
        shown = ", ".join(map(quoted, rows.types))
        with filled(statement, schema, rows.types, lambda: (f"SELECT {shown} FROM {_CHUNK}", None)) as staged:
            return transaction.insert(schema.name, staged.batch())


def _transaction(database: Database) -> AbstractContextManager[object]:
    return nullcontext() if database.store.transaction else database.transaction()


def _check_key(key: str | None, types: Mapping[str, str], path: Path) -> None:
    if key is not None and key not in types:
        raise InvalidArgument(f"key {key!r} is not a column of {path}: {', '.join(types)}.\n  Fix: name one of them.")


def _path(path: object) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not isinstance(text := os.fspath(path), str) or "\0" in text:
        raise InvalidArgument(f"path must be a path, got {path!r}.\n  Fix: name a file.")
    return Path(text).absolute()
