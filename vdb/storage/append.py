"""Adding rows to a table's memory side: vectors to their files, and the state that includes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vdb._core import RowSet
from vdb.errors import InvalidArgument
from vdb.storage.state import TableState, VectorState
from vdb.types import MAX_ROWS, RowIds, Slots, StoredMatrix

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class NewVectors:
    """Vectors of one column for n new slots; `values` None: all are missing, `present` None: none is."""

    values: StoredMatrix | None
    present: npt.NDArray[np.bool_] | None = None


MISSING = NewVectors(None)


def check_room(table: TableState, n: int) -> None:
    """InvalidArgument where `n` more slots pass the limit of a table."""
    if table.next_slot + n > MAX_ROWS:
        raise InvalidArgument(
            f"Table {table.schema.name} has used {table.next_slot} slots; {n} more pass the limit of {MAX_ROWS}."
            " Fix: use another table."
        )


def copied(table: TableState, column: str, slots: Slots, n: int, positions: npt.NDArray[np.int64]) -> NewVectors:
    """For n new slots the vectors that `slots` have now, at `positions`; missing elsewhere."""
    state = table.vectors[column]
    values = np.zeros((n, state.data.shape[1]), state.data.dtype)
    values[positions] = state.data[slots]
    present = np.zeros(n, np.bool_)
    if state.present is None:
        present[positions] = True
    else:
        having = RowSet.from_slots(slots, table.next_slot) & state.present
        present[positions] = np.isin(slots, having.to_slots())
    return NewVectors(values, present)


def appended(
    table: TableState, row_ids: RowIds, vectors: Mapping[str, NewVectors], next_row_id: int, dead: Slots
) -> TableState:
    """Append n rows, one per row id, whose columns not in `vectors` are missing; the rows in `dead` are no more."""
    first, n = table.next_slot, len(row_ids)
    states = {name: _appended(state, n, vectors.get(name, MISSING)) for name, state in table.vectors.items()}
    table.row_id_buffer.write(first, row_ids)
    live = table.live.resized(first + n, fill=True)
    return replace(
        table,
        next_slot=first + n,
        live=live - RowSet.from_slots(dead, first + n) if len(dead) else live,
        row_ids=table.row_id_buffer.view(first + n),
        next_row_id=next_row_id,
        vectors=states,
    )


def _appended(state: VectorState, n: int, new: NewVectors) -> VectorState:
    first = len(state.data)
    if new.values is None:
        state.source.append_missing(n)
        missing = np.arange(first, first + n, dtype=np.uint32)
    else:
        state.source.append(new.values)
        absent = () if new.present is None else np.flatnonzero(~new.present)
        missing = (first + np.asarray(absent)).astype(np.uint32)
    present = state.present
    if len(missing) or present is not None:
        had = RowSet.all(first) if present is None else present
        present = had.resized(first + n, fill=True) - RowSet.from_slots(missing, first + n)
    return VectorState(state.source, state.source.view(first + n), present)
