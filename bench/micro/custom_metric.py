"""A metric written in Python beside the built-in l2 it equals: times of scans and walks, and whether they agree.

    python bench/micro/custom_metric.py              # random vectors of 384 dimensions
    python bench/micro/custom_metric.py --dim 1024

One thread. The two take turns within each repetition, and the ratio is taken within it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from typing import TYPE_CHECKING, Any

import numpy as np

import vdb
from bench import machine
from bench.report import markdown
from vdb import _core
from vdb.dtypes import rounded

if TYPE_CHECKING:
    from collections.abc import Callable

    Search = Callable[[], tuple[np.ndarray, np.ndarray]]

K = 10
QUERIES = 64
EF = 64
CLOUDS = 200


def euclid(a: Any, b: Any, dim: int) -> Any:
    """L2, as a user would write it."""
    total = np.float32(0)
    for i in range(dim):
        difference = a[i] - b[i]
        total += difference * difference
    return np.sqrt(total)


def compare(title: str, built_in: Search, custom: Search, repetitions: int) -> list[str]:
    """A row of the table: both medians, the median ratio and the share of equal slots."""
    (slots, _), (found, _) = built_in(), custom()
    spent = np.empty((repetitions, 2))
    for i in range(repetitions):
        for j, search in enumerate((built_in, custom)):
            began = time.perf_counter()
            search()
            spent[i, j] = time.perf_counter() - began
    medians = [f"{1e3 * seconds:.2f}" for seconds in np.median(spent, axis=0)]
    ratio = np.median(spent[:, 1] / spent[:, 0])
    return [title, *medians, f"{ratio:.2f}", f"{np.mean(slots == found):.4f}"]


def searches(view: _core.VectorView, queries: np.ndarray, graph: _core.Hnsw | None = None) -> Search:
    """A scan, or a walk over a graph, of all queries."""
    if graph is None:
        return lambda: _core.scan(view, queries, K)[:2]
    return lambda: graph.search(view, queries, K, EF)[:2]


def rows_of(dtype: str, vectors: np.ndarray, queries: np.ndarray, repetitions: int) -> list[list[str]]:
    """Every comparison of one dtype."""
    metric = vdb.metric(euclid)
    stored, asked = rounded(vectors, dtype), rounded(queries, dtype)  # type: ignore[arg-type]
    built_in, custom = _core.VectorView(stored, "l2"), _core.VectorView(stored, "custom", custom=metric)
    graphs = [_core.Hnsw(view.dim, view.metric) for view in (built_in, custom)]
    spent = []
    for graph, view in zip(graphs, (built_in, custom), strict=True):
        began = time.perf_counter()
        graph.extend(view, threads=1)
        spent.append(time.perf_counter() - began)
    n, ratio = len(stored), spent[1] / spent[0]
    found = [
        compare(f"{dtype}: scan, one query", searches(built_in, asked[:1]), searches(custom, asked[:1]), repetitions),
        compare(
            f"{dtype}: scan, {len(asked)} queries", searches(built_in, asked), searches(custom, asked), repetitions
        ),
        compare(
            f"{dtype}: walk, ef {EF}, {len(asked)} queries",
            searches(built_in, asked, graphs[0]),
            searches(custom, asked, graphs[1]),
            repetitions,
        ),
    ]
    build = [f"{dtype}: build of {n:,} rows", *(f"{1e3 * seconds:.0f}" for seconds in spent), f"{ratio:.2f}", ""]
    return [*found, build]


def main() -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float16", "bfloat16"])
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLOUDS, options.dim))
    clouds = rng.integers(0, CLOUDS, options.rows + QUERIES)
    vectors = (centres[clouds] + 0.5 * rng.standard_normal((len(clouds), options.dim))).astype(np.float32)
    print(f"{_core.isa()} on {machine.describe()['processor']}, one thread, medians of {options.repetitions}\n")
    table = [["", "l2 ms", "metric ms", "ratio", "same slots"]]
    for dtype in options.dtypes:
        table += rows_of(dtype, vectors[: options.rows], vectors[options.rows :], options.repetitions)
    print("\n".join(markdown(table)))


if __name__ == "__main__":
    main()
