"""Whether a predicate's types fit its columns and values: the second half of understanding it.

Asked of an empty relation, so that a mistake is told before any row is read, and at its place in the user's text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import duckdb

from vdb.attributes.keys import day_of
from vdb.query import allow
from vdb.query.pattern import pattern_size
from vdb.query.syntax import HEAD, ORIGIN, Places, ask
from vdb.storage.connection import parser_connection
from vdb.types import Column

if TYPE_CHECKING:
    from vdb.errors import PredicateError
    from vdb.query.confine import Findings, Literal, Pattern
    from vdb.query.parameters import Values
    from vdb.query.source import Source

_HEAD: Final = "SELECT ("
_TEXT: Final = frozenset({"VARCHAR", "BLOB"})
_MIXED: Final = re.compile(
    r"^Cannot deduce .* in function: '(.+?)\(.*?- '(.+?)', from first occurrence\s+- '(.+?)'", re.DOTALL
)
_CANDIDATES: Final = 4  # signatures worth showing
_READABLE_CACHED: Final = 4_096


@dataclass(frozen=True)
class Rendered:
    """A confined predicate in DuckDB's own words, which `places` leads back to the user's."""

    source: Source
    sql: str
    places: Places
    findings: Findings


def bind(predicate: Rendered, values: Values) -> None:
    """Check the types of a predicate.

    Raises
    ------
    PredicateError
        DuckDB knows no such operation between these types, or the whole is not boolean.
    """
    source = predicate.source
    by_name = source.schema.by_name
    columns = [(name, by_name[name]) for name in sorted(predicate.findings.columns)]
    empty = ", ".join(
        f"CAST(NULL AS {column.type if isinstance(column, Column) else 'BOOLEAN'}) AS {_quoted(name)}"
        for name, column in columns
    )
    sql = f"{_HEAD}{predicate.sql})" + (f" FROM (SELECT {empty})" if empty else "") + " LIMIT 0"
    try:
        found = str(parser_connection().execute(sql, values or None).description[0][1])
    except duckdb.Error as error:
        raise _type_error(predicate, sql, error) from error
    if found != "BOOLEAN":
        kind = "NULL" if "NULL" in found else found
        raise source.error(
            f"the predicate is a value of type {kind}; expected a condition, true or false.",
            0,
            "Fix: compare it with something.",
        )


def check_values(predicate: Rendered, values: Values) -> None:
    """Check what the types do not tell of the values.

    Raises
    ------
    PredicateError
        A text or list does not read as the type it is compared with or cast to, or the regular expressions are huge.
    """
    for literal in predicate.findings.literals:
        value = _value_of(literal, values)
        if isinstance(value, list):
            raise predicate.source.error(
                f"a list is compared with {literal.column}, a {literal.type}.",
                literal.at,
                f"Fix: {literal.column} IN ?, without brackets around the ?.",
            )
        if isinstance(value, str) and not is_readable(value, literal.type):
            of_column = f", the type of column {literal.column}" if literal.column else ""
            raise predicate.source.error(
                f"{value!r:.80} cannot be read as {literal.type}{of_column}.", literal.at, "Fix: correct the value."
            )
    size = 0
    for pattern in predicate.findings.patterns:
        size += pattern_size(str(_value_of(pattern, values)))
        if size > allow.MAX_PATTERN:
            raise predicate.source.error(
                f"the regular expressions have about {size:,} states; at most {allow.MAX_PATTERN:,} are matched.",
                pattern.at,
                "Fix: count less in {} or write + or *.",
            )


def _value_of(literal: Literal | Pattern, values: Values) -> object:
    if literal.parameter is None:
        return literal.text
    return values[literal.parameter] if isinstance(values, dict) else values[int(literal.parameter) - 1]


def is_readable(text: str, kind: str) -> bool:
    """Whether a text is a value of a DuckDB type."""
    if kind in _TEXT or (kind == "DATE" and day_of(text) is not None):
        return True
    return _can_cast(text, kind)


@lru_cache(maxsize=_READABLE_CACHED)
def _can_cast(text: str, kind: str) -> bool:
    row = parser_connection().execute(f"SELECT TRY_CAST($1 AS {kind}) IS NOT NULL", [text]).fetchone()
    return row == (True,)


def _type_error(predicate: Rendered, sql: str, error: duckdb.Error) -> PredicateError:
    """Say why DuckDB refused the types, and where."""
    message = str(error).partition(" Error: ")[2] or str(error)
    at = None
    try:
        told = json.loads(ask("json_serialize_plan", sql))  # the same error, taken apart
    except (duckdb.Error, ValueError, RecursionError):
        told = {"error": False}
    if told["error"] and told["error_message"].strip() in message:  # without the values it may fail elsewhere
        message = told["error_message"]
        place = int(told.get("position", -1)) - len(_HEAD) + len(HEAD)
        at = predicate.places.get(place)
        at = None if at is None else at - ORIGIN
    mixed = _MIXED.search(message)
    if mixed is not None:
        message = f"{mixed[1]} works on values of one type; here it is given {mixed[2]} and {mixed[3]}"
    message, _, candidates = message.partition("\n\tCandidate functions:")
    reason = " ".join(message.partition("\n\nLINE ")[0].replace("_LITERAL", "").split()).rstrip(".!")
    if at is None:
        reason = f"DuckDB refuses the predicate: {reason}"
    known = [line.strip() for line in candidates.partition("\n\n")[0].splitlines() if line.strip()]
    fix = ""
    if known:
        fix = f"Expected: {'; '.join(known)}." if len(known) <= _CANDIDATES else "Fix: cast the values it works on."
    return predicate.source.error(f"{reason}.", at, fix)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
