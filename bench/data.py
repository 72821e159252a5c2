"""Data sets for filtered search in the published layout: fetch, make, check, load.

python bench/data.py list
python bench/data.py fetch small                        from the Hugging Face hub, where there is a network
python bench/data.py make arxiv --folder data/cache/arxiv_100k     from the real papers of data/README.md
python bench/data.py make grown_lifted --rows 2735264 --folder ...
python bench/data.py check data/cache/arxiv_100k        every byte of every file
python bench/data.py load data/cache/arxiv_100k papers.vdb --limit-mb 1000
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import vdb
from bench import datasets
from bench.fanns import fetch, load
from bench.fanns.make import Maker
from bench.fanns.sources import MOST_ROWS, Source
from bench.resident import Held, resident_bytes
from bench.workload import toml

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Words = argparse.ArgumentParser
    Command = tuple[str, Callable[[Words], None], Callable[[argparse.Namespace], dict[str, Any]]]

DUCKDB = "256MB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (words, add, run) in COMMANDS.items():
        command = commands.add_parser(name, help=words, description=words)
        add(command)
        command.set_defaults(run=run)
    options = parser.parse_args(arguments)
    try:
        print(json.dumps(options.run(options), indent=1))
    except (ValueError, datasets.MissingDataset, vdb.VdbError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def _list(_: argparse.Namespace) -> dict[str, Any]:
    registry = toml(datasets.ROOT / "data" / "registry.toml")
    return {name: entry["title"] for name, entry in registry.items()}


def _fetch(options: argparse.Namespace) -> dict[str, Any]:
    return _check(argparse.Namespace(folder=fetch.fetch(options.size, options.folder)))


def _make(options: argparse.Namespace) -> dict[str, Any]:
    source = Source.of(options.source, options.rows, options.seed)
    return Maker(source, options.folder, options.queries).run().check()


def _check(options: argparse.Namespace) -> dict[str, Any]:
    return load.find(str(options.folder)).check()


def _load(options: argparse.Namespace) -> dict[str, Any]:
    source = load.find(str(options.folder))
    with (
        Held(options.limit_mb << 20, options.database) as held,
        vdb.connect(options.database, memory_limit=DUCKDB) as db,
    ):
        at_first, began = resident_bytes(), time.perf_counter()
        table = load.fill(db, source, options.rows, options.type)
        return {
            "rows": len(table),
            "dim": source.vectors.dim,
            "seconds": round(time.perf_counter() - began, 1),
            "resident_at_first_mb": at_first >> 20,
            "anonymous_at_most_mb": held.most_anonymous >> 20,
            "resident_at_most_mb": resident_bytes("VmHWM") >> 20,
        }


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("size", choices=load.SIZES)
    parser.add_argument("--folder", type=Path, help="default: below $VDB_FANNS, else data/cache")


def _add_make(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", choices=MOST_ROWS)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder, or one that was begun")
    parser.add_argument("--rows", type=int, help="default: all, or a million of a set that grows")
    parser.add_argument("--queries", type=int, default=datasets.ARXIV_QUERIES)
    parser.add_argument("--seed", type=int, default=Source.seed, help="of the rows of a set that grows")


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="a folder, or fanns_small, fanns_medium, fanns_large")


def _add_load(parser: argparse.ArgumentParser) -> None:
    _add_check(parser)
    parser.add_argument("database", type=Path, help="a database, made or gone on with")
    parser.add_argument("--rows", type=int, help="default: all")
    parser.add_argument("--type", default="FLOAT", choices=("FLOAT", "FLOAT16", "BFLOAT16"), help="of the vectors")
    parser.add_argument("--limit-mb", type=int, default=4_000, help="memory the process may have")


COMMANDS: dict[str, Command] = {
    "list": ("name every data set of data/registry.toml", lambda _: None, _list),
    "fetch": ("fetch a published set from the Hugging Face hub and check it", _add_fetch, _fetch),
    "make": ("make a set of the published layout from the real papers", _add_make, _make),
    "check": ("read every file of a set from end to end", _add_check, _check),
    "load": ("stream a set into a database in bounded memory", _add_load, _load),
}

if __name__ == "__main__":
    sys.exit(main())
