"""How a statement's nearest rows were found, or why every row was measured, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from vdb.sql.steps import TableUse

    Plans: TypeAlias = list[tuple[TableUse, list[Callable[[], str]]]]


def explained(plans: Plans, notes: Sequence[str] = ()) -> str:
    """A paragraph for each table whose vectors mattered, and `notes` of the compiler."""
    parts = list(notes)
    for use, found in plans:
        name = use.schema.name
        if use.top is not None:
            parts.append("\n".join(text() for text in found) or f"VECTOR_SEARCH {name}  no row has a distance")
        elif use.measured:
            columns = ", ".join(dict.fromkeys(measured.column for measured in use.measured))
            why = f"VECTOR_SCAN {name}.{columns}  every matching row measured: {use.reason}"
            parts.append("\n".join([why, *(text() for text in found)]))
        if use.vectors:
            parts.append(f"VECTOR_READ {name}.{', '.join(use.vectors)}")
    return "\n".join(parts)


def unplanned(use: TableUse) -> str:
    """A search whose plan depends on rows that only running the statement finds."""
    measured = use.measured[0]
    once, what = "", "another search has run"
    if use.batch is not None:
        once, what = "  one search for all rows around", "these are known"
    head = f"VECTOR_SEARCH {use.schema.name}.{measured.column}  metric={measured.metric}{once}"
    return f"{head}\n  planned when {what}: EXPLAIN ANALYZE does that"
