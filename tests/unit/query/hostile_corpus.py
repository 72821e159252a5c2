"""The listed hostile predicates, and the table that they are about; what tests/fuzz begins with too."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vdb.storage.schema import parse_schema

TYPES: Final = {
    "id": "BIGINT",
    "title": "VARCHAR",
    "year": "INTEGER",
    "d": "DATE",
    "ts": "TIMESTAMP",
    "tags": "VARCHAR[]",
    "s": "STRUCT(x INTEGER, y VARCHAR)",
}
PAPERS: Final = parse_schema("papers", {**TYPES, "embedding": "FLOAT[3]"})

_TEXT: Final = Path(__file__).with_name("hostile_predicates.txt").read_text(encoding="ascii")
LINES: Final = [line for line in _TEXT.split("\n") if line and not line.startswith("#")]
REFUSED: Final = [line[2:] for line in LINES if line.startswith("- ")]
HARMLESS: Final = [line[2:] for line in LINES if line.startswith("+ ")]
