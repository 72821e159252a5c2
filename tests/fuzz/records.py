"""The small files of a database that Python reads: FORMAT, WITNESS, UNDO, CURRENT, MANIFEST, headers of vector files.

An input is the kind and what the file holds before its checksum, which is made right. Read is what was promised:
a value, None, or Corrupted.
"""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from vdb import _core
from vdb.errors import Corrupted
from vdb.storage import undo
from vdb.storage.layout import Format, Layout, WitnessRecord
from vdb.storage.manifest import Current, Manifest
from vdb.storage.vector_header import PAGE_BYTES, WITNESS_BYTES, Append, Identity, check_header

if TYPE_CHECKING:
    import random

DATABASE = uuid.UUID(int=7)
IDENTITY = Identity(DATABASE, uuid.UUID(int=8), 3, 1, 64)
LOOKED_AT = (slice(10), slice(12, 65), slice(68, 92))  # of a header: neither its minor version nor what is reserved
WORDS = [
    *(b"null", b"true", b"1e400", b"-1", b"1e5", b"{}", b"[]", b'""', b"[[", b"{", b"}", b"NaN", b":", b","),
    *(b'"seq"', b'"name"', b'"vectors"', b'"database"', b'"../../x.vec"', b'"\\u0000"', b'"\\ud800"'),
    b"9" * 400,
    b"[" * 3000,
    bytes(8),
    b"\xff" * 8,
    b"\n",
]


def crc(body: bytes) -> bytes:
    return _core.crc32c(body).to_bytes(4, "little")


def line(body: bytes) -> bytes:
    body += b"\n"
    return body + f"{_core.crc32c(body):08x}\n".encode()


def differs(found: object, again: object) -> str | None:
    return None if found == again else f"{found} is read as {again}"


class Records:
    watched = ("vdb/storage/", "/json/")

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self._layout = Layout(Path(self._folder.name))
        self._layout.snapshots.mkdir()
        self._kinds = (self.format, self.witness, self.undo, self.current, self.manifest, self.header, self.append)

    def seeds(self) -> list[bytes]:
        file = f"{9:032x}"
        manifest = Manifest(DATABASE, 4, 5, 6, {f"{file}.vec": 16_384}, {f"{file}.idx": 7})
        lines = {0: Format(DATABASE, "2.0.0"), 3: Current(f"s-4-{file}", 4), 4: manifest}
        seeds = [bytes([kind]) + value.encode().partition(b"\n")[0] for kind, value in lines.items()]
        records = {1: WitnessRecord(DATABASE, 5, clean=True), 6: Append(5, 4, 100, 10, 77)}
        seeds += [bytes([kind]) + record.encode()[:-4] for kind, record in records.items()]
        pieces = b"".join(n.to_bytes(8, "little") + (5).to_bytes(4, "little") + b"12345" for n in (4096, 12_288))
        seeds.append(b"\x02VDBUND\r\n" + DATABASE.bytes + (2).to_bytes(4, "little") + pieces)
        return [*seeds, b"\x05" + IDENTITY.encode()[:100]]

    def change(self, data: bytes, other: bytes, chance: random.Random) -> bytes:
        body = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            at, end = sorted((chance.randint(1, len(body)), chance.randint(1, len(body))))
            match chance.randrange(7):
                case 0:
                    body[at:end] = b""
                case 1:
                    body[at:at] = chance.choice(WORDS)
                case 2:
                    body[at:end] = chance.choice(WORDS)
                case 3 if at < len(body):
                    body[at] ^= 1 << chance.randrange(8)
                case 4 if at < len(body):
                    body[at] = chance.randrange(256)
                case 5:
                    body[at:end] = other[min(at, len(other)) : end]
                case _:
                    body[at:at] = body[at:end]
        return bytes(body[:20_000])

    def use(self, data: bytes, chance: random.Random) -> str | None:
        try:
            return self._kinds[data[0] % len(self._kinds)](data[1:])
        except Corrupted:
            return None

    def format(self, body: bytes) -> str | None:
        found = Format.decode(line(body), self._layout.format)
        return differs(found, Format.decode(found.encode(), self._layout.format))

    def witness(self, body: bytes) -> str | None:
        found = WitnessRecord.decode(body + crc(body))
        return None if found is None else differs(found, WitnessRecord.decode(found.encode()))

    def undo(self, body: bytes) -> str | None:
        self._layout.undo.write_bytes(body + crc(body))
        pieces = undo.load(self._layout.undo, DATABASE)
        return None if sum(len(piece.data) for piece in pieces) <= len(body) else "more than the file has"

    def current(self, body: bytes) -> str | None:
        self._layout.current.write_bytes(line(body))
        found = Current.read(self._layout)
        folder = self._layout.snapshots / found.name
        folder.exists()
        return None if folder.resolve().parent == self._layout.snapshots.resolve() and found.seq >= 0 else found.name

    def manifest(self, body: bytes) -> str | None:
        path = self._layout.root / "MANIFEST"
        path.write_bytes(line(body))
        found = Manifest.read(path)
        for name in found.names:
            if (self._layout.vectors / name).resolve().parent != self._layout.vectors.resolve():
                return f"it names {name!r}"
        numbers = [found.seq, found.catalog_bytes, found.catalog_crc, *found.vectors.values(), *found.indexes.values()]
        return None if all(type(number) is int and number >= 0 for number in numbers) else f"no numbers: {numbers}"

    def header(self, body: bytes) -> str | None:
        page = body[: PAGE_BYTES - 4].ljust(PAGE_BYTES - 4, b"\0")
        page += crc(page)
        check_header(page + body[PAGE_BYTES:], IDENTITY, self._layout.root)
        good = IDENTITY.encode()
        return next((wrong for part in LOOKED_AT if (wrong := differs(page[part], good[part]))), None)

    def append(self, body: bytes) -> str | None:
        found = Append.decode(body[: WITNESS_BYTES - 4] + crc(body[: WITNESS_BYTES - 4]))
        return None if found is None else differs(found, Append.decode(found.encode()))
