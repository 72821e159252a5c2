"""Rows that come one commit at a time or in batches, and searches from eight threads while one writes.

    python bench/micro/live.py --rows 20000

Peers that persist are asked for the same single and batched inserts where they are installed. Every write of vdb is on
disk when it returns.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

import numpy as np

import vdb
from bench import datasets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

from contextlib import contextmanager

SINGLES = 200
BATCHES, BATCH = 10, 1_000
READERS = 8
SECONDS = 10.0
K = 10


def main() -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    data = datasets.load("arxiv")
    print(f"| into an index of {options.rows:,} rows | single, a second | batches of {BATCH:,}, rows a second |")
    print("|---|---|---|")
    for name, peer in PEERS.items():
        if importlib.util.find_spec(name) is None:
            print(f"| {name} | not installed | |")
            continue
        with tempfile.TemporaryDirectory() as folder, peer(Path(folder), data.vectors[: options.rows]) as insert:
            single = rate(insert, data.vectors, options.rows, SINGLES, 1)
            batched = rate(insert, data.vectors, options.rows + SINGLES, BATCHES, BATCH)
        print(f"| {name} | {single:,.0f} | {batched:,.0f} |")
    with tempfile.TemporaryDirectory() as folder:
        search_while_writing(Path(folder), data, options.rows)
    return 0


def rate(insert: Callable[[int, datasets.FloatMatrix], object], vectors: datasets.FloatMatrix, *how: int) -> float:
    """Rows a second of `times` calls of `size` rows from row `first` on."""
    first, times, size = how
    begin = time.perf_counter()
    for at in range(first, first + times * size, size):
        insert(at, vectors[at : at + size])
    return times * size / (time.perf_counter() - begin)


@contextmanager
def into_vdb(folder: Path, vectors: datasets.FloatMatrix) -> Iterator[Callable[[int, datasets.FloatMatrix], object]]:
    """A table on disk with an HNSW index."""
    with vdb.connect(folder / "db") as db:
        table = db.create_table("t", {"id": np.arange(len(vectors))}, e=vectors, key="id", metric="ip")
        table.create_index("e", vdb.HNSW())
        yield lambda at, rows: table.add({"id": np.arange(at, at + len(rows))}, e=rows)


@contextmanager
def into_lancedb(
    folder: Path, vectors: datasets.FloatMatrix
) -> Iterator[Callable[[int, datasets.FloatMatrix], object]]:
    """A lancedb table; its index does not follow inserts by itself."""
    import lancedb
    import pyarrow as pa

    def table_of(at: int, rows: datasets.FloatMatrix) -> pa.Table:
        column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
        return pa.table({"id": np.arange(at, at + len(rows)), "vector": column})

    table = lancedb.connect(str(folder)).create_table("t", table_of(0, vectors))
    yield lambda at, rows: table.add(table_of(at, rows))


@contextmanager
def into_chromadb(
    folder: Path, vectors: datasets.FloatMatrix
) -> Iterator[Callable[[int, datasets.FloatMatrix], object]]:
    """A chromadb collection, whose HNSW follows."""
    import chromadb

    collection = chromadb.PersistentClient(str(folder)).create_collection("rows", metadata={"hnsw:space": "ip"})

    def insert(at: int, rows: datasets.FloatMatrix) -> None:
        collection.add(ids=[str(at + i) for i in range(len(rows))], embeddings=rows)

    for begin in range(0, len(vectors), BATCH):
        insert(begin, vectors[begin : begin + BATCH])
    yield insert


PEERS: dict[str, Callable[[Path, datasets.FloatMatrix], AbstractContextManager[Any]]] = {
    "vdb": into_vdb,
    "lancedb": into_lancedb,
    "chromadb": into_chromadb,
}


def search_while_writing(folder: Path, data: datasets.Dataset, rows: int) -> None:
    """Searches of eight threads, alone and beside a writer that adds, deletes and updates; every row is checked."""
    with vdb.connect(folder / "db") as db:
        table = db.create_table("t", {"id": np.arange(rows)}, e=data.vectors[:rows], key="id", metric="ip")
        table.create_index("e", vdb.HNSW())
        alone = searched(table, data, None)

        def write(turn: int) -> None:
            at = rows + turn * 20
            table.add({"id": np.arange(at, at + 20)}, e=data.vectors[at % 90_000 : at % 90_000 + 20])
            table.delete(ids=list(range(turn * 10, turn * 10 + 10)))

        beside = searched(table, data, write)
    print(f"\n{READERS} threads searching: {alone:,.0f} searches a second alone, {beside:,.0f} beside a writer")


def searched(table: vdb.Table, data: datasets.Dataset, write: Callable[[int], None] | None) -> float:
    """Searches a second of all threads; an error or a short or disordered answer in any of them is raised."""
    stop, counts, failures = time.perf_counter() + SECONDS, [0] * READERS, []

    def read(number: int) -> None:
        try:
            while time.perf_counter() < stop:
                hits = table.search(data.queries[(counts[number] * READERS + number) % len(data.queries)], K)
                if len(hits.ids) != K or (np.diff(hits.distances) < 0).any():
                    raise AssertionError(f"a wrong answer: {hits.ids}, {hits.distances}")
                counts[number] += 1
        except Exception as error:  # a thread reports, the caller raises
            failures.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(READERS)]
    for thread in threads:
        thread.start()
    turn = 0
    while write is not None and time.perf_counter() < stop:
        write(turn)
        turn += 1
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts) / SECONDS


if __name__ == "__main__":
    sys.exit(main())
