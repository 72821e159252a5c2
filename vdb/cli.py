"""The command line: demo, sql, check, repair, backup, restore, export, import.

An error of vdb is a line on stderr and exit code 1; where nobody reads on, a command ends without a word.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import vdb
from vdb.demo import run_demo
from vdb.errors import VdbError
from vdb.progress import progress_bar
from vdb.shell import MODES, run_shell, run_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdb.database import Database

_BROKEN_PIPE: Final = 128 + signal.SIGPIPE  # as a shell reports a program that the signal ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except VdbError as error:
        print(f"vdb: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # of `head` and the like, which has what it wants
        with suppress(BrokenPipeError):
            sys.stdout.close()  # or it is flushed once more at the end, and that fails
        return _BROKEN_PIPE
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
    demo.set_defaults(run=lambda given: run_demo(given.data, given.path))
    sql = commands.add_parser("sql", help="run SQL, or read it from the terminal")
    sql.add_argument("path", type=Path)
    sql.add_argument("statements", nargs="?", help="what to run; without it a shell")
    sql.add_argument("--mode", choices=MODES, default="table", help="how rows are printed")
    sql.add_argument("--read-only", action="store_true", help="change nothing; other readers may run too")
    sql.set_defaults(run=_sql)
    for name, (run, words, text) in _COMMANDS.items():
        command = commands.add_parser(name, help=text)
        for word in words:
            command.add_argument(word)
        if run is _import:
            command.add_argument("--key", help="the primary key of a table that is made")
        if run is _repair:
            command.add_argument("--apply", action="store_true", help="put it right; without it nothing is changed")
            command.add_argument("--accept-loss", action="store_true", help="give up what cannot be brought back")
        command.set_defaults(run=run)
    return parser


def _sql(given: argparse.Namespace) -> None:
    if given.statements is None:
        run_shell(given.path, given.mode, given.read_only)
    else:
        run_statements(given.path, given.statements, given.mode, given.read_only)


def _check(given: argparse.Namespace) -> None:
    with vdb.connect(given.path, read_only=True) as db:
        problems = db.check()
        for name in db.tables():
            print(f"{name}: {len(db.table(name)):,} rows, every checksum matches")
        for problem in problems:
            print(f"{problem}; it will be rebuilt")
        print(f"checked {_seen(db)}")


def _repair(given: argparse.Namespace) -> None:
    report = vdb.repair(given.path, apply=given.apply, accept_loss=given.accept_loss)
    for finding in report.findings:
        print(finding)
    for lost in report.lost:
        print(f"lost: {lost}")
    done = "repaired" if report.applied else "nothing was changed; --apply repairs it"
    print(done if report.findings else "nothing to repair")


def _backup(given: argparse.Namespace) -> None:
    with vdb.connect(given.path, read_only=True) as db:
        with progress_bar("copying", "B") as advance:
            db.backup(given.target, progress=advance)
        print(f"copied {_seen(db)}")


def _restore(given: argparse.Namespace) -> None:
    with progress_bar("restoring", "B") as advance:
        vdb.restore(given.source, given.path, progress=advance)


def _export(given: argparse.Namespace) -> None:
    with vdb.connect(given.path, read_only=True) as db:
        with progress_bar("writing") as advance:
            written = db.export_table(given.table, given.file, progress=advance)
        print(f"{written:,} rows written to {given.file}, of {_seen(db)}")


def _import(given: argparse.Namespace) -> None:
    with vdb.connect(given.path) as db:
        with progress_bar("adding") as advance:
            added = db.import_table(given.table, given.file, key=given.key, progress=advance)
        print(f"{added:,} rows added to {given.table}")


def _seen(db: Database) -> str:
    """The commit a reader has, and whether a writer may have later ones."""
    limits = ", the newest that is published; a writer may have later ones" if db.store.is_snapshot else ""
    return f"commit {db.store.state.seq}{limits}"


_COMMANDS: Final = {  # what runs, its arguments, what it does
    "check": (_check, ["path"], "read all of a database, its indexes too, and compare it with its checksums"),
    "repair": (_repair, ["path"], "say what an open would refuse, and put it right"),
    "backup": (_backup, ["path", "target"], "copy a database, beside a writer what that published last"),
    "restore": (_restore, ["source", "path"], "make a database from a backup, after checking all of it"),
    "export": (_export, ["path", "table", "file"], "write a table to a .parquet, .csv or .jsonl file"),
    "import": (
        _import,
        ["path", "table", "file"],
        "add the rows of a .parquet, .csv, .jsonl or .arrow file to a table",
    ),
}
