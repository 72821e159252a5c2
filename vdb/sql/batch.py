"""Searching a table once for all the rows around a correlated query, as LATERAL has them, and not once for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vdb.sql.found import NO_DISTANCES, NO_SLOTS, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.query.result import Hits
    from vdb.sql.search import Steps
    from vdb.sql.steps import TableUse
    from vdb.storage.state import TableState


def search_batch(steps: Steps, use: TableUse, state: TableState, hits: list[Hits]) -> Found:
    """The nearest rows to every query around, numbered as in the temporary table `use.needles`.

    Queries whose conditions have the same values are one search.
    """
    assert use.batch is not None
    needles = f"SELECT row_number() OVER () AS n, * FROM ({use.batch.needles.sql}\n)"
    steps.statement.ask(f"CREATE OR REPLACE TEMP TABLE {use.needles} AS {needles}", steps.bound(use.batch.needles))
    vectors = steps.statement.ask(f"SELECT v FROM {use.needles} ORDER BY n").fetchnumpy()["v"]
    parts = []
    for values, numbers in _groups(steps, use):
        of_group = steps.given(values)
        queries = [None if vectors[i] is np.ma.masked else np.asarray(vectors[i], np.float32) for i in numbers]
        for number, found in zip(numbers, _nearest_each(of_group, use, state, queries, hits), strict=True):
            found.needle = np.full(len(found.slots), number + 1, np.int64)
            parts.append(found)
    return _joined(parts)


def _groups(steps: Steps, use: TableUse) -> Iterator[tuple[dict[str, object], list[int]]]:
    """Values of the conditions and the queries, by place, that have them."""
    assert use.batch is not None
    names = use.batch.parameters
    columns = "".join(f", p{i}" for i in range(len(names)))
    groups: dict[Any, list[int]] = {}
    for number, *values in steps.statement.ask(f"SELECT n{columns} FROM {use.needles} ORDER BY n").fetchall():
        groups.setdefault(tuple(values), []).append(number - 1)
    for values, numbers in groups.items():
        yield dict(zip(names, values, strict=True)), numbers


def _nearest_each(
    steps: Steps, use: TableUse, state: TableState, queries: list[Any], hits: list[Hits]
) -> Iterator[Found]:
    """The nearest rows to each query under the same conditions, from one search."""
    assert use.top is not None
    wanted = steps.wanted(use, state)
    defined = [i for i, query in enumerate(queries) if not steps.is_undefined(use, use.measured[0], query)]
    rows = steps.allowed(use, state) if use.candidates is not None or len(defined) < len(queries) else None
    known = {}
    if defined and wanted:
        stacked = np.stack([queries[i] for i in defined])
        known = dict(zip(defined, steps.search(use, state, (stacked, rows), wanted, hits), strict=True))
    for i, query in enumerate(queries):
        nearest = known.get(i, (NO_SLOTS, NO_DISTANCES))
        yield steps.completed(use, state, (query, rows), nearest, hits)


def _joined(parts: list[Found]) -> Found:
    if not parts:
        return Found(NO_SLOTS, [NO_DISTANCES], np.empty(0, np.int64))
    slots = np.concatenate([part.slots for part in parts])
    each = [part.distances[0] for part in parts]
    masked = any(isinstance(distances, np.ma.MaskedArray) for distances in each)
    joined: Any = np.ma.concatenate if masked else np.concatenate
    needles = [part.needle for part in parts if part.needle is not None]
    return Found(slots, [joined(each)], np.concatenate(needles))
