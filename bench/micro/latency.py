"""What `table.search` costs beyond the core's own search: same queries, same graph parameters, calls interleaved.

    python bench/micro/latency.py --rows 20000 --calls 5000

The core and the table build their graphs separately from one seed; each pair of calls runs in alternating order.
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
import numpy.typing as npt

from bench import adapters, datasets, machine
from bench.adapters.base import Adapter, GraphParams
from bench.report import markdown

if TYPE_CHECKING:
    from collections.abc import Callable

Nanoseconds = npt.NDArray[np.int64]


def main() -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="arxiv", choices=sorted(datasets.LOADERS))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--ef", type=int, default=64)
    parser.add_argument("--k", type=int, default=10)
    options = parser.parse_args()
    try:
        data = datasets.load(options.data, rows=options.rows)
        core, table = (adapters.make(name, GraphParams("ip")) for name in ("vdb", "vdb_table"))
    except (ValueError, datasets.MissingDataset, adapters.MissingPeer) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    for peer in (core, table):
        peer.build(data.vectors, threads=1)  # one thread: both graphs come out the same
        peer.set_effort(options.ef)
    queries = data.queries[np.arange(options.calls) % len(data.queries)]
    times = measure(core, table, queries, options.k)
    table.close()
    print(
        f"{options.rows} rows, ef={options.ef}, k={options.k}, {options.calls} calls; {machine.describe()['processor']}"
    )
    print("\n".join(summary(*times)))
    return 0


def measure(core: Adapter, table: Adapter, queries: npt.NDArray[np.float32], k: int) -> tuple[Nanoseconds, Nanoseconds]:
    """Nanoseconds of every query asked of the core and of the table."""
    spent = np.empty((2, len(queries)), dtype=np.int64)
    for query in queries[:200]:  # warm
        core.query(query, k), table.query(query, k)
    for i, query in enumerate(queries):
        first = i % 2
        for side in (first, 1 - first):
            spent[side, i] = clock((core, table)[side].query, query, k)
    return spent[0], spent[1]


def clock(call: Callable[..., object], query: npt.NDArray[np.float32], k: int) -> int:
    """Nanoseconds of one call."""
    begin = time.perf_counter_ns()
    call(query, k)
    return time.perf_counter_ns() - begin


def summary(core: Nanoseconds, table: Nanoseconds) -> list[str]:
    """Median and p99 in microseconds; the overhead is the difference of each pair of calls."""
    rows = [["us", "median", "p99"]]
    for name, values in (("core", core), ("table.search", table), ("overhead", table - core)):
        rows.append([name, *(f"{np.percentile(values, share) / 1e3:.1f}" for share in (50, 99))])
    return markdown(rows)


if __name__ == "__main__":
    sys.exit(main())
