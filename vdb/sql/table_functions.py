"""Functions that a query may call in its FROM: those that read only their arguments, catalogs, and those of vss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vdb.errors import InvalidArgument
from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.catalogs import CATALOGS
from vdb.storage.rows import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.query.syntax import Node
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
# What the standard calls the catalogs; DuckDB's own show how rows are stored.
_TABLES: Final = """SELECT 'vdb' AS table_catalog, 'main' AS table_schema, table_name, 'BASE TABLE' AS table_type
    FROM vdb_tables UNION ALL SELECT 'vdb', 'main', view_name, 'VIEW' FROM vdb_views"""
_OF_TABLES: Final = """SELECT 'vdb' AS table_catalog, 'main' AS table_schema, table_name, column_name,
    1 + n - min(n) OVER (PARTITION BY table_name) AS ordinal_position, "default" AS column_default,
    CASE WHEN is_nullable THEN 'YES' ELSE 'NO' END AS is_nullable, column_type AS data_type
    FROM (SELECT *, row_number() OVER () AS n FROM vdb_columns)"""
_INFORMATION: Final = {
    "tables": (("vdb_tables", "vdb_views"), _TABLES),
    "columns": (("vdb_columns",), _OF_TABLES),
}
_REFUSED: Final = frozenset({"write_log"})
_METRICS: Final = {
    "l2": "array_distance",
    "l2sq": "array_distance",
    "cosine": "array_cosine_distance",
    "ip": "array_negative_inner_product",
}


def settle_functions(query: Node, schemas: Mapping[str, TableState]) -> tuple[str, ...]:
    """Refuse functions that reach outside; put relations in place of those about the database, and return these.

    Those of DuckDB's vss extension become the queries that they stand for.
    """
    catalogs: list[str] = []
    for node in tree.walk(query):
        _wrap_sources(node)
        if node.get("type") == "BASE_TABLE" and node["catalog_name"]:
            raise InvalidArgument(
                f"{node['catalog_name']}.{node['table_name']} names a catalog.\n  Fix: name the table alone."
            )
        if node.get("type") == "BASE_TABLE" and fold(node["schema_name"]) == "information_schema":
            catalogs += _inform(node)
        elif node.get("type") == "TABLE_FUNCTION":
            name = node["function"].get("function_name", "").lower()
            name = _CATALOG_ALIASES.get(name, name)
            if name in _VSS:
                _expand(node, _VSS[name](node, schemas))
            elif name in CATALOGS:
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


def _inform(node: Node) -> tuple[str, ...]:
    """Put what the database says of itself in place of a table of information_schema; returns the catalogs it reads."""
    name = fold(node["table_name"])
    if name not in _INFORMATION:
        raise InvalidArgument(
            f"information_schema.{node['table_name']} is not kept here; expected {' or '.join(_INFORMATION)}.\n"
            f"  Fix: read one of them, or FROM {'(), '.join(CATALOGS)}()."
        )
    catalogs, sql = _INFORMATION[name]
    _expand(node, tree.relation(f"({sql}) AS t"))
    return catalogs


def _expand(node: Node, new: Node) -> None:
    """Put a subquery in place of a call or a table, under its alias."""
    name = node["table_name"] if node["type"] == "BASE_TABLE" else node["function"]["function_name"]
    new |= {"alias": node["alias"] or name, "column_name_alias": node["column_name_alias"]}
    node.clear()
    node.update(new)


def _join(node: Node, schemas: Mapping[str, TableState]) -> Node:
    """vss_join(left, right, left column, right column, k): `score`, `left_tbl`, `right_tbl`, k for each on the left."""
    left, right, left_column, right_column, k, measure = _arguments(
        node, 5, "left, right, left column, right column, k"
    )
    nearest = (
        f"SELECT {measure}(left_tbl.{quoted(_name(left_column))}, right_tbl.{quoted(_name(right_column))}) AS score,"
        f" {_row(_name(right), 'right_tbl', schemas)} AS right_tbl"
        f" FROM {quoted(_name(right))} AS right_tbl ORDER BY score LIMIT 1"
    )
    found = tree.relation(
        "(SELECT matched.score, left_tbl, matched.right_tbl"
        f" FROM {quoted(_name(left))} AS left_tbl, ({nearest}) AS matched)"
    )
    _limit(found["subquery"]["node"]["from_table"]["right"], k)
    return found


def _match(node: Node, schemas: Mapping[str, TableState]) -> Node:
    """vss_match(right, left column, right column, k): `matches`, a list of the k nearest, each with its `score`."""
    right, left_column, right_column, k, measure = _arguments(node, 4, "right, left column, right column, k")
    nearest = (
        f"SELECT {measure}(around, right_tbl.{quoted(_name(right_column))}) AS score,"
        f' {_row(_name(right), "right_tbl", schemas)} AS "row" FROM {quoted(_name(right))} AS right_tbl'
        " ORDER BY score LIMIT 1"
    )
    found = tree.relation(
        f"(SELECT list({{'score': score, 'row': \"row\"}} ORDER BY score) AS matches FROM ({nearest}) AS m)"
    )
    inner = found["subquery"]["node"]["from_table"]
    _limit(inner, k)
    inner["subquery"]["node"] = tree.replaced(
        inner["subquery"]["node"], lambda part: left_column if tree.only_name(part) == "around" else None
    )
    return found


def _arguments(node: Node, count: int, wanted: str) -> list[Any]:
    """The arguments of a call, and the function of the metric that it names."""
    call = node["function"]
    plain = [item["expression"] for item in call["arguments"] if not item["name"]]
    named = {item["name"].lower(): item["expression"] for item in call["arguments"] if item["name"]}
    metric = named.pop("metric", None)
    if len(plain) != count or named:
        raise InvalidArgument(f"{call['function_name']} takes {wanted}, and metric := 'l2sq'.\n  Fix: pass these.")
    word = "l2" if metric is None else str((metric.get("literal") or {}).get("text", "")).strip("'").lower()
    if word not in _METRICS:
        raise InvalidArgument(
            f"unknown metric {word!r}; expected one of {', '.join(_METRICS)}.\n  Fix: name one of them."
        )
    return [*plain, _METRICS[word]]


def _name(node: Node) -> str:
    """The table or column that an argument names, as a name or as a text."""
    if tree.is_column(node):
        return str(node["column_names"][-1])
    return str((node.get("literal") or {}).get("text", ""))


def _row(table: str, alias: str, schemas: Mapping[str, TableState]) -> str:
    """SQL for a row as a struct: column by column where they are known, so that only their values are read."""
    state = next((state for name, state in schemas.items() if fold(name) == fold(table)), None)
    if state is None:
        return alias
    columns = [f"{quoted(column.name)} := {alias}.{quoted(column.name)}" for column in state.schema.columns]
    return f"struct_pack({', '.join(columns)})"


def _limit(relation: Node, k: Node) -> None:
    for modifier in relation["subquery"]["node"]["modifiers"]:
        if modifier["type"] == "LIMIT_MODIFIER":
            modifier["limit"] = k


_VSS: Final = {"vss_join": _join, "vss_match": _match}
