"""From the tree of a query to what runs: every block of it in turn, those inside first."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vdb.errors import InvalidArgument
from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.block import Block
from vdb.sql.catalogs import COLUMNS
from vdb.sql.flatten import flatten
from vdb.sql.found import NO_DISTANCES, NO_SLOTS, Found
from vdb.sql.scope import EXPRESSIONS, Scope, conditions_of, joined
from vdb.sql.steps import Compiled, Fragment
from vdb.sql.table_functions import settle_functions
from vdb.sql.tokens import Script
from vdb.storage.rows import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.query.syntax import Node
    from vdb.sql.steps import TableUse
    from vdb.storage.session import Statement
    from vdb.storage.state import DatabaseState

_VIEW: Final = "vdb_view"  # the key of a node that stands for a view, with its name


@dataclass(frozen=True)
class Outer:
    """The SELECT around a query, and the relations of it whose rows the query may read."""

    node: Node
    clause: Node
    environment: Environment


@dataclass(frozen=True)
class Environment:
    """What is visible where a query stands: CTEs, names that are no tables there, views it is in, rows around it."""

    ctes: tuple[Node, ...] = ()
    shadowed: frozenset[str] = field(default_factory=frozenset)
    views: tuple[str, ...] = ()
    outer: Outer | None = None

    def hiding(self, name: str) -> Environment:
        """The same where `name` is no table."""
        return replace(self, shadowed=self.shadowed | {fold(name)})

    def inside(self, node: Node, clause: Node | None) -> Environment:
        """What is visible inside of a SELECT for a query that may read the rows of `clause`."""
        seen = None if clause is None or clause["type"] == "EMPTY" else Outer(node, clause, replace(self, outer=None))
        return replace(self, outer=seen)

    def with_cte(self, entry: Node) -> Environment:
        """The same with one more CTE."""
        others = tuple(known for known in self.ctes if fold(known["key"]) != fold(entry["key"]))
        return replace(self.hiding(entry["key"]), ctes=(*others, entry))


class Compiler:
    """Compiles one query over the tables of a state; `values` are the parameters of the call that asks first."""

    def __init__(self, statement: Statement, state: DatabaseState, values: Mapping[str, object]) -> None:
        self._statement = statement
        self._state = state
        self.tables = state.tables
        self.values = values
        self.uses: list[TableUse] = []
        self._catalogs: list[str] = []
        self._notes: list[str] = []
        self._stubs: dict[str, Any] = {
            name: {key: np.empty(0, object) for key in keys} for name, keys in COLUMNS.items()
        }

    def compiled(self, query: Node) -> Compiled:
        """What to run for a query node, which is changed on the way.

        InvalidArgument where it calls a function that reaches outside of the database.
        """
        self._catalogs += settle_functions(query, self.tables)
        asked = frozenset(tree.parameters_of(query))
        self.visit(query, Environment())
        final = self.fragment(query)
        schemas = tuple(state.schema for state in self.tables.values())
        notes, catalogs = tuple(dict.fromkeys(self._notes)), tuple(dict.fromkeys(self._catalogs))
        return Compiled(final, tuple(self.uses), schemas, self._state.views, notes, asked, catalogs)

    def visit(self, node: Any, environment: Environment) -> None:
        """Compile every query in a part of a tree."""
        if isinstance(node, list):
            for item in node:
                self.visit(item, environment)
        elif isinstance(node, dict):
            view = node.pop(_VIEW, None)
            if view is not None:
                environment = Environment(views=(*environment.views, view))
            if tree.is_query(node):
                self._query(node, environment)
            else:
                for value in node.values():
                    if isinstance(value, (dict, list)):
                        self.visit(value, environment)

    def _query(self, node: Node, environment: Environment) -> None:
        for entry in node["cte_map"]["map"]:
            body = entry["value"]["query_node"]
            recursive = body.get("type") == "RECURSIVE_CTE_NODE"
            around = replace(environment, outer=None)
            self.visit(body, around.hiding(entry["key"]) if recursive else around)
            environment = environment.with_cte(entry)
        if node["type"] != "SELECT_NODE":
            for key, value in node.items():
                if key != "cte_map":
                    self.visit(value, environment)
            return
        self._read_views(node, environment)
        self._notes += flatten(node, self.tables, environment.shadowed)
        clause = node["from_table"]
        scope = Scope(clause, self.tables, environment.shadowed)
        for part, seen in conditions_of(clause):  # what stands alone in a FROM sees what the SELECT sees
            alone = part is clause
            self.visit(part, environment if alone else environment.inside(node, seen))
        for key in EXPRESSIONS:
            self.visit(node[key], environment.inside(node, clause))
        Block(self, node, scope, environment).compile()

    def _read_views(self, node: Node, environment: Environment) -> None:
        """Put the query of each view in place of its name, and read those inside of it that are a table at heart."""
        scope = Scope(node["from_table"], self.tables, environment.shadowed)
        known = {fold(name): name for name in self._state.views}
        for relation, _ in list(joined(node["from_table"])):
            name = known.get(fold(relation.get("table_name", "")))
            if name is None or not scope.may_be_view(relation):
                continue
            if name in environment.views:
                raise InvalidArgument(
                    f"the view {name} reads itself.\n  Fix: CREATE OR REPLACE VIEW {name} without it."
                )
            query = tree.parse(Script(self._state.views[name]).statements[0])
            self._catalogs += settle_functions(query, self.tables)
            inner = Environment(views=(*environment.views, name))
            if query["type"] == "SELECT_NODE" and not query["cte_map"]["map"]:
                self._read_views(query, inner)
                self._notes += flatten(query, self.tables, inner.shadowed)
            new = tree.relation(f"(SELECT 1) AS {quoted(relation['alias'] or relation['table_name'])}")
            new["subquery"]["node"] = query
            new |= {"column_name_alias": relation["column_name_alias"], "sample": relation["sample"], _VIEW: name}
            relation.clear()
            relation.update(new)

    def note(self, text: str) -> None:
        """Have EXPLAIN say something."""
        self._notes.append(text)

    def next_number(self) -> int:
        """A number for the relations of the next use."""
        return len(self.uses) + 1

    def add(self, use: TableUse) -> None:
        """Have a step run, after those that are there."""
        self.uses.append(use)
        self._stubs[use.hits] = _hits_stub(len(use.measured), use.batch is not None)
        if use.batch is not None:
            self._stubs[use.needles] = use.batch.stub
        if use.vectors:
            dims = [next(c.dim for c in use.schema.vectors if c.name == name) for name in use.vectors]
            columns = ", ".join(f"CAST(NULL AS FLOAT[{dim}]) AS v{i}" for i, dim in enumerate(dims))
            self._stubs[use.values] = f"SELECT CAST(0 AS UINTEGER) AS slot, {columns}"

    def fragment(self, node: Node) -> Fragment:
        """A query node as SQL."""
        return Fragment(tree.render(node), tree.parameters_of(node))

    def compile_beside(self, node: Node, environment: Environment) -> list[tuple[str, str]] | None:
        """Compile a SELECT of vdb's own making over relations that stand elsewhere too, which have been compiled.

        Returns its columns; None, and nothing is left of it, where it does not stand on its own.
        """
        before = len(self.uses)
        Block(self, node, Scope(node["from_table"], self.tables, environment.shadowed), environment).compile()
        node["cte_map"] = {"map": copy.deepcopy(list(environment.ctes))}
        columns = self.columns(node)
        if columns is None:
            del self.uses[before:]
        return columns

    def binds(self, node: Node) -> bool:
        """Whether a query stands on its own, without the query around it."""
        return self.columns(node) is not None

    def columns(self, node: Node) -> list[tuple[str, str]] | None:
        """The names and types of a query's columns; None where it does not stand on its own."""
        try:
            fragment = self.fragment(node)
        except InvalidArgument:
            return None
        sql, stubs = self.stubbed(fragment.sql)
        return self._statement.columns(sql, stubs, {name: self.values[name] for name in fragment.parameters})

    def stubbed(self, sql: str) -> tuple[str, dict[str, Any]]:
        """SQL that binds where its steps have not been carried out, and relations it needs beside the tables."""
        stubs = {}
        for name, stub in self._stubs.items():
            if isinstance(stub, dict):
                stubs[name] = stub
            else:
                sql = f"WITH {name} AS ({stub}) SELECT * FROM ({sql}\n)"
        return sql, stubs


def _hits_stub(distances: int, several: bool) -> dict[str, Any]:
    needle = np.empty(0, np.int64) if several else None
    return Found(NO_SLOTS, [NO_DISTANCES] * distances, needle).relation()
