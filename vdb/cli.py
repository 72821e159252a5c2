"""The command line: `vdb demo` and `vdb check`. Errors of vdb are one line on stderr and exit code 1."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import vdb
from vdb.demo import run_demo
from vdb.errors import VdbError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "demo":
            run_demo(options.data, options.path)
        else:
            _check(options.path)
    except VdbError as error:
        print(f"vdb: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vdb", description="An embedded vector database.")
    parser.add_argument("--version", action="version", version=f"vdb {vdb.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="build a database from real data and search it")
    demo.add_argument(
        "--data",
        type=Path,
        help="folder with papers.parquet, vectors.f16.npy and queries.f16.npy; "
        "default: $VDB_DATA, else ../shared/arxiv, else the digits of scikit-learn",
    )
    demo.add_argument("--path", type=Path, help="where to keep the database; default: a temporary folder")
    check = commands.add_parser("check", help="compare every vector of a database with its checksum")
    check.add_argument("path", type=Path)
    return parser


def _check(path: Path) -> None:
    with vdb.connect(path, read_only=True) as db:
        db.check()
        for name in db.tables():
            print(f"{name}: {len(db.table(name)):,} rows, every checksum matches")
