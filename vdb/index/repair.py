"""When a graph is repaired: until the node of a deleted row leaves the graph, searches walk through it.

A repair goes in slices after commits, so the pause of one commit is in proportion to its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vdb import _core

if TYPE_CHECKING:
    from vdb.storage.state import TableState

# A repair looks at every node however few are dead, and until it is over a walk takes 1/(1 - share) of its time: here
# both stay small beside the insertions that made as many rows.
_DEAD_SHARE: Final = 0.15
# A repair looks at each node about once, at some more often: it is over before as many rows have changed as began it.
_NODES_PER_ROW: Final = 16
# After a commit of a few rows: some tenths of a second at the most.
_LEAST_NODES: Final = 2048


@dataclass
class Repair:
    """Where the repair of one graph stands. One thread at a time may use it.

    Attributes
    ----------
    unsaved : bool
        The graph was repaired since it was saved.
    """

    unsaved: bool = False
    _running: bool = False
    _changes: int = 0

    def start_at(self, state: TableState) -> None:
        """Count the rows that change from `state` on."""
        self._changes = _changes(state)

    def go_on(
        self, graph: _core.Hnsw | _core.Ivf, state: TableState, view: _core.VectorView, rows: _core.RowSet, threads: int
    ) -> None:
        """Repair as much as the rows changed up to `state` are worth, if enough nodes are dead or it has begun.

        `rows` are those of `state` that belong into the graph, which covers them.
        """
        nodes = max(_LEAST_NODES, _NODES_PER_ROW * (_changes(state) - self._changes))
        self._changes = _changes(state)
        self._running = self._running or dead_nodes(graph, rows) > _DEAD_SHARE * graph.size
        if self._running:
            self.unsaved = True
            self._running = not graph.repair(view, rows, nodes, threads)


def dead_nodes(graph: _core.Hnsw | _core.Ivf, rows: _core.RowSet) -> int:
    """Nodes whose rows have died: `rows` are those that belong into the graph, which may not cover the last of them."""
    if graph.covered < rows.size:
        rows = rows & _core.RowSet.from_range(0, graph.covered, rows.size)
    return max(0, graph.size - rows.count)


def _changes(state: TableState) -> int:
    """Rows that came and rows that died, since the table was made."""
    return 2 * state.next_slot - state.live.count
