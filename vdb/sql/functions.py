"""What DuckDB says of its own functions."""

from __future__ import annotations

from functools import lru_cache

from vdb.storage.connection import parser_connection


@lru_cache(maxsize=1)
def functions() -> tuple[frozenset[str], frozenset[str]]:
    """The names of functions that look at several rows or make several, and of those that differ at every call."""
    rows = (
        parser_connection()
        .execute("SELECT DISTINCT lower(function_name), function_type, stability FROM duckdb_functions()")
        .fetchall()
    )
    many = {name for name, kind, _ in rows if kind in ("aggregate", "macro", "window")}
    volatile = {name for name, _, stability in rows if stability == "VOLATILE"}
    return frozenset(many | {"unnest", "count_star"}) - {"-"}, frozenset(volatile)
