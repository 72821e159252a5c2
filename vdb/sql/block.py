"""One SELECT: what it needs of vectors, whether only the nearest rows count, and its form that DuckDB can run.

Every table of vdb in its FROM becomes a subquery with the table's columns; distances to a constant become a column of
that, vectors another, both joined by slot.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.distances import distance_of, is_function, on_arrays, readable, with_value
from vdb.sql.functions import functions
from vdb.sql.lateral import NEEDLE, find_correlated
from vdb.sql.nearest import find_top, is_volatile, shows_few, split_where
from vdb.sql.needs import Needs
from vdb.sql.scope import EXPRESSIONS, Scope, conditions_of
from vdb.sql.steps import Fragment, Measured, TableUse
from vdb.sql.where import as_where
from vdb.storage.rows import quoted, table_name
from vdb.types import SLOT_COLUMN, VectorColumn

if TYPE_CHECKING:
    from vdb.query.syntax import Node
    from vdb.sql.compile import Compiler, Environment
    from vdb.sql.lateral import Correlated
    from vdb.sql.scope import Placed
    from vdb.sql.steps import Top

DISTANCE: Final = "_vdb_d"
POSITION: Final = "_vdb_pos"
_NULL_TESTS: Final = frozenset({"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"})


class Block:
    """Compiles one SELECT_NODE in place; the queries inside of it have been compiled."""

    def __init__(self, compiler: Compiler, node: Node, scope: Scope, environment: Environment) -> None:
        self._compiler = compiler
        self._node = node
        self._scope = scope
        self._environment = environment
        self._needs = [Needs(placed) for placed in scope.tables]
        self._around: Correlated | None = None

    def compile(self) -> None:
        """Change the block into what DuckDB can run, and add the steps it needs before."""
        node = self._node
        self._settle_aliases()
        self._around = find_correlated(self._compiler, node, self._scope, self._environment)
        if self._around is not None:
            self._needs[0].measured.append(self._around.measured)
        for key in EXPRESSIONS:
            self._look(node[key], in_join=False)
        for part, _ in conditions_of(node["from_table"]):
            self._look(part, in_join=True)
        for needs in self._needs:
            if needs.placed.renamed:  # its columns are called otherwise here
                needs.vectors = {column.name for column in needs.placed.schema.vectors}
        tops = [self._top(needs) for needs in self._needs]
        uses = [self._use(number, *found) for number, found in enumerate(tops)]
        self._drop_where(uses)
        for needs, (top, _) in zip(self._needs, tops, strict=True):
            if needs.is_whole or needs.placed.renamed:
                needs.vectors |= {measured.column for measured in needs.measured}
            elif top is not None:
                self._order_by_position(needs)
        self._rewrite()
        for needs, use in zip(self._needs, uses, strict=True):
            self._place(needs, use)

    def _settle_aliases(self) -> None:
        """Write out the names of selected expressions that WHERE may use, where no column can have them."""
        where = self._node["where_clause"]
        if where is None or not self._scope.all_known:
            return
        known = {fold(column.name) for placed in self._scope.tables for column in placed.schema.columns}
        aliases = {fold(item["alias"]): item for item in self._node["select_list"] if item.get("alias")}

        def put(inner: Node) -> Node | None:
            if tree.is_query(inner):
                return inner
            name = fold(tree.only_name(inner))
            return None if not name or name in known or name not in aliases else tree.bare(aliases[name])

        self._node["where_clause"] = tree.replaced(where, put)

    def _look(self, node: Any, *, in_join: bool) -> None:
        """Note what an expression needs, without what the queries inside of it have got already."""
        if isinstance(node, list):
            for item in node:
                self._look(item, in_join=in_join)
            return
        if not isinstance(node, dict):
            return
        if tree.is_query(node):
            self._look_inside(node)
            return
        if self._look_at_distance(node, in_join):
            return
        if node.get("class") == "STAR":
            self._look_at_star(node)
            return
        if node.get("type") in _NULL_TESTS and self._is_vector(node["children"][0]):
            return
        if tree.is_column(node):
            for needs in self._needs:
                self._note(needs, node, in_join)
            return
        for value in node.values():
            self._look(value, in_join=in_join)

    def _note(self, needs: Needs, node: Node, in_join: bool) -> None:
        name = needs.placed.column(node)
        if name == "":
            needs.vectors |= {column.name for column in needs.placed.schema.vectors}
            needs.is_whole = True
        elif name and isinstance(needs.placed.schema.by_name[name], VectorColumn):
            needs.vectors.add(name)
            needs.in_joins |= in_join

    def _look_inside(self, query: Node) -> None:
        """A query inside may refer to this block's vectors; to be sure, every name that could is taken for one."""
        for inner in tree.walk(query):
            for needs in self._needs:
                if tree.is_column(inner) and needs.placed.column(inner) is not None:
                    self._note(needs, inner, in_join=True)

    def _look_at_distance(self, node: Node, in_join: bool) -> bool:
        distance = distance_of(node)
        if distance is None:
            return False
        if self._is_ambiguous(distance.left) or self._is_ambiguous(distance.right):
            return False
        for needs in self._needs:
            for side, other in ((distance.left, distance.right), (distance.right, distance.left)):
                column = needs.placed.vector(side)
                if self._around is not None:
                    if column is not None and self._around.is_distance(node, needs.placed):
                        needs.distances.append((copy.deepcopy(node), distance, 0))
                        return True
                    continue
                if column is None or needs.placed.renamed or not self._is_constant(other):
                    continue
                measured = Measured(column.name, distance.metric, self._vector(other))
                if measured not in needs.measured:
                    needs.measured.append(measured)
                needs.distances.append((copy.deepcopy(node), distance, needs.measured.index(measured)))
                needs.in_joins |= in_join
                return True
        return False

    def _look_at_star(self, node: Node) -> None:
        relation = fold(node["relation_name"])
        for needs in self._needs:
            if relation in ("", fold(needs.placed.alias)):
                needs.vectors |= {column.name for column in needs.placed.schema.vectors}
                needs.is_whole |= bool(node.get("columns") or node.get("expr"))

    def _is_ambiguous(self, node: Node) -> bool:
        """Whether a name without a qualifier is that of a column in several tables, which DuckDB refuses."""
        name = tree.only_name(node)
        return bool(name) and sum(bool(needs.placed.column(node)) for needs in self._needs) > 1

    def _is_vector(self, node: Node) -> bool:
        return any(needs.placed.vector(node) is not None for needs in self._needs)

    def _is_constant(self, node: Node) -> bool:
        """Whether an expression has one value for the whole statement."""
        queries = False
        stack: list[Any] = [node]
        while stack:
            inner = stack.pop()
            if isinstance(inner, list):
                stack += inner
            elif isinstance(inner, dict):
                if tree.is_query(inner):
                    queries = True
                elif tree.is_column(inner) or inner.get("function_name", "").lower() in functions()[1]:
                    return False
                else:
                    stack += inner.values()
        return not queries or self._compiler.binds(self._vector_query(node))

    def _vector(self, node: Node) -> Fragment | str:
        inner = node
        while inner.get("class") == "CAST":
            inner = inner["child"]
        if inner.get("class") == "PARAMETER":
            name: str = inner["identifier"]
            return name
        return self._compiler.fragment(self._vector_query(node))

    def _vector_query(self, node: Node) -> Node:
        query = tree.query("SELECT 1")
        query["select_list"] = [tree.expression("CAST(a AS FLOAT[])", a=tree.bare(node))]
        return self._visible(query)

    def _visible(self, query: Node) -> Node:
        query["cte_map"] = {"map": copy.deepcopy(list(self._environment.ctes))}
        return query

    def _top(self, needs: Needs) -> tuple[Top | None, str]:
        if not needs.measured:
            return None, ""
        if self._around is not None:
            return self._around.top, ""
        return find_top(self._node, needs)

    def _use(self, number: int, top: Top | None, reason: str) -> TableUse | None:
        needs = self._needs[number]
        if not needs.matter:
            return None
        if self._around is not None:
            use = self._made(number, self._around.where, None, top, reason)
            return replace(use, batch=self._around.batch)
        where = candidates = None
        if needs.placed.only is not None:
            candidates = Fragment(f"SELECT slot AS s FROM {needs.placed.only}")
        plain, bounds = split_where(self._node["where_clause"], self._needs)
        if not needs.placed.restrictable or is_volatile(self._node):
            return self._made(number, None, candidates, None, reason)
        if candidates is None and shows_few(self._node, needs, plain) and self._scope.is_single:
            candidates = self._candidates(number, plain, limited=True)
        if candidates is None and (self._node["where_clause"] is not None or not self._scope.is_single):
            if self._scope.is_single and plain:
                where = as_where(tree.conjunction(plain), needs.placed, self._compiler.values)
            if where is None and (plain or not self._scope.is_single):
                candidates = self._candidates(number, plain)
                if candidates is None:
                    top, reason = None, reason or "the conditions depend on more than the tables joined here"
        if top is not None and len(plain) + len(bounds(number)) < len(tree.conjuncts(self._node["where_clause"])):
            top, reason = None, "a condition on vectors other than distance < bound"
        return self._made(number, where, candidates, top, reason)

    def _made(
        self, number: int, where: Fragment | None, candidates: Fragment | None, top: Top | None, reason: str
    ) -> TableUse:
        needs = self._needs[number]
        own = self._compiler.next_number() + sum(other.matter for other in self._needs[:number])
        return TableUse(own, needs.placed.schema, tuple(needs.measured), (), where, candidates, top, reason)

    def _drop_where(self, uses: list[TableUse | None]) -> None:
        """Leave of WHERE only what the search does not see to."""
        use = uses[0] if len(uses) == 1 and self._around is None else None
        if use is not None and use.top is not None and use.where is not None:
            _, bounds = split_where(self._node["where_clause"], self._needs)
            self._node["where_clause"] = tree.conjunction(bounds(0))

    def _candidates(self, number: int, plain: list[Node], *, limited: bool = False) -> Fragment | None:
        """A query for the slots of one table that the block's FROM and WHERE leave; None where there is no such.

        `limited`: and its ORDER BY and LIMIT.
        """
        if any(needs.in_joins for needs in self._needs) or not self._needs[number].placed.restrictable:
            return None
        if self._node.get("sample") is not None:
            return None
        clause = copy.deepcopy(self._node["from_table"])
        copies = Scope(clause, self._compiler.tables, self._environment.shadowed).tables
        for at, placed in enumerate(copies):
            extra = [f"m.{SLOT_COLUMN} AS {SLOT_COLUMN}"] if at == number else []
            _put(placed, self._subquery(placed, [], extra, ""))
        query = tree.query("SELECT 1 AS s" if limited else "SELECT DISTINCT 1 AS s")
        query["select_list"] = [{**tree.column(copies[number].alias, SLOT_COLUMN), "alias": "s"}]
        query["from_table"] = clause
        query["where_clause"] = copy.deepcopy(tree.conjunction(plain))
        if limited:
            query["modifiers"] = copy.deepcopy(self._node["modifiers"])
            _show_all(query["modifiers"])
        query = self._visible(query)
        return self._compiler.fragment(query) if self._compiler.binds(query) else None

    def _order_by_position(self, needs: Needs) -> None:
        """Order rows at the same distance by their row id, as every search does."""
        for modifier in self._node["modifiers"]:
            if modifier["type"] == "ORDER_MODIFIER" and len(modifier["orders"]) == 1:
                first = modifier["orders"][0]
                key = tree.column(needs.placed.alias, POSITION)
                modifier["orders"].append({**first, "type": "ORDER_DEFAULT", "expression": key})

    def _rewrite(self) -> None:
        """Put columns in place of distances, and what DuckDB can bind in place of what it cannot."""
        node = self._node
        selected = node["select_list"]
        for key in EXPRESSIONS:
            node[key] = tree.replaced(node[key], self._put)
        for before, item in zip(selected, node["select_list"], strict=True):
            if not before.get("alias") and before.get("class") not in ("STAR", "COLUMN_REF") and item != before:
                item["alias"] = tree.shown_name(before)
        clause = node["from_table"]
        for join in tree.walk(clause):
            if join.get("type") == "JOIN" and join.get("condition") is not None:
                join["condition"] = tree.replaced(join["condition"], self._put)

    def _put(self, node: Node) -> Node | None:
        if tree.is_query(node):
            return node
        for needs in self._needs:
            if needs.is_whole:
                continue
            found = needs.find(node) if node.get("class") == "FUNCTION" else None
            if found is not None:
                distance, number = found
                return with_value(distance, tree.column(needs.placed.alias, f"{DISTANCE}{number}"))
        if node.get("class") == "STAR":
            return self._without_hidden(node)
        if is_function(node):
            sides = [item["expression"] for item in node["arguments"]]
            columns = [needs.placed.vector(side) for needs in self._needs for side in sides]
            column = next((c for c in columns if c is not None), None)
            if column is not None:
                return on_arrays(node, f"FLOAT[{column.dim}]")
        return readable(node)

    def _without_hidden(self, node: Node) -> Node | None:
        relation = fold(node["relation_name"])
        hidden: list[str] = []
        for needs in self._needs:
            if relation in ("", fold(needs.placed.alias)) and not needs.is_whole and needs.measured:
                hidden += [f"{DISTANCE}{i}" for i in range(len(needs.measured))] + [POSITION]
                hidden += self._around.columns if self._around is not None else []
        if not hidden:
            return None
        return {**node, "exclude_list": [*node["exclude_list"], *dict.fromkeys(hidden)]}

    def _place(self, needs: Needs, use: TableUse | None) -> None:
        placed = needs.placed
        vectors = [column.name for column in placed.schema.vectors if column.name in needs.vectors]
        extra: list[str] = []
        joins = ""
        if use is not None:
            use = replace(use, vectors=tuple(vectors))
            self._compiler.add(use)
            if needs.measured and not needs.is_whole and not placed.renamed:
                extra = [f"h.d{i} AS {DISTANCE}{i}" for i in range(len(needs.measured))] + [f"h.pos AS {POSITION}"]
            if needs.measured:
                joins += f" JOIN {use.hits} AS h ON h.slot = m.{SLOT_COLUMN}"
            if self._around is not None:
                joins += f" JOIN {use.needles} AS n ON n.n = h.n"
                extra += [f"n.{name.removeprefix(NEEDLE)} AS {name}" for name in self._around.columns]
                parts = [*tree.conjuncts(self._node["where_clause"]), *self._around.conditions(placed)]
                self._node["where_clause"] = tree.conjunction(parts)
            if vectors:
                joins += f" JOIN {use.values} AS v ON v.slot = m.{SLOT_COLUMN}"
        _put(placed, self._subquery(placed, vectors, extra, joins))

    def _subquery(self, placed: Placed, vectors: list[str], extra: list[str], joins: str) -> str:
        columns = []
        for column in placed.schema.columns:
            name = quoted(column.name)
            value = f"v.v{vectors.index(column.name)}" if column.name in vectors else f"m.{name}"
            columns.append(f"{value} AS {name}")
        if placed.shows_slot and not any(value.endswith(f" AS {SLOT_COLUMN}") for value in extra):
            columns.append(f"m.{SLOT_COLUMN} AS {SLOT_COLUMN}")
        if placed.only is not None:
            joins += f" JOIN {placed.only} AS w ON w.slot = m.{SLOT_COLUMN}"
        return f"SELECT {', '.join([*columns, *extra])} FROM {table_name(placed.schema)} AS m{joins}"


def _put(placed: Placed, sql: str) -> None:
    """Have a table's node be a subquery of the same name."""
    node = placed.node
    new = tree.relation(f"({sql}) AS {quoted(placed.alias)}")
    new |= {"column_name_alias": node["column_name_alias"], "sample": node["sample"]}
    node.clear()
    node.update(new)


def _show_all(modifiers: list[Node]) -> None:
    """Have a LIMIT show what its OFFSET leaves out too."""
    for modifier in modifiers:
        if modifier["type"] == "LIMIT_MODIFIER" and modifier.get("offset") is not None:
            modifier["limit"] = tree.expression("a + b", a=modifier["limit"], b=modifier["offset"])
            modifier["offset"] = None
