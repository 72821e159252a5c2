"""Predicates as values, so that every peer can be asked in its own words.

A `Dialect` holds the words of a text language; a predicate it has none for is `Inexpressible`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Value: TypeAlias = "int | str"


class Inexpressible(Exception):
    """A peer cannot answer such a predicate; the message says why."""


@dataclass(frozen=True)
class Equal:
    """A column has a value."""

    column: str
    value: Value


@dataclass(frozen=True)
class Between:
    """A column lies in a range, both ends included."""

    column: str
    low: int
    high: int


@dataclass(frozen=True)
class Contains:
    """A list column has an element."""

    column: str
    value: str


@dataclass(frozen=True)
class Substring:
    """A text column has these letters somewhere, in either case."""

    column: str
    letters: str


@dataclass(frozen=True)
class Without:
    """A list column does not have an element."""

    column: str
    value: str


@dataclass(frozen=True)
class Every:
    """All parts hold."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True)
class Some:
    """At least one part holds."""

    parts: tuple[Predicate, ...]


# What every row satisfies, and how it is said: a peer may be asked without a filter then.
EVERYTHING = Every(())
NO_FILTER = "TRUE"

Predicate: TypeAlias = "Equal | Between | Contains | Substring | Without | Every | Some"


def quoted(value: Value) -> str:
    """A literal as SQL has it."""
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class Dialect:
    """Words of a text language, with places for the column and the values; an empty one: it has none."""

    name: str
    between: str = "{column} BETWEEN {low} AND {high}"
    contains: str = "list_contains({column}, {value})"
    without: str = "NOT list_contains({column}, {value})"
    substring: str = "{column} ILIKE {value}"

    def text(self, predicate: Predicate, literal: Callable[[Value], str] = quoted) -> str:
        """Write a predicate down; `literal` writes its values, in the order of the text."""
        if isinstance(predicate, Every | Some):
            word = " AND " if isinstance(predicate, Every) else " OR "
            return word.join(self._bracketed(part, literal) for part in predicate.parts) or NO_FILTER
        if isinstance(predicate, Equal):
            return f"{predicate.column} = {literal(predicate.value)}"
        if isinstance(predicate, Between):
            low = literal(predicate.low)
            return self.between.format(column=predicate.column, low=low, high=literal(predicate.high))
        if isinstance(predicate, Substring):
            words, value = self.substring, f"%{predicate.letters}%"
        else:
            words, value = self.contains if isinstance(predicate, Contains) else self.without, predicate.value
        if not words:
            raise Inexpressible(f"{self.name} has no {type(predicate).__name__.lower()} in its filters")
        return words.format(column=predicate.column, value=literal(value))

    def _bracketed(self, part: Predicate, literal: Callable[[Value], str]) -> str:
        text = self.text(part, literal)
        return f"({text})" if isinstance(part, Every | Some) else text


DUCKDB = Dialect("DuckDB")


def to_sql(predicate: Predicate) -> tuple[str, list[Value]]:
    """The predicate as DuckDB and vdb read it, and the values of its question marks."""
    values: list[Value] = []

    def placeholder(value: Value) -> str:
        values.append(value)
        return "?"

    return DUCKDB.text(predicate, placeholder), values
