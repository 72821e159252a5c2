"""Where each file of a database is, and the bytes of the two small ones, FORMAT and WITNESS (see FORMAT.md)."""

from __future__ import annotations

import os
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vdb import _core
from vdb.errors import Corrupted, FormatVersionError, InvalidArgument
from vdb.storage.sealed import seal, unseal

FORMAT_MAJOR: Final = 1
FORMAT_MINOR: Final = 0
IN_MEMORY: Final = ":memory:"  # a name that is no place
RESERVE_BYTES: Final = 1 << 20

WITNESS_SLOT_BYTES: Final = 4096
WITNESS_SLOTS: Final = 2
_WITNESS: Final = struct.Struct("<8s16sQB3x")  # magic, database uuid, sequence, clean
_CRC: Final = struct.Struct("<I")
_WITNESS_MAGIC: Final = b"VDBWIT\r\n"


class Layout:
    """The paths below one database directory, `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = root / "LOCK"
        self.format = root / "FORMAT"
        self.witness = root / "WITNESS"
        self.reserve = root / "RESERVE"
        self.undo = root / "UNDO"
        self.catalog = root / "catalog.duckdb"
        self.log = root / "catalog.duckdb.wal"
        self.vectors = root / "vectors"
        self.index = root / "index"
        self.snapshots = root / "snapshots"
        self.current = self.snapshots / "CURRENT"
        self.build = root / "build"
        self.quarantine = root / "quarantine"
        self.directories = (self.vectors, self.index, self.snapshots, self.build, self.quarantine)

    def vector_file(self, file: uuid.UUID) -> Path:
        """The vector file of that uuid."""
        return self.vectors / f"{file.hex}.vec"

    def index_file(self, file: str) -> Path:
        """The index snapshot of that uuid."""
        return self.index / f"{file}.idx"


def checked_path(path: object) -> Path:
    """The place that the name of a database is of, links resolved; InvalidArgument where it can be none."""
    try:
        text = os.fspath(path)  # type: ignore[call-overload]
        is_name = isinstance(text, str) and text != "" and b"\0" not in os.fsencode(text)
    except (TypeError, UnicodeEncodeError):
        is_name = False
    if not is_name:
        raise InvalidArgument(
            f"A database path must be a non-empty string or path, got {path!r}. Fix: name a directory."
        )
    if text == IN_MEMORY:
        raise InvalidArgument(f"{text!r} is a database without files, and no path. Fix: name a directory.")
    return Path(os.path.realpath(text))


@dataclass(frozen=True)
class Format:
    """What FORMAT says: which format this is, which database, and who wrote its catalog."""

    database: uuid.UUID
    duckdb: str
    major: int = FORMAT_MAJOR
    minor: int = FORMAT_MINOR

    def encode(self) -> bytes:
        """One line of JSON and one of its CRC-32C."""
        fields = {"major": self.major, "minor": self.minor, "database": self.database.hex, "duckdb": self.duckdb}
        return seal(fields)

    @classmethod
    def decode(cls, data: bytes, path: Path) -> Format:
        """Corrupted where the CRC or a field is wrong, FormatVersionError where the major version is another."""
        try:
            fields = unseal(data)
            major, minor = fields.number("major"), fields.number("minor")
            if major != FORMAT_MAJOR:  # whatever else it says then
                raise FormatVersionError(
                    f"{path} says format {major}.{minor}; this vdb reads format {FORMAT_MAJOR}.x."
                    " Fix: open it with the vdb that wrote it.",
                    path=path,
                    section="version",
                    expected=FORMAT_MAJOR,
                    found=major,
                )
            return cls(fields.uuid("database"), fields.text("duckdb"), major, minor)
        except ValueError as error:
            raise Corrupted(
                f"{path} is damaged: {error}. Fix: restore it from a backup of this database.",
                path=path,
                section="fields",
                expected="major, minor, database, duckdb",
                found=str(error),
            ) from error


@dataclass(frozen=True)
class WitnessRecord:
    """The last durable commit WITNESS knows of; `clean` where the database was closed after it."""

    database: uuid.UUID
    seq: int
    clean: bool

    def encode(self) -> bytes:
        """The used bytes of a slot."""
        body = _WITNESS.pack(_WITNESS_MAGIC, self.database.bytes, self.seq, self.clean)
        return body + _CRC.pack(_core.crc32c(body))

    @classmethod
    def decode(cls, data: bytes) -> WitnessRecord | None:
        """None where the slot is empty or torn: the other one is then the newest."""
        body, rest = data[: _WITNESS.size], data[_WITNESS.size : _WITNESS.size + _CRC.size]
        if len(rest) < _CRC.size or _CRC.unpack(rest)[0] != _core.crc32c(body):
            return None
        magic, database, seq, clean = _WITNESS.unpack(body)
        return cls(uuid.UUID(bytes=database), seq, bool(clean)) if magic == _WITNESS_MAGIC else None
