"""How sample queries made from rows compare with real ones: the effort each takes to reach a recall, by kind of sample.

A pair is a row turned towards another, three are a row turned towards two, by what is kept of the first.

    python bench/micro/recall_samples.py arxiv --rows 20000

A sample is safe where it takes at least the effort that real queries take, and good where it takes little more. Counts
and recalls only; nothing here depends on the speed of the machine.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[2]))

from bench import datasets
from vdb import _core
from vdb.index.effort import KS, Efs, least_effort
from vdb.index.recall import RecallCurve

EFS = (8, 16, 32, 64, 128, 256, 512, 1024)
NPROBES = (1, 2, 4, 8, 16, 32, 64, 128)
PAIRS = (0.92, 0.88, 0.84, 0.80)
THREES = (0.86, 0.82, 0.80, 0.76, 0.70)
RECALLS = (0.90, 0.95, 0.99)
SAMPLES = 600
SEED = 1
Search: TypeAlias = Callable[[np.ndarray, int, int], np.ndarray]  # distances, by queries, rows asked for and effort


def samples(x: np.ndarray) -> dict[str, np.ndarray]:
    """Queries of each kind, made of the same rows: of pairs, and of three."""
    rng = np.random.default_rng(SEED)
    rows = x[rng.choice(len(x), 3 * SAMPLES)].astype(np.float64)
    mean = rows.mean(axis=0)
    first, second, third = (rows - mean).reshape(3, SAMPLES, -1)
    made = {"rows": rows[:SAMPLES]}
    for own in PAIRS:
        made[f"pair {own:.2f}"] = mean + own * first + math.sqrt(1 - own**2) * second
    for own in THREES:
        made[f"three {own:.2f}"] = mean + own * first + math.sqrt((1 - own**2) / 2) * (second + third)
    return made


def curve(view: _core.VectorView, search: Search, efforts: Efs, queries: np.ndarray, stored: bool) -> RecallCurve:
    """The recall at each effort; of stored rows, their own row is left out of both answers."""
    queries = np.ascontiguousarray(queries, np.float32)
    own = int(stored)
    truth = _core.scan(view, queries, KS[-1] + own, None, 0, 0)[1][:, own:]
    rows = []
    for effort in efforts:
        found = search(queries, KS[-1] + own, effort)[:, own:]
        rows.append([float((found[:, :k] <= truth[:, k - 1 : k]).sum() / (len(queries) * k)) for k in KS])
    return RecallCurve(view.n, view.n, len(queries), efforts, tuple(zip(*rows, strict=True)))


def graph(view: _core.VectorView, M: int) -> tuple[Search, Efs]:
    """Walks of a graph by `ef`, which is no less than the rows that are asked for."""
    built = _core.Hnsw(view.dim, "l2", M, 200, 42)
    built.extend(view, None, 0)
    return lambda q, k, ef: built.search(view, q, min(ef - 1, k), ef, threads=0)[1], EFS


def lists(view: _core.VectorView) -> tuple[Search, Efs]:
    """Searches of an inverted file by the lists they read."""
    built = _core.Ivf(view.dim, "l2", "rabitq")
    built.extend(view)
    return lambda q, k, nprobe: built.search(view, q, k, nprobe, None, 0, view.n, 0)[1], NPROBES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=sorted(datasets.LOADERS))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--M", type=int, default=16)
    args = parser.parse_args()
    data = datasets.load(args.dataset, rows=args.rows)
    view = _core.VectorView(data.vectors, "l2")  # of unit vectors, the order of all three metrics
    unit = bool(np.allclose(np.linalg.norm(data.vectors[:100], axis=1), 1, atol=1e-3))
    kinds = {"real": data.queries, **samples(data.vectors)}
    for index, (search, efforts) in {"graph, ef": graph(view, args.M), "lists, nprobe": lists(view)}.items():
        print(f"{args.dataset}, {view.n:,} rows, {index} for recall {RECALLS} at each k; None: beyond {efforts[-1]}")
        for name, queries in kinds.items():
            aimed = queries / np.linalg.norm(queries, axis=1, keepdims=True) if unit else queries
            found = curve(view, search, efforts, aimed, stored=name == "rows")
            each = [[least_effort(efforts, found.recalls, recall, k) for recall in RECALLS] for k in KS[1:]]
            shown = ("  ".join(f"{'None' if e is None else round(e)!s:>5}" for e in of_k) for of_k in each)
            print(f"{name:18}" + "   ".join(f"k={k}: {text}" for k, text in zip(KS[1:], shown, strict=True)))


if __name__ == "__main__":
    main()
