"""Times with a zone as Python's: DuckDB makes them only where pytz is installed, and vdb does not need it.

What it makes of a relation here are times in UTC. Those inside lists and structs are left to pytz.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_ZONED: Final = "TIMESTAMP WITH TIME ZONE"


def lacks_python_form(description: Sequence[Sequence[Any]]) -> bool:
    """Whether `fetchall` of a result with these columns would fail, so that a relation is needed."""
    return bool(_places(description)) and importlib.util.find_spec("pytz") is None


def fetch_all(found: Any) -> list[tuple[Any, ...]]:
    """The rows of a result; of a relation where `lacks_python_form`."""
    if not lacks_python_form(found.description):
        rows: list[tuple[Any, ...]] = found.fetchall()
        return rows
    zoned = _places(found.description)
    columns = (f"#{n + 1} AT TIME ZONE 'UTC'" if n in zoned else f"#{n + 1}" for n in range(len(found.description)))
    return [
        tuple(value.replace(tzinfo=dt.timezone.utc) if n in zoned and value is not None else value for n, value in row)
        for row in map(enumerate, found.project(", ".join(columns)).fetchall())
    ]


def _places(description: Sequence[Sequence[Any]]) -> set[int]:
    return {place for place, column in enumerate(description) if str(column[1]) == _ZONED}
