"""The text of a predicate as its author wrote it, able to point at a place in itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from vdb.errors import PredicateError

if TYPE_CHECKING:
    from vdb.types import TableSchema

_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_WIDTH: Final = 100  # characters of the text shown around the place
_LISTED: Final = 30  # columns named in a message


@dataclass(frozen=True)
class Source:
    """A predicate's text and the schema of the table it is about."""

    text: str
    schema: TableSchema

    @cached_property
    def data(self) -> bytes:
        """The text in UTF-8: DuckDB counts places in bytes."""
        return self.text.encode()

    def error(self, what: str, at: int | None = None, fix: str = "") -> PredicateError:
        """Return the error to raise.

        Parameters
        ----------
        what : str
            What is wrong.
        at : int, optional
            The byte of the text where it is wrong; ignored where there is no such byte.
        fix : str
            What was expected, or what to do.
        """
        lines = [what]
        position = None
        if at is not None and 0 <= at <= len(self.data):
            position = len(self.data[:at].decode(errors="ignore"))
            lines += self._pointer(position)
        if fix:
            lines.append(fix)
        return PredicateError("\n  ".join(lines), position)

    def columns(self) -> str:
        """`Columns: id, title, year.`, cut short where there are many."""
        names = [column.name for column in self.schema.columns]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return f"Columns: {', '.join(names[:_LISTED])}{more}."

    def _pointer(self, position: int) -> list[str]:
        """The line of the text that holds `position` and a caret below it."""
        start = self.text.rfind("\n", 0, position) + 1
        end = self.text.find("\n", position)
        end = len(self.text) if end < 0 else end
        start = max(start, position - _WIDTH // 2)
        line = "".join(c if c.isprintable() else " " for c in self.text[start : min(end, start + _WIDTH)])
        return [line.rstrip(), " " * (position - start) + "^"]


def fold(name: str) -> str:
    """Fold the case of ASCII letters, and of no others: so DuckDB compares names."""
    return name.translate(_ASCII_LOWER)
