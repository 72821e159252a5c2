"""Exact search by codes: against the scan of vectors and faiss's flat index, and what codes recall without rerank.

    python bench/micro/scan.py              # the real set
    python bench/micro/scan.py --lifted     # 4,096 dimensions of low rank

One thread everywhere. The peers take turns within each repetition, and the ratio is taken within it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

if not __package__:
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before numpy and faiss load their libraries
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from typing import TYPE_CHECKING

import numpy as np

from bench import datasets, machine
from bench.report import markdown
from vdb import _core
from vdb.index.spectrum import spectrum

if TYPE_CHECKING:
    from collections.abc import Callable

    Search = Callable[[], "np.ndarray"]

K = 10
BATCH = 64
SHARE = 0.01  # of the rows that the bitmap allows
RECALL_QUERIES = 1_000
SAME_DISTANCE = 1e-6


def turns(searches: dict[str, Search], repetitions: int) -> dict[str, np.ndarray]:
    """Seconds of each search, (repetitions,), in turns."""
    spent = {name: np.empty(repetitions) for name in searches}
    for search in searches.values():
        search()
    for i in range(repetitions):
        for name, search in searches.items():
            began = time.perf_counter()
            search()
            spent[name][i] = time.perf_counter() - began
    return spent


def compare(title: str, searches: dict[str, Search], data: datasets.Dataset, repetitions: int) -> None:
    """Print the times of searches, how many times faster the first is, and the share of hits that agree with it.

    Two hits agree where their distances do: duplicates may come in any order.
    """
    answers = {name: search() for name, search in searches.items()}
    first = next(iter(searches))
    queries = data.queries[: len(answers[first]), None, :].astype(np.float64)
    distances = {name: (data.vectors[slots] * queries).sum(axis=2) for name, slots in answers.items()}
    spent = turns(searches, repetitions)
    rows = [[title, "ms", f"{first} is faster by", "same answer"]]
    for name, values in spent.items():
        same = f"{np.mean(np.abs(distances[name] - distances[first]) < SAME_DISTANCE):.4f}"
        rows.append([name, f"{np.median(values) * 1e3:.3f}", f"{np.median(values / spent[first]):.2f}", same])
    print("\n".join([*markdown(rows), ""]))


def scans(data: datasets.Dataset, codes: _core.Codes, repetitions: int) -> None:
    """The three exact searches of the real set."""
    import faiss

    from bench.filtered.adapters.faiss_flat import bitmap
    from bench.filtered.questions import Allowed

    faiss.omp_set_num_threads(1)
    view = _core.VectorView(data.vectors, "ip")
    flat = faiss.IndexFlatIP(data.vectors.shape[1])
    flat.add(data.vectors)
    n = len(data.vectors)
    one, many = data.queries[:1], data.queries[:BATCH]
    allowed = np.sort(np.random.default_rng(0).permutation(n)[: int(SHARE * n)])
    rows = _core.RowSet.from_slots(allowed.astype(np.uint32), n)
    chosen = faiss.SearchParameters(sel=bitmap(Allowed.of(allowed, n)))
    for title, queries, allows, parameters in (
        (f"top {K} of {n:,}, one query", one, None, None),
        (f"top {K} of {n:,}, {BATCH} queries", many, None, None),
        (f"top {K} of 1 % of {n:,} by bitmap, one query", one, rows, chosen),
    ):
        searches: dict[str, Search] = {
            f"vdb {codes.kind}": lambda q=queries, r=allows: codes.scan(view, q, K, r)[0],  # type: ignore[misc]
            "vdb float32": lambda q=queries, r=allows: _core.scan(view, q, K, r)[0],  # type: ignore[misc]
            "faiss flat": lambda q=queries, p=parameters: flat.search(q, K, params=p)[1],  # type: ignore[misc]
        }
        if len(queries) > 1:
            searches["numpy product"] = lambda q=queries: best_products(data.vectors, q)  # type: ignore[misc]
        compare(title, searches, data, repetitions * (20 if allows is not None else 1))


def best_products(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The slots of the K largest products, by numpy's BLAS."""
    products = queries @ vectors.T
    best = np.argpartition(products, -K, axis=1)[:, -K:]
    order = np.argsort(-np.take_along_axis(products, best, 1), axis=1, kind="stable")
    return np.take_along_axis(best, order, 1)


def recalls(data: datasets.Dataset) -> None:
    """Recall of the ten best estimates, without a look at the vectors."""
    view = _core.VectorView(data.vectors, "ip")
    queries = data.queries[:RECALL_QUERIES]
    truth = _core.scan(view, queries, K, threads=0)[0]
    rows = [["codes", "bytes", f"recall@{K} without rerank", "train and encode s"]]
    kinds = [("rabitq", bits) for bits in range(1, 9)] + [("sq8", 0), ("pq", 8), ("pq", 4)]
    for kind, bits in kinds:
        codes = _core.Codes(view.dim, "ip", kind, bits=bits, m=view.dim // 4 if kind == "pq" else 0)
        began = time.perf_counter()
        codes.extend(view)
        spent = time.perf_counter() - began
        hits = 0
        for begin in range(0, len(queries), 50):
            estimates, _ = codes.estimate(queries[begin : begin + 50])
            found = np.argpartition(estimates, K, axis=1)[:, :K]
            hits += sum(
                len(set(a) & set(b)) for a, b in zip(found.tolist(), truth[begin : begin + 50].tolist(), strict=True)
            )
        name = f"{kind} {bits} bits" if bits else kind
        rows.append([name, str(codes.record_bytes), f"{hits / (K * len(queries)):.4f}", f"{spent:.1f}"])
    print("\n".join([*markdown(rows), ""]))


def lifted(rows: int, repetitions: int) -> None:
    """The low-rank set: width found, and the answers beside float32's."""
    data = datasets.load("lifted", rows=rows, queries=100)
    view = _core.VectorView(data.vectors, "ip")
    codes = _core.Codes(view.dim, "ip", "projection", spectrum=spectrum)
    began = time.perf_counter()
    codes.extend(view)
    spent = time.perf_counter() - began
    slots, distances, stats = codes.scan(view, data.queries, K)
    truth, exact, _ = _core.scan(view, data.queries, K)
    off = np.abs(distances - exact).max() / np.abs(exact).max()
    print(f"lifted {rows:,} x {view.dim}: width {codes.width}, {codes.record_bytes} bytes a record, {spent:.1f} s")
    print(f"same slots {np.mean(slots == truth):.4f}, largest relative difference of a distance {off:.1e}")
    print(f"vectors read by rerank: {stats.distances / len(data.queries):.1f} a query\n")
    one = data.queries[:1]
    compare(
        f"top {K} of {rows:,} x {view.dim}, one query",
        {"vdb projection": lambda: codes.scan(view, one, K)[0], "vdb float32": lambda: _core.scan(view, one, K)[0]},
        data,
        repetitions,
    )


def main() -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lifted", action="store_true")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repetitions", type=int, default=15)
    options = parser.parse_args()
    print(f"{_core.isa()} on {machine.describe()['processor']}, one thread, medians of {options.repetitions}\n")
    if options.lifted:
        lifted(options.rows, options.repetitions)
        return
    data = datasets.load("arxiv", rows=options.rows)
    codes = _core.Codes(data.vectors.shape[1], "ip", "sq8")
    codes.extend(_core.VectorView(data.vectors, "ip"))
    scans(data, codes, options.repetitions)
    recalls(data)


if __name__ == "__main__":
    main()
