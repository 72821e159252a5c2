"""DROP TABLE and DROP INDEX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdb.errors import NotFound
from vdb.sql.control import table_of_index
from vdb.sql.result import Result
from vdb.sql.tokens import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement


def drop(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """Run a DROP TABLE or DROP INDEX."""
    reader = Reader(statement, 1)
    what = "table" if reader.take("table") else "index" if reader.take("index") else ""
    if not what:
        raise reader.error(f"DROP {reader.peek().upper()} is not supported", "Fix: DROP TABLE or DROP INDEX.")
    lenient = reader.take("if", "exists")
    name = reader.table(f"a{'n' if what == 'index' else ''} {what}")
    reader.end()
    try:
        if what == "table":
            session.engine.drop_table(session.table(name).schema.name)
        else:
            _drop_index(session, name)
    except NotFound:
        if not lenient:
            raise
    return Result(None)


def _drop_index(session: Session, name: str) -> None:
    table = table_of_index(session, name)
    if name in session.table(table).attribute_indexes:
        session.engine.attributes.drop(table, name)
    else:
        session.engine.indexes.drop(table, name)
