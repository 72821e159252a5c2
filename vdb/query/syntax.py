"""DuckDB's parser as a pair of functions: a predicate's text to its syntax tree, and the tree to SQL."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import duckdb

from vdb.query.tokens import check_tokens, too_deep
from vdb.storage.connection import parser_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.errors import PredicateError
    from vdb.query.source import Source

Node: TypeAlias = dict[str, Any]
Places: TypeAlias = dict[int, int]

HEAD: Final = "SELECT 1 FROM __t WHERE "
ORIGIN: Final = len(HEAD) + 1  # the user's text stands in brackets, which no clause can follow

_MEANINGLESS: Final = frozenset({"query_location", "query_location_length", "named_param_map", "is_operator"})


def read(source: Source) -> Node:
    """Return the tree of the user's text, not yet checked; places in it count bytes from `ORIGIN`."""
    return _read(f"{HEAD}({check_tokens(source)}\n)", source)


def render(root: Node, source: Source) -> tuple[str, Places]:
    """Return a checked tree as SQL.

    Parameters
    ----------
    root : Node
        The tree.
    source : Source
        The text it came from.

    Returns
    -------
    sql : str
        What DuckDB reads as this very tree.
    places : dict of int to int
        For the place of each part, counted from `HEAD` on, the place in the user's text as `read` counts it.

    Raises
    ------
    PredicateError
        DuckDB would write something else than it read.
    """
    try:
        sql = ask("json_deserialize_sql", json.dumps(_frame(root)))
    except (RecursionError, duckdb.Error) as error:
        raise too_deep(source) from error
    places = same_meaning(root, _read(sql, source)) if sql.startswith(HEAD) else None
    if places is None:
        raise source.error(f"DuckDB writes this predicate back as something else: {sql:.200}", fix="Fix: simplify it.")
    return sql[len(HEAD) :], places


def ask(function: str, argument: str) -> str:
    """Return what one of DuckDB's functions from text to text says."""
    row = parser_connection().execute(f"SELECT {function}($1)", [argument]).fetchone()
    return str(row[0]) if row else ""


def _read(sql: str, source: Source) -> Node:
    try:
        told = json.loads(ask("json_serialize_sql", sql))
    except RecursionError:
        raise too_deep(source) from None
    except ValueError:  # a text that holds bytes JSON cannot say, as x'00' followed by a letter that is none of ASCII
        raise source.error("DuckDB cannot tell how it reads this predicate.", fix="Fix: simplify it.") from None
    if told["error"]:
        raise _syntax_error(told, source)
    root: Node = told["statements"][0]["node"]["where_clause"]
    told["statements"][0]["node"]["where_clause"] = None
    told["statements"][0]["named_param_map"] = []
    if told != _frame(None):
        raise source.error("a predicate is one expression; this has something around it.")
    return root


def _frame(root: Node | None) -> Node:
    """What DuckDB makes of the statement when nothing else is written around the predicate."""
    tree: Node = json.loads(_empty_frame())
    tree["statements"][0]["node"]["where_clause"] = root
    return tree


@lru_cache(maxsize=1)
def _empty_frame() -> str:
    return ask("json_serialize_sql", f"{HEAD}(TRUE)")


def same_meaning(a: Any, b: Any, as_read: Callable[[Node, Node], Node] | None = None) -> Places | None:
    """Whether two trees say the same, but for places and for what DuckDB writes in another way each time.

    The place in `a` of each node of `b` then; None where they differ. `as_read` may give another form of a node to
    compare, beside that of the other tree.
    """
    places: Places = {}
    stack: list[tuple[Any, Any]] = [(a, b)]
    while stack:
        a, b = stack.pop()
        if isinstance(a, dict) and isinstance(b, dict):
            if as_read is not None:
                a, b = as_read(a, b), as_read(b, a)
            if a.keys() - _MEANINGLESS != b.keys() - _MEANINGLESS:
                return None
            if "query_location" in a and "query_location" in b:
                places.setdefault(b["query_location"], a["query_location"])
            stack += [(a[key], b[key]) for key in a if key not in _MEANINGLESS]
        elif isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                return None
            stack += zip(a, b, strict=True)
        elif a != b:
            return None
    return places


def _syntax_error(told: Node, source: Source) -> PredicateError:
    message = str(told["error_message"])
    if "expression depth" in message:
        return too_deep(source)
    if message.startswith("Mixing"):
        return source.error("the predicate mixes $name with ? or $1.", fix="Fix: name all values, or none.")
    at = int(told.get("position", -1)) - ORIGIN
    end = len(source.data.rstrip())
    if at >= end:
        return source.error("the predicate ends too early.", end, "Fix: complete it.")
    return source.error(message.rstrip(".") + ".", at)
