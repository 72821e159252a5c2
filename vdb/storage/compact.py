"""Compaction: the living rows of a table under dense new slots, in new vector files; the old ones go with the commit.

A slot is never given out twice, so that readers need no locks; what deleted and replaced rows take is given back here.
The new files are written and flushed before the catalog's COMMIT names them, and the old ones are deleted after it: a
crash leaves one generation or the other, and the next open sweeps the files of the one that is not named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from vdb._core import ABSENT_SLOT, RowSet
from vdb.storage import catalog, rows
from vdb.storage.buffers import Growing
from vdb.storage.state import Generation, IndexRecord, TableState, VectorState
from vdb.storage.verify import check_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import duckdb

    from vdb.storage.vectors import Vectors
    from vdb.types import Slots, VectorColumn

_COPY_BYTES: Final = 1 << 22  # of vectors in memory at a time

# A compaction costs some flushes and a checkpoint, about as much as a few commits: rows in the thousands have paid for
# that, and fewer dead ones are in nobody's way; nor are a few megabytes.
_LEAST_DEAD_SLOTS: Final = 4096
_LEAST_DEAD_BYTES: Final = 8 << 20


@dataclass(frozen=True)
class Compaction:
    """What a compaction did.

    Attributes
    ----------
    rows : int
        The rows of the table, all of them kept.
    dead_slots : int
        The slots that were given back: 0 where there was nothing to do.
    bytes_before, bytes_after : int
        Of the vectors of all slots.
    """

    rows: int
    dead_slots: int
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class Work:
    """What a compaction writes with: the transaction's cursor, new files and the caller's progress."""

    cursor: duckdb.DuckDBPyConnection
    new_vectors: Callable[[VectorColumn, Generation], Vectors]
    progress: Callable[[int, int], None] | None


def is_worthwhile(table: TableState) -> bool:
    """Whether more slots are dead than living, and enough of them.

    Then a compaction copies fewer rows than it drops: however rows come and go, each pays for the copy of less than
    one other, and a table takes at most twice the room of its rows, and of a few more.
    """
    enough = table.dead_slots >= _LEAST_DEAD_SLOTS or table.dead_slots * _row_bytes(table) >= _LEAST_DEAD_BYTES
    return enough and table.dead_slots > table.live.count


def _row_bytes(table: TableState) -> int:
    return sum(vectors.source.identity.stride for vectors in table.vectors.values())


def summary(table: TableState) -> Compaction:
    """What compacting a table does to it."""
    row_bytes = _row_bytes(table)
    n = table.live.count
    return Compaction(n, table.dead_slots, table.next_slot * row_bytes, n * row_bytes)


def compacted(table: TableState, work: Work) -> TableState:
    """Write the next generation of a table and return its state; slots keep their order.

    Corrupted where a stored vector does not fit its checksum: a copy would make the damage pass for data. Index
    snapshots are of the old slots, so every index is listed without one.
    """
    for vectors in table.vectors.values():
        check_source(work.cursor, vectors.source)
    kept = table.live.to_slots()
    following = Generation(table.generation.number + 1)
    rows.renumber(work.cursor, table.schema, kept)
    row_ids: Growing[np.int64] = Growing(np.int64)
    row_ids.write(0, table.row_ids[kept])
    state = replace(
        table,
        next_slot=len(kept),
        live=RowSet.all(len(kept)),
        row_ids=row_ids.view(len(kept)),
        vectors=_copied(table, kept, following, work),
        indexes={record.name: replace(record, file=None, covers_slots=0) for record in table.indexes.values()},
        row_id_buffer=row_ids,
        generation=following,
    )
    catalog.replace_files(work.cursor, table, state)
    _list(work.cursor, table.id, state.indexes.values())
    new_slot_of = np.full(table.next_slot, ABSENT_SLOT, np.uint32)
    new_slot_of[kept] = np.arange(len(kept), dtype=np.uint32)
    table.generation.precede(following, new_slot_of)
    return state


def _copied(table: TableState, kept: Slots, following: Generation, work: Work) -> dict[str, VectorState]:
    columns = table.schema.vectors
    states = {}
    for number, column in enumerate(columns):
        old = table.vectors[column.name]
        source = work.new_vectors(column, following)
        source.reserve(len(kept))
        step = max(1, _COPY_BYTES // source.identity.stride)
        for begin in range(0, len(kept), step):
            chosen = kept[begin : begin + step]
            source.append(old.in_order()[chosen])
            if work.progress is not None:
                work.progress(number * len(kept) + begin + len(chosen), len(columns) * len(kept))
        states[column.name] = VectorState(source, source.view(len(kept)), _present(old.present, kept))
    return states


def _present(had: RowSet | None, kept: Slots) -> RowSet | None:
    if had is None:
        return None
    marks = np.zeros(had.size, np.bool_)
    marks[had.to_slots()] = True
    return None if marks[kept].all() else RowSet.from_bools(marks[kept])


def _list(cursor: duckdb.DuckDBPyConnection, table: int, records: Iterable[IndexRecord]) -> None:
    for record in records:
        catalog.put_index(cursor, table, record)
