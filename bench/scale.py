"""How build time, memory and speed grow with the rows, each peer in a process of its own, and the exponents fitted.

    python bench/scale.py scaling
    python bench/scale.py scaling --rows 2735264            one size more, that of the large published set
    python bench/scale.py scaling --only vdb

Each size is a workload of bench/solo.py with a file of its own, so that a run that was cut goes on; the summary of all
of them is bench/results/<workload>.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np

from bench import datasets, result_file, solo, workload
from bench.filtered import summary
from bench.report import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LARGE = 2_735_264  # rows of the large published set
MEASURES = ("build_s", "build_peak_bytes", "index_bytes", "query_peak_bytes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workload", help="a filtered one with sizes: a TOML file, or its name below bench/workloads")
    parser.add_argument("--only", help="comma-separated peers; default: those of the workload")
    parser.add_argument("--rows", type=int, action="append", default=[], help=f"a size more, such as {LARGE}")
    parser.add_argument("--up-to", type=int, default=datasets.GROWN_MOST, help="leave larger sizes out")
    parser.add_argument("--results", type=Path, default=solo.RESULTS, help="folder of the result files")
    options = parser.parse_args(arguments)
    try:
        path = workload.find(options.workload)
        plan = workload.read(path)
        if not isinstance(plan, workload.FilteredWorkload):
            raise ValueError(f"{plan.name} is no filtered workload; expected one with kind = 'filtered'")
        sizes = sorted({size for size in (*sizes_of(path), *options.rows) if size <= options.up_to})
        names = options.only.split(",") if options.only else list(plan.peers)
        for size in sizes:
            run_size(plan, size, names, options.results)
    except (ValueError, datasets.MissingDataset) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    result = gathered(plan.name, options.results)
    out = options.results / f"{plan.name}.json"
    result_file.save(out, result)
    print(text(result))
    print(f"\nwritten to {out}")
    return 0


def sizes_of(path: Path) -> list[int]:
    """The sizes a workload names; ValueError where it names none."""
    sizes = workload.toml(path).get("sizes")
    if not isinstance(sizes, list) or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"{path} has sizes {sizes!r}; expected a list of rows; compare bench/workloads/scaling.toml")
    return sizes


def run_size(plan: workload.FilteredWorkload, size: int, names: Sequence[str], results: Path) -> dict[str, Any]:
    """Measure one size, as far as its file lacks it."""
    sized = replace(plan, name=f"{plan.name}_{size}", data=replace(plan.data, rows=size))
    return solo.run(sized, names, solo.SoloFile(results / f"{sized.name}.json", sized, summary.FLOOR))


def gathered(name: str, results: Path) -> dict[str, Any]:
    """What the files of all sizes say, by peer and measure: values by rows, and the exponent of a power of the rows."""
    peers: dict[str, dict[str, dict[str, float]]] = {}
    workloads = []
    for path in results.glob(f"{name}_[0-9]*.json"):
        measured = json.loads(path.read_text(encoding="utf-8"))
        workloads.append(measured)
        for peer, found in measured["peers"].items():
            for measure, value in measures(found).items():
                rows = peers.setdefault(peer, {}).setdefault(measure, {})
                rows[str(measured["workload"]["data"]["rows"])] = value
    if not workloads:
        raise ValueError(f"{results} has no file {name}_<rows>.json; expected one for each size; run bench/scale.py")
    for found in peers.values():
        for measure, rows in found.items():
            found[measure] = dict(sorted(rows.items(), key=lambda pair: int(pair[0])))
    exponents = {peer: {m: exponent(rows) for m, rows in found.items()} for peer, found in peers.items()}
    head = {"kind": "scaling", "name": name, "floor": workloads[0]["workload"]["floor"]}
    last = max(workloads, key=lambda each: each["workload"]["data"]["rows"])
    return {
        "workload": last["workload"] | head,
        "machine": last["machine"],
        "peers": peers,
        "exponents": exponents,
    }


def measures(found: Mapping[str, Any]) -> dict[str, float]:
    """The figures of one peer at one size: sizes, seconds of the build, and of a query in each cell."""
    cells = {f"query_s {cell}": solo.best_speed(methods) for cell, methods in found["cells"].items()}
    return {name: found[name] for name in MEASURES} | {name: 1 / qps for name, qps in cells.items() if qps}


def exponent(values: Mapping[str, float]) -> float | None:
    """The slope of the line of least squares through the logarithms; None of fewer than two sizes."""
    if len(values) < 2:
        return None
    rows = np.log([int(each) for each in values])
    return float(np.polyfit(rows, np.log(list(values.values())), 1)[0])


def text(result: dict[str, Any]) -> str:
    """A table for each peer, the exponents in the last line."""
    lines = [f"{result['workload']['name']}: each peer alone in a process"]
    for peer, found in result["peers"].items():
        sizes = sorted({int(size) for rows in found.values() for size in rows})
        rows = [["rows", *found], *([f"{size:,}", *_at(found, size)] for size in sizes)]
        slopes = (result["exponents"][peer][measure] for measure in found)
        rows.append(["exponent", *("-" if slope is None else f"{slope:.2f}" for slope in slopes)])
        lines += ["", peer, "", *markdown(rows)]
    return "\n".join(lines)


def _at(found: Mapping[str, Mapping[str, float]], size: int) -> list[str]:
    return [f"{values[str(size)]:.4g}" if str(size) in values else "-" for values in found.values()]


if __name__ == "__main__":
    sys.exit(main())
