"""The small files of published snapshots (FORMAT.md): CURRENT, which names the newest one, and MANIFEST of each."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vdb import _core
from vdb.errors import Corrupted
from vdb.storage.files import File

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vdb.storage.layout import Layout


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
        return _sealed({**vars(self), "database": self.database.hex})

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Corrupted where the file is missing, damaged or not whole."""
        fields = _opened(path)
        try:
            return cls(
                uuid.UUID(fields["database"]),
                int(fields["seq"]),
                int(fields["catalog_bytes"]),
                int(fields["catalog_crc"]),
                dict(fields["vectors"]),
                dict(fields["indexes"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, error) from error


@dataclass(frozen=True)
class Current:
    """Which snapshot is the newest: its folder below `snapshots/` and its commit."""

    name: str
    seq: int

    def encode(self) -> bytes:
        """As `Manifest.encode`."""
        return _sealed(vars(self))

    @classmethod
    def read(cls, layout: Layout) -> Current | None:
        """None where nothing was published; Corrupted as for a manifest."""
        if not layout.current.exists():
            return None
        fields = _opened(layout.current)
        try:
            name, seq = str(fields["name"]), int(fields["seq"])
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(layout.current, error) from error
        if "/" in name or not name.startswith("s-"):
            raise _damaged(layout.current, name)
        return cls(name, seq)


def crc_of(file: File) -> int:
    """CRC-32C of a whole file."""
    crc, at = 0, 0
    while part := file.read_at(at, 1 << 22):
        crc, at = _core.crc32c(part, crc), at + len(part)
    return crc


def _sealed(fields: Mapping[str, object]) -> bytes:
    line = json.dumps(fields).encode() + b"\n"
    return line + f"{_core.crc32c(line):08x}\n".encode()


def _opened(path: Path) -> dict[str, Any]:
    try:
        with closing(File(path, "read")) as file:
            line, newline, crc = file.read_at(0, file.size).partition(b"\n")
    except FileNotFoundError as error:
        raise _damaged(path, error) from error
    if crc != f"{_core.crc32c(line + newline):08x}\n".encode():
        raise _damaged(path, crc)
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise _damaged(path, error) from error
    if not isinstance(fields, dict):
        raise _damaged(path, fields)
    return fields


def _damaged(path: Path, found: object) -> Corrupted:
    return Corrupted(
        f"{path} is missing or damaged. Fix: publish again with the writer, or close it and open the database itself.",
        path=path,
        section="snapshot",
        found=str(found),
    )
