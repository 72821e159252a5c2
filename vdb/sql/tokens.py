"""A script as DuckDB's own tokenizer sees it: statements, and the heads that DuckDB's parser has no tree for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import duckdb

from vdb.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH: Final = 100  # characters of the text shown around a place
_DOUBLE: Final = '"'


class Token(NamedTuple):
    """A word or sign: `text` as written, without blanks; places count bytes of the script."""

    text: str
    kind: duckdb.token_type
    start: int
    end: int

    @property
    def word(self) -> str:
        """In lower case, for comparing with a keyword; of a quoted name or a string nothing."""
        return "" if self.text[:1] in ("'", _DOUBLE, "$") else self.text.lower()


@dataclass(frozen=True)
class Script:
    """The text of one or more statements."""

    text: str

    @cached_property
    def data(self) -> bytes:
        """The text in UTF-8: DuckDB counts places in bytes."""
        return self.text.encode()

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Every token but comments."""
        places = duckdb.tokenize(self.text)
        ends = [at for at, _ in places[1:]] + [len(self.data)]
        found = []
        for (start, kind), end in zip(places, ends, strict=True):
            word = self.data[start:end].decode().rstrip()
            if kind != duckdb.token_type.comment and word:
                found.append(Token(word, kind, start, start + len(word.encode())))
        return tuple(found)

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """The statements between semicolons."""
        found: list[list[Token]] = [[]]
        for token in self.tokens:
            if token.text == ";" and token.kind == duckdb.token_type.operator:
                found.append([])
            else:
                found[-1].append(token)
        return tuple(Statement(self, tuple(tokens)) for tokens in found if tokens)

    def error(self, what: str, at: int | None = None, fix: str = "") -> InvalidArgument:
        """The error to raise, with the line and a caret below the byte `at`."""
        lines = [what]
        if at is not None and 0 <= at <= len(self.data):
            position = len(self.data[:at].decode(errors="ignore"))
            start = max(self.text.rfind("\n", 0, position) + 1, position - _WIDTH // 2)
            end = self.text.find("\n", position)
            line = self.text[start : min(len(self.text) if end < 0 else end, start + _WIDTH)]
            lines += ["".join(c if c.isprintable() else " " for c in line).rstrip(), " " * (position - start) + "^"]
        return InvalidArgument("\n  ".join([*lines, fix] if fix else lines))


@dataclass(frozen=True)
class Statement:
    """One statement of a script."""

    script: Script
    tokens: tuple[Token, ...]

    @property
    def text(self) -> str:
        """As written, without the semicolon."""
        return self.between(self.tokens[0].start, self.tokens[-1].end)

    def between(self, start: int, end: int) -> str:
        """The text from one byte of the script to another."""
        return self.script.data[start:end].decode()

    def refuse_marks(self) -> None:
        """InvalidArgument where values are marked by `?`: of a statement read in parts, no part knows their places."""
        for token in self.tokens:
            if token.text == "?":
                raise self.script.error(
                    f"{self.head.upper()} takes no ? for a value.", token.start, "Fix: write $1, $2 or $name."
                )

    @property
    def head(self) -> str:
        """Its first word."""
        return self.tokens[0].word


class Reader:
    """Reads the tokens of a statement from left to right."""

    def __init__(self, statement: Statement, skip: int = 0) -> None:
        self._statement = statement
        self._tokens = statement.tokens
        self._at = skip

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._tokens)

    @property
    def left(self) -> int:
        """How many tokens are left."""
        return len(self._tokens) - self._at

    def peek(self, ahead: int = 0) -> str:
        """The word `ahead` of here in lower case; empty for quoted ones, and behind the end."""
        at = self._at + ahead
        return self._tokens[at].word if at < len(self._tokens) else ""

    def take(self, *words: str) -> bool:
        """Step over these words if they are next."""
        if all(self.peek(i) == word for i, word in enumerate(words)):
            self._at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        """Step over these words, which must be next."""
        if not self.take(*words):
            raise self.error(f"expected {' '.join(words).upper()}")

    def name(self, what: str) -> str:
        """A name: a word, or one in double quotes."""
        if self.done:
            raise self.error(f"expected {what}")
        token = self._tokens[self._at]
        first = token.text[:1]
        if not (first == _DOUBLE or first == "_" or first.isalpha()):
            raise self.error(f"expected {what}")
        self._at += 1
        return token.text[1:-1].replace('""', _DOUBLE) if first == _DOUBLE else token.text

    def table(self, what: str = "a table") -> str:
        """The name of a table, without `main.`."""
        name = self.name(what)
        if self.take("."):
            if name.lower() != "main":
                raise self.error(f"{name} is no schema of tables", "Fix: name the table alone.")
            name = self.name(what)
        return name

    def value(self, what: str) -> str | int | float:
        """A string, a number or a word."""
        if self.done:
            raise self.error(f"expected {what}")
        token = self._tokens[self._at]
        if token.text[:1] == "'":
            self._at += 1
            return token.text[1:-1].replace("''", "'")
        negative = self.take("-")
        text = self._tokens[self._at].text if not self.done else ""
        for read in (int, float):
            try:
                number = read(text)
            except ValueError:
                continue
            self._at += 1
            return -number if negative else number
        if negative:
            raise self.error(f"expected {what}")
        return self.name(what)

    def until(self, stops: Sequence[str]) -> str:
        """The text up to one of these words or a comma, or a closing bracket that was not opened here."""
        first, depth = self._at, 0
        while not self.done:
            word = self._tokens[self._at].text
            if depth == 0 and (word in (",", ")") or self.peek() in stops):
                break
            if depth == 0 and self.peek() == "with" and self.peek(1) == "(":  # options, not WITH TIME ZONE
                break
            depth += (word in "([{") - (word in ")]}")
            self._at += 1
        return self._text(first, self._at)

    def clause(self, *stops: str) -> str:
        """The text up to one of these words, outside of brackets and of CASE ... END."""
        first, depth = self._at, 0
        while not self.done and (depth or self.peek() not in stops):
            word = self.peek()
            depth += (word in ("(", "[", "{", "case")) - (word in (")", "]", "}", "end"))
            self._at += 1
        return self._text(first, self._at)

    def bracketed(self) -> str:
        """The text between the bracket that is next and the one that closes it."""
        self.expect("(")
        first, depth = self._at, 1
        while depth:
            if self.done:
                raise self.error("expected )")
            word = self._tokens[self._at].text
            depth += (word == "(") - (word == ")")
            self._at += 1
        return self._text(first, self._at - 1)

    def rest(self) -> str:
        """Everything that is left."""
        first, self._at = self._at, len(self._tokens)
        return self._text(first, self._at)

    def end(self) -> None:
        """Refuse what is left."""
        if not self.done:
            raise self.error("expected the end of the statement")

    def error(self, what: str, fix: str = "") -> InvalidArgument:
        """The error at this place."""
        last = self._tokens[-1].end
        at = self._tokens[self._at].start if not self.done else last
        found = f", got {self._tokens[self._at].text!r}" if not self.done else ", got the end"
        return self._statement.script.error(f"{what}{found if what.startswith('expected') else ''}.", at, fix)

    def _text(self, first: int, end: int) -> str:
        if first >= end:
            return ""
        return self._statement.between(self._tokens[first].start, self._tokens[end - 1].end)


def with_operator(statement: Statement, written: str, parseable: str) -> str:
    """The statement with an operator DuckDB cannot read replaced by one of the same bytes or more that it can.

    `written` is made of single signs, as the tokenizer gives them; in strings, names and comments it stays.
    """
    signs = tuple(written)
    tokens, parts, at = statement.tokens, [], statement.tokens[0].start
    for i in range(len(tokens) - len(signs) + 1):
        here = tokens[i : i + len(signs)]
        together = here[-1].end - here[0].start == len(signs)
        if together and here[0].start >= at and tuple(token.text for token in here) == signs:
            parts += [statement.between(at, here[0].start), parseable]
            at = here[-1].end
    return "".join([*parts, statement.between(at, tokens[-1].end)])
