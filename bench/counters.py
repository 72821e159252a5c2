"""What searches take, in counts that are the same on every machine, against bench/baseline.json.

    python bench/counters.py                    what differs from the baseline; fails where something got worse
    python bench/counters.py --write            the figures of now become the baseline

Distances, estimates, hops, lists, recall and bytes of every index on made vectors. A kernel may round differently on
another processor, and a walk then goes another way: so a count may be up to `COUNTS` of its baseline before it fails,
bytes up to `BYTES`, a recall no more than `RECALL` below.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np

import vdb
from bench.adapters.base import bytes_below
from bench.datasets import ROOT, FloatMatrix, unit_rows
from bench.report import markdown
from vdb import _core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Answer = tuple[np.ndarray, np.ndarray, _core.SearchStats]

BASELINE = ROOT / "bench" / "baseline.json"
COUNTS, BYTES, RECALL = 1.05, 1.02, 0.01
ROWS, QUERIES, DIM, CENTRES, K, SEED = 10_000, 100, 96, 60, 10, 7
EFS, NPROBES, SHARES = (32, 128), (4, 16), (0.2, 0.02)
COUNTED = ("distances", "estimates", "refined", "hops", "lists", "tests")
Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make the figures of now the baseline")
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    options = parser.parse_args(arguments)
    found = measured()
    if options.write:
        options.baseline.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"written to {options.baseline}")
        return 0
    if not options.baseline.exists():
        print(
            f"{parser.prog}: no {options.baseline}; expected the counters of before; run with --write", file=sys.stderr
        )
        return 2
    known: dict[str, Figures] = json.loads(options.baseline.read_text(encoding="utf-8"))
    print("\n".join(markdown(table(found, known))))
    worse = failures(found, known)
    print("\n".join(["", *worse]) if worse else "\nnothing got worse")
    return 1 if worse else 0


def measured() -> dict[str, Figures]:
    """Every figure, by what was searched and what was counted."""
    rows, queries = made()
    view = _core.VectorView(rows, "ip")
    truth = _core.scan(view, queries, K, threads=0)[0]
    every = [graphs, inverted_files, flat_codes]
    found = {name: figures for each in every for name, figures in each(rows, view, queries, truth)}
    return found | {"table on disk": table_bytes(rows)}


def made() -> tuple[FloatMatrix, FloatMatrix]:
    """Unit vectors around a few centres, and queries of the same kind."""
    rng = np.random.default_rng(SEED)
    centres = rng.standard_normal((CENTRES, DIM))
    points = centres[rng.integers(CENTRES, size=ROWS + QUERIES)] + 0.9 * rng.standard_normal((ROWS + QUERIES, DIM))
    unit = unit_rows(points)
    return unit[:ROWS], unit[ROWS:]


def graphs(
    rows: FloatMatrix, view: _core.VectorView, queries: FloatMatrix, truth: np.ndarray
) -> Iterator[tuple[str, Figures]]:
    """Walks by vectors and by codes, without a filter and among a share of the rows."""
    for name, codes, bits in (("hnsw", None, 0), ("hnsw rabitq 2", "rabitq", 2), ("hnsw sq8", "sq8", 0)):
        graph = _core.Hnsw(rows.shape[1], "ip", M=16, ef_construction=100, codes=codes, bits=bits)
        graph.extend(view)
        for ef in EFS:
            answer = graph.search(view, queries, K, ef)
            yield f"{name}, ef {ef}", figures(answer, truth) | {"bytes": graph.memory_bytes}
        if codes is None:
            yield from filtered(graph, view, queries)


def filtered(graph: _core.Hnsw, view: _core.VectorView, queries: FloatMatrix) -> Iterator[tuple[str, Figures]]:
    """Walks by each way to go by a filter."""
    for share in SHARES:
        allowed = _core.RowSet.from_bools(np.random.default_rng(SEED).random(ROWS) < share)
        among = _core.scan(view, queries, K, allowed, threads=0)[0]
        for arm in ("adaptive", "two_hop", "post"):
            answer = graph.search(view, queries, K, 64, allowed, arm=arm)
            yield f"hnsw, {arm} among {share:.0%}", figures(answer, among)


def inverted_files(
    rows: FloatMatrix, view: _core.VectorView, queries: FloatMatrix, truth: np.ndarray
) -> Iterator[tuple[str, Figures]]:
    """Lists read and rows measured by the bounds of their codes."""
    for name, spec in (("ivfrabitq 1", vdb.IVFRaBitQ(bits=1)), ("ivfpq", vdb.IVFPQ())):
        ivf = spec.make(rows.shape[1], "ip")
        ivf.extend(view)
        for nprobe in NPROBES:
            answer = ivf.search(view, queries, K, nprobe)
            yield f"{name}, nprobe {nprobe}", figures(answer, truth) | {"bytes": ivf.memory_bytes}


def flat_codes(
    rows: FloatMatrix, view: _core.VectorView, queries: FloatMatrix, truth: np.ndarray
) -> Iterator[tuple[str, Figures]]:
    """Scans by codes: what they leave in doubt."""
    codes = _core.Codes(rows.shape[1], "ip", "sq8")
    codes.extend(view)
    yield "flat sq8", figures(codes.scan(view, queries, K), truth) | {"bytes": codes.memory_bytes}


def figures(answer: Answer, truth: np.ndarray) -> Figures:
    """Recall, and counts a query, those that are not zero."""
    slots, _, stats = answer
    recall = float(np.mean([np.isin(own, true).mean() for own, true in zip(truth, slots, strict=True)]))
    counts = {name: getattr(stats, name) / QUERIES for name in COUNTED}
    return {"recall": round(recall, 4)} | {name: count for name, count in counts.items() if count}


def table_bytes(rows: FloatMatrix) -> Figures:
    """A database with a graph, closed: the bytes of its files."""
    with tempfile.TemporaryDirectory() as folder:
        with vdb.connect(Path(folder) / "d.vdb") as db:
            schema = {"id": "BIGINT PRIMARY KEY", "kind": "INTEGER", "v": f"FLOAT[{rows.shape[1]}]"}
            table = db.create_table("items", schema, metric="ip")
            table.add({"id": np.arange(ROWS), "kind": np.arange(ROWS) % 7}, v=rows)
            table.create_index("v", vdb.HNSW(M=16, ef_construction=100))
        return {"bytes": bytes_below(Path(folder))}


def failures(found: dict[str, Figures], known: dict[str, Figures]) -> list[str]:
    """What got worse than its baseline allows, or is no longer measured, or is new to it."""
    lines = [f"{name} is in the baseline and was not measured; run with --write" for name in known if name not in found]
    for name, own in found.items():
        if name not in known:
            lines.append(f"{name} is not in the baseline; run with --write")
            continue
        for what in known[name].keys() | own.keys():
            before, now = known[name].get(what, 0.0), own.get(what, 0.0)
            if is_worse(what, before, now):
                lines.append(f"{name}: {what} was {before:g}, is {now:g}; find out why, or run with --write")
    return lines


def is_worse(what: str, before: float, now: float) -> bool:
    """Whether a figure is beyond what is allowed of its baseline."""
    if what == "recall":
        return now < before - RECALL
    return now > before * (BYTES if what == "bytes" else COUNTS)


def table(found: dict[str, Figures], known: dict[str, Figures]) -> list[list[str]]:
    """Every figure with its ratio to the baseline where it differs."""
    shown = ("recall", *COUNTED, "bytes")
    rows = [["what", *shown]]
    for name, own in found.items():
        before = known.get(name, {})
        rows.append([name, *(_cell(own.get(what), before.get(what)) for what in shown)])
    return rows


def _cell(now: float | None, before: float | None) -> str:
    if now is None:
        return ""
    changed = f" ({now / before:.3f})" if before and now != before else ""
    return f"{now:g}{changed}"


if __name__ == "__main__":
    sys.exit(main())
