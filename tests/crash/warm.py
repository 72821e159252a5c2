"""What every child would do again at its first use is done once before the first fork: imports, caches, times."""

from __future__ import annotations

import gc
import shutil
import threading
import time
from pathlib import Path

from workload import OPERATIONS, connect, contents

from vdb.index import machine, pace
from vdb.storage import connection


def warm(folder: Path) -> None:
    """Do everything once below a folder; times of the machine are those expected, as in all tests.

    When it returns no DuckDB is open: its threads would not be there in a child.
    """
    machine.measured = lambda _graph, _timed, guess: guess
    machine.measured_codes = lambda _codes, _timed, guess: guess
    pace.measured_pace = lambda _timed, guess: guess
    once = threading.Thread(target=_do_everything, args=(folder / "warm",))
    once.start()
    once.join()
    connection._opened.clear()  # the DuckDB that parsed for that thread
    _await_threads_end()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page that it looks at


def _await_threads_end(seconds: float = 10) -> None:
    """Wait until this thread is alone: `join` returns when Python is done with a thread, the kernel is a bit later."""
    end = time.monotonic() + seconds
    while (running := len(list(Path("/proc/self/task").iterdir()))) > 1:
        assert time.monotonic() < end, f"{running} threads run"
        time.sleep(0.001)


def _do_everything(path: Path) -> None:
    with connect(path) as db:
        for operation in OPERATIONS.values():
            operation(db)
    with connect(path, read_only=True) as db:
        contents(db)
    shutil.rmtree(path)
