"""The vectors of one column: an append-only matrix, one row per slot.

Rows are appended as pending and become committed when the catalog's transaction does; until then a rollback forgets
them. Committed rows never change, so a view of them is valid for good. `vector_file.VectorFile` is the one on disk.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vdb import _core
from vdb.storage.buffers import Growing
from vdb.types import DTYPES

if TYPE_CHECKING:
    from vdb.storage.vector_header import Identity
    from vdb.types import StoredMatrix

_ZEROS_BYTES: Final = 1 << 22


@dataclass(frozen=True)
class Extent:
    """How far a file is written: rows, and the CRC-32C of the bytes after the last whole block."""

    slots: int = 0
    open_crc: int = 0


@dataclass(frozen=True)
class Segment:
    """What the catalog records about a commit's appends to one file."""

    extent: Extent
    bytes: int
    first_block: int  # of the blocks sealed by these appends
    crcs: tuple[int, ...]


class Vectors(ABC):
    """Append-only (slots, dim) rows of the column's dtype with a committed and a pending length.

    One thread at a time may append, accept or roll back; views and norms may be taken by any thread.
    """

    def __init__(self, identity: Identity, committed: Extent) -> None:
        self.identity = identity
        self.committed = committed
        self.pending = committed
        self._norms: Growing[np.float32] = Growing(np.float32)
        self._norms_slots = 0
        self._norms_lock = threading.Lock()

    @abstractmethod
    def append(self, rows: StoredMatrix) -> None:
        """Add (n, dim) C-contiguous rows after the pending ones."""

    @abstractmethod
    def reserve(self, slots: int) -> None:
        """Set aside what `slots` rows in all take, and no more: a full disk is found before anything is copied."""

    @property
    def witnessed_seq(self) -> int:
        """The newest commit that its witness records speak of, 0 where there are none: an open asks for that one."""
        return 0

    @property
    def memory_bytes(self) -> int:
        """Of what is kept in memory: the norms, and vectors that have no file."""
        return self._norms.memory_bytes

    def growth(self, n: int) -> int:  # noqa: ARG002 -- rows in a file take none
        """Bytes of memory that `n` more rows take at once."""
        return 0

    @abstractmethod
    def view(self, slots: int) -> StoredMatrix:
        """The first `slots` rows, pending ones included, read-only and without a copy, to be read here and there."""

    def in_order(self, data: StoredMatrix) -> StoredMatrix:
        """The rows of `data`, a view of this column, to be read one after another: the system reads ahead of them."""
        return data

    @abstractmethod
    def segment(self) -> Segment:
        """What the catalog must record for the pending rows."""

    @abstractmethod
    def seal(self, seq: int, last_seq: int) -> None:
        """Write the witness of the pending rows and flush both."""

    @abstractmethod
    def close(self, truncate: bool) -> None:
        """Let go of the file; `truncate` cuts what was reserved after the committed rows."""

    def append_missing(self, n: int) -> None:
        """Add `n` rows of zeros, the stored form of a missing vector."""
        block = min(n, max(1, _ZEROS_BYTES // self.identity.stride))
        zeros = np.zeros((block, self.identity.dim), DTYPES[self.identity.dtype].memory)
        for begin in range(0, n, max(block, 1)):
            self.append(zeros[: n - begin])

    def accept(self) -> None:
        """Make the pending rows committed."""
        self.committed = self.pending

    def roll_back(self) -> None:
        """Forget the pending rows; views of them are no longer valid."""
        self.pending = self.committed
        with self._norms_lock:
            self._norms_slots = min(self._norms_slots, self.committed.slots)

    def inverse_norms(self, data: StoredMatrix) -> npt.NDArray[np.float32]:
        """1/|row| for each row of `data`, a view of this column; computed once per row."""
        n = len(data)
        with self._norms_lock:
            if self._norms_slots < n:
                rows = self.in_order(data)[self._norms_slots :]
                self._norms.write(self._norms_slots, _core.inverse_norms(rows))
                self._norms_slots = n
            return self._norms.view(n)


class MemoryVectors(Vectors):
    """Vectors of a ":memory:" database."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity, Extent())
        self._rows: Growing[Any] = Growing(DTYPES[identity.dtype].memory, (identity.dim,))

    def append(self, rows: StoredMatrix) -> None:
        """Copy the rows."""
        self._rows.write(self.pending.slots, rows)
        self.pending = Extent(self.pending.slots + len(rows))

    @property
    def memory_bytes(self) -> int:
        """Of the rows and the norms."""
        return super().memory_bytes + self._rows.memory_bytes

    def growth(self, n: int) -> int:
        """Bytes of the array that will hold the rows, if it has to be another one."""
        return self._rows.growth(self.pending.slots + n)

    def reserve(self, slots: int) -> None:
        """Take the memory at once."""
        self._rows.reserve(slots)

    def view(self, slots: int) -> StoredMatrix:
        """The first `slots` rows; they stay valid when the memory grows."""
        return self._rows.view(slots)

    def segment(self) -> Segment:
        """How far the rows go; memory needs no checksums."""
        return Segment(self.pending, self.pending.slots * self.identity.stride, 0, ())

    def seal(self, seq: int, last_seq: int) -> None:
        """Nothing outlives the process."""

    def close(self, truncate: bool) -> None:
        """Memory goes with the last view."""
