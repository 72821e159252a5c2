"""What one distance costs in a sequential scan, gathered from scattered rows, and in a walk over the graph; and a code.

The planner's constant `_WALK_TO_SCAN` and `kPrefetchLines` of csrc/core/distance.h are chosen by these figures: change
one, build, run again.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from typing import TYPE_CHECKING

import numpy as np

from bench import datasets
from vdb import _core

if TYPE_CHECKING:
    from collections.abc import Callable


CODED = (0.01, 0.04, 0.1, 0.5)  # shares of the rows that are read by code
CODED_SETS = 50  # of each share: the rows of one set wait in a cache


def nanoseconds(search: Callable[[], _core.SearchStats], repetitions: int) -> float:
    """Nanoseconds a distance, the median over the repetitions."""
    figures = []
    for _ in range(repetitions):
        began = time.perf_counter_ns()
        stats = search()
        figures.append((time.perf_counter_ns() - began) / stats.distances)
    return float(np.median(figures))


def code_nanoseconds(graph: _core.Hnsw, view: _core.VectorView, queries: np.ndarray, share: float) -> float:
    """Nanoseconds of an allowed row of a scan by codes, all it takes included; the median over sets and queries."""
    rng = np.random.default_rng(1)
    some = round(share * view.n)
    sets = [
        _core.RowSet.from_slots(rng.permutation(view.n)[:some].astype(np.uint32), view.n) for _ in range(CODED_SETS)
    ]
    figures = []
    for i in range(4 * CODED_SETS):
        began = time.perf_counter_ns()
        graph.scan(view, queries[i : i + 1], 10, sets[i % CODED_SETS])
        figures.append((time.perf_counter_ns() - began) / some)
    return float(np.median(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="arxiv", help="a data set of bench/datasets.py")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    data = datasets.load(options.data, rows=options.rows)
    view = _core.VectorView(data.vectors, "ip")
    one, many = data.queries[:1], data.queries[:200]
    scattered = np.random.default_rng(0).permutation(options.rows)[: options.rows // 20].astype(np.uint32)
    rows = _core.RowSet.from_slots(scattered, options.rows)
    graph = _core.Hnsw(data.vectors.shape[1], "ip")
    graph.extend(view)
    cases: dict[str, Callable[[], _core.SearchStats]] = {
        "scan of all rows": lambda: _core.scan(view, one, 10)[2],
        "scan of 5 % scattered rows": lambda: _core.scan(view, one, 10, rows)[2],
        "scan of all rows, 200 queries": lambda: _core.scan(view, many, 10)[2],
        "walk, ef 40": lambda: graph.search(view, many, 10, 40)[2],
        "walk, ef 160": lambda: graph.search(view, many, 10, 160)[2],
    }
    for name, search in cases.items():
        print(f"{name:<32} {nanoseconds(search, options.repetitions):7.1f} ns a distance")
    coded = _core.Hnsw(data.vectors.shape[1], "ip", codes="rabitq", bits=2)
    coded.extend(view)
    for share in CODED:
        print(f"codes of {share:.0%} scattered rows{'':<10} {code_nanoseconds(coded, view, many, share):7.1f} ns a row")


if __name__ == "__main__":
    main()
