"""The committed state of a database as values: who holds one sees it unchanged for as long as it likes.

A commit makes a new state and swaps it in; the tables, row sets and views it did not touch are shared.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from vdb._core import ABSENT_SLOT, RowSet
from vdb.errors import InvalidArgument, NotFound
from vdb.storage.buffers import Growing
from vdb.storage.fields import parsed_json
from vdb.storage.rewrites import Rewrites

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from vdb.storage.vectors import Vectors
    from vdb.types import RowIds, Slots, StoredMatrix, TableSchema

ATTRIBUTE_KIND: Final = "attribute"  # of the record of an index over an attribute column
LISTED: Final = "columns"  # the param that names those which a condition reads, or which are unique together


@dataclass(frozen=True)
class VectorState:
    """One vector column of a table state.

    Attributes
    ----------
    source : Vectors
        The file or buffer behind it; storage's own.
    data : (next_slot, dim) of the column's dtype, read-only
        The vector of each slot; zeros where it is missing.
    present : RowSet or None
        The slots that have a vector; None: every slot.
    """

    source: Vectors
    data: StoredMatrix
    present: RowSet | None

    def in_order(self) -> StoredMatrix:
        """`data` for a pass over the slots: what is larger than memory is read ahead of."""
        return self.source.in_order(self.data)

    def inverse_norms(self) -> npt.NDArray[np.float32]:
        """1/|vector| of each slot, (next_slot,) float32; computed on first use and kept."""
        return self.source.inverse_norms(self.data)


@dataclass(frozen=True)
class IndexRecord:
    """An index as the catalog lists it.

    Attributes
    ----------
    file : str or None
        The uuid of its snapshot, None before the first one.
    recall : str or None
        Its recall curve as text, None before the first one. It is no parameter: a new curve leaves the snapshot valid.
    """

    name: str
    table: str
    column: str
    kind: str
    params: Mapping[str, int | float | str]
    file: str | None = None
    covers_slots: int = 0
    covers_seq: int = 0
    recall: str | None = None

    @property
    def listed(self) -> tuple[str, ...]:
        """The columns of the param LISTED, none where it is not there; ValueError where it is no list."""
        return tuple(parsed_json(str(self.params.get(LISTED, "[]")), list))


def listing(columns: Iterable[str]) -> str:
    """The param LISTED of some columns."""
    return json.dumps(list(columns), ensure_ascii=False)


class Generation:
    """One numbering of a table's slots, shared by every state that has it; a compaction begins the next.

    It leads to the generation after it and not back, so that how slots moved is forgotten with the last state, or
    result, that has the old ones.
    """

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self._next: tuple[Slots, Generation] | None = None

    def precede(self, following: Generation, new_slot_of: Slots) -> None:
        """Lead to `following`, where each slot has the number `new_slot_of` gives it, ABSENT_SLOT where it was dead."""
        self._next = new_slot_of, following

    def stay(self) -> None:
        """Take `precede` back: that compaction was not committed."""
        self._next = None

    def moved(self, slots: Slots, to: Generation) -> Slots | None:
        """What `slots` are called in a later generation, ABSENT_SLOT where the row was dead; None where `to` is not."""
        at = self
        while at is not to:
            following = at._next
            if following is None:
                return None
            new_slot_of, at = following
            before, slots = slots, np.full(len(slots), ABSENT_SLOT, np.uint32)
            known = before != ABSENT_SLOT
            slots[known] = new_slot_of[before[known]]
        return slots


@dataclass(frozen=True)
class TableState:
    """One table.

    Attributes
    ----------
    id : int
        Its number in the catalog.
    next_slot : int
        Slots given out so far, live and dead.
    live : RowSet
        The slots that hold a row, over the universe `next_slot`.
    row_ids : (next_slot,) int64, read-only
        The row id of each slot. That of a dead slot is its last one, or -1 after a reopen.
    next_row_id : int
        Above every row id given out so far.
    row_id_buffer : Growing
        What `row_ids` is a view of; storage's own.
    generation : Generation
        Which numbering its slots are of: the same slot is another row in another one.
    rewrites : Rewrites
        Which attributes were changed in place.
    indexes, attribute_indexes : mapping of str to IndexRecord
        The indexes of vector columns and of attribute columns by name; no name is in both.
    """

    id: int
    schema: TableSchema
    next_slot: int
    live: RowSet
    row_ids: RowIds
    next_row_id: int
    vectors: Mapping[str, VectorState]
    indexes: Mapping[str, IndexRecord]
    row_id_buffer: Growing[np.int64]
    generation: Generation = field(default_factory=Generation)
    rewrites: Rewrites = field(default_factory=Rewrites)
    attribute_indexes: Mapping[str, IndexRecord] = field(default_factory=dict)

    @classmethod
    def empty(cls, number: int, schema: TableSchema) -> TableState:
        """A new table, before it has its vectors."""
        return cls(
            id=number,
            schema=schema,
            next_slot=0,
            live=RowSet.none(0),
            row_ids=np.empty(0, np.int64),
            next_row_id=0,
            vectors={},
            indexes={},
            row_id_buffer=Growing(np.int64),
        )

    @property
    def all_indexes(self) -> dict[str, IndexRecord]:
        """Every index by name."""
        return {**self.indexes, **self.attribute_indexes}

    def with_indexes(self, records: Mapping[str, IndexRecord]) -> TableState:
        """The same table with other indexes."""
        attribute = {name: record for name, record in records.items() if record.kind == ATTRIBUTE_KIND}
        vector = {name: record for name, record in records.items() if name not in attribute}
        return replace(self, indexes=vector, attribute_indexes=attribute)

    @property
    def dead_slots(self) -> int:
        """Slots whose row was deleted or replaced."""
        return self.next_slot - self.live.count


@dataclass(frozen=True)
class DatabaseState:
    """Every table as of commit `seq`, and the query of every view."""

    seq: int
    tables: Mapping[str, TableState]
    views: Mapping[str, str] = field(default_factory=dict)

    def table(self, name: str) -> TableState:
        """The table of that name, NotFound with the nearest names where there is none."""
        table = self.tables.get(name)
        if table is None:
            raise NotFound(f"There is no table {name!r}. {_known('Tables', name, self.tables)}")
        return table


def check_columns(schema: TableSchema, names: Mapping[str, object] | tuple[str, ...]) -> None:
    """InvalidArgument with the nearest name where the table lacks one of `names`."""
    for name in names:
        if name not in schema.by_name:
            raise InvalidArgument(
                f"Table {schema.name} has no column {name!r}. {_known('Columns', name, schema.by_name)}"
            )


def _known(what: str, name: str, names: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"{what}: {', '.join(names) or 'none'}." + (f" Did you mean {near[0]!r}?" if near else "")
