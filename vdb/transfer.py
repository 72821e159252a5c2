"""Tables into files of other programs and out of them, a chunk of rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from vdb.errors import InvalidArgument
from vdb.storage import foreign
from vdb.storage.store import all_or_none
from vdb.types import VectorColumn

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from vdb.database import Database
    from vdb.types import Metric

Progress: TypeAlias = Callable[[int, int], None] | None


def export_table(database: Database, name: str, path: str | os.PathLike[str], progress: Progress) -> int:
    """Do what `Database.export_table` says."""
    place = _path(path)
    _check_progress(progress)
    with database.store.read() as session:
        state = session.state.table(name)
        slots = state.live.to_slots()
        columns = state.schema.columns
        types = {c.name: c.fetched_type if isinstance(c, VectorColumn) else c.type for c in columns}

        def chunks() -> Iterator[list[tuple[Any, ...]]]:
            for begin in range(0, len(slots), foreign.CHUNK_ROWS):
                chosen = slots[begin : begin + foreign.CHUNK_ROWS]
                yield session.fetch(name, chosen, list(types)).fetchall()
                if progress is not None:
                    progress(begin + len(chosen), len(slots))

        foreign.write(place, types, chunks())
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
    _check_progress(progress)
    done = 0
    with foreign.reading(place) as rows, _transaction(database), all_or_none(database.store):
        if name not in database.store.state.tables:
            key, metric = made
            _check_key(key, rows.types, place)
            declared = {n: f"{t} PRIMARY KEY" if n == key else t for n, t in rows.types.items()}
            database.create_table(name, declared, metric=metric)
        table = database.table(name)
        for chunk in rows.chunks():
            done += table.add(chunk)
            if progress is not None:
                progress(done, rows.count)
    return done


def _transaction(database: Database) -> AbstractContextManager[object]:
    return nullcontext() if database.store.transaction else database.transaction()


def _check_key(key: str | None, types: Mapping[str, str], path: Path) -> None:
    if key is not None and key not in types:
        raise InvalidArgument(f"key {key!r} is not a column of {path}: {', '.join(types)}.\n  Fix: name one of them.")


def _path(path: object) -> Path:
    try:
        return Path(path).absolute()  # type: ignore[arg-type]
    except TypeError:
        raise InvalidArgument(f"path must be a path, got {path!r}.\n  Fix: name a file.") from None


def _check_progress(progress: object) -> None:
    if progress is not None and not callable(progress):
        raise InvalidArgument(f"progress must be callable, got {progress!r}.\n  Fix: pass f(done, total), or None.")
