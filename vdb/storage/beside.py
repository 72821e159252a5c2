"""A DuckDB beside a database's own, which is confined: it may open files, and sees nothing of the database.

It has a share of the memory that the database's DuckDB has, and as many threads; what it has no room for goes to a
temporary folder.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
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


@contextmanager
def beside(engine: Engine) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory for the time of a `with` block."""
    with tempfile.TemporaryDirectory(prefix="vdb-") as folder:
        given = {"memory_limit": engine.memory, "threads": engine.threads, "temp_directory": folder}
        config: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        with duckdb.connect(":memory:", config=config) as connection:
            for setting in _SETTINGS:
                connection.execute(setting)
            yield connection
