"""The k-means cells of the vectors of an index: made with a graph, or for its first filtered search, and kept current.

They are found from 32 rows a cell, and of 100,000 rows each is compared with 474 centroids, fewer distances than an
insertion into the graph takes: with a graph they come by the way, saved in its snapshot, and no search waits for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdb import _core
from vdb.index.build import GRAPHS
from vdb.index.recall import LEAST_ROWS
from vdb.index.view import measurable, vector_view

if TYPE_CHECKING:
    from vdb.index.place import Place
    from vdb.storage.state import IndexRecord, TableState


def current_cells(place: Place, state: TableState, column: str, threads: int) -> _core.Cells | None:
    """The cells of the index at `place` with every row of `state`; None under a metric written in Python."""
    metric = place.metric
    if not isinstance(metric, str):
        return None
    with place.clustering:
        cells = place.cells
        if cells is None:
            cells = _core.Cells(state.vectors[column].data.shape[1], metric)
            place.new_cells = True
        if cells.covered < state.next_slot:
            cells.extend(vector_view(state, column, metric), measurable(state, column, metric), threads)
        place.cells = cells
    return cells


def follow_cells(place: Place, record: IndexRecord, state: TableState, threads: int) -> None:
    """After a commit: bring the cells along, and make those of a graph that has rows enough for filtered walks."""
    is_due = record.kind in GRAPHS and place.built is not None and state.live.count >= LEAST_ROWS
    if is_due or place.cells is not None:
        current_cells(place, state, record.column, threads)


def moved_cells(place: Place, before: TableState, after: TableState) -> _core.Cells | None:
    """The cells at `place` under the slots of a later generation, None where there are none."""
    cells = place.cells
    new_slot_of = before.generation.moved(np.arange(before.next_slot, dtype=np.uint32), after.generation)
    return None if cells is None or new_slot_of is None else cells.renumbered(new_slot_of)
