"""DuckDB's parser for whole statements: text to its syntax tree, trees to text, and pieces of trees from text."""

from __future__ import annotations

import copy
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import duckdb

from vdb.errors import InvalidArgument
from vdb.query.source import fold
from vdb.query.syntax import Node, ask, same_meaning
from vdb.sql.tokens import Script, with_operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vdb.sql.tokens import Statement

INNER_PRODUCT: Final = "<+~+>"  # what stands for <#>, which DuckDB's parser does not take
PARAMETER: Final = "p_"  # before the name of every parameter, so that all are named

_QUERIES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_WRITES: Final = frozenset({"INSERT_QUERY_NODE", "UPDATE_QUERY_NODE", "DELETE_QUERY_NODE", "COPY_QUERY_NODE"})
_WRITE: Final = "WITH vdb_written AS (\n"


def parse(statement: Statement) -> Node:
    """The tree of one SELECT, INSERT, UPDATE, DELETE or COPY TO: its node, by `type`.

    Parameters are renamed: `$name` is `p_name`, the first `?` is `p_1`.

    Raises
    ------
    InvalidArgument
        It is no such statement, several, or one with a write inside of a query.
    """
    text = with_operator(statement, "<#>", INNER_PRODUCT)
    told = _told(text)
    offset = statement.tokens[0].start
    if told["error"] and told["error_type"] == "not implemented":
        told = _told(f"{_WRITE}{text}\n) SELECT * FROM vdb_written")
        offset -= len(_WRITE)
        if not told["error"]:
            return _checked(statement, told["statements"][0]["node"]["cte_map"]["map"][0]["value"]["query_node"])
    if told["error"]:
        message = str(told["error_message"]).rstrip(".")
        fix = "Fix: ORDER BY column <-> query LIMIT k finds the nearest rows." if "MATCH" in message else ""
        raise statement.script.error(f"{message}.", int(told.get("position", -1 << 40)) + offset, fix)
    return _checked(statement, told["statements"][0]["node"])


def _checked(statement: Statement, node: Node) -> Node:
    for inner in walk(node):
        kind = inner.get("type")
        if isinstance(kind, str) and kind in _WRITES and inner is not node:
            raise statement.script.error(
                "a query inside of which something is written.",
                statement.tokens[0].start,
                "Fix: run the INSERT, UPDATE or DELETE as a statement of its own, with RETURNING if need be.",
            )
        if inner.get("class") == "PARAMETER":
            inner["identifier"] = PARAMETER + fold(inner["identifier"])
    return node


def render(node: Node) -> str:
    """The SQL of a query node.

    InvalidArgument where DuckDB would write something else than the tree says.
    """
    framed = {"error": False, "statements": [{"node": node, "named_param_map": []}]}
    try:
        sql = ask("json_deserialize_sql", json.dumps(framed))
    except (RecursionError, duckdb.Error) as error:
        raise InvalidArgument(f"DuckDB cannot write this statement back: {error}.\n  Fix: simplify it.") from error
    told = _told(sql)
    if told["error"] or not _same(node, told["statements"][0]["node"]):
        raise InvalidArgument(f"DuckDB writes this statement back as another: {sql:.200}\n  Fix: simplify it.")
    return sql


def render_expression(node: Node) -> str:
    """The SQL of an expression."""
    select = query("SELECT 1")
    select["select_list"] = [bare(node)]
    return render(select).removeprefix("SELECT ")


def shown_name(node: Node) -> str:
    """What DuckDB calls a selected expression without a name."""
    return render_expression(node).replace(INNER_PRODUCT, "<#>").replace(f"${PARAMETER}", "$")


def written(text: str) -> Node:
    """The node of an expression that a user wrote; InvalidArgument where it is none."""
    statements = Script(f"SELECT ({text}\n)").statements
    node = parse(statements[0]) if len(statements) == 1 else {"select_list": []}
    selected = node.get("select_list", [])
    if len(selected) != 1 or not _same({**node, "select_list": []}, {**query("SELECT 1"), "select_list": []}):
        raise InvalidArgument(f"{text:.200} is no expression.\n  Fix: write one, between brackets if need be.")
    found: Node = selected[0]
    return found


def kept(text: str) -> Node:
    """The node of an expression that is kept: a default, a constraint. InvalidArgument where it has parameters."""
    found = written(text)
    if parameters_of(found):
        raise InvalidArgument(f"{text:.200} has parameters, which cannot be kept.\n  Fix: write the values.")
    return found


