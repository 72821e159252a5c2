"""An index as users see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdb import _core
from vdb.index.ivf_spec import IVFS
from vdb.index.repair import dead_nodes

if TYPE_CHECKING:
    from vdb.index.build import Built
    from vdb.index.recall import RecallCurve
    from vdb.storage.state import IndexRecord


@dataclass(frozen=True)
class IndexInfo:
    """An index as `list_indexes` shows it.

    Attributes
    ----------
    metric : str
        Empty for an attribute index, which has none.
    covered : int
        Slots it knows; a search scans the others.
    memory_bytes : int
        Of the graph or the codes, beside the vectors.
    width : int or None
        Values of a vector that a code holds: fewer than its dimensions where a projection could drop some.
    record_bytes : int or None
        Of one code, None where there are none.
    recall_curve : RecallCurve or None
        What `search(recall=...)` goes by, as measured last. None where searches are scans: for Flat, or few rows.
    unusable : str
        Why it cannot serve searches now: its metric is written in Python and has not been registered. Else empty.
    dead_nodes : int or None
        Nodes of a graph, or rows in lists, whose rows were deleted or replaced: searches go through them until a
        repair, which begins by itself when they are many.
    overlays : int or None
        Values that have a graph of their own, for Label.
    lists : int or None
        Of an inverted file; they are split where they grow.
    drift : float or None
        How far the rows that came since its centroids were found lie from them, beside those it was trained on: the
        ratio of mean squared distances, 1.0 for rows alike. It is trained anew by itself above 1.25.
    """

    name: str
    column: str
    kind: str
    metric: str
    params: dict[str, int | float | str]
    covered: int
    memory_bytes: int
    width: int | None = None
    record_bytes: int | None = None
    recall_curve: RecallCurve | None = None
    unusable: str = ""
    dead_nodes: int | None = None
    overlays: int | None = None
    lists: int | None = None
    drift: float | None = None


def describe(
    record: IndexRecord, built: Built | None, curve: RecallCurve | None, alive: _core.RowSet | None
) -> IndexInfo:
    """What is known of an index, `built` None where it cannot be used now; `alive` are the rows that belong into it."""
    has_codes = record.kind in IVFS or record.params.get("codes", "none") != "none"
    dead = None
    if isinstance(built, _core.Hnsw | _core.Ivf) and alive is not None:
        dead = dead_nodes(built, alive)
    return IndexInfo(
        name=record.name,
        column=record.column,
        kind=record.kind,
        metric=str(record.params["metric"]),
        params=dict(record.params),
        covered=record.covers_slots if built is None else built.covered,
        memory_bytes=0 if built is None else built.memory_bytes,
        width=built.width if isinstance(built, _core.Codes) else None,
        record_bytes=built.record_bytes
        if isinstance(built, _core.Hnsw | _core.Codes | _core.Ivf) and has_codes
        else None,
        recall_curve=curve,
        dead_nodes=dead,
        overlays=len(built.labels) if isinstance(built, _core.LabelGraph) else None,
        lists=built.nlist if isinstance(built, _core.Ivf) else None,
        drift=built.drift if isinstance(built, _core.Ivf) else None,
    )
