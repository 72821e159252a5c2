"""Two lines of ASCII, a JSON object and its CRC-32C: the form of FORMAT, CURRENT and MANIFEST (FORMAT.md).

A checksum keeps rot away, not whoever wrote the file: each field is what its reader asks for, or a ValueError.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Final

from vdb import _core

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

_MOST: Final = 1 << 63


def seal(fields: Mapping[str, object]) -> bytes:
    """The two lines."""
    line = json.dumps(fields).encode() + b"\n"
    return line + _crc(line)


class Fields:
    """The object of two such lines; ValueError where they are not."""

    def __init__(self, data: bytes) -> None:
        line, newline, crc = data.partition(b"\n")
        if crc != _crc(line + newline):
            raise ValueError(f"its CRC is {crc[:20]!r}")
        try:
            fields = json.loads(line)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(fields, dict):
            raise ValueError("it is no JSON object")
        self._fields = fields

    def number(self, name: str) -> int:
        """An integer that is not negative."""
        return _checked_number(name, self._fields.get(name))

    def text(self, name: str) -> str:
        """A string."""
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise ValueError(f"{name} is {value!r:.80}, no text")
        return value

    def uuid(self, name: str) -> uuid.UUID:
        """A uuid, as hexadecimal digits."""
        return uuid.UUID(self.text(name))

    def sizes(self, name: str, names: re.Pattern[str]) -> dict[str, int]:
        """Numbers by names that match a pattern."""
        value = self._fields.get(name)
        if not isinstance(value, dict):
            raise ValueError(f"{name} is {value!r:.80}, no object")
        for key in value:
            if names.fullmatch(key) is None:
                raise ValueError(f"{name} has {key!r:.80}")
        return {key: _checked_number(key, size) for key, size in value.items()}


def _checked_number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST:
        raise ValueError(f"{name} is {value!r:.80}, no number from 0 on")
    return value


def _crc(line: bytes) -> bytes:
    return f"{_core.crc32c(line):08x}\n".encode()
