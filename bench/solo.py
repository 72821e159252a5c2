"""Every peer of a filtered workload in a process of its own: peak memory at build and at query, and its best settings.

    python bench/solo.py arxiv_100k
    python bench/solo.py arxiv_100k --only vdb,hnswlib --floor 0.9

bench/run.py has peers take turns, so that ratios hold on a noisy machine; what is resident then belongs to all of them.
Here a child builds one peer, forgets the data it was built from, searches for the fastest setting at the recall floor
in every cell, and repeats it. The file is written after every peer, and a run that was cut goes on.
"""

from __future__ import annotations

import argparse
import gc
import json
import pickle
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from bench import datasets, machine, result_file, workload
from bench.adapters import MissingPeer
from bench.filtered import adapters, greedy, summary
from bench.filtered.adapters.base import Setup
from bench.filtered.ask import Pass, ask, ask_by_text, judge
from bench.filtered.predicate import Inexpressible
from bench.filtered.questions import Questioner, Questions, RowFinder, load
from bench.metrics import Timing
from bench.report import markdown
from bench.resident import reset_peak, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.filtered.adapters.base import Effort, FilteredPeer

RESULTS = datasets.ROOT / "bench" / "results"
PERCENTILES = (50, 95, 99)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workload", help="a filtered one: a TOML file, or its name below bench/workloads")
    parser.add_argument("--only", help="comma-separated peers; default: those of the workload")
    parser.add_argument("--floor", type=float, default=summary.FLOOR, help="of recall")
    parser.add_argument("--queries", type=int, help="fewer than the workload's: memory does not depend on them")
    parser.add_argument("--out", type=Path, help="result file; default: bench/results/<workload>_solo.json")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--task", type=Path, help="what a child does")
    options = parser.parse_args(arguments)
    if options.task is not None:
        print(json.dumps(child(pickle.loads(options.task.read_bytes()))))
        return 0
    try:
        plan = workload.read(workload.find(options.workload))
        if not isinstance(plan, workload.FilteredWorkload):
            raise ValueError(f"{plan.name} is no filtered workload; expected one with kind = 'filtered'")
        if options.queries:
            plan = replace(plan, data=replace(plan.data, queries=options.queries))
        names = options.only.split(",") if options.only else list(plan.peers)
        out = options.out or RESULTS / f"{plan.name}_solo.json"
        result = run(plan, names, SoloFile(out, plan, options.floor, fresh=options.fresh))
    except (ValueError, datasets.MissingDataset) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(text(result))
    print(f"\nwritten to {out}")
    return 0


class SoloFile:
    """What was measured so far, a peer as a whole or not at all; ValueError where the file has another plan."""

    def __init__(self, path: Path, plan: workload.FilteredWorkload, floor: float, *, fresh: bool = False) -> None:
        self.path, self.floor = path, floor
        wanted = json.loads(json.dumps({"kind": "solo", "floor": floor} | asdict(plan)))
        self.content: dict[str, Any] = {"workload": wanted, "machine": machine.describe(), "peers": {}, "skipped": {}}
        if path.exists() and not fresh:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found.get("workload") != wanted:
                raise ValueError(f"{path} has the results of another plan; --fresh begins anew, --out names another")
            self.content |= {key: found[key] for key in ("peers", "skipped")}

    def save(self) -> None:
        """Write the file, whole or not at all."""
        self.content = result_file.save(self.path, self.content)


@dataclass(frozen=True)
class Task:
    """What a child is told: the questions have been drawn and answered before, so that their cost is not the peer's."""

    plan: workload.FilteredWorkload
    peer: str
    floor: float
    questions: list[Questions]


def run(plan: workload.FilteredWorkload, names: Sequence[str], kept: SoloFile) -> dict[str, Any]:
    """Measure what the file lacks of the named peers and return its content."""
    for name in names:
        if name not in adapters.PEERS:
            raise ValueError(f"unknown peer {name!r}; expected one of {', '.join(adapters.PEERS)}")
    waiting = [name for name in names if name not in kept.content["peers"]]
    if waiting:
        questions = drawn(plan)
        for name in (bar := tqdm(waiting, unit="peer")):
            bar.set_postfix_str(name)
            found = measured_apart(Task(plan, name, kept.floor, questions))
            kept.content["skipped"].pop(name, None)
            kept.content["skipped" if "skipped" in found else "peers"][name] = found.get("skipped", found)
            kept.save()
    return kept.content


def drawn(plan: workload.FilteredWorkload) -> list[Questions]:
    """The questions of every cell."""
    data = load(plan.data.name, plan.data.rows, plan.data.queries, plan.search.warm)
    finder = RowFinder(data.attributes)
    try:
        questioner = Questioner(data, plan.index.metric, finder, plan.search.warm, plan.search.seed)
        return [questioner.questions(cell) for cell in plan.search.cells]
    finally:
        finder.close()


