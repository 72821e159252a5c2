"""Finds the functions of a C++ file and their sizes, without a compiler.

Good enough for formatted code: comments and literals are blanked, then braces are matched at namespace and class
scope. Lambdas count as part of the function around them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOISE = re.compile(
    r"""//[^\n]*|/\*.*?\*/               # comments
    |^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*      # preprocessor lines with their continuations
    |R"(?P<tag>\w*)\(.*?\)(?P=tag)"      # raw strings
    |(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])    # digit separators
    |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_SCOPE = re.compile(r"(?:inline\s+|static\s+|\[\[[^\]]*\]\]\s*)*(namespace|class|struct|union|extern)\b")
_NAME = re.compile(r"(~?\w[\w:]*|operator\s*[^\w\s(]+)\s*\(")
_PAIRS = {"(": ")", "{": "}", "[": "]", "<": ">"}


@dataclass(frozen=True)
class Function:
    """A function with a body: its first line, the number of lines to its closing brace, its parameters."""

    name: str
    line: int
    lines: int
    parameters: int


def blank(text: str) -> str:
    """Return `text` with comments, literals and preprocessor lines removed and every newline kept."""
    return _NOISE.sub(lambda match: "\n" * match[0].count("\n"), text).replace("operator()", "operator_call")


def functions(text: str) -> Iterator[Function]:
    """Yield every function definition of a C++ file."""
    code = blank(text)
    head_start = at = 0
    while at < len(code):
        char = code[at]
        if char in ";}":
            head_start = at + 1
        elif char == "(":
            at = _closing(code, at)
        elif char == "{":
            head = code[head_start:at].strip()
            if _SCOPE.match(_without_template(head)):
                head_start = at + 1
            else:
                end = _closing(code, at)
                if _opens_body(head):
                    start = head_start + len(code[head_start:at]) - len(code[head_start:at].lstrip())
                    yield _measure(code, start, at, end)
                    head_start = end + 1
                at = end
        at += 1


def _measure(code: str, start: int, body: int, end: int) -> Function:
    head = code[start:body]
    match = _NAME.search(head)
    assert match is not None, f"no function name in {head!r}"
    opening = match.end() - 1
    parameters = head[opening + 1 : _closing(head, opening)]
    return Function(
        name=match[1],
        line=code.count("\n", 0, start) + 1,
        lines=code.count("\n", start, end) + 1,
        parameters=_count_parameters(parameters),
    )


def _count_parameters(text: str) -> int:
    if text.strip() in ("", "void"):
        return 0
    depth = 0
    commas = 0
    for char in text:
        depth += (char in "(<{[") - (char in ")>}]")
        commas += char == "," and depth == 0
    return commas + 1


def _opens_body(head: str) -> bool:
    """Tell a function body from an initialiser, such as that of a member in a constructor's list."""
    flat = re.sub(r"\{[^{}]*\}", "{}", head)
    match = _NAME.search(flat)
    if match is None or "=" in re.sub(r"operator\s*[^\w\s(]+", "operator", flat[: match.start()]):
        return False
    after = flat[_closing(flat, match.end() - 1) + 1 :]
    in_member_list = re.search(r"(?<!:):(?!:)", after) is not None
    return not (in_member_list and re.search(r"[\w>]$", flat))


def _without_template(head: str) -> str:
    while head.startswith("template"):
        head = head[_closing(head, head.index("<")) + 1 :].lstrip()
    return head


def _closing(code: str, at: int) -> int:
    """Return the position of the bracket that closes the one at `at`, or the end of the text."""
    opening, closing = code[at], _PAIRS[code[at]]
    depth = 0
    for position in range(at, len(code)):
        depth += (code[position] == opening) - (code[position] == closing)
        if depth == 0:
            return position
    return len(code)
