"""From the confined syntax tree of a predicate to conditions on columns, and to what is left for DuckDB."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, cast

from vdb.attributes.spec import encoding_for
from vdb.query.condition import (
    Among,
    Begins,
    Compare,
    Computed,
    Fixed,
    Given,
    Has,
    Is,
    Junction,
    Lifted,
    Named,
    Negation,
    Null,
    Other,
    Same,
    Tree,
    junction,
)
from vdb.query.confine import children_of
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.query.condition import Condition, Sign, Value
    from vdb.query.shapes import Holes
    from vdb.query.syntax import Node
    from vdb.types import TableSchema

_SIGNS: Final[dict[str, Sign]] = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "=",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
_TURNED: Final[dict[Sign, Sign]] = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_DISTINCT: Final = frozenset({"COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM"})
_CONTAINS: Final = frozenset({"list_contains", "list_has", "array_contains", "array_has"})
_HAS_ANY: Final = frozenset({"list_has_any", "array_has_any", "&&"})
_HAS_ALL: Final = frozenset({"list_has_all", "array_has_all", "@>"})
_BEGINS: Final = frozenset({"starts_with", "prefix", "^@"})
_LISTS: Final = _CONTAINS | _HAS_ANY | _HAS_ALL | {"<@"}

# Functions that no row makes fail, and what they give.
_HARMLESS: Final = {
    **dict.fromkeys(("lower", "upper", "trim", "ltrim", "rtrim"), "text"),
    **dict.fromkeys(("length", "len", "strlen", "array_length", "year", "month", "day", "quarter"), "number"),
    **dict.fromkeys((*_BEGINS, "contains", "ends_with", "suffix", "~~", "!~~", "~~*", "!~~*"), "truth"),
    **dict.fromkeys(("regexp_matches", "regexp_full_match", "isnan", "isinf", "isfinite", *_LISTS), "truth"),
}
_HARMLESS_OPERATORS: Final = frozenset(
    {"OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "COMPARE_IN", "ARRAY_CONSTRUCTOR"}
)
_TRUTHS: Final = frozenset({"OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "COMPARE_IN"})
_NUMBERS: Final = ("INT", "FLOAT", "DOUBLE", "DECIMAL")  # what the names of their types hold


def condition_of(root: Node, schema: TableSchema, holes: Holes | None = None) -> Condition:
    """What a confined tree over the columns of a table asks; constants in `holes` become Lifted."""
    found = _Compiler(schema, holes or {}).condition(root)
    if isinstance(found, Other) or (isinstance(found, Junction) and found.is_and):
        return found
    return junction((found,), True, Tree(root))  # one that knows its parts


class _Compiler:
    def __init__(self, schema: TableSchema, holes: Holes) -> None:
        self._schema = schema
        self._holes = holes
        self._encodings = {c.name: encoding_for(schema, c.name) for c in schema.attributes}

    def condition(self, node: Node) -> Condition:
        kind = "COMPARISON" if node["class"] == "COMPARISON" else node["type"]
        read: Callable[[Node], Condition | None] | None = getattr(self, "_" + kind.lower(), None)
        found = None if read is None else read(node)
        return Other(Tree(node), self._can_fail(node)) if found is None else found

    # One method for each type of node, None where no index can tell.

    def _conjunction_and(self, node: Node) -> Condition:
        return junction(tuple(map(self.condition, node["children"])), True, Tree(node))

    def _conjunction_or(self, node: Node) -> Condition:
        conditions = _joined([self.condition(child) for child in node["children"]])
        return conditions[0] if len(conditions) == 1 else junction(tuple(conditions), False, Tree(node))

    def _operator_not(self, node: Node) -> Condition:
        return Negation(self.condition(node["children"][0]))

    def _operator_is_null(self, node: Node) -> Condition | None:
        (child,) = node["children"]
        if child["class"] == "COLUMN_REF":
            return Null(child["column_names"][0])
        return Is(self.condition(child), None) if _is_condition(child) else None

    def _operator_is_not_null(self, node: Node) -> Condition | None:
        found = self._operator_is_null(node)
        return None if found is None else Negation(found)

    def _column_ref(self, node: Node) -> Condition | None:
        column = self._scalar(node)
        if column is None or self._schema.by_name[column].type != "BOOLEAN":
            return None
        return Compare(column, "=", Given(True))

    def _value_constant(self, node: Node) -> Condition | None:
        value = self._constant(node)
        return Fixed(value.value) if isinstance(value, Given) and isinstance(value.value, bool | None) else None

    def _comparison(self, node: Node) -> Condition | None:
        left, right, kind = node["left"], node["right"], node["type"]
        if kind in _DISTINCT:
            found = self._same(left, right) or self._same(right, left)
            return found if found is None or kind == "COMPARE_NOT_DISTINCT_FROM" else Negation(found)
        sign = _SIGNS[kind]
        made = self._compare(left, sign, right) or self._compare(right, _TURNED[sign], left)
        return made if made is None or kind != "COMPARE_NOTEQUAL" else Negation(made)

    def _compare_between(self, node: Node) -> Condition | None:
        least = self._compare(node["input"], ">=", node["lower"])
        most = self._compare(node["input"], "<=", node["upper"])
        return None if least is None or most is None else junction((least, most), True, Tree(node))

    def _compare_in(self, node: Node) -> Condition | None:
        first, *rest = node["children"]
        column, values = self._scalar(first), self._values(rest)
        return None if column is None or values is None else Among(column, values)

    def _function(self, node: Node) -> Condition | None:
        name = node["function_name"]
        arguments: list[Node] = [item["expression"] for item in node["arguments"]]
        if len(arguments) != 2:
            return None
        first, second = arguments
        if name in _CONTAINS:
            return self._has(first, [second])
        if name == "contains":  # of a list column and a text DuckDB may make a search in the list's own text
            return self._in_list(second, first, node)
        if name in _HAS_ANY:
            return self._has_items(first, second) or self._has_items(second, first)
        if name in _HAS_ALL:
            return self._has_items(first, second, every=True)
        if name == "<@":
            return self._has_items(second, first, every=True)
        column = self._scalar(first)
        value = self._constant(second)
        if column is None or value is None or self._schema.by_name[column].type != "VARCHAR":
            return None
        if name in _BEGINS:
            return Begins(column, value, False, Tree(node))
        if name in ("~~", "!~~"):
            like = Begins(column, value, True, Tree(node | {"function_name": "~~", "qualified_name": {"path": ["~~"]}}))
            return like if name == "~~" else Negation(like)
        return None

    # Parts of conditions

    def _compare(self, column: Node, sign: Sign, constant: Node) -> Condition | None:
        name, value = self._scalar(column), self._constant(constant)
        return None if name is None or value is None else Compare(name, sign, value)

    def _same(self, one: Node, other: Node) -> Condition | None:
        value = self._constant(other)
        one = self._uncast(one)
        name = self._scalar(one)
        if name is not None:
            return None if value is None else Same(name, value)
        known = isinstance(value, Given) and isinstance(value.value, bool | None)
        if known and _is_condition(one):
            return Is(self.condition(one), cast("Given", value).value)  # type: ignore[arg-type]
        return None

    def _in_list(self, column: Node, constant: Node, node: Node) -> Condition | None:
        """`column IN list`, which DuckDB reads as a call of contains, as it does for parts of texts."""
        name, items = self._scalar(column), self._items(constant)
        if name is None:
            return None
        if items is None:
            value = self._constant(constant)
            return Among(name, (value,), True, Tree(node)) if isinstance(value, Named) else None
        values = self._values(items)
        return None if values is None else Among(name, values, True)

    def _has(self, column: Node, constants: list[Node], every: bool = False) -> Condition | None:
        name, values = self._list(column), self._values(constants)
        return None if name is None or values is None else Has(name, values, every)

    def _has_items(self, column: Node, constant: Node, every: bool = False) -> Condition | None:
        items = self._items(constant)
        if items is not None:
            return self._has(column, items, every)
        name, value = self._list(column), self._constant(constant)
        return Has(name, (value,), every, of_list=True) if name is not None and isinstance(value, Named) else None

    def _uncast(self, node: Node) -> Node:
        """What IS [NOT] TRUE casts to BOOLEAN, where it is one."""
        if node["class"] != "CAST" or node["try_cast"] or node["type_expr"]["type_name"] != "BOOLEAN":
            return node
        child: Node = node["child"]
        column = self._scalar(child)
        is_boolean = column is not None and self._schema.by_name[column].type == "BOOLEAN"
        return child if is_boolean or _is_condition(child) else node

    def _scalar(self, node: Node) -> str | None:
        """The name of a column whose values have keys."""
        return self._column(node, of_lists=False)

    def _list(self, node: Node) -> str | None:
        return self._column(node, of_lists=True)

    def _column(self, node: Node, of_lists: bool) -> str | None:
        if node["class"] != "COLUMN_REF":
            return None
        name: str = node["column_names"][0]
        found = self._encodings.get(name)
        return name if found is not None and found[1] == of_lists else None

    def _items(self, node: Node) -> list[Node] | None:
        """What a list of constants consists of."""
        if node["type"] == "ARRAY_CONSTRUCTOR":
            return list(node["children"])
        if node["class"] == "FUNCTION" and node["function_name"] == "list_value":
            return [item["expression"] for item in node["arguments"]]
        return None

    def _values(self, nodes: list[Node]) -> tuple[Value, ...] | None:
        values = [self._constant(node) for node in nodes]
        return None if None in values else tuple(value for value in values if value is not None)

    def _constant(self, node: Node) -> Value | None:
        """The value of an expression without columns."""
        if node["class"] == "CONSTANT":
            return self._lifted(_literal(node["literal"]["kind"], node["literal"]["text"]))
        if node["class"] == "PARAMETER":
            return Named(node["identifier"])
        if node["class"] == "FUNCTION" and node["function_name"] == "-" and len(node["arguments"]) == 1:
            value = self._constant(node["arguments"][0]["expression"])
            if isinstance(value, Given) and type(value.value) in (int, float, Decimal):
                return Given(-value.value)  # type: ignore[operator]
            if isinstance(value, Lifted):
                return Lifted(value.number, not value.negative)
        return None if _mentions_column(node) else Computed(Tree(node))

    def _lifted(self, value: Value | None) -> Value | None:
        """A constant that stands for others as what it stands for."""
        number = None
        if isinstance(value, Given):
            number = self._holes.get(value.value)
            if number is None and type(value.value) in (int, Decimal):
                negative = self._holes.get(-value.value)  # type: ignore[operator]
                return value if negative is None else Lifted(negative, True)
        return value if number is None else Lifted(number)

    # What may fail

    def _can_fail(self, node: Node) -> bool:
        kind = node["class"]
        if kind in ("COLUMN_REF", "CONSTANT", "PARAMETER"):
            return False
        children = children_of(node)
        if kind in ("COMPARISON", "BETWEEN") or node["type"] == "COMPARE_IN":
            kinds = {self._kind(child) for child in children} - {"literal"}
            if len(kinds) > 1 or None in kinds:  # then one side is cast, row by row
                return True
        elif kind == "FUNCTION":
            columns = sum(_mentions_column(child) for child in children)
            if node["function_name"] not in _HARMLESS or (node["function_name"] in _LISTS and columns > 1):
                return True
        elif kind != "CONJUNCTION" and node["type"] not in _HARMLESS_OPERATORS:
            return True
        return any(map(self._can_fail, children))

    def _kind(self, node: Node) -> str | None:
        """What a value is as far as comparing needs no cast of a text, None where that is not known."""
        if node["class"] == "CONSTANT":
            kind = node["literal"]["kind"]
            return {"STRING": "literal", "NULL_LITERAL": "literal", "BOOLEAN": "truth"}.get(kind, "number")
        if node["class"] == "FUNCTION":
            return _HARMLESS.get(node["function_name"])
        if node["class"] != "COLUMN_REF":
            return "truth" if _is_condition(node) else None
        column = self._schema.by_name[node["column_names"][0]]
        if isinstance(column, VectorColumn) or column.type.endswith("]") or "(" in column.type.removeprefix("DECIMAL("):
            return None
        if column.type == "INTERVAL" or not any(name in column.type for name in _NUMBERS):
            return {"VARCHAR": "text", "BOOLEAN": "truth"}.get(column.type, column.type)
        return "number"


def _literal(kind: str, text: str) -> Value | None:
    if kind == "STRING":
        return Given(text)
    if kind == "NULL_LITERAL":
        return Given(None)
    if kind == "BOOLEAN":
        return Given(text.lower() in ("true", "t"))
    if kind == "INTEGER":
        return Given(int(text))
    if kind == "NUMERIC":
        return Given(float(text) if "e" in text.lower() else Decimal(text))
    return None


def _is_condition(node: Node) -> bool:
    """Whether an expression, which is no column, is TRUE, FALSE or NULL."""
    if node["class"] in ("CONJUNCTION", "COMPARISON", "BETWEEN") or node["type"] in _TRUTHS:
        return True
    return node["class"] == "FUNCTION" and _HARMLESS.get(node["function_name"]) == "truth"


def _mentions_column(node: Node) -> bool:
    return node["class"] == "COLUMN_REF" or any(map(_mentions_column, children_of(node)))


def _joined(conditions: list[Condition]) -> list[Condition]:
    """What OR joins, with one condition instead of several for single values of one column."""
    joined: dict[object, Condition] = {}
    for number, one in enumerate(conditions):
        condition = Among(one.column, (one.value,)) if isinstance(one, Compare) and one.sign == "=" else one
        if isinstance(condition, Among) and not condition.of_list:
            known = joined.get((Among, condition.column))
            values = known.values if isinstance(known, Among) else ()
            joined[Among, condition.column] = Among(condition.column, (*values, *condition.values))
        elif (
            isinstance(condition, Has) and not condition.of_list and (not condition.every or len(condition.values) == 1)
        ):
            found = joined.get((Has, condition.column))
            values = found.values if isinstance(found, Has) else ()
            joined[Has, condition.column] = Has(condition.column, (*values, *condition.values))
        else:
            joined[number] = condition
    return list(joined.values())
