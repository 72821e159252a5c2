"""What searches find of the true neighbours where a recall is asked for: real queries, by strategy and filter.

    python bench/micro/recall_promises.py arxiv --rows 100000 --indexes ivfrabitq:1,hnsw,range:update_date

A cell is the recall that was found and the rows looked at, by code or vector, for a query. Counts and recalls only;
nothing here depends on the speed of the machine.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).resolve().parents[2]))

import numpy as np

import vdb
from bench.adapters.base import GraphParams
from bench.filtered.adapters.vdb_plans import index_spec, make_table, opened
from bench.filtered.questions import load
from bench.report import markdown
from vdb.index.filtered import recall_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.filtered.questions import FilteredData

ASKED = (None, 0.90, 0.95, 0.98, 0.99)
SHARES = (0.3, 0.1, 0.03)  # of the rows, that pass
STRATEGIES = {"hnsw": "graph", "acorn": "acorn", "range": "range", "ivfpq": "ivf", "ivfrabitq": "ivf"}
K = 10


def filters(data: FilteredData) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """No predicate; random rows; the rows of a time: names, and what a search is given."""
    yield "all", ()
    rows = len(data.vectors)
    dates = np.sort(np.array(data.attributes["update_date"].to_pylist())).tolist()
    for share in SHARES:
        yield f"random {share:.0%}", ("lot BETWEEN ? AND ?", [0, round(share * rows) - 1])
        yield (
            f"dates {share:.0%}",
            ("update_date BETWEEN ? AND ?", [dates[rows // 3], dates[rows // 3 + round(share * rows)]]),
        )


def found(search: Callable[..., vdb.Hits], truth: np.ndarray, recall: float | None, strategy: str) -> str:
    """Recall and rows looked at; a dash where the recall is not promised."""
    try:
        hits = search(strategy=strategy, recall=recall)
    except vdb.InvalidArgument:
        return "-"
    seen: Any = hits.plan
    looked = (seen.actuals.distances + seen.actuals.estimates) / len(truth)
    return f"{recall_of(hits.distances, truth, K):.3f}, {looked:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="as bench/data.py lists them")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--indexes", default="ivfrabitq:1", help="as in a workload, with commas between")
    args = parser.parse_args()
    data = load(args.dataset, args.rows, args.queries)
    db = opened(0)
    table = make_table(db, data, "ip")
    names = args.indexes.split(",")
    for name in names:
        table.create_index("embedding", index_spec(name, GraphParams("ip", 16, 200)), name=name.replace(":", "_"))
    queries = np.ascontiguousarray(data.dataset.queries[: args.queries], np.float32)
    header = ["strategy", "among", *("default" if asked is None else f"{asked:.2f}" for asked in ASKED)]
    lines = []
    strategies = dict.fromkeys(STRATEGIES[name.partition(":")[0]] for name in names)
    for label, where in filters(data):
        search = partial(table.search, queries, K, *where)
        truth = search(strategy="scan").distances
        lines += [
            [strategy, label, *(found(search, truth, asked, strategy) for asked in ASKED)]
            for strategy in strategies
            if strategy != "range" or label.startswith("dates")
        ]
    db.close()
    print(*markdown([header, *lines]), sep="\n")


if __name__ == "__main__":
    main()
