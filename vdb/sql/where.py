"""The WHERE of a SELECT as `Table.search` takes it, where it is a predicate over one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdb.errors import InvalidArgument
from vdb.query.parse import parse_predicate
from vdb.query.syntax import HEAD
from vdb.sql import tree
from vdb.sql.steps import Fragment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.query.syntax import Node
    from vdb.sql.scope import Placed


def as_where(condition: Node | None, placed: Placed, values: Mapping[str, object]) -> Fragment | None:
    """A condition over the columns of one table as a `where` text; None where it is more than that.

    What a `where` may hold is for the gate of predicates to decide: DuckDB answers the others.
    """
    if condition is None:
        return None

    def put(node: Node) -> Node | None:
        if not tree.is_column(node):
            return None
        name = placed.column(node)
        qualified = len(node["column_names"]) > 1
        if not name or not qualified:
            return None
        last = node["column_names"][-1]
        return tree.column(name) if last.lower() == name.lower() else None

    query = tree.query(f"{HEAD}TRUE")
    query["where_clause"] = tree.replaced(condition, put)
    names = tree.parameters_of(query)
    try:
        text = tree.render(query).removeprefix(HEAD)
        parse_predicate(text, {name: values[name] for name in names} or None, placed.schema)
    except (InvalidArgument, KeyError):
        return None
    return Fragment(text, names)