def query(sql: str) -> Node:
    """The node of a query that vdb writes itself; the caller may change it."""
    return copy.deepcopy(_query(sql))


def expression(sql: str, **parts: Node) -> Node:
    """The node of an expression that vdb writes itself, in which the columns named as `parts` stand for them."""
    node: Node = query(f"SELECT {sql}")["select_list"][0]
    filled: Node = replaced(node, lambda inner: parts.get(only_name(inner)))
    return filled


def relation(sql: str) -> Node:
    """The node of what can follow FROM."""
    found: Node = query(f"SELECT 1 FROM {sql}")["from_table"]
    return found


def walk(node: Any) -> Iterator[Node]:
    """Every node of a tree, those above first."""
    stack = [node]
    while stack:
        inner = stack.pop()
        if isinstance(inner, dict):
            yield inner
            stack += [value for value in inner.values() if isinstance(value, (dict, list))]
        elif isinstance(inner, list):
            stack += [value for value in reversed(inner) if isinstance(value, (dict, list))]


def replaced(node: Any, put: Callable[[Node], Node | None]) -> Any:
    """The tree with what `put` returns in place of each node it returns something for, from above."""
    if isinstance(node, dict):
        new = put(node)
        if new is not None:
            if node.get("alias") and "alias" in new:
                new = {**new, "alias": node["alias"]}
            return new
        return {key: replaced(value, put) if isinstance(value, (dict, list)) else value for key, value in node.items()}
    if isinstance(node, list):
        return [replaced(value, put) for value in node]
    return node


def bare(node: Node) -> Node:
    """A node without its alias."""
    return {**node, "alias": ""} if node.get("alias") else node


def same_expression(a: Node, b: Node) -> bool:
    """Whether two expressions are written alike, but for blanks, places and aliases."""
    return _same(bare(a), bare(b))


def only_name(node: Node) -> str:
    """The name of a column that is written without a qualifier; empty for any other node."""
    return str(node["column_names"][0]) if is_column(node) and len(node["column_names"]) == 1 else ""


def is_column(node: Node) -> bool:
    """Whether a node names a column."""
    return node.get("class") == "COLUMN_REF"


def column(*names: str) -> Node:
    """A reference to a column."""
    return {**query("SELECT c")["select_list"][0], "column_names": list(names)}


def parameter(name: str) -> Node:
    """A reference to a parameter."""
    return {**query("SELECT $p")["select_list"][0], "identifier": name}


def is_query(node: Node) -> bool:
    """Whether a node is a query: a SELECT, a union of some."""
    kind = node.get("type")  # a dict in the description of a sample
    return isinstance(kind, str) and kind in _QUERIES and "class" not in node


def parameters_of(node: Any) -> tuple[str, ...]:
    """The names of the parameters in a tree."""
    return tuple(dict.fromkeys(n["identifier"] for n in walk(node) if n.get("class") == "PARAMETER"))


def conjuncts(node: Node | None) -> list[Node]:
    """The conditions that AND joins."""
    if node is None:
        return []
    if node.get("type") == "CONJUNCTION_AND":
        return [part for child in node["children"] for part in conjuncts(child)]
    return [node]


def conjunction(parts: list[Node]) -> Node | None:
    """These conditions joined by AND."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return {**query("SELECT a AND b")["select_list"][0], "children": parts}


@lru_cache(maxsize=256)
def _query(sql: str) -> Node:
    told = _told(sql)
    assert not told["error"], told
    node: Node = told["statements"][0]["node"]
    return node


def _told(sql: str) -> Node:
    try:
        told: Node = json.loads(ask("json_serialize_sql", sql))
    except RecursionError:
        raise InvalidArgument("the statement is nested too deeply.\n  Fix: simplify it.") from None
    except ValueError:  # bytes that JSON cannot say
        raise InvalidArgument("DuckDB cannot tell how it reads the statement.\n  Fix: simplify it.") from None
    return told


def _same(a: Any, b: Any) -> bool:
    return same_meaning(a, b, _unwrapped) is not None


def _unwrapped(node: Node, other: Node) -> Node:
    """The form of a node to compare: VALUES is written as a subquery, an argument's name as its alias."""
    if node.get("type") == "SUBQUERY" and other.get("type") == "EXPRESSION_LIST":
        inner: Node = node["subquery"]["node"]["from_table"]
        return inner
    if node.keys() == {"name", "expression"}:
        return {**node, "expression": bare(node["expression"])}
    return node
