"""The first look at a predicate's text, by token: refuses what DuckDB's parser should not even see.

The parser takes cubic time in brackets and signs that lead nowhere, and exponential time in nested WITH and in CASE
inside the x of CASE x WHEN: 8,000 opening brackets held it for two minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import duckdb

from vdb.errors import PredicateError
from vdb.query import allow

if TYPE_CHECKING:
    from vdb.query.source import Source

    Tokens: TypeAlias = list[tuple[int, duckdb.token_type]]

_CLOSES: Final = {")": "(", "]": "[", "}": "{"}
_NO_SIGN: Final = frozenset("()[]{}?$.,:;")


def check_tokens(source: Source) -> str:
    """Return the text without the semicolons and comments behind it.

    Raises
    ------
    PredicateError
        The text is empty, too long or not Unicode, has a NUL, a clause of its own, brackets that do not match, or too
        many brackets or signs in a row.
    """
    data = _characters(source)
    tokens = duckdb.tokenize(source.text)
    starts = [at for at, _ in tokens]
    words = [data[at:end].decode().strip() for at, end in zip(starts, [*starts[1:], len(data)], strict=False)]
    end = len(data)
    while tokens and (words[-1] == ";" or tokens[-1][1] == duckdb.token_type.comment):
        end = tokens.pop()[0]
        words.pop()
    if not tokens:
        raise source.error("the predicate is empty.", fix="Fix: write a condition, or TRUE for every row.")
    _check_cases(tokens, words, source)
    previous = ""
    opened: list[tuple[str, int]] = []
    signs = 0
    for (at, kind), word in zip(tokens, words, strict=True):
        if kind == duckdb.token_type.operator:
            signs = 0 if _NO_SIGN.intersection(word) else signs + len(word)
            _match_brackets(word, at, opened, source)
            if len(opened) > allow.MAX_BRACKETS or signs > allow.MAX_SIGNS:
                raise too_deep(source)
        else:
            signs = 0
        if kind == duckdb.token_type.keyword:
            _refuse_clause(word, previous, at, source)
        previous = word.lower()
    if opened:
        raise source.error(f"{opened[-1][0]!r} is never closed.", opened[-1][1])
    return data[:end].decode()


def too_deep(source: Source) -> PredicateError:
    """Return the error for a predicate nested beyond a limit."""
    return source.error(
        f"the predicate is nested too deeply: at most {allow.MAX_DEPTH} parts, {allow.MAX_BRACKETS} brackets and "
        f"{allow.MAX_SIGNS} signs may be inside each other.",
        fix="Fix: pass long lists as one parameter, x IN ?, and join conditions flatly with AND or OR.",
    )


def _characters(source: Source) -> bytes:
    text = source.text
    if len(text) > allow.MAX_CHARACTERS:
        raise PredicateError(
            f"the predicate has {len(text):,} characters; at most {allow.MAX_CHARACTERS:,} are read.\n"
            f"  Fix: pass long lists as one parameter, x IN ?."
        )
    try:
        data = source.data
    except UnicodeEncodeError as error:
        raise PredicateError(
            f"the predicate is not valid Unicode at character {error.start}: a lone surrogate.", error.start
        ) from error
    if b"\0" in data:
        raise source.error("the predicate has a NUL character.", data.index(b"\0"), "Fix: remove it.")
    return data


def _match_brackets(word: str, at: int, opened: list[tuple[str, int]], source: Source) -> None:
    for i, c in enumerate(word):
        if c in "([{":
            opened.append((c, at + i))
        elif c in _CLOSES and (not opened or opened.pop()[0] != _CLOSES[c]):
            raise source.error(f"{c!r} closes nothing.", at + i)


def _check_cases(tokens: Tokens, words: list[str], source: Source) -> None:
    """Refuse a long x in CASE x WHEN, or one with a CASE of its own."""
    case = None
    for i, ((_, kind), word) in enumerate(zip(tokens, words, strict=True)):
        opens = kind == duckdb.token_type.keyword and word.lower() == "case"
        if case is not None and (opens or i - case > allow.MAX_CASE_OPERAND):
            raise source.error(
                "the x of CASE x WHEN is not simple.", tokens[case][0], "Fix: CASE WHEN x = ... THEN ... END."
            )
        if opens:
            case = i
        elif kind == duckdb.token_type.keyword and word.lower() == "when":
            case = None


def _refuse_clause(word: str, previous: str, at: int, source: Source) -> None:
    clause = word.lower()
    if clause not in allow.CLAUSES or (clause == "with" and previous in ("timestamp", "time")):
        return
    fix = "Fix: run the query first and pass its values, x IN ?." if clause == "select" else ""
    raise source.error(f"a predicate is one expression; {clause.upper()} has no place in it.", at, fix)
