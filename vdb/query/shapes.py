"""Predicates that differ in their constants only: one is read as a stand-in, the others are that one with their own.

A constant here is a token that the parser sees the same whatever it holds: a short number, or a text without quotes in
it. So whatever stands around it is read the same, and SQL that DuckDB wrote around a stand-in is what it would write
around another one. Where a constant decides more than a value, as in DECIMAL(5,2), the stand-in is not found again.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from vdb.query import allow

if TYPE_CHECKING:
    from collections.abc import Sequence

Holes: TypeAlias = dict[object, int]

# At most nine digits are an INTEGER, and no part of a name, of another number or of an escaped text.
_CONSTANT: Final = re.compile(r"""(?<![\w.$'"])(\d{1,9}(?:\.\d{1,6})?|'[^'\\\0]*')(?![\w.'"])""")
_MOST: Final = 32
_STAND_INS: Final = {"text": "'~vdb{}~'", "decimal": "{}.25", "integer": "{}"}
_FIRST: Final = 987_000_000


class Constants(NamedTuple):
    """The constants of a text, and what is around them with the kinds of each: its shape."""

    shape: tuple[str, ...]
    tokens: list[str]

    @property
    def values(self) -> tuple[object, ...]:
        """As Python values."""
        return tuple(map(_value, self.tokens))

    def stand_ins(self) -> list[str]:
        """A token for each constant that is like it and like no other."""
        kinds = self.shape[: len(self.tokens)]
        return [_STAND_INS[kind].format(_FIRST + number) for number, kind in enumerate(kinds)]

    def text(self, tokens: Sequence[str]) -> str:
        """The text with other constants."""
        around = self.shape[len(tokens) :]
        return "".join(part for pair in zip(around, [*tokens, ""], strict=True) for part in pair)


def constants_of(text: str) -> Constants | None:
    """The constants of a predicate's text, None where it has none or is none that should be read by them."""
    if len(text) > allow.MAX_CHARACTERS or not (text.isascii() or _is_unicode(text)):
        return None
    parts = _CONSTANT.split(text)
    tokens = parts[1::2]
    if not 0 < len(tokens) <= _MOST:
        return None
    kinds = ["text" if token[0] == "'" else "decimal" if "." in token else "integer" for token in tokens]
    return Constants((*kinds, *parts[::2]), tokens)


def holes_of(stand_ins: Sequence[str]) -> Holes:
    """Which constant each of the values of the stand-ins stands for."""
    return {_value(token): number for number, token in enumerate(stand_ins)}


class Template(NamedTuple):
    """SQL around constants: `order[i]` is the number of the one behind `around[i]`."""

    around: list[str]
    order: list[int]

    @classmethod
    def of(cls, sql: str, stand_ins: Sequence[str]) -> Template | None:
        """What DuckDB wrote around stand-ins, None where each is not there just once."""
        if any(sql.count(token) != 1 for token in stand_ins):
            return None
        order = sorted(range(len(stand_ins)), key=lambda number: sql.index(stand_ins[number]))
        around = []
        for number in order:
            before, _, sql = sql.partition(stand_ins[number])
            around.append(before)
        return cls([*around, sql], order)

    def filled(self, tokens: Sequence[str]) -> str:
        """The SQL around other constants."""
        parts = [""] * (2 * len(self.around) - 1)
        parts[::2] = self.around
        parts[1::2] = [tokens[number] for number in self.order]
        return "".join(parts)


def _value(token: str) -> object:
    if token[0] == "'":
        return token[1:-1]
    return Decimal(token) if "." in token else int(token)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
