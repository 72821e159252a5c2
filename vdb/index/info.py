"""An index as users see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdb import _core

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
        Nodes of a graph whose rows were deleted or replaced: searches walk through them until a repair, which begins
        by itself when they are many.
    overlays : int or None
        Values that have a graph of their own, for Label.
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


def describe(record: IndexRecord, built: Built | None, dead_nodes: int, curve: RecallCurve | None) -> IndexInfo:
    """What is known of an index; `built` is None where it cannot be used now."""
    has_codes = record.params.get("codes", "none") != "none"
    return IndexInfo(
        name=record.name,
        column=record.column,
        kind=record.kind,
        metric=str(record.params["metric"]),
        params=dict(record.params),
        covered=record.covers_slots if built is None else built.covered,
        memory_bytes=0 if built is None else built.memory_bytes,
        width=built.width if isinstance(built, _core.Codes) else None,
        record_bytes=built.record_bytes if isinstance(built, _core.Hnsw | _core.Codes) and has_codes else None,
        recall_curve=curve,
        dead_nodes=dead_nodes if isinstance(built, _core.Hnsw) else None,
        overlays=len(built.labels) if isinstance(built, _core.LabelGraph) else None,
    )
