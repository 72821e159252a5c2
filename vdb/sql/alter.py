"""ALTER TABLE: columns that come, go or get another name or default, and the name of the table, one change each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vdb.errors import NotFound
from vdb.sql.columns import declared, default_text, read_check, read_default
from vdb.sql.create import metric_option
from vdb.sql.result import Result
from vdb.sql.staging import target_column
from vdb.sql.tokens import Reader
from vdb.storage.schema import parse_column
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.errors import InvalidArgument
    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement
    from vdb.types import TableSchema


def alter(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:  # noqa: ARG001
    """Run an ALTER TABLE."""
    reader = Reader(statement, 1)
    if not reader.take("table"):
        raise reader.error(
            f"ALTER {reader.peek().upper()} is not supported", "Fix: ALTER TABLE, or drop and create it."
        )
    lenient = reader.take("if", "exists")
    try:
        schema = session.table(reader.table()).schema
    except NotFound:
        if lenient:
            return Result(None)
        raise
    if reader.take("add"):
        _add(session, reader, schema)
    elif reader.take("drop"):
        _drop(session, reader, schema)
    elif reader.take("rename"):
        _rename(session, reader, schema)
    elif reader.take("alter"):
        _set_default(session, reader, schema)
    else:
        raise _unsupported(reader)
    return Result(None)


def _add(session: Session, reader: Reader, schema: TableSchema) -> None:
    if reader.peek() in ("constraint", "primary", "unique", "check", "foreign"):
        raise _unsupported(reader)
    reader.take("column")
    lenient = reader.take("if", "not", "exists")
    name = reader.name("a column")
    own = declared(reader)
    column = parse_column(schema.name, name, own.text, metric_option(reader))
    reader.end()
    if own.checks:
        read_check(schema, own.checks[0])
        raise reader.error(
            "a column with CHECK cannot be added to a table", "Fix: leave CHECK out, or declare it in CREATE TABLE."
        )
    if own.unique:
        raise reader.error(
            "a column with UNIQUE cannot be added to a table", f"Fix: add it, then CREATE UNIQUE INDEX ON t ({name})."
        )
    if lenient and any(known.name.lower() == name.lower() for known in schema.columns):
        return
    if own.default is not None:
        default = read_default(f"{schema.name}.{name}", column, own.default)
        column = column if isinstance(column, VectorColumn) else replace(column, default=default)
    with session.engine.writing(schema.name) as transaction:
        transaction.add_column(schema.name, column)


def _drop(session: Session, reader: Reader, schema: TableSchema) -> None:
    reader.take("column")
    lenient = reader.take("if", "exists")
    name = reader.name("a column")
    if not reader.take("cascade"):
        reader.take("restrict")
    reader.end()
    if lenient and not any(known.name.lower() == name.lower() for known in schema.columns):
        return
    column = target_column(schema, name)
    with session.engine.writing(schema.name) as transaction:
        transaction.drop_column(schema.name, column)


def _rename(session: Session, reader: Reader, schema: TableSchema) -> None:
    if reader.take("to"):
        new = reader.name("the new name of the table")
        reader.end()
        with session.engine.writing(schema.name) as transaction:
            transaction.rename_table(schema.name, new)
        return
    reader.take("column")
    column = target_column(schema, reader.name("a column"))
    reader.expect("to")
    new = reader.name("the new name of the column")
    reader.end()
    with session.engine.writing(schema.name) as transaction:
        transaction.rename_column(schema.name, column, new)


def _set_default(session: Session, reader: Reader, schema: TableSchema) -> None:
    reader.take("column")
    column = target_column(schema, reader.name("a column"))
    default = None
    if reader.take("set", "default"):
        default = read_default(f"{schema.name}.{column}", schema.by_name[column], default_text(reader))
    elif not reader.take("drop", "default"):
        raise _unsupported(reader)
    reader.end()
    with session.engine.writing(schema.name) as transaction:
        transaction.set_default(schema.name, column, default)


def _unsupported(reader: Reader) -> InvalidArgument:
    return reader.error(
        "expected ADD COLUMN, DROP COLUMN, RENAME COLUMN, RENAME TO, ALTER COLUMN ... SET DEFAULT or DROP DEFAULT",
        "Fix: for another type or constraint, CREATE TABLE anew and INSERT INTO it SELECT from the old one.",
    )
