"""What a FROM clause holds: the relations by their names, and how each is joined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vdb.query.source import fold
from vdb.sql import tree
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from vdb.query.syntax import Node
    from vdb.storage.state import TableState
    from vdb.types import TableSchema

_KEPT_LEFT: Final = frozenset({"INNER", "LEFT", "SEMI", "ANTI"})
_KEPT_RIGHT: Final = frozenset({"INNER", "RIGHT"})
SHOWS_SLOT: Final = "vdb_shows_slot"  # keys of nodes that vdb makes itself
ONLY: Final = "vdb_only"
EXPRESSIONS: Final = ("select_list", "where_clause", "group_expressions", "having", "qualify", "modifiers")
_PLAIN_JOINS: Final = frozenset({"REGULAR", "CROSS", "NATURAL", "DEPENDENT"})


@dataclass
class Placed:
    """A table of vdb in a FROM clause.

    Attributes
    ----------
    node : Node
        Its node, to be replaced in place.
    restrictable : bool
        Whether leaving out rows that no result comes from changes nothing: no outer join adds NULLs for them.
    shows_slot : bool
        Whether its slots are to be a column: the statement writes it.
    only : str or None
        A relation of slots: other rows are not there.
    """

    node: Node
    schema: TableSchema
    restrictable: bool
    renamed: bool = field(init=False)
    alias: str = field(init=False)
    shows_slot: bool = field(init=False)
    only: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.shows_slot = self.node.get(SHOWS_SLOT, False)
        self.only = self.node.get(ONLY)
        self.alias = self.node["alias"] or self.node["table_name"]
        self.renamed = bool(self.node["column_name_alias"])

    def column(self, node: Node) -> str | None:
        """The name of the column of this table that a node refers to; the empty string for the row as a whole.

        None where it is of another relation. A name without a qualifier is taken for this table's.
        """
        if not tree.is_column(node):
            return None
        names = [fold(name) for name in node["column_names"]]
        known = {fold(column.name): column.name for column in self.schema.columns}
        if names[0] in known and (len(names) == 1 or names[0] != fold(self.alias)):
            return known[names[0]]
        for lead in (["main", fold(self.alias)], [fold(self.alias)]):
            if names[: len(lead)] == lead:
                return "" if len(names) == len(lead) else known.get(names[len(lead)])
        return None

    def vector(self, node: Node) -> VectorColumn | None:
        """The vector column that a node refers to, and nothing inside of it."""
        name = self.column(node)
        column = self.schema.by_name.get(name) if name else None
        is_whole = column is not None and fold(node["column_names"][-1]) == fold(column.name)
        return column if isinstance(column, VectorColumn) and is_whole else None


class Scope:
    """The relations of one FROM clause."""

    def __init__(self, clause: Node, tables: Mapping[str, TableState], shadowed: Collection[str]) -> None:
        self._tables = {fold(name): state for name, state in tables.items()}
        self._shadowed = shadowed
        self.tables: list[Placed] = []
        self.is_single = False
        self.all_known = True  # whether every column of every relation is known
        self.others: list[Node] = []
        for node, restrictable in joined(clause):
            state = self.state_of(node)
            if state is not None:
                self.tables.append(Placed(node, state.schema, restrictable))
            elif node["type"] != "EMPTY":
                self.all_known = False
                self.others.append(node)
        self.is_single = len(self.tables) == 1 and clause.get("type") == "BASE_TABLE"

    def state_of(self, node: Node) -> TableState | None:
        """The table of vdb that a node names."""
        if node.get("type") != "BASE_TABLE" or node["catalog_name"] or fold(node["schema_name"]) not in ("", "main"):
            return None
        name = fold(node["table_name"])
        if not node["schema_name"] and name in self._shadowed:
            return None
        return self._tables.get(name)

    def may_be_view(self, node: Node) -> bool:
        """Whether a node names something that is neither a table of vdb nor a CTE."""
        if node.get("type") != "BASE_TABLE" or node["catalog_name"] or fold(node["schema_name"]) not in ("", "main"):
            return False
        name = fold(node["table_name"])
        return name not in self._tables and (bool(node["schema_name"]) or name not in self._shadowed)


def joined(clause: Node, restrictable: bool = True) -> Iterator[tuple[Node, bool]]:
    """The relations of a FROM clause, left to right, and whether leaving out rows of each only leaves out results."""
    restrictable = restrictable and clause.get("sample") is None
    if clause["type"] != "JOIN":
        yield clause, restrictable
        return
    plain = restrictable and clause["ref_type"] in _PLAIN_JOINS
    yield from joined(clause["left"], plain and clause["join_type"] in _KEPT_LEFT)
    yield from joined(clause["right"], plain and clause["join_type"] in _KEPT_RIGHT)


def conditions_of(clause: Node, seen: Node | None = None) -> Iterator[tuple[Any, Node | None]]:
    """What a FROM clause has beside its relations: conditions of joins, arguments of functions, whole subqueries.

    Beside each the relations whose rows it may read, where it is run for each of these.
    """
    if clause["type"] == "JOIN":
        runs_for_each = clause["ref_type"] in _PLAIN_JOINS and clause["join_type"] in ("INNER", "LEFT")
        yield from conditions_of(clause["left"], seen)
        yield from conditions_of(clause["right"], clause["left"] if runs_for_each and seen is None else None)
        yield {key: value for key, value in clause.items() if key not in ("left", "right")}, None
    elif clause["type"] not in ("BASE_TABLE", "EMPTY"):
        yield clause, seen
