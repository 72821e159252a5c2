"""Digests of functions: the same for what computes the same text, another for all that changes the result."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np

from vdb.metrics.digest import digest

BASE = """
import numpy as np
W = np.array([1.0, 2.0])
SCALE = 2.0
def part(x):
    return x * SCALE
def f(a, b, dim):
    total = 0.0
    for i in range(dim):
        total += part(a[i] - b[i]) * W[i % 2]
    return total if dim in {"x", "y", 3} else -total
"""


def made(source: str) -> str:
    names: dict[str, Any] = {"__name__": "made"}
    exec(compile(source, "made", "exec"), names)
    return digest(names["f"])


def test_text_that_computes_the_same_has_the_same_digest() -> None:
    assert made(BASE) == made(BASE)
    assert made(BASE) == made("# a comment\n\n\n" + BASE.replace("total", "t").replace("i in", "i  in"))
    assert made(BASE) == made(BASE + "unused = 5\n")


def test_every_change_of_what_it_computes_changes_the_digest() -> None:
    changes = [
        ("0.0", "1.0"),
        ("a[i] - b[i]", "b[i] - a[i]"),
        ("SCALE = 2.0", "SCALE = 3.0"),
        ("x * SCALE", "x + SCALE"),
        ("1.0, 2.0", "1.0, 2.5"),
        ("[1.0, 2.0])", "[1.0, 2.0], np.float32)"),
        ('"x", "y"', '"x", "z"'),
    ]
    digests = {made(BASE.replace(*change)) for change in changes}
    assert len(digests) == len(changes)
    assert made(BASE) not in digests


def test_what_a_closure_holds_counts() -> None:
    def around(p: object) -> Any:
        def f(a: Any, b: Any, dim: int) -> Any:
            return a[0] ** p

        return f

    assert digest(around(1.0)) == digest(around(1.0))
    assert digest(around(1.0)) != digest(around(2.0))
    assert digest(around(np.arange(3))) != digest(around(np.arange(4)))


def test_function_that_calls_itself_has_a_digest() -> None:
    source = "def f(a, b, dim):\n    return 0 if dim == 0 else f(a, b, dim - 1)\n"
    assert made(source) == made(source)


def test_digest_is_the_same_in_another_process() -> None:
    script = f"from vdb.metrics.digest import digest\nimport sys\nsource = {BASE!r}\n"
    script += "names = {'__name__': 'made'}\nexec(compile(source, 'made', 'exec'), names)\nprint(digest(names['f']))"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == made(BASE)
