"""The `.test` files beside this one: statements in order on one empty database, and what each returns.

A file has blocks that blank lines separate. A block is SQL, a line `----`, and either the rows, values separated by
` | `, or `error:` and a part of the message, or lines `contains:` with parts of the rows. `$q` is [1, 2, 3]; a block of
`# ...` is a comment.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import vdb

FILES = sorted(Path(__file__).parent.glob("*.test"))
QUERY = np.array([1.0, 2.0, 3.0])


def blocks(path: Path) -> list[tuple[str, str]]:
    parts = [part for part in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")) if part.strip()]
    statements = [part.strip("\n") for part in parts if not part.startswith("#")]
    return [(sql, expected.strip()) for sql, _, expected in (part.partition("\n----") for part in statements)]


def shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(shown, value))}]"
    return "NULL" if value is None else str(value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_statements_return_what_the_file_says(path: Path, db: vdb.Database) -> None:
    assert blocks(path)
    for sql, expected in blocks(path):
        params = {"q": QUERY} if "$q" in sql else None
        if expected.startswith("error:"):
            try:
                found = f"rows: {db.sql(sql, params).fetchall()}"
            except vdb.VdbError as error:
                found = str(error)
            assert expected.removeprefix("error:").strip() in found, sql
            continue
        result = db.sql(sql, params)
        if expected.startswith("contains:"):
            rows = "\n".join(" | ".join(map(shown, row)) for row in result.fetchall())
            for line in expected.splitlines():
                assert line.removeprefix("contains:").strip() in rows, sql
            continue
        if result.description is None:
            assert (f"{result.rowcount} written" if result.rowcount >= 0 else "") == expected, sql
        else:
            assert "\n".join(" | ".join(map(shown, row)) for row in result.fetchall()) == expected, sql


def test_files_are_found() -> None:
    assert {"nearest", "writes", "definitions", "mistakes"} <= {path.stem for path in FILES}
