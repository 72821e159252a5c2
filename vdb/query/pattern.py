"""How large a regular expression is once its counted repetitions are written out.

DuckDB matches in linear time, but linear in this size too: `(a{1,30}){1,30}` is sixteen characters and 900 states, to
be compiled and then carried along each text.
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    \\[pP](?:\{[^}]*\}|.)                         # a class of Unicode
    | \\Q.*?(?:\\E|$)                             # quoted text
    | \\.                                         # an escape
    | \[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]?       # a class
    | \{(?P<least>\d+)(?P<more>,(?P<most>\d*))?\} # a counted repetition
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_UNICODE_CLASS: Final = 20  # states, and often more
_LONGEST_COUNT: Final = 4  # digits; DuckDB counts to 1,000


def pattern_size(pattern: str) -> int:
    """Return an estimate of the states of a regular expression; one that does not compile has some size, too."""
    groups = [0]  # the sizes of the open groups so far
    last = 0  # the size of what a repetition would repeat
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        if token["least"]:
            count = max(_count(token["least"]), _count(token["most"] or "0"), 1) + (token["more"] == ",")
            groups[-1] += last * (count - 1)
            last *= count
        elif text == "(":
            groups.append(0)
        elif text == ")" and len(groups) > 1:
            last = groups.pop()
            groups[-1] += last
        else:
            last = _UNICODE_CLASS if text[:2] in ("\\p", "\\P") else len(text) if text[:2] == "\\Q" else 1
            groups[-1] += last
    return sum(groups)


def _count(digits: str) -> int:
    return int(digits) if len(digits) <= _LONGEST_COUNT else 10**_LONGEST_COUNT
