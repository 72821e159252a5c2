"""The small table of the storage tests, and what a database holds of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vdb.types import Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdb.storage.batch import Batch
    from vdb.storage.store import Store

DIM = 8
PAPERS = TableSchema(
    "papers", (Column("id", "BIGINT", False), Column("title", "VARCHAR"), VectorColumn("embedding", DIM)), "id"
)


class MakeRows(Protocol):
    def __call__(self, ids: Sequence[int], title: str = "t", fill: float = 0.0) -> Batch: ...


def contents(store: Store) -> dict[int, tuple[str | None, list[float] | None]]:
    """Every row of `papers` as DuckDB and the vector file have it, by id; fails where memory disagrees."""
    with store.read() as session:
        table = session.state.table("papers")
        slots = table.live.to_slots()
        rows = session.fetch("papers", slots, ["id", "title", "embedding"]).fetchall()
        assert [row[0] for row in rows] == table.row_ids[slots].tolist()
    return {key: (title, None if vector is None else list(vector)) for key, title, vector in rows}
