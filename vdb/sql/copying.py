"""COPY: rows from a file into a table, and those of a table or query into a file, vectors included.

Files are read and written by a DuckDB of their own, which sees nothing of the database; rows cross as Arrow streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdb.errors import InvalidArgument
from vdb.sql import tree
from vdb.sql.result import Result
from vdb.sql.staging import Call, staged, target_column
from vdb.sql.tokens import Reader, Script
from vdb.storage.interchange import Exchange
from vdb.storage.rows import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement

_ROWS = "vdb_file"


def copy(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:
    """Run a COPY ... FROM 'file' or COPY ... TO 'file'."""
    reader = Reader(statement, 1)
    if reader.peek() == "(":
        return _write(session, reader, reader.bracketed(), values)
    name = session.table(reader.table()).schema.name
    columns = _listed(session, reader, name)
    if reader.take("from"):
        return _read(session, reader, name, columns, values)
    shown = ", ".join(map(quoted, columns)) or "*"
    return _write(session, reader, f"SELECT {shown} FROM {quoted(name)}", values)


def _listed(session: Session, reader: Reader, table: str) -> list[str]:
    schema = session.table(table).schema
    columns: list[str] = []
    if reader.take("("):
        while not reader.take(")"):
            columns.append(target_column(schema, reader.name("a column")))
            reader.take(",")
    return columns


def _file(reader: Reader) -> tuple[str, str]:
    """The file that is named, and the options behind it as they stand."""
    path = str(reader.value("a file between quotes"))
    reader.take("with")
    return path, reader.rest()


def _write(session: Session, reader: Reader, query: str, values: Mapping[str, object]) -> Result:
    reader.expect("to")
    path, options = _file(reader)
    source = Script(query).statements
    if len(source) != 1 or not tree.is_query(node := tree.parse(source[0])):
        raise InvalidArgument("COPY (...) TO takes one query.\n  Fix: write a SELECT between the brackets.")
    with session.engine.store.statement() as statement, session.engine.store.beside() as other:
        final, bound = session.prepared(statement, node, values)
        return Result(None, Exchange(other).write(statement.stream(final, bound), path, options))


def _read(session: Session, reader: Reader, table: str, columns: list[str], values: Mapping[str, object]) -> Result:
    path, options = _file(reader)
    schema = session.table(table).schema
    with session.engine.store.beside() as other:
        found, stream = Exchange(other).read(path, options)
        columns = columns or [target_column(schema, name) for name in found]
        if len(columns) != len(found):
            raise InvalidArgument(
                f"{path} has {len(found)} columns: {', '.join(found)}; {len(columns)} are named.\n"
                "  Fix: name as many columns as the file has."
            )
        session.before_write()
        with session.engine.writing(table) as transaction, session.engine.store.statement() as statement:
            statement.bind(_ROWS, stream)
            shown = ", ".join(map(quoted, found))
            query = tree.query(f"SELECT {shown} FROM {_ROWS}")
            with staged(Call(session, statement, values), query, schema, columns) as rows:
                n = rows.n
                if n:
                    transaction.insert(table, rows.batch())
    return Result(None, n)
