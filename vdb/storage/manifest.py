"""The small files of published snapshots (FORMAT.md): CURRENT, which names the newest one, and MANIFEST of each."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vdb import _core
from vdb.errors import Corrupted
from vdb.storage.files import File
from vdb.storage.sealed import seal, unseal

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from pathlib import Path

    from vdb.storage.fields import Fields
    from vdb.storage.layout import Layout

# What a snapshot names is deleted when nobody needs it: nothing but files of the database's own may be named.
_VECTORS: Final = re.compile(r"[0-9a-f]{32}\.vec")
_INDEXES: Final = re.compile(r"[0-9a-f]{32}\.idx")


@dataclass(frozen=True)
class Manifest:
    """What a snapshot consists of: its catalog, and files of the database, each with the bytes that belong to it."""

    database: uuid.UUID
    seq: int
    catalog_bytes: int
    catalog_crc: int
    vectors: Mapping[str, int]
    indexes: Mapping[str, int]

    @property
    def names(self) -> set[str]:
        """The names of its vector and index files."""
        return {*self.vectors, *self.indexes}

    def encode(self) -> bytes:
        """One line of JSON and one of its CRC-32C."""
        return seal({**vars(self), "database": self.database.hex})

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Corrupted where the file is missing, damaged or not whole."""
        try:
            fields = _opened(path)
            return cls(
                fields.uuid("database"),
                fields.number("seq"),
                fields.number("catalog_bytes"),
                fields.number("catalog_crc"),
                fields.sizes("vectors", _VECTORS),
                fields.sizes("indexes", _INDEXES),
            )
        except (FileNotFoundError, ValueError) as error:
            raise _damaged(path, error) from error


@dataclass(frozen=True)
class Current:
    """Which snapshot is the newest: its folder below `snapshots/` and its commit."""

    name: str
    seq: int

    def encode(self) -> bytes:
        """As `Manifest.encode`."""
        return seal(vars(self))

    @classmethod
    def read(cls, layout: Layout) -> Current | None:
        """None where nothing was published; Corrupted as for a manifest."""
        if not layout.current.exists():
            return None
        try:
            fields = _opened(layout.current)
            name, seq = fields.text("name"), fields.number("seq")
        except (FileNotFoundError, ValueError) as error:
            raise _damaged(layout.current, error) from error
        if re.fullmatch(rf"s-{seq}-[0-9a-f]{{32}}", name) is None:
            raise _damaged(layout.current, name)
        return cls(name, seq)


def crc_of(file: File) -> int:
    """CRC-32C of a whole file."""
    crc, at = 0, 0
    while part := file.read_at(at, 1 << 22):
        crc, at = _core.crc32c(part, crc), at + len(part)
    return crc


def _opened(path: Path) -> Fields:
    with closing(File(path, "read")) as file:
        return unseal(file.read_at(0, file.size))


def _damaged(path: Path, found: object) -> Corrupted:
    return Corrupted(
        f"{path} is missing or damaged. Fix: publish again with the writer, or close it and open the database itself.",
        path=path,
        section="snapshot",
        found=str(found),
    )