def measured_apart(task: Task) -> dict[str, Any]:
    """What a child process says of a peer, or why there is nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.pickle"
        path.write_bytes(pickle.dumps(task))
        command = [sys.executable, str(Path(__file__).resolve()), task.plan.name, "--task", str(path)]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        return {"skipped": f"{task.peer}: ended with {done.returncode}: {said:.200}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def child(task: Task) -> dict[str, Any]:
    """Build and ask one peer in this process."""
    plan = task.plan
    try:
        peer = adapters.make(task.peer, Setup(plan.index, plan.indexes))
    except MissingPeer as reason:
        return {"skipped": str(reason)}
    libraries = machine.resident_bytes()
    data = load(plan.data.name, plan.data.rows, 1)
    sizes = {"libraries_bytes": libraries, "input_bytes": machine.resident_bytes() - libraries}
    reset_peak()
    began = time.perf_counter()
    peer.build(data, plan.build_threads)
    seconds = time.perf_counter() - began
    sizes |= {"build_peak_bytes": resident_bytes("VmHWM"), "index_bytes": peer.memory_bytes()}
    finder = None if not peer.knows_rows else RowFinder(data.attributes)
    del data
    sizes["built_bytes"] = machine.resident_bytes()
    reset_peak()
    try:
        gc.freeze()  # each pass collects before it begins: not what the libraries made
        with threadpool_limits(1, "blas"):
            cells = {each.cell: in_cell(peer, each, task, finder) for each in task.questions}
    finally:
        peer.close()
    sizes["query_peak_bytes"] = resident_bytes("VmHWM")
    return {"version": peer.version, "build_s": seconds, "parts": peer.parts} | sizes | {"cells": cells}


def in_cell(peer: FilteredPeer, questions: Questions, task: Task, finder: RowFinder | None) -> dict[str, Any]:
    """The best setting of every method in one cell; of vdb, of its own choice."""
    both = [questions, *([questions.warm] if questions.warm is not None else [])]
    try:
        bound = [peer.bind(p, a) for each in both for p, a in zip(each.predicates, each.allowed, strict=True)]
    except Inexpressible as error:
        return {"skipped": str(error)}
    found: dict[str, Any] = {}
    for method, sweeps in peer.sweeps().items():
        if summary.is_own(method) and summary.AUTO in peer.sweeps() and method != summary.AUTO:
            continue
        passes: list[tuple[Effort, Pass]] = []

        def try_(effort: Effort, method: str = method, passes: list[tuple[Effort, Pass]] = passes) -> greedy.Tried:
            peer.choose(method, effort)
            result = ask(peer, questions, bound, task.plan.search)
            passes.append((effort, result))
            recall = judge(result.answers, questions, task.plan.search.k).recall if not result.refused else 0.0
            return greedy.Tried(effort, recall, len(result.whole) / max(sum(result.whole), 1e-9), result.cut)

        try:
            best = greedy.fastest(sweeps, try_, task.floor)
            found[method] = {"tried": len(passes)}
            if best is not None:
                first = next(result for effort, result in reversed(passes) if effort == best.effort)
                peer.choose(method, best.effort)
                found[method] |= repeated(peer, questions, bound, (task, finder), first)
                found[method] |= {"effort": best.effort, "recall": best.recall}
        except Exception as error:  # of a library; the others go on
            found[method] = {"skipped": f"failed: {type(error).__name__}: {error}"}
    return found


def repeated(
    peer: FilteredPeer, questions: Questions, bound: list[Any], how: tuple[Task, RowFinder | None], first: Pass
) -> dict[str, Any]:
    """Times of the chosen setting over the repetitions: with the row set known, and from the text on."""
    task, finder = how
    plan = task.plan.search
    passes = [first, *(ask(peer, questions, bound, plan) for _ in range(plan.repetitions - 1))]
    if finder is None:
        return {"core": timing([each.core for each in passes]), "text": timing([each.whole for each in passes])}
    from_text = [ask_by_text(peer, questions, finder, plan) for _ in range(plan.repetitions)]
    return {"core": timing([each.whole for each in passes]), "text": timing([each.whole for each in from_text])}


def timing(repetitions: list[list[float]]) -> dict[str, Any] | None:
    """Speed of each repetition, and percentiles of the questions."""
    timed = Timing.of(repetitions)
    if timed is None:
        return None
    found = {f"p{share}_us": float(np.percentile(timed.each_us, share)) for share in PERCENTILES}
    return {"qps": timed.qps, "asked": len(timed.each_us)} | found


def text(result: dict[str, Any]) -> str:
    """The table of a result: what each peer takes in a process of its own, and its speed in each cell."""
    cells = result["workload"]["search"]["cells"]
    names = ("build s", "peak at build MB", "index MB", "peak at query MB")
    rows = [["peer", "version", *names, *(f"{cell} QPS" for cell in cells)]]
    for name, peer in result["peers"].items():
        sizes = [f"{peer[key] / 1e6:.0f}" for key in ("build_peak_bytes", "index_bytes", "query_peak_bytes")]
        speeds = [best_speed(peer["cells"].get(cell, {})) for cell in cells]
        shown = [f"{speed:.0f}" if speed else "-" for speed in speeds]
        rows.append([name, peer["version"], f"{peer['build_s']:.1f}", *sizes, *shown])
    floor = result["workload"]["floor"]
    title = f"each peer alone in a process; queries a second from the text of the predicate, at recall {floor}"
    return "\n".join([title, "", *markdown(rows), "", *(f"skipped {why}" for why in result["skipped"].values())])


def best_speed(methods: dict[str, Any], part: summary.Part = "text") -> float:
    """Queries a second of the fastest method of a peer in a cell, 0 where none reaches the floor."""
    each = (kept[part] for kept in methods.values() if isinstance(kept, dict) and kept.get(part))
    return max((float(np.median(timed["qps"])) for timed in each), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
