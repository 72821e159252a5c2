"""Values that anybody may have written, by name: each is what its reader asks for, or a ValueError.

A checksum keeps rot away, not whoever wrote the file. So the fields of sealed files and the rows of DuckDB's schema
`vdb` are read through this.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Mapping

T = TypeVar("T")

MOST: Final = (1 << 63) - 1


class Fields:
    """Some values by name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def is_null(self, name: str) -> bool:
        """Whether there is nothing."""
        return self._values.get(name) is None

    def number(self, name: str, most: int = MOST) -> int:
        """An integer from 0 to `most`."""
        return checked_number(name, self._values.get(name), 0, most)

    def signed(self, name: str) -> int:
        """An integer of 64 bits."""
        return checked_number(name, self._values.get(name), -MOST - 1, MOST)

    def flag(self, name: str) -> bool:
        """A truth value."""
        return self._of_type(name, bool, "truth value")

    def text(self, name: str) -> str:
        """A string."""
        return self._of_type(name, str, "text")

    def data(self, name: str) -> bytes:
        """Bytes."""
        return self._of_type(name, bytes, "bytes")

    def optional_text(self, name: str) -> str | None:
        """A string, or nothing."""
        return None if self.is_null(name) else self.text(name)

    def choice(self, name: str, known: Collection[T]) -> T:
        """One of the values in `known`."""
        value = self._values.get(name)
        for choice in known:
            if value == choice and type(value) is type(choice):
                return choice
        raise ValueError(f"{name} is {value!r:.80}, none of {', '.join(map(str, known))}")

    def uuid(self, name: str) -> uuid.UUID:
        """A uuid, as 32 hexadecimal digits."""
        text = self.text(name)
        found = uuid.UUID(text)
        if found.hex != text:
            raise ValueError(f"{name} is {text!r:.80}, no uuid of 32 hexadecimal digits")
        return found

    def sizes(self, name: str, names: re.Pattern[str]) -> dict[str, int]:
        """Numbers by names that match a pattern."""
        value = self._of_type(name, dict, "object")
        for key in value:
            if names.fullmatch(key) is None:
                raise ValueError(f"{name} has {key!r:.80}")
        return {key: checked_number(key, size, 0, MOST) for key, size in value.items()}

    def _of_type(self, name: str, kind: type[T], what: str) -> T:
        value = self._values.get(name)
        if not isinstance(value, kind):
            raise ValueError(f"{name} is {value!r:.80}, no {what}")
        return value


def checked_number(name: str, value: object, least: int, most: int) -> int:
    """`value` where it is an integer in that range."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} is {value!r:.80}, no number from {least} to {most}")
    return value


def parsed_json(text: str | bytes, kind: type[T]) -> T:
    """What a text of JSON says, where that is a dict or a list as asked for."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, kind):
        raise ValueError(f"it is {text!r:.80}, no JSON {'object' if kind is dict else 'array'}")
    return found
