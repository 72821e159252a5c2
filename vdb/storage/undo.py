"""What a checkpoint of DuckDB's writes over in place, saved before it (bytes: FORMAT.md).

A checkpoint puts new metadata into free parts of a block of 256 KiB that the catalog on the disk still uses, and writes
the block whole, under one checksum. If the power goes meanwhile, neither the old catalog nor the new one can be read.
The same is true of a header torn in its page. So both are kept in the file UNDO until the checkpoint is on the disk.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vdb import _core
from vdb.storage import files
from vdb.storage.files import File

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable
    from pathlib import Path

    from vdb.storage.layout import Layout

_HEADERS: Final = ((4096, 4096), (8192, 4096))  # offset and length of DuckDB's two database headers
_BLOCKS_OFFSET: Final = 12_288  # of its block 0
_HEAD: Final = struct.Struct("<8s16sI")  # magic, database uuid, pieces
_PIECE: Final = struct.Struct("<QI")  # offset in the catalog, bytes
_CRC: Final = struct.Struct("<I")
_MAGIC: Final = b"VDBUND\r\n"


@dataclass(frozen=True)
class Piece:
    """Bytes of the catalog as they were."""

    offset: int
    data: bytes


def save(layout: Layout, database: uuid.UUID, catalog: File, blocks: Iterable[tuple[int, int]]) -> None:
    """Make UNDO of the headers and of blocks (number, bytes), durable on return.

    `catalog` must stay open as long as DuckDB has the file: closing any descriptor of it drops DuckDB's lock.
    """
    places = [*_HEADERS, *((_BLOCKS_OFFSET + number * size, size) for number, size in blocks)]
    pieces = [Piece(offset, catalog.read_at(offset, size)) for offset, size in places]
    body = _HEAD.pack(_MAGIC, database.bytes, len(pieces))
    body += b"".join(_PIECE.pack(piece.offset, len(piece.data)) + piece.data for piece in pieces)
    files.remove(layout.undo)
    files.write_file(layout.undo, body + _CRC.pack(_core.crc32c(body)))
    files.sync_directory(layout.root)


def load(path: Path, database: uuid.UUID) -> list[Piece]:
    """The pieces of an UNDO; none where there is no such file, or it is not whole, or another database's."""
    try:
        file = File(path, "read")
    except FileNotFoundError:
        return []
    try:
        data = file.read_at(0, file.size)
    finally:
        file.close()
    body = data[: -_CRC.size]
    if len(body) < _HEAD.size or _CRC.unpack(data[-_CRC.size :])[0] != _core.crc32c(body):
        return []
    magic, of, count = _HEAD.unpack_from(body)
    if magic != _MAGIC or of != database.bytes:
        return []
    pieces, at = [], _HEAD.size
    for _ in range(count):
        if len(body) < at + _PIECE.size:
            return []
        offset, size = _PIECE.unpack_from(body, at)
        at += _PIECE.size + size
        if len(body) < at:
            return []
        pieces.append(Piece(offset, body[at - size : at]))
    return pieces if at == len(body) else []
