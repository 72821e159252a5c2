"""An inverted file over more vectors than memory: written, built and searched in processes of limited resident memory.

    python bench/ivf_memory.py --rows 3000000 --limit-mb 1500 --folder /tmp/grown.vdb

writes the grown set (4.6 GB of vectors) once, in commits of 96 MB, then builds the index in one child and searches in
another, each held to the limit by a memory cgroup, or as bench/resident.py describes. The size and width of the large
published set:

    python bench/ivf_memory.py --data grown_lifted --rows 2735264 --type BFLOAT16 --limit-mb 20000 --folder DIR

Where the disk is too small fewer rows are written, and the result says how many; `--out` keeps it for bench/report.py.
Who may not make cgroups, and has systemd:

    systemd-run --user --scope -p MemoryMax=1500M -p MemorySwapMax=0 python bench/ivf_memory.py --rows 3000000 ...
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np

import vdb
from bench import grown, machine, result_file
from bench.datasets import unit_rows
from bench.fanns.sources import Source
from bench.filtered.adapters.vdb_plans import LISTS
from bench.report import markdown
from bench.resident import Held, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.datasets import FloatMatrix

COMMIT_BYTES = 96 << 20  # of float32
SPARED_BYTES = 1 << 30  # of the disk, for the index and whatever else needs room
QUERIES, WARM, K = 100, 10, 10
DIM, NOISE_CENTRES = 384, 200
LEAST_MB, LIMIT_SHARE = 512, 3  # for DuckDB and the index, and of the limit; the vectors are beside it


def main() -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="a database, written as far as it is not there")
    parser.add_argument("--limit-mb", type=int, default=1500)
    parser.add_argument("--index", default="ivfrabitq", help=f"one of {', '.join(LISTS)}")
    parser.add_argument("--nlist", type=int, default=0, help="0: by the rows")
    parser.add_argument("--data", choices=("grown", "grown_lifted", "noise"), default="grown")
    parser.add_argument("--type", choices=("FLOAT", "FLOAT16", "BFLOAT16"), default="FLOAT", help="of the vectors")
    parser.add_argument("--out", type=Path, help="a result file, such as bench/results/large.json")
    parser.add_argument("--step", choices=("build", "search"), help="what a child does")
    options = parser.parse_args()
    if options.step is not None:
        print(json.dumps(step(options)))
        return 0
    rows, seconds = write(options)
    result = described(options, rows) | {"write_s": seconds} | {name: child(name) for name in ("build", "search")}
    print(json.dumps(result, indent=1))
    if options.out is not None:
        result_file.save(options.out, result)
    return 0


def described(options: argparse.Namespace, rows: int) -> dict[str, Any]:
    """What is measured and on what, as every result says it; `rows` are those that were written."""
    index = {"index": options.index, "nlist": options.nlist, "type": options.type, "limit_mb": options.limit_mb}
    data = {"name": options.data, "rows": rows, "queries": QUERIES}
    name = options.out.stem if options.out is not None else "large"
    plan = {"kind": "large", "name": name, "data": data, "index": index, "search": {"k": K, "repetitions": 1}}
    return {"workload": plan, "machine": machine.describe()}


def text(result: dict[str, Any]) -> str:
    """The table of a result."""
    plan, build, search = result["workload"], result["build"], result["search"]
    figures = {
        "rows": f"{plan['data']['rows']:,}",
        "write s": "-" if result["write_s"] is None else f"{result['write_s']:.0f}",
        "build s": f"{build['seconds']:.0f}",
        "peak at build MB": f"{build['at_most_mb']:,}",
        "bytes a row": f"{build['bytes_a_row']:.0f}",
        "lists": f"{build['lists']:,}",
        "recall": f"{search['recall']:.4f}",
        "queries a second": f"{search['qps']:.0f}",
        "p50 us": f"{search['p50_us']:.0f}",
        "p99 us": f"{search['p99_us']:.0f}",
        "peak at query MB": f"{search['at_most_mb']:,}",
    }
    title = (
        f"{plan['name']}: {plan['data']['name']} vectors on disk, processes held to {plan['index']['limit_mb']:,} MB"
    )
    return "\n".join([title, "", *markdown([list(figures), list(figures.values())])])


def child(name: str) -> dict[str, Any]:
    """What a step came to, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--step", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def write(options: argparse.Namespace) -> tuple[int, float | None]:
    """Write the rows that are not there yet, as far as the disk has room.

    Returns how many there are, and the seconds; None where some were there before.
    """
    began = time.perf_counter()
    dim = DIM if options.data == "noise" else Source.of(options.data, options.rows).dim
    with vdb.connect(options.folder, memory_limit=memory(options)) as db:
        schema = {"id": "BIGINT PRIMARY KEY", "v": f"{options.type}[{dim}]"}
        table = db.table("rows") if "rows" in db.tables() else db.create_table("rows", schema, metric="ip")
        before = first = len(table)
        if first < options.rows:
            for batch in batches(noise_parts(options.rows, first) if options.data == "noise" else made(options, first)):
                if shutil.disk_usage(options.folder).free < batch.nbytes + SPARED_BYTES:
                    print(f"the disk has room for {first:,} rows of {options.rows:,}", file=sys.stderr)
                    break
                table.add({"id": np.arange(first, first + len(batch))}, v=batch)
                first += len(batch)
        return len(table), None if before else round(time.perf_counter() - began, 1)


