"""A DuckDB beside a database's own, which is confined: it may open files, and sees nothing of the database.

It has as much memory as the database's DuckDB, but what one reader of a file needs at least; no more threads than there
are such parts in it; and puts what it has no room for into a temporary folder.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.storage.connection import Engine

_SETTINGS: Final = (
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET lock_configuration = true",
)
_LEAST_BYTES: Final = 128 << 20  # a reader of CSV takes three buffers of 32 MB


@contextmanager
def beside(engine: Engine) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory for the time of a `with` block."""
    with tempfile.TemporaryDirectory(prefix="vdb-") as folder, closing(opened(engine, folder)) as connection:
        for setting in _SETTINGS:
            connection.execute(setting)
        yield connection


def opened(engine: Engine, folder: str | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory; `folder` is for what it has no room for."""
    given: dict[str, Any] = {"threads": engine.threads, "temp_directory": folder}
    if engine.memory is not None:
        memory = max(engine.memory, _LEAST_BYTES)
        given["memory_limit"] = f"{memory}B"
        given["threads"] = min(engine.threads or os.cpu_count() or 1, memory // _LEAST_BYTES)
    return duckdb.connect(":memory:", config={name: value for name, value in given.items() if value is not None})
