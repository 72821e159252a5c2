"""Statements that steer: transactions, settings, EXPLAIN, SHOW, PRAGMA, and those that need nothing here."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vdb.errors import InvalidState, NotFound
from vdb.sql import tree
from vdb.sql.given import named
from vdb.sql.result import Result
from vdb.sql.tokens import Reader, Script

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement

_NOTHING: Final = Result(None)
# Pragmas of DuckDB and of vss that show something, as queries; $t is their argument.
_SHOWING: Final = {
    "show_tables": "SELECT table_name AS name FROM vdb_tables() ORDER BY 1",
    "version": "SELECT * FROM pragma_version()",
    "hnsw_index_info": "SELECT * FROM vdb_indexes()",
    "table_info": (
        "SELECT row_number() OVER () - 1 AS cid, column_name AS name, column_type AS type, NOT is_nullable AS notnull,"
        ' c."default" AS dflt_value, coalesce(column_name = primary_key, FALSE) AS pk'
        " FROM vdb_columns() AS c JOIN vdb_tables() AS t USING (table_name) WHERE table_name = $t"
    ),
}
_FIXES: Final = {
    "call": "SELECT * FROM the function.",
}


class _RolledBack(Exception):
    """What ends a transaction that SQL rolls back."""


def begin(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """BEGIN: the statements of this thread up to COMMIT or ROLLBACK become one commit."""
    session.begin()
    return _NOTHING


def commit(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """COMMIT."""
    _taken(session).close()
    return _NOTHING


def rollback(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """ROLLBACK."""
    error = _RolledBack()
    with suppress(_RolledBack):
        _taken(session).__exit__(_RolledBack, error, None)
    return _NOTHING


def _taken(session: Session) -> ExitStack:
    stack = session.taken()
    if stack is None:
        raise InvalidState("No transaction was begun by SQL in this thread. Fix: BEGIN one first.")
    return stack


def explain(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:
    """EXPLAIN of a query, which searches nothing, and EXPLAIN ANALYZE, which runs all of it."""
    reader = Reader(statement, 1)
    prefix = "EXPLAIN ANALYZE" if reader.take("analyze") else "EXPLAIN"
    rest = replace(statement, tokens=statement.tokens[len(prefix.split()) :])
    if not rest.tokens:
        raise reader.error("expected a query")
    if not tree.is_query(tree.parse(rest)):
        raise reader.error("only queries are explained", "Fix: EXPLAIN the SELECT of it.")
    return session.query(rest.text, rest, values, prefix=prefix)


def set_(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:
    """SET name = value, with `$name` or `?` for the value too; DEFAULT sets it back."""
    reader = Reader(statement, 1)
    for scope in ("session", "local", "global"):
        reader.take(scope)
    name = _setting(reader)
    if not reader.take("="):
        reader.expect("to")
    if reader.peek() in ("?", "$"):
        value = next(iter(values.values()), None)
        reader.rest()
    else:
        value = None if reader.take("default") else reader.value("a value")
    reader.end()
    session.settings.put(name, value)
    return _NOTHING


def reset(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """RESET name."""
    reader = Reader(statement, 1)
    name = _setting(reader)
    reader.end()
    session.settings.put(name, None)
    return _NOTHING


def _setting(reader: Reader) -> str:
    name = reader.name("a setting")
    return f"{name}.{reader.name('a setting')}" if reader.take(".") else name


def show(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:
    """SHOW TABLES, and SHOW table for its columns."""
    reader = Reader(statement, 1)
    reader.take("all")
    if reader.take("tables"):
        reader.end()
        with session.engine.store.statement() as opened:
            names = sorted([*opened.state.tables, *opened.state.views])
            return Result(session.shown(opened, ("name",), [(name,) for name in names]))
    described = f"DESCRIBE {reader.rest()}"
    return session.query(described, Script(described).statements[0], values)


def pragma(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """PRAGMA vdb_check, hnsw_compact_index('name') and vdb_compact('table'), and those that show something."""
    reader = Reader(statement, 1)
    name = reader.name("a pragma").lower()
    argument = ""
    if reader.take("("):
        argument = str(reader.value("a name"))
        reader.expect(")")
    reader.end()
    if name in _SHOWING:
        given = named({"t": session.table(argument).schema.name} if "$t" in _SHOWING[name] else None)
        return session.query(_SHOWING[name], Script(_SHOWING[name]).statements[0], given)
    if name == "vdb_check":
        session.engine.check()
    elif name == "vdb_compact":
        session.engine.compact(session.table(argument).schema.name)
    elif name == "hnsw_compact_index":
        session.engine.compact(table_of_index(session, argument))
    else:
        raise reader.error(
            f"there is no pragma {name!r}; expected vdb_check, vdb_compact('table'), hnsw_compact_index('index')"
            f" or {', '.join(_SHOWING)}",
            "Fix: use one of them; settings are for SET.",
        )
    return _NOTHING


def table_of_index(session: Session, index: str) -> str:
    """The table that has an index of that name; NotFound where none has."""
    tables = session.engine.store.state.tables
    for name, state in tables.items():
        if index in state.all_indexes:
            return name
    known = ", ".join(own for state in tables.values() for own in state.all_indexes) or "none"
    raise NotFound(f"There is no index {index!r}. Indexes: {known}. Fix: name one of them.")


def needless(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """INSTALL, LOAD, CHECKPOINT, VACUUM, ANALYZE: accepted, since nothing needs them here; `explain()` says so."""
    return Result(
        None, plan=f"{statement.head.upper()} does nothing: vector search is built in, and so is upkeep.".__str__
    )


def unsupported(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """Refuse a statement that vdb has nothing for."""
    head = statement.head
    fix = _FIXES.get(head, "write SELECT, INSERT, UPDATE, DELETE, COPY, CREATE, ALTER TABLE, DROP, SET or BEGIN.")
    raise statement.script.error(f"{head.upper()} is not supported.", statement.tokens[0].start, f"Fix: {fix}")
