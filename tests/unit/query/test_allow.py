"""The allow-list against DuckDB's own catalog: everything on it exists and is pure."""

from __future__ import annotations

import duckdb
import pytest

from vdb.query import allow


@pytest.mark.parametrize("name", sorted(allow.FUNCTIONS | allow.OPERATORS))
def test_function_is_scalar_deterministic_and_without_side_effect(name: str) -> None:
    found = duckdb.execute(
        "SELECT DISTINCT function_type, stability, has_side_effects FROM duckdb_functions() WHERE function_name = ?",
        [name],
    ).fetchall()
    assert found == [("scalar", "CONSISTENT", False)]


@pytest.mark.parametrize(("alias", "canonical"), sorted(allow.SCALAR_TYPES.items()))
def test_every_spelling_of_a_type_is_the_type_it_is_written_as(alias: str, canonical: str) -> None:
    spelled = duckdb.execute(f"SELECT typeof(CAST(NULL AS {alias}))").fetchone()
    assert spelled == duckdb.execute(f"SELECT typeof(CAST(NULL AS {canonical}))").fetchone()


@pytest.mark.parametrize(
    "name", ["repeat", "lpad", "replace", "format", "now", "random", "read_text", "getenv", "nullif", "~~~", "error"]
)
def test_what_is_costly_or_impure_is_not_on_the_list(name: str) -> None:
    assert name not in allow.FUNCTIONS | allow.OPERATORS
