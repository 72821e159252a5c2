"""Vectors in a file: mapped for reading, appended by positioned writes, checksummed while they pass by.

A write through the map could meet a full disk as SIGBUS. The file is reserved well past its rows, so that it is
mapped anew only when it grows; a replaced map lives as long as the arrays that look at it. Bytes: FORMAT.md.

A file larger than half of memory is mapped twice: for rows here and there, of which the system reads no more than is
asked for, and for passes, which it reads ahead of. One map would read megabytes around every row of a search.
"""

from __future__ import annotations

import errno
import mmap
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np

from vdb import _core
from vdb.errors import Corrupted
from vdb.storage import files
from vdb.storage.available import machine_bytes
from vdb.storage.files import File
from vdb.storage.vector_header import (
    BLOCK_BYTES,
    DATA_OFFSET,
    HEADER_COPIES,
    PAGE_BYTES,
    WITNESS_BYTES,
    WITNESS_COPIES,
    WITNESS_OFFSET,
    Append,
    Identity,
    check_header,
)
from vdb.storage.vectors import Extent, Segment, Vectors
from vdb.types import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vdb.types import StoredMatrix

_MIN_GROWTH_BYTES: Final = 1 << 20
_GROWTH_SHIFT: Final = 3  # an eighth of the file
_LARGE: Final = 2  # a file that takes more than a half of memory


