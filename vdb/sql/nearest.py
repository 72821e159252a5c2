"""Whether only the nearest rows of a SELECT count: ORDER BY distance LIMIT k, or min_by(..., distance, k)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.functions import functions
from vdb.sql.steps import Top

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.query.syntax import Node
    from vdb.sql.needs import Needs

_NEAREST: Final = frozenset({"min_by", "arg_min"})
_BELOW: Final = frozenset({"COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO"})
_ABOVE: Final = frozenset({"COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO"})
_SIDES: Final = 2


def find_top(node: Node, needs: Needs) -> tuple[Top | None, str]:
    """What limits a block to the rows nearest to a query, or why nothing does.

    The distance that orders becomes the first of `needs.measured`.
    """
    if is_volatile(node):
        return None, "a function in the conditions differs at every call"
    if not needs.placed.restrictable:
        return None, "an outer join may add rows that no distance decides"
    if needs.in_joins:
        return None, "a distance decides a join"
    if any(node[key] for key in ("group_expressions", "group_sets", "having", "qualify", "sample")):
        return None, "grouping comes before the order"
    if node.get("aggregate_handling") != "STANDARD_HANDLING":
        return None, "grouping comes before the order"
    found = _min_by(node, needs)
    if found is not None:
        return found
    order, limit = _modifiers(node)
    if order is None or limit is None:
        return None, "there is no ORDER BY distance with a LIMIT"
    if _looks_further(node):
        return None, "an aggregate, window function or unnest looks at more rows"
    if any(not item.get("alias") and item.get("class") == "STAR" and item.get("columns") for item in order):
        return None, "ORDER BY ALL"
    key = needs.find(_meant(order[0]["expression"], node["select_list"]))
    if key is None:
        return None, "the first key of ORDER BY is not a distance to a constant"
    distance, number = key
    falls = order[0]["type"] == "DESCENDING"
    if falls == distance.rises or order[0]["null_order"] not in ("ORDER_DEFAULT", "NULLS LAST"):
        return None, "ordering by distance, farthest or NULL first"
    bounds = _numbers(limit)
    if bounds is None:
        return None, "LIMIT is no number"
    _put_first(needs, number)
    return Top(*bounds, ties=len(order) > 1, falls=falls and distance.metric == "cosine"), ""


def split_where(where: Node | None, needs: list[Needs]) -> tuple[list[Node], Callable[[int], list[Node]]]:
    """The conditions of WHERE that are about no vectors, and for each table those that bound its first distance."""
    parts = tree.conjuncts(where)
    plain = [part for part in parts if not any(_mentions(part, one) for one in needs)]

    def bounds(number: int) -> list[Node]:
        return [part for part in parts if _is_bound(part, needs[number])]

    return plain, bounds


def shows_few(node: Node, needs: Needs, plain: list[Node]) -> bool:
    """Whether a block shows vectors of a few rows that LIMIT, and ORDER BY other columns, choose."""
    order, limit = _modifiers(node)
    if limit is None or needs.measured or _numbers(limit) is None or not needs.placed.restrictable:
        return False
    if any(node[key] for key in ("group_expressions", "group_sets", "having", "qualify", "sample")):
        return False
    if node.get("aggregate_handling") != "STANDARD_HANDLING" or needs.placed.renamed or needs.placed.shows_slot:
        return False
    if len(plain) < len(tree.conjuncts(node["where_clause"])) or _looks_further(node):
        return False
    keys = [key["expression"] for key in order or ()]
    aliases = {fold(item["alias"]) for item in node["select_list"] if item.get("alias")}
    if any(fold(tree.only_name(inner)) in aliases for inner in tree.walk(keys)):
        return False
    return all(key.get("class") not in ("CONSTANT", "STAR", "PARAMETER") and not _mentions(key, needs) for key in keys)


def _mentions(part: Node, needs: Needs) -> bool:
    """Whether a condition is about vectors of a table, other than whether they are NULL."""
    stack: list[Any] = [part]
    while stack:
        inner = stack.pop()
        if isinstance(inner, list):
            stack += inner
        elif isinstance(inner, dict):
            if inner.get("type") in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"):
                if needs.placed.vector(inner["children"][0]) is not None:
                    continue
            elif needs.placed.vector(inner) is not None or needs.placed.column(inner) == "":
                return True
            stack += inner.values()
    return False


def _is_bound(part: Node, needs: Needs) -> bool:
    """Whether a condition is distance < constant for the distance that orders."""
    if part.get("type") in _BELOW:
        distance, bound = part["left"], part["right"]
    elif part.get("type") in _ABOVE:
        distance, bound = part["right"], part["left"]
    else:
        return False
    return needs.number_of(distance) == 0 and bound.get("class") in ("CONSTANT", "PARAMETER")


def _min_by(node: Node, needs: Needs) -> tuple[Top, str] | None:
    """The top of a block that selects nothing but min_by of one distance."""
    calls = node["select_list"]
    if node["modifiers"] or not calls:
        return None
    limit: int | str | None = None
    number = None
    for call in calls:
        if call.get("class") != "FUNCTION" or call["function_name"].lower() not in _NEAREST:
            return None
        arguments = [item["expression"] for item in call["arguments"]]
        plain = not (call["filter"] or call["distinct"] or call["order_bys"]["orders"])
        found = needs.number_of(arguments[1]) if len(arguments) >= _SIDES and plain else None
        k = _number(arguments[2]) if len(arguments) > _SIDES else 1
        if found is None or k is None or limit not in (None, k) or number not in (None, found):
            return None
        limit, number = k, found
    assert limit is not None
    assert number is not None
    _put_first(needs, number)
    return Top(limit), ""


def _put_first(needs: Needs, number: int) -> None:
    first = needs.measured.pop(number)
    needs.measured.insert(0, first)
    order = {**{i: i + 1 for i in range(number)}, number: 0}
    needs.distances = [(node, distance, order.get(at, at)) for node, distance, at in needs.distances]


def _modifiers(node: Node) -> tuple[list[Node] | None, Node | None]:
    """The keys of ORDER BY and the LIMIT, where there is nothing else."""
    kinds = {modifier["type"]: modifier for modifier in node["modifiers"]}
    if len(kinds) != len(node["modifiers"]) or kinds.keys() - {"ORDER_MODIFIER", "LIMIT_MODIFIER"}:
        return None, None
    order = kinds.get("ORDER_MODIFIER")
    return (order["orders"] if order else None), kinds.get("LIMIT_MODIFIER")


def _meant(key: Node, selected: list[Node]) -> Node:
    """What a key of ORDER BY stands for: the name or the number of a selected expression, or itself."""
    name = fold(tree.only_name(key))
    if name:
        return next((item for item in selected if fold(item.get("alias") or "") == name), key)
    if key.get("class") == "CONSTANT" and key["literal"].get("kind") == "INTEGER":
        at = int(key["literal"]["text"])
        if 1 <= at <= len(selected) and not any(item.get("class") == "STAR" for item in selected):
            return selected[at - 1]
    return key


def _numbers(limit: Node) -> tuple[int | str, int | str] | None:
    if limit.get("limit_type") != "ROW_COUNT" or limit.get("limit") is None:
        return None
    k = _number(limit["limit"])
    offset = 0 if limit.get("offset") is None else _number(limit["offset"])
    return None if k is None or offset is None else (k, offset)


def _number(node: Node) -> int | str | None:
    """A literal whole number, or the name of a parameter."""
    if node.get("class") == "PARAMETER":
        name: str = node["identifier"]
        return name
    if node.get("class") == "CONSTANT" and node["literal"].get("kind") == "INTEGER":
        return int(node["literal"]["text"])
    return None


def _looks_further(node: Node) -> bool:
    """Whether what is selected depends on more than the row itself, or makes several rows of one."""
    many, _ = functions()
    stack: list[Any] = [node["select_list"], *(m.get("orders") for m in node["modifiers"])]
    while stack:
        inner = stack.pop()
        if isinstance(inner, list):
            stack += inner
        elif isinstance(inner, dict) and not tree.is_query(inner):
            if inner.get("class") == "WINDOW" or inner.get("function_name", "").lower() in many:
                return True
            stack += inner.values()
    return False


def is_volatile(node: Node) -> bool:
    """Whether which rows a block looks at is another matter at every look."""
    looked_at = tree.walk([node["where_clause"], node["from_table"], node["sample"]])
    return not functions()[1].isdisjoint(str(inner.get("function_name", "")).lower() for inner in looked_at)
