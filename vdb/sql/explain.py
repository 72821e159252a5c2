"""How a statement's nearest rows were found, or why every row was measured, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vdb.query.result import Hits
    from vdb.sql.steps import TableUse


def explained(plans: list[tuple[TableUse, list[Hits]]]) -> str:
    """A paragraph for each table whose vectors mattered."""
    parts = []
    for use, hits in plans:
        name = use.schema.name
        if use.top is not None:
            parts.append("\n".join(found.explain() for found in hits) or f"VECTOR_SEARCH {name}  no row has a distance")
        elif use.measured:
            columns = ", ".join(dict.fromkeys(measured.column for measured in use.measured))
            why = f"VECTOR_SCAN {name}.{columns}  every matching row measured: {use.reason}"
            parts.append("\n".join([why, *(found.explain() for found in hits)]))
        if use.vectors:
            parts.append(f"VECTOR_READ {name}.{', '.join(use.vectors)}")
    return "\n".join(parts)
