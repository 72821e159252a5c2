"""The declaration of a column or a constraint, as CREATE TABLE and ALTER TABLE ADD COLUMN have them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from vdb.errors import InvalidArgument
from vdb.query.source import fold
from vdb.sql import tree
from vdb.storage.connection import duckdb_errors, parser_connection
from vdb.storage.schema import HIDDEN_COLUMNS
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from vdb.query.syntax import Node
    from vdb.sql.tokens import Reader
    from vdb.types import Column, TableSchema

_CONSTRAINTS: Final = (
    "primary",
    "not",
    "null",
    "default",
    "unique",
    "check",
    "references",
    "generated",
    "collate",
    "constraint",
    "using",
)
_NULL_TESTS: Final = frozenset({"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"})


@dataclass(frozen=True)
class Declared:
    """What follows the name of a column.

    Attributes
    ----------
    text : str
        The type, with PRIMARY KEY or NOT NULL behind it, as `create_table` takes it.
    default : str or None
        The expression behind DEFAULT.
    checks : tuple of str
        The conditions of its CHECKs.
    unique : bool
        Whether it is UNIQUE.
    """

    text: str
    default: str | None = None
    checks: tuple[str, ...] = ()
    unique: bool = False


def declared(reader: Reader) -> Declared:
    """Read a type and the constraints behind it."""
    text = reader.until(_CONSTRAINTS)
    if not text:
        raise reader.error("expected a type")
    default, checks, unique = None, [], False
    while reader.peek() in _CONSTRAINTS:
        if reader.take("constraint"):
            reader.name("the name of a constraint")
        elif reader.take("primary", "key"):
            text += " PRIMARY KEY"
        elif reader.take("not", "null"):
            text += " NOT NULL"
        elif reader.take("default"):
            default = default_text(reader)
        elif reader.take("unique"):
            unique = True
        elif reader.take("check"):
            checks.append(reader.bracketed())
        elif not reader.take("null"):
            raise not_kept(reader)
    return Declared(text, default, tuple(checks), unique)


def default_text(reader: Reader) -> str:
    """Read what stands behind DEFAULT."""
    found = "NULL" if reader.take("null") else reader.until(_CONSTRAINTS)
    if not found:
        raise reader.error("expected a value")
    return found


def not_kept(reader: Reader) -> InvalidArgument:
    """The error for a constraint that is not supported."""
    word = reader.peek().upper()
    return reader.error(
        f"{word} is no constraint of this database; expected PRIMARY KEY of one column, NOT NULL, UNIQUE, DEFAULT or"
        " CHECK",
        f"Fix: leave {word} out.",
    )


def read_default(where: str, column: Column | VectorColumn, text: str) -> str | None:
    """The expression behind DEFAULT as DuckDB writes it, None for NULL.

    InvalidArgument where it is no expression of the column's type without columns, or NULL where none may be.
    """
    if isinstance(column, VectorColumn):
        raise InvalidArgument(f"{where} is a vector column, which takes no default.\n  Fix: leave DEFAULT out.")
    sql = tree.render_expression(tree.kept(text))
    with duckdb_errors(f"DEFAULT {text} of {where}"):
        ((value,),) = parser_connection().execute(f"SELECT CAST(({sql}) AS {column.type})").fetchall()
    if value is None and not column.nullable:
        raise InvalidArgument(f"{where} is declared NOT NULL, and its default is NULL.\n  Fix: leave one of them out.")
    return None if fold(sql) == "null" else sql


def with_defaults(schema: TableSchema, defaults: dict[str, str]) -> TableSchema:
    """The schema with the defaults that columns were declared with."""
    columns = []
    for column in schema.columns:
        text = defaults.get(column.name)
        if text is not None:
            where = f"{schema.name}.{column.name}"
            if column.name == schema.key:
                raise InvalidArgument(f"{where} is the primary key, which takes no default.\n  Fix: leave DEFAULT out.")
            default = read_default(where, column, text)
            if not isinstance(column, VectorColumn):
                column = replace(column, default=default)
        columns.append(column)
    return replace(schema, columns=tuple(columns))


def read_check(schema: TableSchema, text: str) -> str:
    """The condition of a CHECK as DuckDB writes it.

    InvalidArgument where it is about vectors, other than whether they are NULL: DuckDB, which keeps it, has none.
    """
    node = tree.kept(text)
    for name in _columns_in(node):
        column = next((own for own in schema.columns if fold(own.name) == fold(name)), None)
        if isinstance(column, VectorColumn) or fold(name) in HIDDEN_COLUMNS:
            raise InvalidArgument(
                f"CHECK ({text:.200}) of table {schema.name} looks into {name}.\n"
                "  Fix: check attributes only; of a vector column, IS NULL and IS NOT NULL."
            )
    return tree.render_expression(node)


def _columns_in(node: Any) -> list[str]:
    """The columns that a condition reads, without those that it only compares with NULL."""
    found: list[str] = []
    stack: list[Any] = [node]
    while stack:
        inner: Node | list[Any] | Any = stack.pop()
        if isinstance(inner, list):
            stack += inner
        elif isinstance(inner, dict):
            if tree.is_column(inner):
                found += inner["column_names"]
            elif inner.get("type") not in _NULL_TESTS or not tree.is_column(inner["children"][0]):
                stack += inner.values()
    return found