class VectorFile(Vectors):
    """The vectors of one column of an on-disk database."""

    def __init__(self, path: Path, identity: Identity, committed: Extent, file: File) -> None:
        super().__init__(identity, committed)
        self.path = path
        self.flushes = True  # False where a loss of power may cost all
        self._file = file
        self._size = file.size
        self._map: mmap.mmap | None = None
        self._ahead: mmap.mmap | None = None  # where the file is large: the one for passes
        self._checks = _Checksums(committed.slots * identity.stride, committed.open_crc)
        self._newest_witness = _newest(read_witnesses(file))

    @classmethod
    def create(cls, path: Path, identity: Identity) -> VectorFile:
        """Write a file without vectors; it is flushed by the first `seal`."""
        file = File(path, "create")
        try:
            file.write_at(0, (identity.encode() * HEADER_COPIES).ljust(DATA_OFFSET, b"\0"))
        except BaseException:
            file.close()
            with suppress(OSError):  # the next open sweeps what stays
                files.remove(path)
            raise
        return cls(path, identity, Extent(), file)

    @classmethod
    def open(cls, path: Path, identity: Identity, committed: Extent, read_only: bool) -> VectorFile:
        """Open and check header, length and the open block; Corrupted names what does not fit."""
        file = File(path, "read" if read_only else "write")
        try:
            check_header(file.read_at(0, WITNESS_OFFSET), identity, path)
            _check_length(file, identity, committed)
            opened = cls(path, identity, committed, file)
            opened._check_open_block()
        except BaseException:
            file.close()
            raise
        return opened

    @property
    def committed_bytes(self) -> int:
        """Length of the file without what is reserved or pending."""
        return DATA_OFFSET + self.committed.slots * self.identity.stride

    @property
    def witnessed_seq(self) -> int:
        """Of the newest record."""
        newest = self._newest_witness[1]
        return 0 if newest is None else newest.seq

    @property
    def size(self) -> int:
        """Length of the file."""
        return self._size

    @property
    def has_tail(self) -> bool:
        """Whether the file is longer than its committed bytes."""
        return self._size > self.committed_bytes

    def append(self, rows: StoredMatrix) -> None:
        """Write the rows after the pending ones."""
        if len(rows) == 0:
            return
        data = rows.reshape(-1).view(np.uint8).data
        begin = DATA_OFFSET + self.pending.slots * self.identity.stride
        self._reserve(begin + len(data))
        self._file.write_at(begin, data)
        self._checks.feed(data)
        self.pending = Extent(self.pending.slots + len(rows), self._checks.open_crc)

    def reserve(self, slots: int) -> None:
        """Lengthen the file to those rows."""
        end = DATA_OFFSET + slots * self.identity.stride
        if end > self._size:
            self._allocate(end)

    def view(self, slots: int) -> StoredMatrix:
        """The first `slots` rows of the map."""
        if slots == 0:
            return np.empty((0, self.identity.dim), DTYPES[self.identity.dtype].memory)
        if self._map is None or len(self._map) < DATA_OFFSET + slots * self.identity.stride:
            mapped = self._mapped()
            if len(mapped) > machine_bytes() // _LARGE:
                self._ahead = self._mapped()
                mapped.madvise(mmap.MADV_RANDOM)
            self._map = mapped
        return self._rows_of(self._map, slots)

    def in_order(self, data: StoredMatrix) -> StoredMatrix:
        """The same rows of the map for passes, where there is one."""
        ahead = self._ahead
        return data if ahead is None or len(data) == 0 else self._rows_of(ahead, len(data))

    def segment(self) -> Segment:
        """Lengths and checksums of the pending rows."""
        length = self.pending.slots * self.identity.stride
        crcs = tuple(self._checks.sealed)
        return Segment(self.pending, length, length // BLOCK_BYTES - len(crcs), crcs)

    def seal(self, seq: int, last_seq: int) -> None:
        """Write a witness record over the older one, and flush it with the rows."""
        first, end = self.committed.slots, self.pending.slots
        record = Append(seq, last_seq, first, end - first, self._checks.batch_crc)
        copy = 1 - self._newest_witness[0]  # never over the newest: a torn write must leave one
        self._file.write_at(WITNESS_OFFSET + copy * PAGE_BYTES, record.encode())
        self._newest_witness = (copy, record)
        if self.flushes:
            self._file.sync()

    def accept(self) -> None:
        """Make the pending rows committed."""
        super().accept()
        self._checks.restart()

    def roll_back(self) -> None:
        """Forget the pending rows; the next append writes over them."""
        super().roll_back()
        self._checks = _Checksums(self.committed.slots * self.identity.stride, self.committed.open_crc)

    def witnesses(self) -> list[Append]:
        """The valid witness records on disk, newest last."""
        found = [record for record in read_witnesses(self._file) if record is not None]
        return sorted(found, key=lambda record: record.seq)

    def cut_tail(self) -> None:
        """Cut the file to its committed bytes; only while nothing maps more of it."""
        self._file.truncate(self.committed_bytes)
        self._file.sync(metadata=True)
        self._size = self._file.size

    def tail(self) -> bytes:
        """The bytes after the committed ones."""
        return self._file.read_at(self.committed_bytes, self._size - self.committed_bytes)

    def check_blocks(self, crcs: Sequence[int]) -> None:
        """Compare every sealed block with its recorded CRC, and the open one; Corrupted names the first bad one."""
        for block, crc in enumerate(crcs):
            offset = DATA_OFFSET + block * BLOCK_BYTES
            self._check_crc(offset, _core.crc32c(self._file.read_at(offset, BLOCK_BYTES)), crc)
        self._check_open_block()

    @property
    def closed(self) -> bool:
        """Whether the file was let go."""
        return self._file.fd < 0

    def close(self, truncate: bool) -> None:
        """Close the file; views keep their map."""
        self._map = self._ahead = None
        try:
            if truncate and self._file.fd >= 0 and self._size > self.committed_bytes:
                self._file.truncate(self.committed_bytes)
        finally:
            self._file.close()

    def _mapped(self) -> mmap.mmap:
        return mmap.mmap(self._file.fd, self._file.size, access=mmap.ACCESS_READ)

    def _rows_of(self, mapped: mmap.mmap, slots: int) -> StoredMatrix:
        dim, dtype = self.identity.dim, DTYPES[self.identity.dtype].memory
        return np.frombuffer(mapped, dtype, slots * dim, DATA_OFFSET).reshape(slots, dim)

    def _reserve(self, end: int) -> None:
        if end <= self._size:
            return
        grown = max(end, self._size + max(_MIN_GROWTH_BYTES, self._size >> _GROWTH_SHIFT))
        try:
            self._allocate(-(-grown // PAGE_BYTES) * PAGE_BYTES)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._allocate(end)

    def _allocate(self, size: int) -> None:
        try:
            self._file.allocate(size)
        except OSError:
            self._file.truncate(self._size)  # not below: the map covers this much
            raise
        self._size = size

    def _check_open_block(self) -> None:
        begin = DATA_OFFSET + self.committed.slots * self.identity.stride // BLOCK_BYTES * BLOCK_BYTES
        found = _core.crc32c(self._file.read_at(begin, self.committed_bytes - begin))
        self._check_crc(begin, found, self.committed.open_crc)

    def _check_crc(self, offset: int, found: int, expected: int) -> None:
        if found != expected:
            raise Corrupted(
                f"Vectors in {self.path} are damaged at byte {offset}: CRC {found:08x}, expected {expected:08x}."
                " Fix: restore the database from a backup.",
                path=self.path,
                section="vectors",
                offset=offset,
                expected=expected,
                found=found,
            )


class _Checksums:
    """CRC-32C of each 64 KiB block of a stream, of its unfinished last block, and of the pending bytes as a whole."""

    def __init__(self, length: int, open_crc: int) -> None:
        self._open_bytes = length % BLOCK_BYTES
        self.open_crc = open_crc
        self.sealed: list[int] = []
        self.batch_crc = 0

    def feed(self, data: memoryview) -> None:
        self.batch_crc = _core.crc32c(data, self.batch_crc)
        begin = 0
        while begin < len(data):
            part = data[begin : begin + BLOCK_BYTES - self._open_bytes]
            self.open_crc = _core.crc32c(part, self.open_crc)
            self._open_bytes += len(part)
            begin += len(part)
            if self._open_bytes == BLOCK_BYTES:
                self.sealed.append(self.open_crc)
                self.open_crc = self._open_bytes = 0

    def restart(self) -> None:
        """Begin the next batch after the bytes of this one."""
        self.sealed = []
        self.batch_crc = 0


def _check_length(file: File, identity: Identity, committed: Extent) -> None:
    needed = DATA_OFFSET + committed.slots * identity.stride
    if file.size < needed:
        raise Corrupted(
            f"{file.path} has {file.size} bytes; the catalog says {needed} are committed."
            " Fix: restore the database from a backup.",
            path=file.path,
            section="length",
            offset=file.size,
            expected=needed,
            found=file.size,
        )


def read_witnesses(file: File) -> list[Append | None]:
    """Both witness records of a vector file, None for one that is empty or torn."""
    offsets = [WITNESS_OFFSET + copy * PAGE_BYTES for copy in range(WITNESS_COPIES)]
    return [Append.decode(file.read_at(offset, WITNESS_BYTES)) for offset in offsets]


def _newest(records: list[Append | None]) -> tuple[int, Append | None]:
    return max(enumerate(records), key=lambda item: -1 if item[1] is None else item[1].seq)
