"""What each index of a filtered table costs: build seconds, bytes a row, and inserts of 1,000 rows a commit.

    python bench/micro/index_cost.py --rows 100000

Each line is a table on disk of its own, with a graph of all rows and the index that is named; its inserts keep both up
to date. The first two lines have no index and the graph alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

import vdb
from bench.adapters.base import GraphParams
from bench.filtered.adapters.vdb_plans import index_spec, make_table
from bench.filtered.questions import FilteredData, load

BATCHES, BATCH = 10, 1_000
GRAPH = "hnsw"
INDEXES = ("", GRAPH, "flat", "acorn", "range:update_date", "label:number_of_sub_categories", "label:main_categories")


def main() -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="arxiv", help="arxiv, lifted, grown or blobs")
    parser.add_argument(
        "--rows", type=int, default=100_000, help="in all, those that are inserted at the end with them"
    )
    options = parser.parse_args()
    data = load(options.data, options.rows, 1)
    print(f"| {options.data}, {options.rows:,} rows | build s | bytes a row | {BATCH:,} rows a commit, rows a second |")
    print("|---|---|---|---|")
    for text in INDEXES:
        measured = cost(data, text)
        cells = [f"{value:,.{digits}f}" for value, digits in zip(measured, (1, 0, 0), strict=True)]
        print(f"| {text or 'no index'} | {' | '.join(cells)} |")
    return 0


def cost(data: FilteredData, text: str) -> tuple[float, float, float]:
    """Build seconds and bytes a row of an index, and rows inserted a second."""
    before = len(data.vectors) - BATCHES * BATCH
    wanted = dict.fromkeys(name for name in (text and GRAPH, text) if name)
    specs = {name: index_spec(name, GraphParams("ip")) for name in wanted}
    with tempfile.TemporaryDirectory() as folder, vdb.connect(Path(folder) / "db") as db:
        table = make_table(db, data, "ip", before)
        seconds, size = 0.0, 0.0
        for name, spec in specs.items():
            began = time.perf_counter()
            size = table.create_index("embedding", spec, name=name.replace(":", "_")).memory_bytes / before
            seconds = time.perf_counter() - began
        began = time.perf_counter()
        for at in range(before, len(data.vectors), BATCH):
            table.add(data.attributes.slice(at, BATCH), embedding=data.vectors[at : at + BATCH])
        return seconds, size, BATCHES * BATCH / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
