"""The writer mutex ends with its owner: no write is lost in, and none waits for, a transaction nobody can end."""

from __future__ import annotations

import _thread
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from ended_thread import PATIENCE, in_thread
from papers import MakeRows, contents

from vdb.errors import InvalidState
from vdb.storage.store import Store
from vdb.storage.writer import Owner, WriterMutex

if TYPE_CHECKING:
    from pathlib import Path


def test_an_owner_is_its_thread_for_its_life() -> None:
    here = Owner()
    assert here.is_current
    assert here.is_alive
    (other,) = in_thread(Owner)
    assert isinstance(other, Owner)
    assert not other.is_alive
    assert not other.is_current
    for _ in range(10):  # some of these have its ident
        assert in_thread(lambda: other.is_current) == [False]
    assert in_thread(lambda: here.is_current) == [False]


def test_only_a_living_owner_keeps_the_mutex() -> None:
    mutex = WriterMutex()
    (gone,) = in_thread(mutex.acquire)
    mine = mutex.acquire(PATIENCE)
    assert mine is not None
    assert isinstance(gone, Owner)
    mutex.release(gone)
    assert in_thread(lambda: mutex.acquire(0.0)) == [None]
    mutex.release(mine)
    assert isinstance(in_thread(lambda: mutex.acquire(0.0))[0], Owner)


def test_the_next_write_rolls_back_what_an_ended_thread_left(store: Store, batch: MakeRows) -> None:
    left = []

    def leave() -> None:
        left.append(store.begin())
        left[0].insert("papers", batch([1]))

    def write() -> int:
        assert store.transaction is None
        with store.begin() as transaction:
            return transaction.insert("papers", batch([2]))

    in_thread(leave)
    assert in_thread(write) == [1]
    assert sorted(contents(store)) == [2]
    for call in (left[0].commit, lambda: left[0].__exit__(None, None, None)):
        with pytest.raises(InvalidState, match=r"its thread had ended\. Fix: "):
            call()
    left[0].rollback()
    assert left[0].rolled_back
    assert in_thread(lambda: store.begin().commit()) == [store.state.seq]


def test_of_several_that_wait_one_takes_over(store: Store, batch: MakeRows) -> None:
    owned, leave = threading.Event(), threading.Event()

    def own() -> None:  # of no Thread, as those of a C library
        transaction = store.begin()
        transaction.insert("papers", batch([100]))
        owned.set()
        leave.wait()

    def write(number: int) -> None:
        with store.begin() as transaction:
            transaction.insert("papers", batch([number]))

    _thread.start_new_thread(own, ())
    assert owned.wait(PATIENCE)
    writers = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(8)]
    for writer in writers:
        writer.start()
    leave.set()
    for writer in writers:
        writer.join(PATIENCE)
    assert sorted(contents(store)) == list(range(8))


def test_close_rolls_back_what_an_ended_thread_left(store: Store, batch: MakeRows) -> None:
    in_thread(lambda: store.begin().insert("papers", batch([1])))
    assert in_thread(store.close) == [None]
    assert store.closed


DAEMON = """
import sys, threading
from vdb.storage import handle
from vdb.storage.store import Store
handle._EXIT_SECONDS = 0.1
store, inside = Store.open(sys.argv[1]), threading.Event()
def stay():
    with getattr(store, sys.argv[2])():
        inside.set()
        threading.Event().wait()
threading.Thread(target=stay, daemon=True).start()
inside.wait()
"""


@pytest.mark.parametrize("call", ["begin", "read"])
def test_a_daemon_thread_does_not_hold_up_the_exit(path: Path, call: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DAEMON, str(path), call], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert "a thread is still in it" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr  # DuckDB's bindings may list what is alive
    Store.open(path).close()