def memory(options: argparse.Namespace) -> str:
    """What DuckDB and the index may take."""
    return f"{max(options.limit_mb // LIMIT_SHARE, LEAST_MB)}MB"


def batches(parts: Iterator[FloatMatrix]) -> Iterator[FloatMatrix]:
    """The same rows in commits."""
    waiting: list[FloatMatrix] = []
    for part in parts:
        waiting.append(part)
        if sum(part.nbytes for part in waiting) >= COMMIT_BYTES:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def made(options: argparse.Namespace, first: int) -> Iterator[FloatMatrix]:
    """The set that grows, or its lifted form, from a row on."""
    return (part for part, _ in Source.of(options.data, options.rows).chunks(first))


def noise_parts(rows: int, first: int = 0) -> Iterator[FloatMatrix]:
    """Unit vectors around a few centres, for a machine without the papers."""
    centres = np.random.default_rng(0).standard_normal((NOISE_CENTRES, DIM), dtype=np.float32)
    for begin in range(first, rows, grown.CHUNK_ROWS):
        rng = np.random.default_rng([1, begin])
        count = min(grown.CHUNK_ROWS, rows - begin)
        noise = rng.standard_normal((count, DIM), dtype=np.float32)
        yield unit_rows(centres[rng.integers(NOISE_CENTRES, size=count)] + noise)


def step(options: argparse.Namespace) -> dict[str, Any]:
    """Build the index, or search by it, and say what was resident meanwhile."""
    with (
        Held(options.limit_mb << 20, options.folder) as held,
        vdb.connect(options.folder, memory_limit=memory(options)) as db,
    ):
        began_mb, began = resident_bytes() >> 20, time.perf_counter()
        table = db.table("rows")
        found = build(table, options) if options.step == "build" else search(table, options)
        found |= {"seconds": round(time.perf_counter() - began, 1), "resident_at_first_mb": began_mb}
        most_mb, anonymous_mb = held.most >> 20, held.most_anonymous >> 20
        found |= {"at_most_mb": most_mb, "anonymous_at_most_mb": anonymous_mb}
        return found | {"held_by": held.by, "drops": held.drops}


def build(table: vdb.Table, options: argparse.Namespace) -> dict[str, Any]:
    """The index, anew."""
    for info in table.list_indexes():
        table.drop_index(info.name)
    info = table.create_index("v", LISTS[options.index][0](**({"nlist": options.nlist} if options.nlist else {})))
    return {"lists": info.lists, "bytes_a_row": round(info.memory_bytes / max(info.covered, 1), 1)}


def search(table: vdb.Table, options: argparse.Namespace) -> dict[str, Any]:
    """Recall and times of queries one by one, beside the scan of all rows at once."""
    noise = options.data == "noise"
    queries = next(noise_parts(QUERIES)) if noise else Source.of(options.data, options.rows).queries(QUERIES)
    hits: list[vdb.Hits] = []
    ends: list[float] = []
    for query in np.concatenate([queries[:WARM], queries]):
        hits.append(table.search(query, K, strategy="ivf", recall=0.95))
        ends.append(time.perf_counter())
    hits, taken = hits[WARM:], np.diff(ends[WARM - 1 :])
    truth = table.search(queries, K, strategy="scan")
    recall = np.mean([np.isin(true, hit.ids).mean() for true, hit in zip(truth.ids, hits, strict=True)])
    times = {f"p{share}_us": round(float(np.percentile(taken, share)) * 1e6, 1) for share in (50, 95, 99)}
    speed = {"recall": round(float(recall), 4), "qps": round(len(taken) / float(taken.sum()), 1)}
    return speed | times | {"explained": hits[0].explain().splitlines()[3].strip()}


if __name__ == "__main__":
    sys.exit(main())
