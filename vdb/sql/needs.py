"""What one SELECT needs of the vectors of one of its tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vdb.sql import tree

if TYPE_CHECKING:
    from vdb.query.syntax import Node
    from vdb.sql.distances import Distance
    from vdb.sql.scope import Placed
    from vdb.sql.steps import Measured


@dataclass
class Needs:
    """What a block needs of the vectors of one table.

    Attributes
    ----------
    vectors : set of str
        Columns whose values are read.
    distances : list
        The expressions that are distances of a column to a constant, and where each comes in `measured`.
    is_whole : bool
        Whether the row as a whole is read, so that it must have the table's columns and no others.
    """

    placed: Placed
    vectors: set[str] = field(default_factory=set)
    distances: list[tuple[Node, Distance, int]] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    in_joins: bool = False
    is_whole: bool = False

    @property
    def matter(self) -> bool:
        """Whether there is anything to do for vdb."""
        return bool(self.vectors or self.measured)

    def number_of(self, node: Node) -> int | None:
        """Which of `measured` an expression is, if it is one that rises with the distance."""
        for known, distance, number in self.distances:
            if distance.rises and tree.same_expression(known, node):
                return number
        return None

    def find(self, node: Node) -> tuple[Distance, int] | None:
        """The distance that an expression is."""
        for known, distance, number in self.distances:
            if tree.same_expression(known, node):
                return distance, number
        return None
