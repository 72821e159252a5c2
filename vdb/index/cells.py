"""The k-means cells of the vectors of an index: made for the first filtered search, kept current after commits.

No snapshot has them: they are found from 32 rows a cell, and of 100,000 rows each is compared with 474 centroids,
fewer distances than an insertion into the graph takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdb import _core
from vdb.index.view import measurable, vector_view

if TYPE_CHECKING:
    from vdb.index.place import Place
    from vdb.storage.state import TableState


def current_cells(place: Place, state: TableState, column: str, threads: int) -> _core.Cells | None:
    """The cells of the index at `place` with every row of `state`; None under a metric written in Python."""
    metric = place.metric
    if not isinstance(metric, str):
        return None
    with place.clustering:
        cells = place.cells
        if cells is None:
            cells = _core.Cells(state.vectors[column].data.shape[1], metric)
        if cells.covered < state.next_slot:
            cells.extend(vector_view(state, column, metric), measurable(state, column, metric), threads)
        place.cells = cells
    return cells
