"""When a table is worth a compaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vdb._core import RowSet
from vdb.storage import compact
from vdb.types import TableSchema, VectorColumn

if TYPE_CHECKING:
    from vdb.storage.state import TableState
    from vdb.storage.store import Store


def papers(store: Store) -> TableState:
    return store.state.table("papers")


def test_it_is_worthwhile_where_most_slots_are_dead_and_there_are_thousands(store: Store) -> None:
    def table(slots: int, live: int) -> TableState:
        return replace(papers(store), next_slot=slots, live=RowSet.from_range(0, live, slots))

    assert not compact.is_worthwhile(table(4095, 0))
    assert compact.is_worthwhile(table(4096, 0))
    assert not compact.is_worthwhile(table(10_000, 5000))
    assert compact.is_worthwhile(table(10_000, 4999))


def test_a_few_rows_are_worthwhile_where_they_take_megabytes(store: Store) -> None:
    with store.begin() as transaction:
        transaction.create_table(TableSchema("wide", (VectorColumn("e", 65_536),)))

    def table(slots: int, live: int) -> TableState:
        wide = store.state.table("wide")
        return replace(wide, next_slot=slots, live=RowSet.from_range(0, live, slots))

    assert not compact.is_worthwhile(table(32, 1))
    assert compact.is_worthwhile(table(33, 1))
    assert not compact.is_worthwhile(table(66, 33))
