"""The places of a predicate that ask for a value, `?`, `$1` or `$name`, and the values that were given for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vdb.query.source import fold
from vdb.storage.schema import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vdb.query.parameters import Values
    from vdb.query.source import Source


@dataclass(frozen=True)
class Placeholders:
    """What a text asks for: each name in lower case, `1` for the first `?`, and the byte where it first stands."""

    source: Source
    places: Mapping[str, int]

    @cached_property
    def numbered(self) -> bool:
        """Whether values are taken by position; DuckDB never mixes the two ways."""
        return all(name.isdigit() for name in self.places)

    @cached_property
    def count(self) -> int:
        """How many values the positions need where they run from 1 without a gap, else -1."""
        complete = set(self.places) == {str(number) for number in range(1, len(self.places) + 1)}
        return len(self.places) if complete else -1

    def match(self, values: Values) -> Values:
        """Return the values under the names of the places: in DuckDB case does not count.

        Raises
        ------
        PredicateError
            A value is missing, surplus, or given in the other way.
        """
        if isinstance(values, dict):
            if values.keys() == self.places.keys() and not self.numbered:
                return values
        elif len(values) == self.count:
            return values
        if not self.places:
            if not values:
                return ()
            raise self.source.error(
                f"params has {_count(len(values))}, but the predicate has no placeholder.",
                fix="Fix: leave params out, or write ? or $name where the value belongs.",
            )
        if not values:
            raise self.source.error(
                f"the predicate asks for {_count(len(self.places))} ({_listed(self.places)}), "
                "but params is missing or empty.",
                min(self.places.values()),
                f"Fix: pass params={'[...], one value for each' if self.numbered else '{...}, a value for each name'}.",
            )
        return self._by_position(values) if self.numbered else self._by_name(values)

    def _by_position(self, values: Values) -> Values:
        if isinstance(values, dict):
            raise self.source.error(
                "params is a mapping, but the predicate numbers its values with ? or $1.",
                min(self.places.values()),
                "Fix: pass a list, or write $name.",
            )
        for name, at in self.places.items():
            if not 1 <= int(name) <= len(values):
                raise self.source.error(
                    f"there is no value {int(name)}: params has {_count(len(values))}, "
                    f"the predicate asks for {len(self.places)}.",
                    at,
                    "Fix: pass one value for each placeholder, counted from 1.",
                )
        unused = [str(number) for number in range(1, len(values) + 1) if str(number) not in self.places]
        if unused:
            raise self.source.error(
                f"params has {_count(len(values))}, but the predicate asks for {len(self.places)} "
                f"and never uses {_listed(unused)}.",
                fix="Fix: leave the surplus out, or write placeholders for it.",
            )
        return values

    def _by_name(self, values: Values) -> Values:
        if not isinstance(values, dict):
            raise self.source.error(
                f"params is a sequence, but the predicate names its values: {_listed(self.places)}.",
                min(self.places.values()),
                "Fix: pass params={'name': value}, or write ?.",
            )
        folded: dict[str, str] = {}
        for name in values:
            twin = folded.setdefault(fold(name), name)
            if twin is not name:
                raise self.source.error(
                    f"params has {twin!r} and {name!r}, which are one name: case does not count.", fix="Fix: drop one."
                )
        matched = {}
        for name, at in self.places.items():
            given = folded.pop(name, None)
            if given is None:
                raise self.source.error(
                    f"no value for ${name}; params has {', '.join(values)}.",
                    at,
                    f"Fix: add it to params.{did_you_mean(name, values)}",
                )
            matched[name] = values[given]
        if folded:
            raise self.source.error(
                f"params has {_count(len(folded))} the predicate never uses, {_listed(folded.values())}; "
                f"it asks for {_listed(self.places)}.",
                fix="Fix: leave them out.",
            )
        return matched


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"${name:.80}" for name in names)


def _count(n: int) -> str:
    return f"{n} value" if n == 1 else f"{n} values"
