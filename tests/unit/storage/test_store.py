from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from papers import PAPERS, MakeRows, contents

from vdb.errors import InvalidArgument, InvalidState, Locked, OutOfMemory
from vdb.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_closed_database_refuses_every_call(store: Store) -> None:
    store.close()
    store.close()
    assert store.closed
    calls: list[Callable[[], object]] = [
        lambda: store.state,
        store.begin,
        lambda: store.has_commit(1),
        lambda: store.matching("papers", None),
        lambda: store.read().__enter__(),
        store.check,
        lambda: store.index_path("x"),
    ]
    for call in calls:
        with pytest.raises(InvalidState, match="is closed"):
            call()


def test_views_outlive_the_database(store: Store, batch: MakeRows) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", batch(range(100)))
    data = store.state.table("papers").vectors["embedding"].data
    store.close()
    gc.collect()
    assert data[:, 0].tolist() == list(range(100))


def test_a_read_only_database_refuses_writes(path: Path) -> None:
    store = Store.open(path, read_only=True)
    assert store.read_only
    with pytest.raises(InvalidState, match="open read-only"):
        store.begin()
    assert store.save_index(lambda target: target.touch()) is None
    store.close()


def test_memory_cannot_be_read_only() -> None:
    with pytest.raises(InvalidArgument, match="cannot be read-only"):
        Store.open(None, read_only=True)


def test_too_little_memory_for_a_database_in_memory_is_told() -> None:
    with pytest.raises(OutOfMemory, match="memory_limit is too small"):
        Store.open(None, memory_limit="1")


def test_memory_databases_are_apart() -> None:
    first, second = Store.open(None), Store.open(None)
    with first.begin() as transaction:
        transaction.create_table(PAPERS)
    assert list(second.state.tables) == []
    assert first.path is None
    first.close()
    second.close()


def test_a_database_opens_once_in_a_process(path: Path) -> None:
    store = Store.open(path)
    for read_only in (False, True):
        with pytest.raises(Locked, match="already open in this process"):
            Store.open(path, read_only=read_only)
    store.close()
    Store.open(path).close()


def test_a_forgotten_database_is_closed(path: Path) -> None:
    store = Store.open(path)
    del store
    gc.collect()
    Store.open(path).close()


def test_a_database_left_open_at_exit_is_closed(path: Path) -> None:
    script = "import sys; from vdb.storage.store import Store; s = Store.open(sys.argv[1]); t = s.begin()"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert not (path / "catalog.duckdb.wal").exists()


def test_a_forked_child_cannot_use_the_database_and_does_it_no_harm(path: Path, batch: MakeRows) -> None:
    store = Store.open(path)
    with store.begin() as transaction:
        transaction.insert("papers", batch([50]))
    contents(store)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, _child_report(store, path).encode())
        finally:
            os._exit(0)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(read, 1000).decode() == "state InvalidState, begin InvalidState, read InvalidState, open Locked"
    os.close(read)
    assert store.path is not None
    script = "import sys; from vdb.storage.store import Store; Store.open(sys.argv[1])"
    other = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert "Locked" in other.stderr
    with store.begin() as transaction:
        transaction.insert("papers", batch([51]))
    assert sorted(contents(store)) == [*range(10), 50, 51]
    store.close()


def _child_report(store: Store, path: Path) -> str:
    calls: dict[str, Callable[[], object]] = {
        "state": lambda: store.state,
        "begin": store.begin,
        "read": lambda: store.read().__enter__(),
        "open": lambda: Store.open(path),
    }
    found = [f"{name} {_outcome(call)}" for name, call in calls.items()]
    store.close()
    return ", ".join(found)


def _outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "worked"


def test_close_waits_for_a_read_in_another_thread(path: Path) -> None:
    store = Store.open(path)
    inside, leave, seen = threading.Event(), threading.Event(), []

    def look() -> None:
        with store.read() as session:
            inside.set()
            leave.wait()
            seen.append(len(session.fetch("papers", np.arange(10, dtype=np.uint32), ["id"]).fetchall()))

    reader = threading.Thread(target=look)
    closer = threading.Thread(target=store.close)
    reader.start()
    inside.wait()
    closer.start()
    closer.join(0.05)
    assert closer.is_alive()
    leave.set()
    reader.join()
    closer.join()
    assert seen == [10]


def test_opening_and_closing_leaks_no_descriptor(path: Path, batch: MakeRows) -> None:
    def cycle(key: int) -> int:
        store = Store.open(path)
        with store.begin() as transaction:
            transaction.insert("papers", batch([key]))
        contents(store)
        store.close()
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    counts = [cycle(key) for key in range(100, 106)]
    assert counts[-1] == counts[1]


def test_duckdb_settings_reach_duckdb(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "db", memory_limit="256MB", threads=1)
    cursor = store._handle.engine.cursor()
    assert cursor.execute("SELECT current_setting('memory_limit'), current_setting('threads')").fetchall() == [
        ("64.0 MiB", 1)  # a quarter
    ]
    store.close()
