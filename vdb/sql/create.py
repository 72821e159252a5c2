"""CREATE TABLE, INDEX and VIEW: DuckDB's parser has no tree for them, so their heads are read token by token."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from vdb.errors import AlreadyExists
from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.columns import declared, not_kept, read_check, with_defaults
from vdb.sql.create_index import column_list, create_index, unique_of
from vdb.sql.create_view import create_view
from vdb.sql.result import Result
from vdb.sql.staging import Call, staged
from vdb.sql.tokens import Reader
from vdb.storage.schema import parse_schema
from vdb.storage.unique import unique_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement

_OF_TABLE: Final = ("primary", "unique", "check", "foreign", "constraint")


@dataclass
class _Declaration:
    """What stands between the brackets of a CREATE TABLE."""

    columns: dict[str, str] = field(default_factory=dict)  # as `create_table` takes them
    defaults: dict[str, str] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    key: str | None = None
    unique: list[tuple[str | None, list[str]]] = field(default_factory=list)  # a name, if any, and columns


def create(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:
    """Run a CREATE TABLE, CREATE INDEX or CREATE VIEW."""
    reader = Reader(statement, 1)
    replaces = reader.take("or", "replace")
    unique = reader.take("unique")
    if reader.take("index"):
        return create_index(session, reader, unique)
    if reader.take("view"):
        return create_view(session, statement, reader, replaces)
    if reader.peek() == "virtual":
        raise reader.error(
            "CREATE VIRTUAL TABLE is not supported: vectors are columns of tables",
            "Fix: CREATE TABLE name (id BIGINT PRIMARY KEY, emb FLOAT[768]) WITH (metric = 'cosine').",
        )
    if not reader.take("table"):
        raise reader.error(
            f"CREATE {reader.peek().upper()} is not supported",
            "Fix: CREATE TABLE, CREATE VIEW, or CREATE INDEX ... USING HNSW.",
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
    given = _declaration(reader)
    schema = parse_schema(name, given.columns, metric_option(reader), needs_vectors=False)
    schema = with_defaults(schema, given.defaults)
    reader.end()
    checks = [read_check(schema, text) for text in given.checks]
    records = [unique_of(reader, schema, columns, chosen) for chosen, columns in given.unique]
    with session.engine.writing(name) as transaction:
        if known:
            transaction.drop_table(session.table(name).schema.name)
        transaction.create_table(schema, checks)
        for record in records:
            if unique_columns(record) != (schema.key,):
                transaction.put_index(record)
    return Result(None)


def _is_known(session: Session, name: str) -> bool:
    return any(fold(own) == fold(name) for own in session.engine.store.state.tables)


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


def _declaration(reader: Reader) -> _Declaration:
    """The columns between brackets, each with its type and constraints, and the constraints of the table."""
    reader.expect("(")
    found = _Declaration()
    while True:
        if reader.peek() in _OF_TABLE:
            _constraint(reader, found)
        else:
            column = reader.name("a column")
            if column in found.columns:
                raise reader.error(f"column {column} comes twice", "Fix: rename one.")
            own = declared(reader)
            found.columns[column] = own.text
            found.checks += own.checks
            found.unique += [(None, [column])] if own.unique else []
            if own.default is not None:
                found.defaults[column] = own.default
        if reader.take(")"):
            break
        reader.expect(",")
    if found.key is not None:
        key = next((column for column in found.columns if column.lower() == str(found.key).lower()), None)
        if key is None:
            raise reader.error(f"the primary key {found.key} is no column", f"Fix: one of {', '.join(found.columns)}.")
        found.columns[key] += " PRIMARY KEY"
    return found


def _constraint(reader: Reader, found: _Declaration) -> None:
    name = reader.name("the name of a constraint") if reader.take("constraint") else None
    if reader.take("check"):
        found.checks.append(reader.bracketed())
        return
    if reader.take("unique"):
        found.unique.append((name, column_list(reader)))
        return
    if not reader.take("primary", "key", "("):
        raise not_kept(reader)
    found.key = reader.name("a column")
    reader.expect(")")


def metric_option(reader: Reader) -> Any:
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
