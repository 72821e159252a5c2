"""Whether a query inside another one asks for the rows nearest to a vector of each row around it.

`FROM needles n, LATERAL (SELECT id FROM items WHERE lang = n.lang ORDER BY e <-> n.e LIMIT 5)`: the vectors and values
that it reads of the rows around are asked for first, then searched all at once, and the query sees what was found for
each. DuckDB still runs the query as it stands, over those rows instead of all.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.distances import distance_of, is_function
from vdb.sql.functions import functions
from vdb.sql.nearest import find_top, split_where
from vdb.sql.needs import Needs
from vdb.sql.scope import Scope
from vdb.sql.steps import Batch, Fragment, Measured, Top
from vdb.sql.where import as_where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.query.syntax import Node
    from vdb.sql.compile import Compiler, Environment, Outer
    from vdb.sql.scope import Placed

_TYPES: Final = {
    "BOOLEAN",
    "VARCHAR",
    "DATE",
    "TIMESTAMP",
    "FLOAT",
    "DOUBLE",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
}
NEEDLE: Final = "_vdb_n"
_VALUE: Final = "around_"  # before the number of a value in conditions: no parameter of a user begins so


@dataclass(frozen=True)
class Correlated:
    """What a query reads of the rows around it.

    Attributes
    ----------
    vector : Node
        The expression for the query vector.
    values : tuple of Node
        The columns that its conditions read, as `p0`, `p1`, ... of the batch.
    """

    measured: Measured
    top: Top
    where: Fragment | None
    batch: Batch
    vector: Node
    values: tuple[Node, ...]

    @property
    def columns(self) -> list[str]:
        """The names of the columns by which the query finds what is for the row around it."""
        return [f"{NEEDLE}v", *(f"{NEEDLE}p{i}" for i in range(len(self.values)))]

    def is_distance(self, node: Node, placed: Placed) -> bool:
        """Whether an expression is the distance that is searched."""
        found = _correlated_distance(node, placed)
        if found is None or found[0] != self.measured.column or found[1] != self.measured.metric:
            return False
        return tree.same_expression(found[2], self.vector)

    def conditions(self, placed: Placed) -> list[Node]:
        """What holds for the rows that were found for the row around."""
        dim = next(one.dim for one in placed.schema.vectors if one.name == self.measured.column)
        names = [tree.column(placed.alias, name) for name in self.columns]
        around = [tree.expression(f"CAST(a AS FLOAT[{dim}])", a=tree.bare(self.vector)), *map(tree.bare, self.values)]
        pairs = zip(names, around, strict=True)
        return [tree.expression("a IS NOT DISTINCT FROM b", a=a, b=b) for a, b in pairs]


def find_correlated(compiler: Compiler, node: Node, scope: Scope, environment: Environment) -> Correlated | None:
    """What can be searched at once for all rows around a SELECT; None where it is no such query."""
    outer = environment.outer
    if outer is None or not scope.is_single:
        return None
    placed = scope.tables[0]
    if placed.renamed or placed.shows_slot or placed.only is not None or _reads_whole_rows(node, placed):
        return None
    part = next((part for part in _parts(node) if _correlated_distance(part, placed) is not None), None)
    found = None if part is None else _correlated_distance(part, placed)
    if part is None or found is None:
        return None
    column, metric, vector = found
    trial = _trial(node, placed, Measured(column, metric, ""), vector)
    top, why_not = find_top(node, trial)
    conditions = _conditions(compiler, node, trial)
    if top is not None and conditions is None:
        why_not = "a condition is more than a predicate over its columns and values of the rows around"
    if top is not None and not _is_steady(outer):
        why_not = "the rows around are computed, and might be others at a second look"
    if top is None or conditions is None or why_not:
        compiler.note(f"VECTOR_READ {placed.schema.name}.{column}  not one search for all rows around: {why_not}")
        return None
    where, values = conditions
    dim = next(one.dim for one in placed.schema.vectors if one.name == column)
    batch = _batch(compiler, outer, [tree.expression(f"CAST(a AS FLOAT[{dim}])", a=tree.bare(vector)), *values])
    return None if batch is None else Correlated(trial.measured[0], top, where, batch, vector, tuple(values))


def _is_steady(outer: Outer) -> bool:
    """Whether the relations around are the same, to the last bit, each time that they are asked for."""
    known = {fold(entry["key"]) for entry in outer.environment.ctes}
    many, volatile = functions()
    for inner in tree.walk([outer.clause, list(outer.environment.ctes)]):
        name = str(inner.get("function_name", "")).lower()
        if name in volatile or (name in many and name != "unnest") or inner.get("class") == "WINDOW":
            return False
        if inner.get("sample") is not None or inner.get("type") == "LIMIT_MODIFIER":
            return False
        if inner.get("type") == "BASE_TABLE" and fold(inner["table_name"]) in outer.environment.shadowed - known:
            return False  # of a recursion that goes on
    return True


def _correlated_distance(node: Node, placed: Placed) -> tuple[str, Any, Node] | None:
    """The column, the metric and the other vector of a distance to something of the rows around."""
    distance = distance_of(node)
    if distance is None:
        return None
    for side, other in ((distance.left, distance.right), (distance.right, distance.left)):
        column = placed.vector(side)
        if column is not None and _is_around(other, placed):
            return column.name, distance.metric, other
    return None


def _is_around(node: Node, placed: Placed) -> bool:
    """Whether an expression has columns, none of them of the table, and is the same at every look."""
    columns = False
    for inner in tree.walk(node):
        if tree.is_query(inner) or str(inner.get("function_name", "")).lower() in functions()[1]:
            return False
        if tree.is_column(inner):
            if placed.column(inner) is not None:
                return False
            columns = True
    return columns


def _parts(node: Node) -> Iterator[Node]:
    """The expressions that are selected or order, without queries inside of them."""
    stack: list[Any] = [node["select_list"], node["modifiers"]]
    while stack:
        inner = stack.pop()
        if isinstance(inner, list):
            stack += inner
        elif isinstance(inner, dict) and not tree.is_query(inner):
            yield inner
            stack += [value for value in inner.values() if isinstance(value, (dict, list))]


def _reads_whole_rows(node: Node, placed: Placed) -> bool:
    for inner in tree.walk([node["select_list"], node["where_clause"]]):
        if placed.column(inner) == "" or (inner.get("class") == "STAR" and (inner["columns"] or inner["expr"])):
            return True
    return False


def _trial(node: Node, placed: Placed, measured: Measured, vector: Node) -> Needs:
    """What the query would need if its distance was one to a constant."""
    needs = Needs(placed, measured=[measured])
    for part in _parts(node):
        found = _correlated_distance(part, placed)
        distance = distance_of(part)
        if found is None or distance is None or found[:2] != (measured.column, measured.metric):
            continue
        if tree.same_expression(found[2], vector):
            needs.distances.append((copy.deepcopy(part), distance, 0))
    return needs


def _conditions(compiler: Compiler, node: Node, trial: Needs) -> tuple[Fragment | None, list[Node]] | None:
    """The WHERE as a search takes it, and the columns of the rows around that it reads, in order."""
    plain, bounds = split_where(node["where_clause"], [trial])
    if len(plain) + len(bounds(0)) < len(tree.conjuncts(node["where_clause"])):
        return None
    values: list[Node] = []

    def put(inner: Node) -> Node | None:
        if not tree.is_column(inner) or trial.placed.column(inner) is not None:
            return None
        number = next((i for i, known in enumerate(values) if tree.same_expression(known, inner)), len(values))
        if number == len(values):
            values.append(inner)
        return tree.parameter(f"{_VALUE}{number}")

    if any(tree.is_query(inner) for inner in tree.walk(plain)):
        return None
    condition = tree.conjunction([tree.replaced(part, put) for part in plain])
    if condition is None:
        return None, values
    given = {**compiler.values, **{f"{_VALUE}{i}": None for i in range(len(values))}}
    where = as_where(condition, trial.placed, given)
    return None if where is None else (where, values)


def _batch(compiler: Compiler, outer: Outer, wanted: list[Node]) -> Batch | None:
    """A query for what is read of the rows around; None where they do not have it, or of a type no `where` takes."""
    query = tree.query("SELECT DISTINCT 1")
    names = ["v", *(f"p{i}" for i in range(len(wanted) - 1))]
    query["select_list"] = [{**copy.deepcopy(one), "alias": name} for one, name in zip(wanted, names, strict=True)]
    query["from_table"] = copy.deepcopy(outer.clause)
    query["where_clause"] = tree.conjunction(_conditions_around(compiler, outer))
    columns = compiler.compile_beside(query, outer.environment)
    if columns is None or any(kind not in _TYPES for _, kind in columns[1:]):
        return None
    stub = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns)
    parameters = tuple(f"{_VALUE}{i}" for i in range(len(wanted) - 1))
    return Batch(compiler.fragment(query), parameters, f"SELECT CAST(0 AS BIGINT) AS n, {stub} LIMIT 0")


def _conditions_around(compiler: Compiler, outer: Outer) -> list[Node]:
    """Those conditions of the WHERE around that are about the relations seen and nothing else."""
    scope = Scope(outer.clause, compiler.tables, outer.environment.shadowed)
    others = {fold(other.get("alias") or other.get("table_name") or "") for other in scope.others}

    def is_seen(column: Node) -> bool:
        names = column["column_names"]
        return any(one.column(column) is not None for one in scope.tables) or (
            len(names) > 1 and fold(names[0]) in others
        )

    found = []
    for part in tree.conjuncts(outer.node["where_clause"]):
        inner = list(tree.walk(part))
        names = {str(one.get("function_name", "")).lower() for one in inner}
        if any(tree.is_query(one) or is_function(one) for one in inner) or names & functions()[1]:
            continue
        if all(is_seen(one) for one in inner if tree.is_column(one)):
            found.append(copy.deepcopy(part))
    return found
