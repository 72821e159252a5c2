"""DROP TABLE, DROP VIEW and DROP INDEX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vdb.errors import InvalidArgument, NotFound
from vdb.sql.control import table_of_index
from vdb.sql.create_view import drop_view, name_of_view
from vdb.sql.result import Result
from vdb.sql.tokens import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement


def drop(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """Run a DROP TABLE, DROP VIEW or DROP INDEX."""
    reader = Reader(statement, 1)
    what = next((kind for kind in _KINDS if reader.take(kind)), "")
    if not what:
        raise reader.error(
            f"DROP {reader.peek().upper()} is not supported", "Fix: DROP TABLE, DROP VIEW or DROP INDEX."
        )
    lenient = reader.take("if", "exists")
    name = reader.table(f"a{'n' if what == 'index' else ''} {what}")
    if not reader.take("cascade"):
        reader.take("restrict")
    reader.end()
    try:
        _KINDS[what](session, name)
    except NotFound:
        if not lenient:
            raise
    return Result(None)


def _drop_table(session: Session, name: str) -> None:
    session.engine.drop_table(session.table(name).schema.name)


def _drop_view(session: Session, name: str) -> None:
    known = name_of_view(session, name)
    if known is None:
        state = session.engine.store.state
        if any(own.lower() == name.lower() for own in state.tables):
            raise InvalidArgument(f"{name!r} is a table.\n  Fix: DROP TABLE {name}.")
        raise NotFound(f"There is no view {name!r}. Views: {', '.join(state.views) or 'none'}. Fix: name one of them.")
    drop_view(session, known)


def _drop_index(session: Session, name: str) -> None:
    table = table_of_index(session, name)
    if name in session.table(table).attribute_indexes:
        session.engine.attributes.drop(table, name)
    else:
        session.engine.indexes.drop(table, name)


_KINDS: Final = {"table": _drop_table, "view": _drop_view, "index": _drop_index}
