"""Vectors as DuckDB reads them: an Arrow stream over the table's own memory, a column of slots beside FLOAT[n].

The C structures are those of the Arrow C data and stream interfaces, so no package is needed and nothing is copied
that lies together in memory. DuckDB scans any object that has `__arrow_c_stream__`.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vdb._core import RowSet
from vdb.dtypes import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vdb.storage.state import TableState
    from vdb.types import Dtype, Slots, StoredMatrix

_ROWS_PER_BATCH: Final = 16_384
_NULLABLE: Final = 2  # ARROW_FLAG_NULLABLE
_ITEM_FORMATS: Final = {"f": b"f", "b": b"c"}  # numpy's character of an item type, and Arrow's
_END: Final = 0


class _Schema(ctypes.Structure):
    pass


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]


class _Array(ctypes.Structure):
    pass


_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]

_GET_SCHEMA: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_Schema))
_GET_NEXT: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_Array))
_LAST_ERROR: Final = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)
_RELEASE_STREAM: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_RELEASE_SCHEMA: Final = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))
_RELEASE_ARRAY: Final = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))


class _Stream(ctypes.Structure):
    _fields_ = [
        ("get_schema", _GET_SCHEMA),
        ("get_next", _GET_NEXT),
        ("get_last_error", _LAST_ERROR),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    ]


_new_capsule: Final = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def _released(structure: Any) -> None:
    structure.contents.release = None  # the memory is the stream's


_release_schema: Final = _RELEASE_SCHEMA(_released)
_release_array: Final = _RELEASE_ARRAY(_released)


class VectorStream:
    """The vectors of some slots of a table, for DuckDB to scan as often as it likes.

    Columns: `slot` UINTEGER, and `v0`, `v1`, ... for `columns` in their order, FLOAT[n] or TINYINT[n], NULL where a
    row has no vector. Keep it until the results of its scans have been read: they point into it.
    """

    def __init__(self, table: TableState, columns: Sequence[str], slots: Slots) -> None:
        self.slots = np.ascontiguousarray(slots, np.uint32)
        self._columns = [_Column(table, name, self.slots) for name in columns]
        self._scans: list[_Scan] = []

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        scan = _Scan(self.slots, self._columns)
        self._scans.append(scan)
        return scan.capsule


class _Column:
    """A vector column and which of the slots have a value."""

    def __init__(self, table: TableState, name: str, slots: Slots) -> None:
        state = table.vectors[name]
        declared = next(column for column in table.schema.vectors if column.name == name)
        self.data: StoredMatrix = state.data
        self.in_order = state.in_order()
        self.dtype: Dtype = declared.dtype
        self.dim = declared.dim
        self.present: npt.NDArray[np.bool_] | None = None
        if state.present is not None and len(slots):
            having = RowSet.from_slots(slots, table.next_slot) & state.present
            if having.count < len(slots):
                self.present = np.isin(slots, having.to_slots())

    @property
    def item_format(self) -> bytes:
        """Arrow's name of the type of an item."""
        return _ITEM_FORMATS["b" if self.dtype == "int8" else "f"]

    def values(self, slots: Slots) -> StoredMatrix:
        """(n, dim) float32 or int8; a view where the slots follow one another."""
        first = int(slots[0])
        together = int(slots[-1]) - first == len(slots) - 1 and bool((np.diff(slots) == 1).all())
        rows = self.in_order[first : first + len(slots)] if together else self.data[slots]
        return np.ascontiguousarray(shown(rows, self.dtype), np.int8 if self.dtype == "int8" else np.float32)


class _Scan:
    """One pass over a stream; it owns every structure and buffer that DuckDB is given."""

    def __init__(self, slots: Slots, columns: Sequence[_Column]) -> None:
        self._slots = slots
        self._columns = columns
        self._next = 0
        self._kept: list[object] = []
        self._callbacks = (_GET_SCHEMA(self._get_schema), _GET_NEXT(self._get_next), _LAST_ERROR(lambda _: None))
        self._release = _RELEASE_STREAM(self._let_go)
        self._stream = _Stream(*self._callbacks, ctypes.cast(self._release, ctypes.c_void_p), None)
        self.capsule = _new_capsule(ctypes.addressof(self._stream), b"arrow_array_stream", None)

    def _get_schema(self, _: int, out: Any) -> int:
        fields = [self._schema(b"I", b"slot")]
        for number, column in enumerate(self._columns):
            item = self._schema(column.item_format, b"item")
            fields.append(self._schema(b"+w:%d" % column.dim, b"v%d" % number, [item]))
        self._give(out, self._schema(b"+s", b"", fields))
        return _END

    def _get_next(self, _: int, out: Any) -> int:
        slots = self._slots[self._next : self._next + _ROWS_PER_BATCH]
        self._next += len(slots)
        if not len(slots):
            out.contents.release = None
            return _END
        vectors = [self._vectors(column, slots) for column in self._columns]
        arrays = [self._array(len(slots), slots), *vectors]
        self._give(out, self._array(len(slots), None, arrays, struct=True))
        return _END

    def _let_go(self, _: int) -> None:
        self._stream.release = None

    def _vectors(self, column: _Column, slots: Slots) -> _Array:
        values = column.values(slots)
        items = self._array(values.size, values)
        if column.present is None:
            return self._array(len(slots), None, [items], struct=True)
        first = self._next - len(slots)
        bits = np.packbits(column.present[first : self._next], bitorder="little")
        return self._array(len(slots), None, [items], struct=True, valid=bits)

    def _schema(self, form: bytes, name: bytes, children: Sequence[_Schema] = ()) -> _Schema:
        schema = _Schema(format=form, name=name, flags=_NULLABLE, n_children=len(children))
        if children:
            schema.children = self._pointers(_Schema, children)
        schema.release = ctypes.cast(_release_schema, ctypes.c_void_p)
        self._kept.append(schema)
        return schema

    def _array(
        self,
        length: int,
        values: npt.NDArray[Any] | None,
        children: Sequence[_Array] = (),
        *,
        struct: bool = False,
        valid: npt.NDArray[np.uint8] | None = None,
    ) -> _Array:
        held = [valid] if struct else [valid, values]
        pointers = [None if array is None else array.ctypes.data for array in held]
        buffers = (ctypes.c_void_p * len(pointers))(*pointers)
        array = _Array(length=length, null_count=0 if valid is None else -1, n_buffers=len(pointers), buffers=buffers)
        array.n_children = len(children)
        if children:
            array.children = self._pointers(_Array, children)
        array.release = ctypes.cast(_release_array, ctypes.c_void_p)
        self._kept.append((array, buffers, held))
        return array

    def _pointers(self, kind: Any, targets: Sequence[Any]) -> Any:
        pointers = (ctypes.POINTER(kind) * len(targets))(*map(ctypes.pointer, targets))
        self._kept.append(pointers)
        return pointers

    def _give(self, out: Any, structure: Any) -> None:
        ctypes.memmove(out, ctypes.byref(structure), ctypes.sizeof(structure))
