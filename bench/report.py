"""Tables of a result file, as Markdown: speed at the recall floors, ratios to the reference, build and memory.

    python bench/report.py bench/results/hnsw_100k.json
    python bench/report.py bench/results/arxiv_100k.json bench/results/arxiv_100k_solo.json --page

The second draws the plots of all that are named: into one HTML page beside the first, which needs nothing else, and as
PNG files beside each.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.metrics import Spread, SweepPoint, qps_at_recall

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXTS = {
    "filtered": "bench.filtered.tables",
    "solo": "bench.solo",
    "scaling": "bench.scale",
    "large": "bench.ivf_memory",
}
WAYS = {"single_qps": ("recall", "one query per call"), "batch_qps": ("batch_recall", "all queries in one call")}


def text(result: dict[str, Any]) -> str:
    """Every table of a result, with the machine and the peers that were skipped."""
    kind = result["workload"].get("kind")
    if kind in TEXTS:  # they take `markdown` from here
        return str(import_module(TEXTS[kind]).text(result))
    plan, machine = result["workload"], result["machine"]
    lines = [*heading(plan, machine), "", "Build and memory", "", *build_table(result)]
    for way, (_, title) in WAYS.items():
        lines += ["", f"QPS at recall, {title}; x = ratio to {plan['reference']} in the same repetition", ""]
        lines += speed_table(result, way)
    lines += [f"skipped {reason}" for reason in result["skipped"].values()]
    return "\n".join(lines)


def heading(plan: dict[str, Any], machine: dict[str, Any]) -> list[str]:
    """What was measured, where and how often."""
    data, search = plan["data"], plan["search"]
    index = ", ".join(f"{key}={value}" for key, value in plan["index"].items())
    what = f"{plan['name']}: {data['name']}, {data['rows']} rows, {data['queries']} queries, k={search['k']}, {index}"
    where = f"on {machine['processor']}, {machine['cores']} cores"
    threads = f"search on one thread, build on {plan['build_threads']}"
    return [what, f"{where}; {threads}; median (least - greatest) of {search['repetitions']} repetitions"]


def build_table(result: dict[str, Any]) -> list[str]:
    """Build time and memory of every peer."""
    rows = [["peer", "version", "build s", "x", "own MB", "resident MB", "best recall"]]
    reference = result["peers"].get(result["workload"]["reference"])
    for name, peer in result["peers"].items():
        ratio = f"{peer['build_s'] / reference['build_s']:.2f}" if reference else "-"
        megabytes = [f"{peer[key] / 1e6:.0f}" for key in ("memory_bytes", "resident_bytes")]
        best = max(point["recall"] for point in peer["sweep"])
        rows.append([name, peer["version"], f"{peer['build_s']:.1f}", ratio, *megabytes, f"{best:.4f}"])
    return markdown(rows)


def speed_table(result: dict[str, Any], way: str) -> list[str]:
    """QPS of every peer at every recall floor, and its ratio to the reference."""
    floors = result["workload"]["search"]["recall_floors"]
    reference = result["peers"].get(result["workload"]["reference"])
    rows = [["peer", *(heading for floor in floors for heading in (f"{floor:.2f}", "x"))]]
    for name, peer in result["peers"].items():
        cells = [name]
        for floor in floors:
            speeds = speeds_at(peer, way, floor)
            base = speeds_at(reference, way, floor) if reference else []
            ratios = [own / other for own, other in zip(speeds, base, strict=False)]
            cells += [spread(speeds, ".0f"), spread(ratios, ".2f")]
        rows.append(cells)
    return markdown(rows)


def speeds_at(peer: dict[str, Any], way: str, floor: float) -> list[float]:
    """QPS at a recall floor of each repetition; empty where the peer never gets there."""
    recall = WAYS[way][0]
    repetitions = len(peer["sweep"][0][way])
    curves = [[SweepPoint(point[recall], point[way][r]) for point in peer["sweep"]] for r in range(repetitions)]
    speeds = [qps_at_recall(curve, floor) for curve in curves]
    return [speed for speed in speeds if speed is not None]


def spread(values: Sequence[float], form: str) -> str:
    """Median (least - greatest), or a dash."""
    if not values:
        return "-"
    s = Spread.of(values)
    return f"{s.median:{form}} ({s.low:{form}} - {s.high:{form}})"


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows, the first of which is the heading, as an aligned table."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def write_page(results: dict[Path, dict[str, Any]]) -> list[Path]:
    """Draw results by their files: the PNG files beside each, and the HTML page beside the first. What was written."""
    from bench.web import figures, page, pictures

    written = []
    for path, result in results.items():
        for name, plots in figures.sheets(result).items():
            written.append(path.with_name(f"{path.stem}_{name}.png"))
            written[-1].write_bytes(pictures.png(plots))
    written.append(next(iter(results)).with_suffix(".html"))
    written[-1].write_text(page.page(list(results.values())), encoding="utf-8")
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path, help="result files of bench/run.py, solo.py or scale.py")
    parser.add_argument("--page", action="store_true", help="draw them as PNG files and one HTML page")
    options = parser.parse_args(arguments)
    results = {path: json.loads(path.read_text(encoding="utf-8")) for path in options.results}
    print("\n\n".join(map(text, results.values())))
    if options.page:
        print("".join(f"\nwritten to {written}" for written in write_page(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
