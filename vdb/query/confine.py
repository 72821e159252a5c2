"""The gate of predicates: walks DuckDB's syntax tree and lets through only what `allow` names.

The walk also settles names. `s.x` becomes a field of column s, so that nothing can resolve to a table or schema, and
columns, functions, types and parameters get one spelling. It keeps its own stack: depth is the user's choice.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import duckdb

from vdb.query import allow
from vdb.query.source import fold
from vdb.query.syntax import ORIGIN, Node
from vdb.query.tokens import too_deep
from vdb.storage.schema import did_you_mean
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.errors import PredicateError
    from vdb.query.source import Source

_DECIMAL: Final = re.compile(r"DECIMAL\(\d+,\s*\d+\)")
_NULL_TESTS: Final = frozenset({"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"})


@dataclass(frozen=True)
class Literal:
    """A text, or the parameter that may hold one, which must be readable as a type.

    DuckDB would notice only when it reads a row.
    """

    text: str | None
    parameter: str | None
    type: str
    at: int | None
    column: str | None = None


@dataclass(frozen=True)
class Pattern:
    """A regular expression, or the parameter that holds it."""

    text: str | None
    parameter: str | None
    at: int | None


@dataclass
class Findings:
    """What the walk saw: columns by their own names, the first place of each parameter, values still to check."""

    columns: set[str] = field(default_factory=set)
    parameters: dict[str, int] = field(default_factory=dict)
    literals: list[Literal] = field(default_factory=list)
    patterns: list[Pattern] = field(default_factory=list)


def confine(root: Node, source: Source) -> Findings:
    """Settle the names of a tree in place and return what it mentions.

    Raises
    ------
    PredicateError
        Some node is not allowed.
    """
    gate = _Gate(source)
    stack: list[tuple[Node, Node | None, int, int]] = [(root, None, 1, 1)]
    seen = 0
    while stack:
        node, parent, depth, copies = stack.pop()
        seen += copies
        if seen > allow.MAX_NODES:
            raise source.error(
                f"the predicate has more than {allow.MAX_NODES:,} parts.",
                fix="Fix: pass long lists as one parameter, x IN ?.",
            )
        if depth > allow.MAX_DEPTH:
            raise too_deep(source)
        gate.check(node, parent)
        twice = node["input"] if node["class"] == "BETWEEN" else None  # DuckDB compares a copy of it with each end
        stack += [
            (child, node, depth + 1, copies * 2 if child is twice else copies) for child in reversed(children_of(node))
        ]
    return gate.findings


class _Gate:
    """Checks one node at a time, each before its children, from left to right."""

    def __init__(self, source: Source) -> None:
        self.findings = Findings()
        self._source = source
        self._columns = {fold(column.name): column for column in source.schema.columns}

    def check(self, node: Node, parent: Node | None) -> None:
        shape = allow.SHAPES.get(node.get("class", ""))
        kind = node.get("type", "")
        if shape is None or kind not in shape.types:
            what = allow.REFUSED.get(kind) or allow.REFUSED.get(node.get("class", "")) or kind.lower().replace("_", " ")
            fix = "Fix: run it first and pass its values, x IN ?." if node.get("class") == "SUBQUERY" else ""
            raise self._refuse(node, f"{what} is not allowed in a predicate", fix)
        self._require(node.keys() == allow.COMMON_KEYS | shape.keys and node["alias"] == "", node)
        if node["class"] == "COLUMN_REF":
            self._check_column(node, parent)
        else:
            getattr(self, "_check_" + node["class"].lower())(node)

    def _check_column(self, node: Node, parent: Node | None) -> None:
        names = node["column_names"]
        column = self._columns.get(fold(names[0]))
        if column is None:
            raise self._unknown_column(node, names)
        if len(names) > allow.MAX_NAME_PARTS:
            raise self._refuse(node, f"a name has at most {allow.MAX_NAME_PARTS} parts; this has {len(names)}")
        if isinstance(column, VectorColumn) and (len(names) > 1 or parent is None or parent["type"] not in _NULL_TESTS):
            raise self._refuse(
                node,
                f"{column.name} is a vector; a predicate can only ask whether it is there",
                f"Fix: {column.name} IS NULL, or {column.name} IS NOT NULL.",
            )
        self.findings.columns.add(column.name)
        location = {key: node[key] for key in ("query_location", "query_location_length")}
        settled: Node = node | {"column_names": [column.name]}
        for name in names[1:]:
            literal = {"kind": "STRING", "text": name}
            key = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", **location, "literal": literal}
            settled = {
                "class": "OPERATOR",
                "type": "STRUCT_EXTRACT",
                "alias": "",
                **location,
                "children": [settled, key],
            }
        node.clear()
        node.update(settled)

    def _check_constant(self, node: Node) -> None:
        literal = node["literal"]
        self._require(literal.keys() == {"kind", "text"} and literal["kind"] in allow.LITERALS, node)

    def _check_parameter(self, node: Node) -> None:
        node["identifier"] = fold(node["identifier"])
        self.findings.parameters.setdefault(node["identifier"], self._place(node) or 0)

    def _check_function(self, node: Node) -> None:
        name = node["function_name"]
        folded = name.lower()
        if node["schema"] or node["catalog"]:
            raise self._refuse(
                node,
                f"functions are called by their plain name, not {node['schema']}.{name}",
                f"Fix: {name}(column, ...).",
            )
        if folded not in allow.FUNCTIONS and folded not in allow.OPERATORS:
            raise self._unknown_function(node, folded)
        plain = all(node[key] == value for key, value in allow.FUNCTION_PLAIN.items())
        unnamed = all(item.keys() == {"name", "expression"} and not item["name"] for item in node["arguments"])
        if not plain or not unnamed:
            raise self._refuse(
                node, f"{folded} takes its arguments in order, without DISTINCT, ORDER BY, FILTER or names"
            )
        self._require(node["qualified_name"] == {"path": [name]}, node)
        if folded in allow.REGULAR_EXPRESSIONS:
            self._note_pattern(node)
        node["function_name"] = folded
        node["qualified_name"] = {"path": [folded]}

    def _check_cast(self, node: Node) -> None:
        target = node["type_expr"]
        self._require(isinstance(target, dict), node)
        kind = target.get("type_name", "")
        name = allow.SCALAR_TYPES.get(kind.upper())
        if target.get("class") != "TYPE" or name is None or target.get("schema") or target.get("catalog"):
            raise self._refuse(
                node,
                f"a predicate casts to single values, not to {kind or 'that'}",
                f"Types: {', '.join(sorted(set(allow.SCALAR_TYPES.values())))}.",
            )
        self._require(target.keys() == allow.TYPE_KEYS and target["qualified_name"] == {"path": [kind]}, target)
        sizes = target["children"]
        if sizes and not (name in ("DECIMAL", "VARCHAR") and len(sizes) <= 2 and all(map(_is_size, sizes))):
            raise self._refuse(node, f"{kind} takes no such modifier")
        target["type_name"] = name
        target["qualified_name"] = {"path": [name]}
        child = node["child"]
        if child.get("class") == "CONSTANT" and not node["try_cast"] and not sizes:
            self._note_literal(child, name, at=self._place(child, node))

    def _check_case(self, node: Node) -> None:
        self._require(all(item.keys() == {"when_expr", "then_expr"} for item in node["case_checks"]), node)

    def _check_comparison(self, node: Node) -> None:
        self._note_compared([node["left"], node["right"]])

    def _check_between(self, node: Node) -> None:
        self._note_compared([node["input"], node["lower"], node["upper"]])

    def _check_operator(self, node: Node) -> None:
        if node["type"] == "COMPARE_IN":
            self._note_compared(node["children"])

    def _check_conjunction(self, node: Node) -> None:
        """AND and OR join whatever they like."""

    def _note_compared(self, nodes: list[Node]) -> None:
        """Remember the texts compared with a column, which DuckDB casts to its type."""
        names = [node.get("column_names", ()) for node in nodes if node.get("class") == "COLUMN_REF"]
        if len(names) != 1 or len(names[0]) != 1:
            return
        column = self._columns.get(fold(names[0][0]))
        if column is not None and (_DECIMAL.fullmatch(column.type) or column.type in allow.SCALAR_TYPES):
            for node in nodes:
                self._note_literal(node, column.type, self._place(node), column.name)

    def _note_literal(self, node: Node, kind: str, at: int | None, column: str | None = None) -> None:
        if node.get("class") == "CONSTANT" and node["literal"].get("kind") == "STRING":
            self.findings.literals.append(Literal(node["literal"]["text"], None, kind, at, column))
        elif node.get("class") == "PARAMETER":
            self.findings.literals.append(Literal(None, fold(node["identifier"]), kind, at, column))

    def _note_pattern(self, node: Node) -> None:
        pattern: Node = node["arguments"][1]["expression"] if len(node["arguments"]) > 1 else {}
        if pattern.get("class") == "CONSTANT":
            self.findings.patterns.append(Pattern(pattern["literal"]["text"], None, self._place(pattern, node)))
        elif pattern.get("class") == "PARAMETER":
            self.findings.patterns.append(Pattern(None, fold(pattern["identifier"]), self._place(pattern, node)))
        else:
            raise self._refuse(node, "a regular expression is a text or a parameter, the same for every row")

    def _unknown_column(self, node: Node, names: list[str]) -> PredicateError:
        schema = self._source.schema
        if len(names) > 1 and fold(names[0]) == fold(schema.name):
            return self._refuse(node, "columns are named without their table", f"Fix: {'.'.join(names[1:])}.")
        name = names[0] if len(names[0]) <= 80 else names[0][:80] + "..."
        return self._refuse(
            node,
            f"no column {name!r} in table {schema.name}",
            self._source.columns() + did_you_mean(name, [column.name for column in schema.columns]),
        )

    def _unknown_function(self, node: Node, name: str) -> PredicateError:
        known = allow.OPERATORS if node["is_operator"] else allow.FUNCTIONS
        close = difflib.get_close_matches(name, known, n=3)
        kind = "operator" if node["is_operator"] else "function"
        what = allow.REFUSED.get(name, f"{kind} {name:.80}")
        fix = f"Did you mean {' or '.join(close)}?" if close else "Fix: compute it before and pass it as a parameter."
        return self._refuse(
            node, f"{what} is not allowed in a predicate", f"{fix} Allowed: {', '.join(sorted(known))}."
        )

    def _refuse(self, node: Mapping[str, Any], what: str, fix: str = "") -> PredicateError:
        return self._source.error(what + ".", self._place(node), fix)

    def _require(self, holds: bool, node: Node) -> None:
        if not holds:
            kind = str(node.get("type", "?")).lower()
            raise self._refuse(
                node,
                f"DuckDB {duckdb.__version__} describes this {kind} in a way vdb does not know",
                "Fix: write it more simply, or use the DuckDB release vdb asks for.",
            )

    def _place(self, *nodes: Mapping[str, Any]) -> int | None:
        """The byte of the user's text where the first node that knows begins."""
        for node in nodes:
            at: int = node.get("query_location", 0) - ORIGIN
            if 0 <= at <= len(self._source.data):
                return at
        return None


def children_of(node: Node) -> list[Node]:
    """Return the expressions below a checked node."""
    children: list[Node] = []
    for key in allow.SHAPES[node["class"]].children:
        for item in node[key] if isinstance(node[key], list) else [node[key]]:
            if "expression" in item:  # an argument
                children.append(item["expression"])
            elif "when_expr" in item:  # a branch of CASE
                children += [item["when_expr"], item["then_expr"]]
            else:
                children.append(item)
    return children


def _is_size(node: Node) -> bool:
    return bool(
        node.get("class") == "CONSTANT"
        and node.keys() == allow.COMMON_KEYS | {"literal"}
        and node["literal"]["kind"] == "INTEGER"
        and len(node["literal"]["text"]) <= 9
    )
