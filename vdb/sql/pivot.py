"""PIVOT as a statement: DuckDB reads it as several, the first of which finds the values that become columns.

So do we: columns without IN get the values that they hold, in order, and what results is one query with a tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdb.sql import tree
from vdb.sql.tokens import Reader, Script
from vdb.storage.rows import literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.sql.result import Result
    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement


def pivot(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:
    """Run a PIVOT."""
    statement.refuse_marks()
    reader = Reader(statement, 1)
    source = reader.clause("on")
    parts = []
    if reader.take("on"):
        while True:
            text = reader.until(("using", "group", "order", "limit", "in"))
            if reader.peek() == "in":
                reader.expect("in")
                parts.append(f"{text} IN ({reader.bracketed()})")
            else:
                parts.append(f"{text} IN ({', '.join(_held(session, source, text, values))})")
            if not reader.take(","):
                break
    on = f" ON {', '.join(parts)}" if parts else ""
    text = f"PIVOT {source}{on} {reader.rest()}"
    (written,) = Script(text).statements
    return session.query(text, written, values)


def _held(session: Session, source: str, column: str, values: Mapping[str, object]) -> list[str]:
    """The values that an expression has in the source, as SQL."""
    text = f"SELECT DISTINCT CAST({column} AS VARCHAR) AS v FROM {source} WHERE v IS NOT NULL ORDER BY v"
    (written,) = Script(text).statements
    asked = tree.parameters_of(tree.parse(written))
    rows = session.query(text, written, {name: values[name] for name in asked if name in values}).fetchall()
    return [literal(str(row[0])) for row in rows] or ["NULL"]
