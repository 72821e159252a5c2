"""Run one workload: build every peer, then sweep the effort with the peers taking turns.

    python bench/run.py workloads/hnsw_100k.toml --only vdb,hnswlib

Each repetition visits every (effort, peer) pair once, so slow drift of the machine meets all peers alike. Writes
bench/results/<workload>.json and prints the tables of bench/report.py. What is measured is kept after every repetition,
of a filtered workload (bench/filtered/) after every cell, and a run that was cut goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # bench/ itself would offer `datasets` to everybody

import numpy as np
from tqdm import tqdm

from bench import adapters, datasets, ground_truth, machine, metrics, report, result_file, workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.adapters.base import Adapter, FloatMatrix, RowNumbers

RESULTS = datasets.ROOT / "bench" / "results"
PERCENTILES = (50, 95, 99)  # of the time of a query


@dataclass
class PeerResult:
    """Everything measured of one peer; the sweep holds one entry per effort."""

    version: str
    build_s: float
    memory_bytes: int  # the peer's own count of links and vectors, or its serialised size
    resident_bytes: int  # growth of the process over the build
    sweep: list[EffortResult] = field(default_factory=list)


@dataclass
class EffortResult:
    """One effort: recall of the single queries, and queries per second of each repetition, both ways of asking."""

    effort: int
    recall: float = 0.0
    batch_recall: float = 0.0
    single_qps: list[float] = field(default_factory=list)
    batch_qps: list[float] = field(default_factory=list)
    latency_us: dict[str, list[float]] = field(default_factory=dict)  # of single queries, by percentile


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workload", help="a TOML file, or its name below bench/workloads")
    parser.add_argument("--only", help="comma-separated peers; default: those of the workload")
    parser.add_argument("--out", type=Path, help="result file; default: bench/results/<workload>.json")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    options = parser.parse_args(arguments)
    try:
        plan = workload.read(workload.find(options.workload))
        names = options.only.split(",") if options.only else list(plan.peers)
        out = options.out or RESULTS / f"{plan.name}.json"
        if isinstance(plan, workload.FilteredWorkload):
            from bench.filtered import measure  # which needs what the others do not

            result = measure.run(plan, names, out, fresh=options.fresh)
        else:
            partial = out.with_suffix(".partial.json")
            if options.fresh:
                partial.unlink(missing_ok=True)
            result = run(plan, names, partial)
            result_file.save(out, result)
            partial.unlink(missing_ok=True)
    except (ValueError, datasets.MissingDataset) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(report.text(result))
    print(f"\nwritten to {out}")
    return 0


def run(plan: workload.Workload, names: Sequence[str], partial: Path) -> dict[str, Any]:
    """Measure the named peers and return the content of the result file; `partial` has it so far."""
    data = datasets.load(plan.data.name, rows=plan.data.rows, queries=plan.data.queries)
    log(f"ground truth of {len(data.queries)} queries over {len(data.vectors)} rows")
    truth = ground_truth.cached(data, plan.index.metric)
    peers: dict[str, Adapter] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            peers[name] = adapters.make(name, plan.index)
        except adapters.MissingPeer as reason:  # noqa: PERF203 -- a handful of peers
            skipped[name] = str(reason)
            log(f"skipped {reason}")
    kept = {
        "workload": json.loads(json.dumps(asdict(plan))),
        "machine": machine.describe(),
        "skipped": skipped,
    }
    begun = sweeps_of(partial, kept["workload"], list(peers))
    results: dict[str, PeerResult] = {}
    try:
        for name, peer in peers.items():
            results[name] = build(peer, data.vectors, plan.build_threads)
            results[name].sweep = begun.get(name) or [EffortResult(effort) for effort in plan.search.efforts]
        for _ in sweep(peers, results, Questions(data.queries, truth, plan.search)):
            result_file.save(partial, kept | {"peers": {name: asdict(result) for name, result in results.items()}})
    finally:
        for name in results:
            peers[name].close()
    return kept | {"peers": {name: asdict(result) for name, result in results.items()}}


def sweeps_of(partial: Path, plan: dict[str, Any], names: list[str]) -> dict[str, list[EffortResult]]:
    """What a run of the same plan and peers that was cut has measured; nothing where there is none."""
    if not partial.exists():
        return {}
    found = json.loads(partial.read_text(encoding="utf-8"))
    if found["workload"] != plan or list(found["peers"]) != names:
        return {}
    log(f"going on with {partial}; --fresh begins anew")
    return {name: [EffortResult(**point) for point in peer["sweep"]] for name, peer in found["peers"].items()}


def build(peer: Adapter, vectors: FloatMatrix, threads: int) -> PeerResult:
    """Build one peer and weigh it."""
    before = machine.resident_bytes()
    seconds, _ = timed(lambda: peer.build(vectors, threads))
    grown = machine.resident_bytes() - before
    log(f"{peer.name}: built in {seconds:.1f} s")
    return PeerResult(peer.version, seconds, peer.memory_bytes(), max(grown, 0))


@dataclass(frozen=True)
class Questions:
    """What is asked, how, and the right answers."""

    queries: FloatMatrix
    truth: ground_truth.GroundTruth
    plan: workload.SearchPlan


def sweep(peers: dict[str, Adapter], results: dict[str, PeerResult], questions: Questions) -> Iterator[int]:
    """Go on with the sweeps of `results`, the peers taking turns at every effort, another one first each time.

    Yields the number of each repetition when it is done.
    """
    plan = questions.plan
    done = min((len(point.single_qps) for result in results.values() for point in result.sweep), default=0)
    steps = len(peers) * len(plan.efforts)
    with tqdm(total=plan.repetitions * steps, initial=done * steps, unit="setting") as bar:
        for repetition in range(done, plan.repetitions):
            for at, effort in enumerate(plan.efforts):
                for name in rotated(list(peers), repetition + at):
                    bar.set_postfix_str(f"{name}, effort {effort}")
                    peers[name].set_effort(effort)
                    ask(peers[name], results[name].sweep[at], questions)
                    bar.update()
            yield repetition


def ask(peer: Adapter, point: EffortResult, questions: Questions) -> None:
    """Ask every query alone, then all in one call, and record speed and recall."""
    queries, truth, k = questions.queries, questions.truth, questions.plan.k
    for query in queries[:10]:  # warm: the previous peer emptied the caches
        peer.query(query, k)
    answers, ends = [], [time.perf_counter()]
    for query in queries:
        answers.append(peer.query(query, k))
        ends.append(time.perf_counter())
    batch_s, batch = timed(lambda: peer.query_batch(queries, k))
    point.single_qps.append(len(queries) / (ends[-1] - ends[0]))
    point.batch_qps.append(len(queries) / batch_s)
    for share, value in zip(PERCENTILES, np.percentile(np.diff(ends), PERCENTILES), strict=True):
        point.latency_us.setdefault(f"p{share}", []).append(float(value) * 1e6)
    point.recall = metrics.recall_at_k(padded(answers, k), truth, k)
    point.batch_recall = metrics.recall_at_k(np.asarray(batch), truth, k)


def padded(answers: Sequence[RowNumbers], k: int) -> RowNumbers:
    """Stack answers of up to k rows as (nq, k) int64, short ones padded with -1."""
    stacked = np.full((len(answers), k), ground_truth.ABSENT, dtype=np.int64)
    for i, answer in enumerate(answers):
        stacked[i, : len(answer)] = answer
    return stacked


def rotated(names: list[str], by: int) -> list[str]:
    """Return the names in their order, starting `by` places further."""
    start = by % max(len(names), 1)
    return names[start:] + names[:start]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds a call took and what it returned."""
    begin = time.perf_counter()
    answer = call()
    return time.perf_counter() - begin, answer


def log(line: str) -> None:
    """Say on standard error how far the run is."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
