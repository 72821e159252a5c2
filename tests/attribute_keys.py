"""The keys of an attribute index by slot, as the tests look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdb.attributes.keys import KEY_NULL

if TYPE_CHECKING:
    import numpy.typing as npt

    from vdb.attributes.column import ColumnIndex


def keys_by_slot(column: ColumnIndex) -> npt.NDArray[np.int64]:
    """(next_slot,) int64, KEY_NULL where the value is NULL or there never was a row."""
    found = np.full(column.next_slot, KEY_NULL, np.int64)
    keys, slots = column.order_keys()
    assert len(np.unique(slots)) == len(slots), "a row has one key"
    assert not column.null.holds(slots).any()
    found[slots] = keys
    return found
