"""The SQL that makes values of a file those of a declared column, and types that a file or a stream has no form for.

A cast of DuckDB's that would lose what is in the file is an error here: a fraction for an integer, a list for a number,
digits of a JSON number that no DOUBLE has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vdb.errors import InvalidArgument
from vdb.storage.rows import literal
from vdb.storage.values import INTEGERS, is_nested

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|TIME WITH TIME ZONE|DECIMAL\(\d+,\d+\)|\w+")
_WIDE_DECIMAL: Final = r"DECIMAL\((?:1[6-9]|[23]\d),\d+\)"  # more digits than a DOUBLE keeps of any number
_WIDE: Final = re.compile(_WIDE_DECIMAL)
_HAS_EMPTY_TEXT: Final = re.compile(r"VARCHAR|BLOB|VARIANT|ENUM\(.*|UNION\(.*")
_FLOAT_LIST: Final = re.compile(r"FLOAT\[\d*\]")

_STREAM: Final = {
    r"U?HUGEINT|BIT|INTERVAL|TIME WITH TIME ZONE": "VARCHAR",  # Arrow has no such type, or one of other limits
}
_WRITTEN: Final[dict[str, dict[str, str]]] = {
    "parquet": {r"U?HUGEINT": "DECIMAL(38,0)", r"INTERVAL|TIME WITH TIME ZONE": "VARCHAR"},
    "jsonl": {_WIDE_DECIMAL: "VARCHAR"},
}
_READ_IN_JSON: Final = {rf"BLOB|BIT|BIGNUM|{_WIDE_DECIMAL}": "VARCHAR", r"VARIANT": "JSON"}


def streamed(type_: str) -> str:
    """The type that a value of a type crosses to another DuckDB in, from which a cast to its own brings it back."""
    return _replaced(type_, _STREAM)


def written(type_: str, kind: str) -> str:
    """The type that a value of a type has in a file of a format."""
    return _replaced(type_, _WRITTEN.get(kind, {}))


def list_type(type_: str) -> str:
    """The type of vectors that come from values of a type: as many bits, so that they are rounded once."""
    return "FLOAT[]" if _FLOAT_LIST.fullmatch(type_) else "DOUBLE[]"


def _replaced(type_: str, by: Mapping[str, str]) -> str:
    """A type with other ones for some in it; names of fields and values of an ENUM stay."""

    def word(found: re.Match[str]) -> str:
        return next((new for old, new in by.items() if re.fullmatch(old, found[0])), found[0])

    return _WORDS.sub(word, type_)


@dataclass(frozen=True)
class Wanted:
    """A column of a table that a file has values for: its name in messages, and its type, None for a vector."""

    where: str
    type: str | None

    def from_text(self, text: str, formats: Mapping[str, str]) -> str:
        """Of a text, as CSV has it; `formats` are those of dates, by type, that the file was found to use."""
        if self.type is None:
            return _cast(f"nullif({text}, '')", "DOUBLE[]")
        if _HAS_EMPTY_TEXT.fullmatch(self.type) is None:
            text = f"nullif({text}, '')"
        if self.type in formats:
            found = _cast(f"strptime({text}, {formats[self.type]})", self.type)
            return f"coalesce(TRY_{_cast(text, self.type)}, {found})"
        if self.type.startswith("UNION("):  # a cast of NULL is a member that is NULL
            return f"CASE WHEN {text} IS NOT NULL THEN {_cast(text, self.type)} END"
        return self._without_fraction(text, _cast(text, self.type))

    @property
    def type_in_json(self) -> str:
        """The type that values are read in from a JSON file: JSON itself, but for lists and structs."""
        if self.type is None or self.type == "VARIANT" or not is_nested(self.type):
            return "JSON"
        return _replaced(self.type, _READ_IN_JSON)

    def from_json(self, value: str) -> str:
        """Of a value of `type_in_json`."""
        if self.type is not None and (self.type == "JSON" or is_nested(self.type)):
            return _cast(value, self.type)
        text = f"({value} ->> '$')"
        if self.type is None:
            return _cast(text, "DOUBLE[]")
        found = self._without_fraction(text, _cast(text, self.type))
        if _WIDE.fullmatch(self.type):
            digits = rf"length(ltrim(regexp_replace({text}, '[^0-9]|[eE].*', '', 'g'), '0')) > 15"
            found = self._refusing(f"json_type({value}) = 'DOUBLE' AND {digits}", text, found, "a text between quotes")
        return self._refusing(f"json_type({value}) IN ('ARRAY', 'OBJECT')", text, found, "one value")

    def from_typed(self, value: str, type_: str) -> str:
        """Of a value of a type, as Parquet and Arrow have it; InvalidArgument where such are none of the column's."""
        if self.type is None:
            return _cast(value, list_type(type_))
        lists = is_nested(type_) and not is_nested(self.type) and self.type != "JSON"
        if lists or (type_ == "BLOB" and self.type == "VARCHAR"):
            raise InvalidArgument(
                f"{self.where} is {type_} in the file; the column is {self.type}.\n  Fix: convert the values."
            )
        if type_ == self.type:
            return value
        return self._without_fraction(value, _cast(value, self.type))

    def _without_fraction(self, value: str, cast: str) -> str:
        if self.type not in INTEGERS:
            return cast
        return self._refusing(f"TRY_CAST({value} AS DOUBLE) % 1 <> 0", value, cast, "a whole number")

    def _refusing(self, condition: str, value: str, otherwise: str, expected: str) -> str:
        """A value that is an error where a condition holds."""
        wanted = literal(f"; the column is {self.type}, expected {expected}")
        said = f"{literal(f'{self.where} holds ')} || CAST({value} AS VARCHAR) || {wanted}"
        return f"CASE WHEN {condition} THEN error({said}) ELSE {otherwise} END"


def _cast(value: str, type_: str) -> str:
    return f"CAST({value} AS {type_})"
