"""The vectors of a column as an index or a scan sees them: bound to a metric, and which of them have a distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdb import _core
from vdb.metrics.custom import CORE_NAME, CustomMetric

if TYPE_CHECKING:
    from vdb.metrics.custom import AnyMetric
    from vdb.storage.state import TableState


def vector_view(state: TableState, column: str, metric: AnyMetric) -> _core.VectorView:
    """The vectors of a table state bound to a metric; DimensionMismatch where that is for another dimension."""
    vectors = state.vectors[column]
    if isinstance(metric, CustomMetric):
        metric.check_dim(vectors.data.shape[1])
        return _core.VectorView(vectors.data, CORE_NAME, custom=metric, in_order=vectors.in_order())
    norms = vectors.inverse_norms() if metric == "cosine" else None
    return _core.VectorView(vectors.data, metric, norms, in_order=vectors.in_order())


def measurable(state: TableState, column: str, metric: AnyMetric) -> _core.RowSet:
    """The live rows whose vector has a distance: it is there and, for cosine, has a direction."""
    vectors = state.vectors[column]
    rows = state.live if vectors.present is None else state.live & vectors.present
    if metric == "cosine":
        rows = rows & _core.RowSet.from_bools(np.isfinite(vectors.inverse_norms()))
    return rows
