"""Views and subqueries that only choose rows and columns of one table, read as that table: then its indexes serve them.

`SELECT id FROM v ORDER BY e <-> q LIMIT 5` becomes the same about the table behind `v`, with the view's conditions.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.distances import is_function
from vdb.sql.functions import functions
from vdb.sql.scope import EXPRESSIONS, Scope, joined
from vdb.types import SLOT_COLUMN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from vdb.query.syntax import Node
    from vdb.sql.scope import Placed
    from vdb.storage.state import TableState

_PLAIN_STAR: Final = ("exclude_list", "replace_list", "rename_list", "qualified_exclude_list", "columns", "expr")
_NOTHING_BUT: Final = ("group_expressions", "group_sets", "having", "qualify", "sample", "modifiers")


class NotFlat(Exception):
    """Why a relation stays a query of its own."""


def flatten(node: Node, tables: Mapping[str, TableState], shadowed: Collection[str]) -> Iterator[str]:
    """Put tables in place of the subqueries of a SELECT that may be read so, and yield why others are not."""
    for relation, restrictable in list(joined(node["from_table"])):
        if relation.get("type") != "SUBQUERY":
            continue
        inner = relation["subquery"]["node"]
        placed = _table_of(inner, tables, shadowed)
        if placed is None or not placed.schema.vectors:
            continue
        name = relation["alias"] or placed.schema.name
        try:
            if not restrictable:
                raise NotFlat("an outer join may add rows to it")
            _flatten(node, relation, _Shown(inner, placed, name))
        except NotFlat as why:
            if any(is_function(part) for key in EXPRESSIONS for part in tree.walk(node[key])):
                yield f"VECTOR_READ {name}  not searched by an index: {why}"


def _table_of(inner: Node, tables: Mapping[str, TableState], shadowed: Collection[str]) -> Placed | None:
    """The one table that a query reads, None where that is not so."""
    if inner.get("type") != "SELECT_NODE" or inner["cte_map"]["map"]:
        return None
    scope = Scope(inner["from_table"], tables, shadowed)
    return scope.tables[0] if scope.is_single else None


class _Shown:
    """What a query over one table shows: its columns by name, and the condition of its rows."""

    def __init__(self, inner: Node, placed: Placed, alias: str) -> None:
        if any(inner[key] for key in _NOTHING_BUT) or inner.get("aggregate_handling") != "STANDARD_HANDLING":
            raise NotFlat("it groups, orders or limits rows")
        if placed.renamed or placed.node.get("sample") is not None or placed.node.get("at_clause") is not None:
            raise NotFlat("it renames columns or takes a sample")
        many, volatile = functions()
        for part in tree.walk([inner["select_list"], inner["where_clause"]]):
            name = str(part.get("function_name", "")).lower()
            if tree.is_query(part) or part.get("class") in ("WINDOW", "SUBQUERY") or name in many | volatile:
                raise NotFlat("it computes more than a value of each row")
        self.placed = placed
        self.alias = alias
        self.columns: dict[str, tuple[str, Node]] = {}  # by folded name: as shown, and what it is of the table
        self.is_whole = len(inner["select_list"]) == 1 and _is_plain_star(inner["select_list"][0])
        for item in inner["select_list"]:
            if item.get("class") == "STAR":
                if not _is_plain_star(item):
                    raise NotFlat("it shows * without some columns")
                for column in placed.schema.columns:
                    self._show(column.name, tree.column(alias, column.name))
            else:
                name = item.get("alias") or (item["column_names"][-1] if tree.is_column(item) else "")
                if not name:
                    raise NotFlat("it shows an expression without a name")
                self._show(name, self._moved(tree.bare(item)))
        where = inner["where_clause"]
        self.where = None if where is None else self._moved(where)

    def _show(self, name: str, value: Node) -> None:
        if fold(name) in self.columns:
            raise NotFlat(f"it shows {name} twice")
        self.columns[fold(name)] = name, value

    def _moved(self, expression: Node) -> Node:
        """An expression over the table, which goes by the alias of the query now."""

        def put(inner: Node) -> Node | None:
            if not tree.is_column(inner):
                return None
            name = self.placed.column(inner)
            if not name:
                raise NotFlat("it reads whole rows, or other relations")
            at = next(i for i, part in enumerate(inner["column_names"]) if fold(part) == fold(name))
            if len(inner["column_names"]) > 1 and fold(inner["column_names"][0]) == fold(self.placed.alias):
                at = max(at, 1)
            return {**inner, "column_names": [self.alias, name, *inner["column_names"][at + 1 :]], "alias": ""}

        moved: Node = tree.replaced(expression, put)
        return moved


def _flatten(node: Node, relation: Node, shown: _Shown) -> None:
    """Change a SELECT so that it reads the table behind one of its relations."""
    if relation["column_name_alias"] or relation["sample"] is not None:
        raise NotFlat("its columns are renamed, or a sample is taken")
    clause = node["from_table"]
    for join in tree.walk(clause):
        if join.get("type") == "JOIN" and (join["using_columns"] or join["ref_type"] == "NATURAL"):
            raise NotFlat("it is joined by names of columns")
    new = _Rewriting(node, relation, shown)
    changed = {key: new.put(node[key]) for key in EXPRESSIONS}
    conditions = [(join, new.put(join["condition"])) for join in _joins(clause) if join.get("condition") is not None]
    for other, _ in joined(clause):
        if other is not relation:
            new.check_inside(other)
    changed["select_list"] = new.named(node["select_list"], changed["select_list"])
    node.update(changed)
    for join, condition in conditions:
        join["condition"] = condition
    parts = [*tree.conjuncts(node["where_clause"]), *tree.conjuncts(shown.where)]
    node["where_clause"] = tree.conjunction(parts)
    table = {**shown.placed.node, "alias": shown.alias, "schema_name": "main"}
    table["qualified_name"] = {"path": ["main", table["table_name"]]}
    relation.clear()
    relation.update(table)


class _Rewriting:
    """Puts what a column is of the table in place of its name."""

    def __init__(self, node: Node, relation: Node, shown: _Shown) -> None:
        self._shown = shown
        self._is_only = node["from_table"] is relation
        self._hidden = {fold(column.name) for column in shown.placed.schema.columns} - shown.columns.keys()
        self._hidden |= {SLOT_COLUMN}
        aliases = {fold(item["alias"]) for item in node["select_list"] if item.get("alias")}
        if not shown.is_whole and aliases & shown.columns.keys():
            raise NotFlat("a name of its columns is given to something else")

    def put(self, node: Any) -> Any:
        """A part of the SELECT about the table; NotFlat where that would mean something else."""
        if isinstance(node, list):
            return [new for item in node for new in self._put_item(item)]
        if not isinstance(node, dict):
            return node
        if tree.is_query(node):
            self.check_inside(node)
            return node
        if node.get("class") == "STAR" and not self._shown.is_whole:
            raise NotFlat("* is more than a list of its columns")
        if tree.is_column(node):
            return self._put_column(node)
        return {key: self.put(value) if isinstance(value, (dict, list)) else value for key, value in node.items()}

    def _put_item(self, item: Any) -> list[Any]:
        if isinstance(item, dict) and _is_plain_star(item) and not self._shown.is_whole:
            names = ("", fold(self._shown.alias))
            if not self._is_only or fold(item["relation_name"]) not in names:
                raise NotFlat("* is more than a list of its columns")
            return [{**copy.deepcopy(value), "alias": name} for name, value in self._shown.columns.values()]
        return [self.put(item)]

    def _put_column(self, node: Node) -> Node:
        names = [fold(name) for name in node["column_names"]]
        shown = self._shown
        if names[0] == fold(shown.alias) and names[0] not in shown.columns:
            if len(names) == 1:
                if shown.is_whole:
                    return node
                raise NotFlat("its rows are read as a whole")
            names = names[1:]
            if names[0] not in shown.columns:
                raise NotFlat(f"it has no column {names[0]}")
        elif names[0] in self._hidden:
            raise NotFlat(f"{names[0]} is a column of the table that it does not show")
        if names[0] not in shown.columns:
            return node
        _, value = shown.columns[names[0]]
        if len(names) == 1:
            return {**copy.deepcopy(value), "alias": node.get("alias", "")}
        if not tree.is_column(value):
            raise NotFlat("a part of what it computes is read")
        return {**value, "column_names": [*value["column_names"], *node["column_names"][-len(names) + 1 :]]}

    def check_inside(self, node: Node) -> None:
        """A query inside may refer to the relation: to be sure, every name that could is taken for it."""
        if self._shown.is_whole:
            return
        known = self._hidden | self._shown.columns.keys() | {fold(self._shown.alias)}
        for inner in tree.walk(node):
            if tree.is_column(inner) and fold(inner["column_names"][0]) in known:
                raise NotFlat("a query inside may read its columns")

    def named(self, before: list[Node], after: list[Node]) -> list[Node]:
        """The select list, in which what was changed keeps the name that it had."""
        if len(before) != len(after):
            return after
        for old, new in zip(before, after, strict=True):
            if old != new and not new.get("alias") and "alias" in new and old.get("class") != "STAR":
                new["alias"] = old["column_names"][-1] if tree.is_column(old) else tree.shown_name(old)
        return after


def _is_plain_star(node: Node) -> bool:
    return node.get("class") == "STAR" and not any(node[key] for key in _PLAIN_STAR)


def _joins(clause: Node) -> Iterator[Node]:
    if clause["type"] == "JOIN":
        yield clause
        yield from _joins(clause["left"])
        yield from _joins(clause["right"])
