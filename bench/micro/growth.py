"""How build time and speed at a recall grow with the rows, on a set grown from the real one.

    python bench/micro/growth.py --rows 10000,100000,1000000

Prints build seconds, bytes a row beside the vectors, the effort that reaches each recall, queries a second of one
thread, and the exponents of a power law between the first and the last size.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

import numpy as np

from bench import datasets
from bench.metrics import SweepPoint, qps_at_recall
from vdb import _core
from vdb.index.walk_codes import choose_walk_codes

EFFORTS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 450, 640)
FLOORS = (0.95, 0.99)
K = 10
REPETITIONS = 3
NOISE = 0.5  # length of what is added to a row of the real set to make another


def main() -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", default="10000,100000")
    parser.add_argument("--queries", type=int, default=500)
    options = parser.parse_args()
    measured = [(int(rows), *measure(int(rows), options.queries)) for rows in options.rows.split(",")]
    print("| rows | build s | bytes a row | " + " | ".join(f"QPS at {floor}" for floor in FLOORS) + " |")
    print("|---" * (3 + len(FLOORS)) + "|")
    for rows, seconds, size, *speeds in measured:
        cells = [f"{rows:,}", f"{seconds:.1f}", f"{size / rows:.0f}", *(f"{qps:,.0f}" for qps in speeds)]
        print("| " + " | ".join(cells) + " |")
    if len(measured) > 1:
        (n, seconds, _, *first), (m, more, _, *last) = measured[0], measured[-1]
        over = np.log(m / n)
        exponents = [np.log(more / seconds) / over, *(np.log(a / b) / over for a, b in zip(first, last, strict=True))]
        print("exponents: build, time at each recall: " + ", ".join(f"{exponent:.2f}" for exponent in exponents))
    return 0


def measure(rows: int, queries: int) -> tuple[float, ...]:
    """Build a graph and sweep the effort: seconds, bytes, queries a second at each floor."""
    data = datasets.load("arxiv")
    vectors = grown(data.vectors, rows)
    asked = data.queries[:queries]
    view = _core.VectorView(vectors, "ip")
    truth, _, _ = _core.scan(view, asked, K, threads=0)
    codes, bits = choose_walk_codes(vectors[:: max(1, rows // 8192)], vectors[0].nbytes, "ip", seed=42)
    graph = _core.Hnsw(vectors.shape[1], "ip", codes=None if codes == "none" else codes, bits=bits)
    begin = time.perf_counter()
    graph.extend(view)
    seconds = time.perf_counter() - begin
    sweep = []
    for ef in EFFORTS:
        best = np.inf
        for _ in range(REPETITIONS):
            begin = time.perf_counter()
            found, _, _ = graph.search(view, asked, K, ef)
            best = min(best, time.perf_counter() - begin)
        recall = np.mean([np.isin(row, true).mean() for row, true in zip(found, truth, strict=True)])
        sweep.append(SweepPoint(float(recall), queries / best))
    return seconds, graph.memory_bytes, *(qps_at_recall(sweep, floor) or np.nan for floor in FLOORS)


def grown(vectors: datasets.FloatMatrix, rows: int) -> datasets.FloatMatrix:
    """`rows` rows: those there are, and beyond them copies with noise of a fixed length, at length 1 again."""
    if rows <= len(vectors):
        return vectors[:rows]
    rng = np.random.default_rng(0)
    more = np.empty((rows, vectors.shape[1]), np.float32)
    more[: len(vectors)] = vectors
    for begin in range(len(vectors), rows, len(vectors)):
        part = more[begin : begin + len(vectors)]
        noise = rng.standard_normal(part.shape, dtype=np.float32)
        noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        part[:] = datasets.unit_rows(vectors[: len(part)] + noise)
    return more


if __name__ == "__main__":
    sys.exit(main())
