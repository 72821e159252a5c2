"""Two lines of ASCII, a JSON object and its CRC-32C: the form of FORMAT, CURRENT and MANIFEST (FORMAT.md)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vdb import _core
from vdb.storage.fields import Fields, parsed_json

if TYPE_CHECKING:
    from collections.abc import Mapping


def seal(fields: Mapping[str, object]) -> bytes:
    """The two lines."""
    line = json.dumps(fields).encode() + b"\n"
    return line + _crc(line)


def unseal(data: bytes) -> Fields:
    """The fields of two such lines; ValueError where they are not."""
    line, newline, crc = data.partition(b"\n")
    if crc != _crc(line + newline):
        raise ValueError(f"its CRC is {crc[:20]!r}")
    return Fields(parsed_json(line, dict))


def _crc(line: bytes) -> bytes:
    return f"{_core.crc32c(line):08x}\n".encode()
