"""CREATE VIEW and DROP VIEW: a query under a name, kept as it was written and read anew where it is used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vdb.errors import AlreadyExists, InvalidArgument
from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.compile import Compiler
from vdb.sql.result import Result
from vdb.storage.rows import quoted

if TYPE_CHECKING:
    from vdb.sql.session import Session
    from vdb.sql.tokens import Reader, Statement


def create_view(session: Session, statement: Statement, reader: Reader, replaces: bool) -> Result:
    """Run what follows CREATE VIEW."""
    lenient = reader.take("if", "not", "exists")
    name = reader.table("a view")
    columns = _columns(reader)
    reader.expect("as")
    if reader.done:
        raise reader.error("expected a query")
    query = replace(statement, tokens=statement.tokens[len(statement.tokens) - reader.left :])
    known = name_of_view(session, name)
    if known is not None and lenient:
        return Result(None)
    if known is not None and not replaces:
        raise AlreadyExists(f"There is a view {known!r} already. Fix: CREATE OR REPLACE VIEW, or another name.")
    text = _named(query, name, columns) if columns else query.text
    with session.engine.writing(name) as transaction:
        _check(session, name, query, text)
        transaction.put_view(name, text)
    return Result(None)


def drop_view(session: Session, name: str) -> None:
    """Forget a view."""
    with session.engine.writing(name) as transaction:
        transaction.drop_view(name)


def name_of_view(session: Session, name: str) -> str | None:
    """A view by its name in any case of letters."""
    return next((own for own in session.engine.store.state.views if fold(own) == fold(name)), None)


def _columns(reader: Reader) -> list[str]:
    """The names of the columns, where they are given."""
    columns: list[str] = []
    if reader.take("("):
        while not reader.take(")"):
            columns.append(reader.name("a column"))
            reader.take(",")
    return columns


def _named(query: Statement, name: str, columns: list[str]) -> str:
    """A query under other names for its columns."""
    node = tree.parse(query)
    selected = node.get("select_list") or []
    if len(selected) == len(columns) and not any(item.get("class") == "STAR" for item in selected):
        node["select_list"] = [{**item, "alias": column} for item, column in zip(selected, columns, strict=True)]
        return tree.render(node).replace(tree.INNER_PRODUCT, "<#>")
    return f"SELECT * FROM ({query.text}\n) AS {quoted(name)} ({', '.join(map(quoted, columns))})"


def _check(session: Session, name: str, query: Statement, text: str) -> None:
    """Refuse what is no query, has parameters, reads itself, or does not bind."""
    node = tree.parse(query)
    if not tree.is_query(node):
        raise InvalidArgument(f"the view {name} is no query.\n  Fix: CREATE VIEW name AS SELECT ...")
    if tree.parameters_of(node):
        raise InvalidArgument(f"the view {name} has parameters, which cannot be kept.\n  Fix: write the values.")
    with session.engine.store.statement() as opened:
        others = {own: known for own, known in opened.state.views.items() if fold(own) != fold(name)}
        state = replace(opened.state, views={**others, name: text})
        compiler = Compiler(opened, state, {})
        sql, stubs = compiler.stubbed(compiler.compiled(tree.query(f"SELECT * FROM {quoted(name)}")).final.sql)
        for relation, stub in stubs.items():
            opened.bind(relation, stub)
        opened.ask(f"SELECT * FROM ({sql}\n) LIMIT 0").fetchall()
