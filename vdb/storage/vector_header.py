"""The bytes before the vectors in a vector file: two copies of the header and two witness records (see FORMAT.md).

The header says whose vectors these are and is written once. A witness record tells, beside the vectors it covers,
which commit was being made and which one was the last before it, so that a lost catalog cannot pass unnoticed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vdb import _core
from vdb.errors import Corrupted, FormatVersionError
from vdb.storage.layout import FORMAT_MAJOR, FORMAT_MINOR
from vdb.types import DTYPES

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from vdb.types import Dtype

PAGE_BYTES: Final = 4096
BLOCK_BYTES: Final = 65_536  # the unit of checksums
HEADER_COPIES: Final = 2
WITNESS_OFFSET: Final = HEADER_COPIES * PAGE_BYTES
WITNESS_COPIES: Final = 2
DATA_OFFSET: Final = WITNESS_OFFSET + WITNESS_COPIES * PAGE_BYTES

# magic; major, minor, endian tag; database and file uuid; table, column, generation; dtype, dim; stride, data
# offset, block size
_HEADER: Final = struct.Struct("<8sHHI16s16sQIIB3xIQQI")
_CRC: Final = struct.Struct("<I")
_CRC_OFFSET: Final = PAGE_BYTES - _CRC.size
_MAGIC: Final = b"VDBVEC\r\n"
_ENDIAN_TAG: Final = 0x0A0B0C0D

_WITNESS: Final = struct.Struct("<8sQQQQI16x")  # magic, sequence, last sequence, first slot, rows, batch CRC
_WITNESS_MAGIC: Final = b"VDBAPP\r\n"
WITNESS_BYTES: Final = _WITNESS.size + _CRC.size

assert (DATA_OFFSET, WITNESS_BYTES, _HEADER.size) == (16_384, 64, 92)  # the numbers of FORMAT.md


@dataclass(frozen=True)
class Identity:
    """Whose vectors a file holds."""

    database: uuid.UUID
    file: uuid.UUID
    table: int
    column: int
    dim: int
    generation: int = 0
    dtype: Dtype = "float32"

    @property
    def stride(self) -> int:
        """Bytes of one vector."""
        return self.dim * DTYPES[self.dtype].memory.itemsize

    def encode(self) -> bytes:
        """One header page."""
        fields = _HEADER.pack(
            _MAGIC,
            FORMAT_MAJOR,
            FORMAT_MINOR,
            _ENDIAN_TAG,
            self.database.bytes,
            self.file.bytes,
            self.table,
            self.column,
            self.generation,
            DTYPES[self.dtype].code,
            self.dim,
            self.stride,
            DATA_OFFSET,
            BLOCK_BYTES,
        )
        page = fields.ljust(_CRC_OFFSET, b"\0")
        return page + _CRC.pack(_core.crc32c(page))


def check_header(data: bytes, expected: Identity, path: Path) -> None:
    """Accept the first `WITNESS_OFFSET` bytes of a file where one good copy is `expected`, else raise Corrupted."""
    pages = [data[copy * PAGE_BYTES : (copy + 1) * PAGE_BYTES] for copy in range(HEADER_COPIES)]
    good = [page for page in pages if len(page) == PAGE_BYTES and _has_good_crc(page)]
    if not good:
        raise _damaged(path, "both copies fail their CRC", "a good copy", None)
    major = struct.unpack_from("<H", good[0], len(_MAGIC))[0]
    if good[0].startswith(_MAGIC) and major != FORMAT_MAJOR:
        raise FormatVersionError(
            f"{path} has format {major}; this vdb reads {FORMAT_MAJOR}. Fix: open it with the vdb that wrote it.",
            path=path,
            section="header",
            expected=FORMAT_MAJOR,
            found=major,
        )
    wanted = _fields(expected.encode())
    for page in good:
        if _fields(page) != wanted:
            raise _damaged(path, "it describes other vectors", wanted, _fields(page))


def _fields(page: bytes) -> tuple[object, ...]:
    magic, major, _minor, *rest = _HEADER.unpack_from(page)
    return (magic, major, *rest)


def _has_good_crc(page: bytes) -> bool:
    return bool(_CRC.unpack_from(page, _CRC_OFFSET)[0] == _core.crc32c(page[:_CRC_OFFSET]))


def _damaged(path: Path, what: str, expected: object, found: object) -> Corrupted:
    return Corrupted(
        f"The header of {path} is damaged: {what}. Fix: restore the database from a backup.",
        path=path,
        section="header",
        offset=0,
        expected=expected,
        found=found,
    )


@dataclass(frozen=True)
class Append:
    """A witness record: the rows one commit appends, its sequence, and the last one committed before it."""

    seq: int
    last_seq: int
    first_slot: int
    rows: int
    batch_crc: int

    @property
    def end(self) -> int:
        """One past the last slot it covers."""
        return self.first_slot + self.rows

    def encode(self) -> bytes:
        """The used bytes of a witness page."""
        body = _WITNESS.pack(_WITNESS_MAGIC, self.seq, self.last_seq, self.first_slot, self.rows, self.batch_crc)
        return body + _CRC.pack(_core.crc32c(body))

    @classmethod
    def decode(cls, data: bytes) -> Append | None:
        """None where the page is empty or torn."""
        body, rest = data[: _WITNESS.size], data[_WITNESS.size : WITNESS_BYTES]
        if len(rest) < _CRC.size or _CRC.unpack(rest)[0] != _core.crc32c(body):
            return None
        magic, *fields = _WITNESS.unpack(body)
        return cls(*fields) if magic == _WITNESS_MAGIC else None
