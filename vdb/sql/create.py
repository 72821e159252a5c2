"""CREATE TABLE and CREATE INDEX: DuckDB's parser has no tree for them, so their heads are read token by token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from vdb.errors import AlreadyExists, InvalidArgument, NotFound
from vdb.sql import tree
from vdb.sql.create_index import create_index
from vdb.sql.result import Result
from vdb.sql.staging import Call, staged
from vdb.sql.tokens import Reader
from vdb.storage.schema import parse_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement

_CONSTRAINTS: Final = ("primary", "not", "null", "default", "unique", "check", "references", "generated", "collate")


def create(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:
    """Run a CREATE TABLE or CREATE INDEX."""
    reader = Reader(statement, 1)
    replaces = reader.take("or", "replace")
    unique = reader.take("unique")
    if reader.take("index"):
        return create_index(session, reader, unique)
    if not reader.take("table"):
        raise reader.error(
            f"CREATE {reader.peek().upper()} is not supported", "Fix: CREATE TABLE, or CREATE INDEX ... USING HNSW."
        )
    lenient = reader.take("if", "not", "exists")
    name = reader.table()
    known = _is_known(session, name)
    if known and lenient:
        return Result(None)
    if known and not replaces:
        raise AlreadyExists(f"There is a table {name!r} already. Fix: choose another name, or drop it first.")
    if reader.take("as"):
        rest = replace(statement, tokens=statement.tokens[len(statement.tokens) - reader.left :])
        return _create_as(session, name, rest, values, known)
    columns = _columns(reader)
    schema = parse_schema(name, columns, _metric(reader), needs_vectors=False)
    reader.end()
    with session.engine.writing(name) as transaction:
        if known:
            transaction.drop_table(session.table(name).schema.name)
        transaction.create_table(schema)
    return Result(None)


def _is_known(session: Session, name: str) -> bool:
    try:
        session.table(name)
    except NotFound:
        return False
    return True


def _create_as(session: Session, name: str, source: Statement, values: Mapping[str, object], replaces: bool) -> Result:
    """CREATE TABLE AS: a table of the query's columns, FLOAT[n] as vectors, and its rows."""
    if not source.tokens:
        raise Reader(source).error("expected a query")
    node = tree.parse(source)
    with session.engine.writing(name) as transaction, session.engine.store.statement() as statement:
        call = Call(session, statement, values)
        schema = parse_schema(name, dict(call.described(node)), needs_vectors=False)
        if not replaces:
            transaction.create_table(schema)
        with staged(call, node, schema, list(schema.by_name)) as rows:
            if replaces:
                transaction.drop_table(session.table(name).schema.name)
                transaction.create_table(schema)
            n = rows.n
            if n:
                transaction.insert(name, rows.batch())
    return Result(None, n)


def _columns(reader: Reader) -> dict[str, str]:
    """The columns between brackets, each with its type and constraints as `create_table` takes them."""
    reader.expect("(")
    columns: dict[str, str] = {}
    key = None
    while True:
        if reader.peek() in ("primary", "unique", "check", "foreign", "constraint"):
            if not reader.take("primary", "key", "("):
                raise _not_kept(reader)
            key = reader.name("a column")
            reader.expect(")")
        else:
            column = reader.name("a column")
            if column in columns:
                raise reader.error(f"column {column} comes twice", "Fix: rename one.")
            columns[column] = _declared(reader)
        if reader.take(")"):
            break
        reader.expect(",")
    if key is not None:
        own = next((column for column in columns if column.lower() == key.lower()), None)
        if own is None:
            raise reader.error(f"the primary key {key} is no column", f"Fix: one of {', '.join(columns)}.")
        columns[own] += " PRIMARY KEY"
    return columns


def _declared(reader: Reader) -> str:
    declared = reader.until(_CONSTRAINTS)
    if not declared:
        raise reader.error("expected a type")
    while reader.peek() in _CONSTRAINTS:
        if reader.take("primary", "key"):
            declared += " PRIMARY KEY"
        elif reader.take("not", "null"):
            declared += " NOT NULL"
        elif not reader.take("null"):
            raise _not_kept(reader)
    return declared


def _not_kept(reader: Reader) -> InvalidArgument:
    word = reader.peek().upper()
    return reader.error(
        f"{word} is no constraint of this database; expected PRIMARY KEY of one column, or NOT NULL",
        f"Fix: leave {word} out.",
    )


def _metric(reader: Reader) -> Any:
    """`WITH (metric = 'cosine')` behind the columns: what distance means for the table's vectors."""
    if not reader.take("with", "("):
        return "l2"
    metric: Any = "l2"
    while not reader.take(")"):
        option = reader.name("an option")
        if option.lower() != "metric":
            raise reader.error(f"a table has no option {option}", "Fix: metric = 'l2', 'cosine' or 'ip'.")
        reader.expect("=")
        metric = reader.value("a metric")
        reader.take(",")
    return {"l2sq": "l2"}.get(metric, metric)
