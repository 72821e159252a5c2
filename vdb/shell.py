"""`vdb sql`: one statement, or a shell that reads them over several lines, with commands that begin with a dot.

The standard library's readline keeps the history and edits lines; no package is needed for that.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import vdb
from vdb.errors import VdbError
from vdb.sql.session import Session
from vdb.sql.tokens import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vdb.database import Database
    from vdb.sql.result import Result

MODES: Final = ("table", "csv", "json")
_HISTORY: Final = Path("~/.vdb_history")
_KEPT: Final = 1_000  # lines of history
_WIDTH: Final = 60  # characters of a value in a table
_VALUES: Final = 6  # of a vector in a table
_HELP: Final = """\
.tables             the tables and their rows
.schema [table]     the columns of all tables, or of one
.explain            say how each statement found its nearest rows, or stop that
.mode table|csv|json
.timing             say how long each statement took, or stop that
.help               these lines
.quit               leave; so does Ctrl-D
A statement ends with a semicolon and may go over several lines."""


def run_statements(path: Path, text: str, mode: str, read_only: bool = False) -> None:
    """Run statements and print the rows of each."""
    with vdb.connect(path, read_only=read_only) as db:
        shell = Shell(db, sys.stdout, mode)
        shell.run(text)


def run_shell(path: Path, mode: str, read_only: bool = False) -> None:
    """Read statements from the terminal until Ctrl-D."""
    with vdb.connect(path, read_only=read_only) as db:
        shell = Shell(db, sys.stdout, mode)
        keep = _history()
        print(f"vdb {vdb.__version__}, {path}. Statements end with a semicolon; .help says more.")
        try:
            shell.loop(_lines())
        finally:
            keep()


class Shell:
    """Runs statements and commands for one database and prints what they return."""

    def __init__(self, database: Database, out: TextIO, mode: str = "table") -> None:
        self._database = database
        self._session = Session(database)
        self._out = out
        self._mode = mode
        self._explains = False
        self._times = False

    def loop(self, lines: Iterator[str]) -> None:
        """Run what the lines hold; an error is printed, and the next statement read."""
        waiting: list[str] = []
        for line in lines:
            if not waiting and line.strip().startswith("."):
                if line.split()[0] in (".quit", ".exit"):
                    return
                self._guarded(self._command, line.split())
                continue
            waiting.append(line)
            text = "\n".join(waiting)
            if not text.strip():
                waiting = []
            elif text.rstrip().endswith(";"):
                waiting = []
                self._guarded(self.run, text)
        if waiting:
            self._guarded(self.run, "\n".join(waiting))

    def run(self, text: str) -> None:
        """Run each statement of a text and print its rows."""
        for statement in Script(text).statements:
            began = time.perf_counter()
            result = self._session.run(statement.text)
            self._show(result)
            if self._explains and result.explain():
                self._print(result.explain())
            if self._times:
                self._print(f"{(time.perf_counter() - began) * 1e3:.1f} ms")

    def _guarded(self, act: Callable[[Any], None], argument: Any) -> None:
        try:
            act(argument)
        except VdbError as error:
            self._print(f"error: {error}")

    def _command(self, words: Sequence[str]) -> None:
        name, arguments = words[0], words[1:]
        if name == ".tables":
            self._show(self._session.run("SELECT table_name, row_count FROM vdb_tables() ORDER BY 1"))
        elif name == ".schema":
            where = "WHERE lower(table_name) = lower($1)" if arguments else ""
            columns = "table_name, column_name, column_type, metric"
            self._show(self._session.run(f"SELECT {columns} FROM vdb_columns() {where}", arguments[:1] or None))
        elif name == ".explain":
            self._explains = not self._explains
        elif name == ".timing":
            self._times = not self._times
        elif name == ".mode" and arguments and arguments[0] in MODES:
            self._mode = arguments[0]
        else:
            self._print(_HELP)

    def _show(self, result: Result) -> None:
        if result.description is None:
            if result.rowcount >= 0:
                self._print(f"{result.rowcount} rows written")
            return
        columns, rows = result.columns, result.fetchall()
        if self._mode == "csv":
            writer = csv.writer(self._out)
            writer.writerow(columns)
            writer.writerows(rows)
        elif self._mode == "json":
            for row in rows:
                self._print(json.dumps(dict(zip(columns, row, strict=True)), default=str))
        else:
            self._print(as_table(columns, rows))

    def _print(self, text: str) -> None:
        print(text, file=self._out)


def as_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned lines below the names of their columns."""
    if list(columns) == ["explain_key", "explain_value"]:
        return "\n".join(str(row[1]) for row in rows)
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, f"({len(rows)} row{'' if len(rows) == 1 else 's'})"])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple) and len(value) > _VALUES:
        return f"[{', '.join(_cell(one) for one in value[:3])}, ... {len(value)} values]"
    text = "NULL" if value is None else " ".join(str(value).split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _lines() -> Iterator[str]:
    line: str | None = ""
    while line is not None:
        line = _line()
        if line is not None:
            yield line


def _line() -> str | None:
    """The next line of the terminal, an empty one after Ctrl-C, None at its end."""
    try:
        return input("vdb> ")
    except EOFError:
        return None
    except KeyboardInterrupt:
        print()
        return ""


def _history() -> Callable[[], None]:
    """Read the history of earlier shells; what is returned writes it, with this one's."""
    try:
        import readline
    except ImportError:  # Windows has none
        return lambda: None
    path = str(_HISTORY.expanduser())
    with suppress(OSError):
        readline.read_history_file(path)

    def keep() -> None:
        readline.set_history_length(_KEPT)
        with suppress(OSError):
            readline.write_history_file(path)

    return keep
