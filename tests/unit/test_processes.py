"""Processes: one writer or many readers, a forked child is refused, a spawned one opens its own."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READ = """
import sys
import vdb
try:
    with vdb.connect(sys.argv[1], read_only=sys.argv[2] == "read") as db:
        print(db.table("t").search([2.2], 2, strategy="graph").ids.tolist())
except vdb.VdbError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(10)}, e=np.arange(10.0)[:, None], key="id")
        table.create_index("e", vdb.HNSW(M=4))
    return tmp_path / "d"


def in_child(path: Path, mode: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ, str(path), mode], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_second_writer_is_told_who_has_it(path: Path) -> None:
    with vdb.connect(path):
        said = in_child(path, "write")
        assert said.startswith("Locked ")
        assert f"pid {os.getpid()}" in said
        assert "Fix: " in said
        with pytest.raises(vdb.Locked, match=f"already open in this process .pid {os.getpid()}"):
            vdb.connect(path)
    assert in_child(path, "write") == "[2, 3]"


def test_reader_is_refused_while_there_is_a_writer(path: Path) -> None:
    with vdb.connect(path):
        assert in_child(path, "read").startswith("Locked ")
    assert in_child(path, "read") == "[2, 3]"


def test_readers_share_a_database_and_keep_a_writer_out(path: Path) -> None:
    with vdb.connect(path, read_only=True) as db:
        assert in_child(path, "read") == "[2, 3]"
        said = in_child(path, "write")
        assert said.startswith("Locked ")
        assert "read-only" in said
        assert len(db.table("t")) == 10


def test_lock_dies_with_its_process(path: Path) -> None:
    code = "import sys, os, vdb; vdb.connect(sys.argv[1]).table('t').add({'id': [50]}, e=[[50.0]]); os._exit(1)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    with vdb.connect(path) as db:
        assert db.table("t").search([50], 1).ids.tolist() == [50]


def outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except BaseException as error:
        return f"{type(error).__name__} {error}".replace("\n", " ")
    return "nothing"


def forked(*calls: Callable[[], object]) -> list[str]:
    """What each call says in a forked child."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = list(map(outcome, calls))
        os.write(write, "\n".join(said).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        lines = pipe.read().splitlines()
    os.waitpid(child, 0)
    return lines


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child_is_refused_and_harms_nothing(path: Path) -> None:
    with vdb.connect(path) as db:
        table = db.table("t")
        hits = table.search([1.0], 1)
        lines = forked(
            db.tables,
            lambda: db.table("t"),
            lambda: db.transaction().__enter__(),
            lambda: db.create_table("u", {"e": "FLOAT[2]"}),
            lambda: db.drop_table("t"),
            db.check,
            lambda: table.search([1.0]),
            lambda: table.search([1.0], where="id = 1"),
            lambda: table.add({"id": [60]}, e=[[60.0]]),
            lambda: table.delete(ids=[1]),
            lambda: table.get(1),
            table.list_indexes,
            hits.to_dicts,
        )
        assert len(lines) == 13
        for said in lines:
            assert said.startswith("InvalidState ")
            assert "fork" in said
            assert "spawn" in said
        assert forked(db.close, lambda: repr(db)) == ["nothing", "nothing"]
        table.add({"id": [60]}, e=[[60.0]])
        assert table.search([60], 1, strategy="graph").ids.tolist() == [60]
        db.check()
    with vdb.connect(path) as db:
        assert len(db.table("t")) == 11


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child_leaves_the_transaction_of_its_parent_alone(path: Path) -> None:
    with vdb.connect(path) as db:
        db.sql("BEGIN; DELETE FROM t WHERE id < 5")
        assert forked(lambda: db.__exit__(None, None, None)) == ["nothing"]
        db.sql("COMMIT")
        assert len(db.table("t")) == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child_reads_beside_its_parent_and_writes_only_if_spawned(path: Path) -> None:
    def read() -> None:
        for _ in range(2):
            with vdb.connect(path, read_only=True) as db:
                assert db.table("t").search([2.2], 2, where="id > 2").ids.tolist() == [3, 4]
                grandchild.extend(forked(lambda: vdb.connect(path, read_only=True)))
        raise ValueError(grandchild[0])

    grandchild: list[str] = []
    with vdb.connect(path, read_only=True) as db:
        (said,) = forked(read)
        assert len(db.table("t")) == 10
    assert said.startswith("ValueError InvalidState ")
    assert "Fix: start processes with the 'spawn' method" in said
    db = vdb.connect(path)

    def write() -> None:
        db_closed.wait()
        vdb.connect(path)

    context = multiprocessing.get_context("fork")
    db_closed, said_later = context.Event(), context.SimpleQueue()
    child = context.Process(target=lambda: said_later.put(outcome(write)))
    child.start()
    db.close()
    db_closed.set()
    said = said_later.get()
    child.join()
    assert said.startswith("InvalidState ")
    assert "Fix: start processes with the 'spawn' method" in said
    assert in_child(path, "write") == "[2, 3]"


@pytest.mark.parametrize("moves", [False, True])
def test_path_of_an_open_database_is_refused_when_its_files_are_gone(path: Path, moves: bool) -> None:
    db = vdb.connect(path)
    path.rename(path.parent / "moved") if moves else shutil.rmtree(path)
    with pytest.raises(vdb.InvalidState, match=r"opened in this process before[\s\S]*Fix: close"):
        vdb.connect(path)
    assert not path.exists()
    db.close()
    with vdb.connect(path) as again:
        assert again.tables() == []


def spawned(path: str, number: int, answers: object) -> None:
    with vdb.connect(path, read_only=True) as db:
        answers.put((number, db.table("t").search([number], 1).ids.tolist()))  # type: ignore[attr-defined]


def test_spawned_readers_open_their_own(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    children = [context.Process(target=spawned, args=(str(path), number, answers)) for number in (3, 4)]
    for child in children:
        child.start()
    found = sorted(answers.get(timeout=60) for _ in children)
    for child in children:
        child.join()
    assert found == [(3, [3]), (4, [4])]
    assert [child.exitcode for child in children] == [0, 0]
