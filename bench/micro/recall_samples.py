"""How sample queries made from rows compare with real ones: the effort each takes to reach a recall, by kind of sample.

    python bench/micro/recall_samples.py arxiv --rows 20000

A sample is safe where it takes at least the effort that real queries take, and good where it takes little more. Counts
and recalls only; nothing here depends on the speed of the machine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[2]))

from bench import datasets
from vdb import _core
from vdb.index.effort import KS
from vdb.index.recall import RecallCurve

EFS = (8, 16, 32, 64, 128, 256, 512, 1024)
RECALLS = (0.90, 0.95, 0.99)
SAMPLES = 600
SEED = 1


def samples(x: np.ndarray) -> dict[str, np.ndarray]:
    """Queries of each kind, made of the same pairs of rows."""
    rng = np.random.default_rng(SEED)
    own, other = (x[rng.choice(len(x), SAMPLES)].astype(np.float64) for _ in range(2))
    mean = x.mean(axis=0, dtype=np.float64)
    made = {"between .7 .3": 0.7 * own + 0.3 * other, "between .6 .4": 0.6 * own + 0.4 * other}
    for a, b in ((0.96, 0.28), (0.92, 0.392), (0.88, 0.475), (0.8, 0.6)):
        made[f"turned {a:.2f} {b:.2f}"] = mean + a * (own - mean) + b * (other - mean)
    return {"rows": own, **made}


def curve(x: np.ndarray, metric: str, graph: _core.Hnsw, queries: np.ndarray, stored: bool) -> RecallCurve:
    """The recall at each effort; of stored rows, their own row is left out of both answers."""
    view = _core.VectorView(x, metric)
    queries = np.ascontiguousarray(queries, np.float32)
    own = int(stored)
    truth = _core.scan(view, queries, KS[-1] + own, None, 0, 0)[1][:, own:]
    rows = []
    for ef in EFS:
        found = graph.search(view, queries, min(ef - 1, KS[-1] + own), ef, threads=0)[1][:, own:]
        rows.append([float((found[:, :k] <= truth[:, k - 1 : k]).sum() / (len(queries) * k)) for k in KS])
    return RecallCurve(len(x), len(x), len(queries), EFS, tuple(zip(*rows, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=sorted(datasets.LOADERS))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--M", type=int, default=16)
    args = parser.parse_args()
    data = datasets.load(args.dataset, rows=args.rows)
    metric = "l2"  # of unit vectors, the order of all three
    unit = bool(np.allclose(np.linalg.norm(data.vectors[:100], axis=1), 1, atol=1e-3))
    graph = _core.Hnsw(data.vectors.shape[1], metric, args.M, 200, 42)
    graph.extend(_core.VectorView(data.vectors, metric), None, 0)
    print(f"{args.dataset}, {len(data.vectors):,} rows; ef for recall {RECALLS} at each k; None: beyond {EFS[-1]}")
    for name, queries in {"real": data.queries, **samples(data.vectors)}.items():
        aimed = queries / np.linalg.norm(queries, axis=1, keepdims=True) if unit else queries
        found = curve(data.vectors, metric, graph, aimed, stored=name == "rows")
        efforts = ("  ".join(f"{found.ef_for(recall, k)!s:>5}" for recall in RECALLS) for k in KS)
        print(f"{name:18}" + "   ".join(f"k={k}: {e}" for k, e in zip(KS, efforts, strict=True)))


if __name__ == "__main__":
    main()
