"""The memory of indexes: what those hold that are loaded, and about what one will that is to be built or loaded.

The account is asked for an estimate before the memory is taken; `tests/unit/index/test_room.py` compares those with
the `memory_bytes` of each kind.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from vdb.index.ivf_spec import IVFPQ, IVFS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vdb.index.place import Place
    from vdb.storage.state import IndexRecord, TableState
    from vdb.storage.store import Store

    _Params: TypeAlias = Mapping[str, int | float | str]

_SLOT: Final = 4  # bytes
_FLOAT: Final = 4
_PLACE: Final = 16  # of a row: its level, place and edges above level 0, or its key
_FACTORS: Final = 12  # of a code
_LINE: Final = 64  # codes begin at lines of the cache, and dimensions are padded to as many
_BLOCK: Final = 32  # neighbours whose codes stand together
_LIST: Final = 128  # beside its rows and centroid
_LISTS: Final = 2.0  # for each root of the rows
_SPARE_ROWS: Final = 10  # of a list: they come in blocks
_NARROWEST: Final = 128  # ranks that the first layer of a Range reaches over
_WIDER: Final = 4


class Room:
    """What the indexes of one database take; `place_of` gives the place of one, `places` has all of them."""

    def __init__(
        self, store: Store, places: Mapping[Any, Place], place_of: Callable[[TableState, IndexRecord], Place]
    ) -> None:
        self._store = store
        self._places = places
        self._place_of = place_of
        store.memory.hold(self.held)
        store.memory.grow(self.growth)

    def held(self) -> int:
        """Bytes of every index and of all cells that are in memory."""
        found = 0
        for place in list(self._places.values()):
            built, cells = place.built, place.cells
            found += (0 if built is None else built.memory_bytes) + (0 if cells is None else cells.memory_bytes)
        return found

    def growth(self, table: int, n: int) -> int:
        """About the bytes that the loaded indexes of a table take for `n` more slots."""
        states = [state for state in self._store.state.tables.values() if state.id == table]
        return sum(
            estimate(record.kind, record.params, _dim(state, record), n)
            for state in states
            for record in state.indexes.values()
            if self._place_of(state, record).built is not None
        )

    def lacks(self, state: TableState, record: IndexRecord) -> str:
        """Why there is no room to load or build an index; empty where there is, or it is there."""
        if not self._store.memory.is_limited or self._place_of(state, record).built is not None:
            return ""
        return self._store.memory.lacks(_whole(state, record))

    def demand(self, state: TableState, record: IndexRecord) -> None:
        """OutOfMemory where there is no room for one more copy of an index."""
        if self._store.memory.is_limited:
            self._store.memory.demand(f"index {record.name} of table {record.table}", _whole(state, record))


def estimate(kind: str, params: _Params, dim: int, n: int) -> int:
    """About the bytes of an index over `n` slots."""
    M = int(params.get("M") or 0)
    if kind in IVFS:
        row, lists = _list_row(kind, params, dim), min(int(_LISTS * math.sqrt(n)), 1 + n // _BLOCK)
        return n * row + lists * (2 * dim * _FLOAT + _SPARE_ROWS * row + _LIST)
    if kind == "flat":
        return n * _code(str(params["codes"]), 0, dim) + 2 * dim * dim * _FLOAT
    if kind == "range":
        layers = 1 + math.ceil(math.log(max(1.0, n / _NARROWEST), _WIDER))
        return n * (layers * M * _SLOT + 2 * _PLACE)
    width = 2 * M + (int(params["M_beta"]) if "M_beta" in params else 0)
    codes, bits = str(params.get("codes", "none")), int(params.get("bits") or 1)
    record = 0 if codes == "none" else _rounded(_code(codes, bits, dim), _LINE)
    blocks = _rounded(width, _BLOCK) * (_rounded(dim, _LINE) // 8 + _FACTORS) if codes == "packed" else 0
    return n * (width * _SLOT + _PLACE + record + blocks)


def _code(codes: str, bits: int, dim: int) -> int:
    """Bytes of a record: a projection may keep every dimension."""
    whole = {"sq8": _rounded(dim, _LINE), "projection": _rounded(dim * _FLOAT, _LINE)}
    values = whole.get(codes, _rounded(dim, _LINE) * bits // 8)
    return values + 2 * _FACTORS


def _list_row(kind: str, params: _Params, dim: int) -> int:
    """Bytes of a row in a list: slot, code and factors, those of further bits apart."""
    if kind == IVFPQ.kind:
        m = params["m"]
        return (m if isinstance(m, int) else dim // 2) * int(params["nbits"]) // 8 + _SLOT + _FACTORS // 2
    bits = int(params["bits"])
    return _rounded(dim, _LINE) * bits // 8 + (_SLOT + _FACTORS) * min(bits, 2)


def _rounded(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def _whole(state: TableState, record: IndexRecord) -> int:
    return estimate(record.kind, record.params, _dim(state, record), state.next_slot)


def _dim(state: TableState, record: IndexRecord) -> int:
    return int(state.vectors[record.column].data.shape[1])
