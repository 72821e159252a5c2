"""Which expressions are distances: the functions and operators of DuckDB, its vss extension and pgvector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vdb.sql import tree

if TYPE_CHECKING:
    from vdb.query.syntax import Node
    from vdb.types import Metric

# Name to metric, and to what the function is of the distance `d` of that metric.
_PLAIN: Final = "d"
_FORMS: Final[dict[str, tuple[Metric, str]]] = {
    "<->": ("l2", _PLAIN),
    "array_distance": ("l2", _PLAIN),
    "list_distance": ("l2", _PLAIN),
    "<=>": ("cosine", _PLAIN),
    "array_cosine_distance": ("cosine", _PLAIN),
    "list_cosine_distance": ("cosine", _PLAIN),
    "array_cosine_similarity": ("cosine", "1 - d"),
    "list_cosine_similarity": ("cosine", "1 - d"),
    tree.INNER_PRODUCT: ("ip", _PLAIN),
    "array_negative_inner_product": ("ip", _PLAIN),
    "array_negative_dot_product": ("ip", _PLAIN),
    "list_negative_inner_product": ("ip", _PLAIN),
    "list_negative_dot_product": ("ip", _PLAIN),
    "array_inner_product": ("ip", "-d"),
    "array_dot_product": ("ip", "-d"),
    "list_inner_product": ("ip", "-d"),
    "list_dot_product": ("ip", "-d"),
}
_ON_ARRAYS: Final = {"<->": "array_distance", "<=>": "array_cosine_distance"}
_UNREADABLE: Final = {tree.INNER_PRODUCT: "array_negative_inner_product"}
_SIDES: Final = 2


@dataclass(frozen=True)
class Distance:
    """An expression that a distance decides.

    Attributes
    ----------
    form : str
        What it is of the distance `d`: `d`, `-d` or `1 - d`.
    left, right : Node
        The two vectors.
    """

    metric: Metric
    form: str
    left: Node
    right: Node

    @property
    def rises(self) -> bool:
        """Whether it is greater where the distance is."""
        return self.form == _PLAIN


def distance_of(node: Node) -> Distance | None:
    """The distance an expression is, if it is one: a function of two vectors, `1 - similarity`, `-inner product`."""
    if node.get("class") != "FUNCTION" or node.get("schema") or node.get("catalog") or node.get("filter"):
        return None
    name, arguments = node["function_name"].lower(), [item["expression"] for item in node["arguments"]]
    if name in _FORMS and len(arguments) == _SIDES:
        metric, form = _FORMS[name]
        return Distance(metric, form, *arguments)
    if name != "-" or not arguments:
        return None
    inner = distance_of(arguments[-1])
    if inner is None:
        return None
    wanted = "1 - d" if len(arguments) == _SIDES and _is_one(arguments[0]) else "-d" if len(arguments) == 1 else ""
    return Distance(inner.metric, _PLAIN, inner.left, inner.right) if inner.form == wanted else None


def with_value(distance: Distance, value: Node) -> Node:
    """The expression again, where `value` stands for the distance."""
    return tree.bare(value) if distance.rises else tree.expression(distance.form, d=tree.bare(value))


def on_arrays(node: Node, kind: str) -> Node:
    """A function of distance that DuckDB computes for vectors of a stored type, from literals and parameters too."""
    name = node["function_name"].lower()
    name = {**_ON_ARRAYS, **_UNREADABLE}.get(name, name)
    left, right = (item["expression"] for item in node["arguments"])
    return tree.expression(f"{name}(CAST(a AS {kind}), CAST(b AS {kind}))", a=left, b=right)


def is_function(node: Node) -> bool:
    """Whether a node is itself a function or operator of two vectors."""
    return (
        node.get("class") == "FUNCTION" and node["function_name"].lower() in _FORMS and len(node["arguments"]) == _SIDES
    )


def readable(node: Node) -> Node | None:
    """What DuckDB can bind in place of an operator that it cannot, of values that are no vectors of vdb."""
    if node.get("class") == "FUNCTION" and node["function_name"] in _UNREADABLE:
        left, right = (item["expression"] for item in node["arguments"])
        return tree.expression("list_negative_inner_product(a, b)", a=left, b=right)
    return None


def _is_one(node: Node) -> bool:
    return node.get("class") == "CONSTANT" and node["literal"].get("text") in ("1", "1.0")
