"""Recall of an inverted file after half as many rows were inserted, beside a fresh build, at equal effort.

    python bench/ivf_growth.py --data arxiv --rows 100000
    python bench/ivf_growth.py --data grown --rows 1000000

No times: recall, lists and the drift that `list_indexes()` shows. The rows are inserted in batches of 1,000.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np

from bench import datasets
from bench.adapters.base import GraphParams
from bench.filtered.adapters.vdb_plans import index_spec
from bench.report import markdown
from vdb import _core

if TYPE_CHECKING:
    from collections.abc import Sequence

INDEXES = ("ivfpq", "ivfpq:8", "ivfrabitq:1", "ivfrabitq:4")
PROBES = (4, 8, 16, 32, 64)
K, FACTOR, BATCH = 10, 8, 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="arxiv")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--indexes", default=",".join(INDEXES))
    options = parser.parse_args(arguments)
    data = datasets.load(options.data, rows=options.rows, queries=options.queries)
    view = _core.VectorView(data.vectors, "ip")
    truth, _, _ = _core.scan(view, data.queries, K, threads=0)
    rows = [["index", "grown", "lists", "drift", *(f"recall at nprobe {n}" for n in PROBES)]]
    for text in options.indexes.split(","):
        for grown in (True, False):
            ivf = built(text, data.vectors, grown=grown)
            recalls = [recall(ivf, view, data.queries, truth, nprobe) for nprobe in PROBES]
            words = ["by half" if grown else "fresh", str(ivf.nlist), f"{ivf.drift:.3f}"]
            rows.append([text, *words, *(f"{found:.4f}" for found in recalls)])
    print("\n".join(markdown(rows)))
    return 0


def built(text: str, vectors: datasets.FloatMatrix, *, grown: bool) -> _core.Ivf:
    """An index of all rows: at once, or of two thirds and the others inserted."""
    ivf: _core.Ivf = index_spec(text, GraphParams("ip")).make(vectors.shape[1], "ip")
    n = len(vectors)
    for end in (*range(2 * n // 3, n, BATCH), n) if grown else (n,):
        ivf.extend(_core.VectorView(vectors[:end], "ip"))
    return ivf


def recall(
    ivf: _core.Ivf, view: _core.VectorView, queries: datasets.FloatMatrix, truth: np.ndarray, nprobe: int
) -> float:
    """The mean share of the true neighbours that are found."""
    found, _, _ = ivf.search(view, queries, K, nprobe, None, FACTOR * K, threads=0)
    return float(np.mean([np.isin(true, row).mean() for true, row in zip(truth, found, strict=True)]))


if __name__ == "__main__":
    sys.exit(main())
