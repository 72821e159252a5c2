"""From the tree of a query to what runs: every block of it in turn, those inside first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vdb.errors import InvalidArgument
from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.block import EXPRESSIONS, Block
from vdb.sql.catalogs import CATALOGS, COLUMNS
from vdb.sql.scope import Scope, conditions_of
from vdb.sql.steps import Compiled, Fragment
from vdb.storage.rows import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.query.syntax import Node
    from vdb.sql.steps import TableUse
    from vdb.storage.session import Statement
    from vdb.storage.state import TableState

# Table functions that read nothing but their arguments and DuckDB's own description of itself.
_TABLE_FUNCTIONS: Final = frozenset(
    [
        "range",
        "generate_series",
        "unnest",
        "json_each",
        "json_tree",
        "repeat",
        "repeat_row",
        "test_all_types",
        "histogram",
        "histogram_values",
        "pg_timezone_names",
        "icu_calendar_names",
        "pragma_version",
        "pragma_platform",
        "pragma_collations",
        "duckdb_functions",
        "duckdb_types",
        "duckdb_keywords",
        "duckdb_settings",
        "duckdb_optimizers",
        "duckdb_extensions",
        "duckdb_memory",
    ]
)
_CATALOG_ALIASES: Final = {"pragma_hnsw_index_info": "vdb_indexes", "hnsw_index_info": "vdb_indexes"}
_REFUSED: Final = frozenset({"write_log"})


@dataclass(frozen=True)
class Environment:
    """What is visible where a query stands: the CTEs around it, and the names that are no tables there."""

    ctes: tuple[Node, ...] = ()
    shadowed: frozenset[str] = field(default_factory=frozenset)

    def hiding(self, name: str) -> Environment:
        """The same where `name` is no table."""
        return replace(self, shadowed=self.shadowed | {fold(name)})

    def with_cte(self, entry: Node) -> Environment:
        """The same with one more CTE."""
        others = tuple(known for known in self.ctes if fold(known["key"]) != fold(entry["key"]))
        return replace(self.hiding(entry["key"]), ctes=(*others, entry))


class Compiler:
    """Compiles one query over the tables of a state; `values` are the parameters of the call that asks first."""

    def __init__(self, statement: Statement, tables: Mapping[str, TableState], values: Mapping[str, object]) -> None:
        self._statement = statement
        self.tables = tables
        self.values = values
        self.uses: list[TableUse] = []
        self._stubs: dict[str, Any] = {
            name: {key: np.empty(0, object) for key in keys} for name, keys in COLUMNS.items()
        }

    def compiled(self, query: Node) -> Compiled:
        """What to run for a query node, which is changed on the way.

        InvalidArgument where it calls a function that reaches outside of the database.
        """
        catalogs = _settle_functions(query)
        asked = frozenset(tree.parameters_of(query))
        self.visit(query, Environment())
        final = self.fragment(query)
        schemas = tuple(state.schema for state in self.tables.values())
        return Compiled(final, tuple(self.uses), schemas, asked, catalogs)

    def visit(self, node: Any, environment: Environment) -> None:
        """Compile every query in a part of a tree."""
        if isinstance(node, list):
            for item in node:
                self.visit(item, environment)
        elif isinstance(node, dict):
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
            self.visit(body, environment.hiding(entry["key"]) if recursive else environment)
            environment = environment.with_cte(entry)
        if node["type"] != "SELECT_NODE":
            for key, value in node.items():
                if key != "cte_map":
                    self.visit(value, environment)
            return
        clause = node["from_table"]
        scope = Scope(clause, self.tables, environment.shadowed)
        for part in conditions_of(clause):
            self.visit(part, environment)
        for key in EXPRESSIONS:
            self.visit(node[key], environment)
        Block(self, node, scope, environment).compile()

    def next_number(self) -> int:
        """A number for the relations of the next use."""
        return len(self.uses) + 1

    def add(self, use: TableUse) -> None:
        """Have a step run, after those that are there."""
        self.uses.append(use)
        self._stubs[use.hits] = _hits_stub(len(use.measured))
        if use.vectors:
            dims = [next(c.dim for c in use.schema.vectors if c.name == name) for name in use.vectors]
            self._stubs[use.values] = dims

    def fragment(self, node: Node) -> Fragment:
        """A query node as SQL."""
        return Fragment(tree.render(node), tree.parameters_of(node))

    def binds(self, node: Node) -> bool:
        """Whether a query stands on its own, without the query around it."""
        try:
            fragment = self.fragment(node)
        except InvalidArgument:
            return False
        sql, stubs = fragment.sql, {}
        for name, stub in self._stubs.items():
            if isinstance(stub, dict):
                stubs[name] = stub
            else:
                columns = ", ".join(f"CAST(NULL AS FLOAT[{dim}]) AS v{i}" for i, dim in enumerate(stub))
                sql = f"WITH {name} AS (SELECT CAST(0 AS UINTEGER) AS slot, {columns}) SELECT * FROM ({sql}\n)"
        return self._statement.binds(sql, stubs, {name: self.values[name] for name in fragment.parameters})


def _hits_stub(distances: int) -> dict[str, Any]:
    columns = {f"d{i}": np.empty(0, np.float32) for i in range(distances)}
    return {"slot": np.empty(0, np.uint32), "pos": np.empty(0, np.int64), **columns}


def _settle_functions(query: Node) -> tuple[str, ...]:
    """Refuse functions that reach outside; put relations in place of those about the database, and return these."""
    catalogs = []
    for node in tree.walk(query):
        _wrap_sources(node)
        if node.get("type") == "BASE_TABLE" and node["catalog_name"]:
            raise InvalidArgument(
                f"{node['catalog_name']}.{node['table_name']} names a catalog.\n  Fix: name the table alone."
            )
        if node.get("type") == "TABLE_FUNCTION":
            name = node["function"].get("function_name", "").lower()
            name = _CATALOG_ALIASES.get(name, name)
            if name in CATALOGS:
                alias = node["alias"] or name
                new = tree.relation(f"{name} AS {quoted(alias)}")
                node.clear()
                node.update(new)
                catalogs.append(name)
            elif name not in _TABLE_FUNCTIONS:
                raise InvalidArgument(
                    f"{name} is no table function of this database; statements reach no files and no settings.\n"
                    "  Fix: load files with COPY table FROM 'file', or read them in Python and add() the rows."
                )
        elif node.get("class") == "FUNCTION" and node["function_name"].lower() in _REFUSED:
            raise InvalidArgument(f"{node['function_name']} has an effect outside of the database.\n  Fix: drop it.")
    return tuple(dict.fromkeys(catalogs))


def _wrap_sources(node: Node) -> None:
    """Have a table that stands elsewhere than in a FROM, as that of a PIVOT, be a query of its own."""
    for key, value in node.items():
        if not isinstance(value, dict) or value.get("type") != "BASE_TABLE":
            continue
        if (key == "from_table" and node.get("type") == "SELECT_NODE") or node.get("type") == "JOIN":
            continue
        inner = tree.query("SELECT * FROM t")
        inner["from_table"] = value
        name = quoted(value["alias"] or value["table_name"])
        node[key] = tree.relation(f"(SELECT 1) AS {name}")
        node[key]["subquery"]["node"] = inner
