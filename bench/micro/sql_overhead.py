"""What a statement costs beyond `table.search` for the same rows, columns fetched in both: calls interleaved, medians.

    python bench/micro/sql_overhead.py --rows 20000 --calls 500 [--profile]

Five shapes, each asked again with other values: nearest rows, with a filter, through a view, as an aggregate over the
hits, and a plain SELECT by key beside `table.get`. `--profile` prints where the time of the first goes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

import numpy as np

import vdb
from bench.report import markdown

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

DIM = 384
K = 10
SHOWN = ["id", "year", "title"]
NEAREST = "SELECT id, year, title, e <-> $q AS d FROM papers ORDER BY d LIMIT 10"
FILTERED = "SELECT id, year, title, e <-> $q AS d FROM papers WHERE year >= $y ORDER BY d LIMIT 10"
THROUGH_VIEW = "SELECT id, year, title, e <-> $q AS d FROM recent ORDER BY d LIMIT 10"
AGGREGATE = f"SELECT year, count(*), min(d) FROM ({NEAREST}) GROUP BY year"
BY_KEY = "SELECT id, year, title FROM papers WHERE id = $i"


def main() -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((options.rows, DIM)).astype(np.float32)
    with vdb.connect(":memory:") as db:
        db.sql("CREATE TABLE papers (id BIGINT PRIMARY KEY, year INTEGER, title VARCHAR, e FLOAT[384])")
        years = rng.integers(1990, 2025, options.rows)
        titles = [f"paper {i}" for i in range(options.rows)]
        db.table("papers").add({"id": np.arange(options.rows), "year": years, "title": titles}, e=vectors)
        db.sql("CREATE INDEX ON papers USING HNSW (e); CREATE VIEW recent AS SELECT * FROM papers WHERE year >= 2000")
        queries = vectors[rng.integers(options.rows, size=options.calls)]
        print(f"{options.rows} rows of {DIM} values, {options.calls} calls of each, microseconds\n")
        print("\n".join(markdown([["statement", "SQL", "API", "beyond"], *measured(db, queries)])))
        if options.profile:
            profile(db, queries)
    return 0


def measured(db: vdb.Database, queries: npt.NDArray[np.float32]) -> list[list[str]]:
    """A row for each shape: median of the statement, of the call, and of what the first takes more."""
    table = db.table("papers")

    def search(i: int, where: str | None) -> object:
        params = [1990 + i % 30] if where is not None and "?" in where else None
        return table.search(queries[i], K, where=where, params=params, select=SHOWN).to_dicts()

    shapes: dict[str, tuple[Callable[[int], object], Callable[[int], object]]] = {
        "nearest": (lambda i: run(db, NEAREST, q=queries[i]), lambda i: search(i, None)),
        "filtered": (lambda i: run(db, FILTERED, q=queries[i], y=1990 + i % 30), lambda i: search(i, "year >= ?")),
        "view": (lambda i: run(db, THROUGH_VIEW, q=queries[i]), lambda i: search(i, "year >= 2000")),
        "aggregate": (lambda i: run(db, AGGREGATE, q=queries[i]), lambda i: search(i, None)),
        "by key": (lambda i: run(db, BY_KEY, i=i), lambda i: table.get([i], SHOWN).to_dicts()),
    }
    rows = []
    for name, (statement, call) in shapes.items():
        spent = interleaved(statement, call, len(queries))
        ours, theirs = np.median(spent, axis=1) / 1e3
        beyond = float(np.median(spent[0] - spent[1])) / 1e3
        rows.append([name, f"{ours:.0f}", f"{theirs:.0f}", f"{beyond:.0f}"])
    return rows


def run(db: vdb.Database, statement: str, **values: object) -> object:
    """The rows of a statement."""
    return db.sql(statement, values).fetchall()


def interleaved(a: Callable[[int], object], b: Callable[[int], object], calls: int) -> npt.NDArray[np.int64]:
    """Nanoseconds of each call of both, (2, calls), in alternating order."""
    spent = np.empty((2, calls), np.int64)
    for i in range(min(calls, 20)):  # warm
        a(i), b(i)
    for i in range(calls):
        for side in (i % 2, 1 - i % 2):
            began = time.perf_counter_ns()
            (a, b)[side](i)
            spent[side, i] = time.perf_counter_ns() - began
    return spent


def profile(db: vdb.Database, queries: npt.NDArray[np.float32]) -> None:
    """Print the functions in which the statement of the first shape spends its time."""
    profiler = cProfile.Profile()
    profiler.enable()
    for query in queries:
        run(db, NEAREST, q=query)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    raise SystemExit(main())
