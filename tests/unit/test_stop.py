"""Timeouts and `interrupt`: the call ends with a typed error, nothing is half done, and the database goes on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = "SELECT count(*) FROM range(100000000000) a(i) WHERE hash(i) = 7"  # hours
MANY = np.random.default_rng(1).normal(size=(40_000, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def big() -> Iterator[vdb.Database]:
    """A batch of all its rows as queries is scanned for minutes."""
    x = np.random.default_rng(0).normal(size=(40_000, 64)).astype(np.float32)
    with vdb.connect(":memory:", threads=1) as db:
        db.create_table("t", {"id": np.arange(len(x)), "n": np.arange(len(x)) % 7}, e=x, key="id")
        yield db


CALLS: dict[str, Callable[[vdb.Database, float | None], object]] = {
    "search": lambda db, t: db.table("t").search(MANY, 10, strategy="scan", timeout=t),
    "sql": lambda db, t: db.sql(LONG, timeout=t).fetchall(),
    "sql that searches": lambda db, t: db.sql(
        f"SELECT id FROM t WHERE n < (SELECT * FROM ({LONG})) ORDER BY e <-> ? LIMIT 3", [[0.0] * 64], timeout=t
    ).fetchall(),
    "a write": lambda db, t: db.sql(f"INSERT INTO t (id) SELECT * FROM ({LONG})", timeout=t),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_ends_at_its_timeout(big: vdb.Database, call: Callable[[vdb.Database, float | None], object]) -> None:
    seq = big.store.state.seq
    with pytest.raises(vdb.QueryTimeout, match="Fix:"):
        call(big, 0.05)
    assert big.store.state.seq == seq
    assert big.table("t").search(np.zeros(64), 3).ids.shape == (3,)
    assert big.sql("SELECT count(*) FROM t").fetchall() == [(40_000,)]
    assert big.table("t").count("n = 3") == sum(i % 7 == 3 for i in range(40_000))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_interrupt_ends_what_runs_in_another_thread(
    big: vdb.Database, call: Callable[[vdb.Database, float | None], object]
) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call(big, None)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():  # the first may come before the call has begun
        big.interrupt()
        thread.join(0.01)
    assert [type(error) for error in raised] == [vdb.Cancelled]
    assert big.sql("SELECT count(*) FROM t").fetchall() == [(40_000,)]
    assert big.table("t").search(np.zeros(64), 3, timeout=100).ids.shape == (3,)


def test_interrupt_of_nothing_stops_nothing(big: vdb.Database) -> None:
    big.interrupt()
    assert big.sql("SELECT 1").fetchall() == [(1,)]
    result = big.sql("SELECT id FROM t ORDER BY id LIMIT 2")
    big.interrupt()
    assert result.fetchall() == [(0,), (1,)]


def test_a_search_whose_predicate_takes_too_long_ends(big: vdb.Database) -> None:
    where = " OR ".join(f"regexp_matches(CAST(id AS VARCHAR), '(a|b|ab)*{i}c')" for i in range(60))
    with pytest.raises(vdb.QueryTimeout):
        big.table("t").search(np.zeros(64), 3, where=where, timeout=1e-4)
    assert big.table("t").count("n >= 0") == 40_000


def test_rows_that_are_read_late_have_what_is_left_of_the_timeout(big: vdb.Database) -> None:
    result = big.sql("SELECT i FROM range(1000000) a(i)", timeout=0.2)
    time.sleep(0.25)
    with pytest.raises(vdb.QueryTimeout):
        result.fetchall()


def test_a_commit_is_finished_whatever_the_timeout(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The indexes follow it, though the time is over by then."""
    with vdb.connect(f"{tmp_path}/d", threads=1) as db:
        table = db.create_table("t", {"id": np.arange(300)}, e=np.eye(300, dtype=np.float32), key="id")
        table.create_index("e", vdb.HNSW(M=4), name="h")
        follow = db.attributes.follow

        def late(*tables: str) -> None:
            time.sleep(0.3)
            follow(*tables)

        monkeypatch.setattr(db.attributes, "follow", late)
        db.sql("INSERT INTO t (id, e) SELECT id + 1000, e FROM t", timeout=0.25).close()
        assert len(table) == 600
        assert table.list_indexes()[0].covered == 600


def test_interrupt_stops_a_build_and_leaves_no_index(big: vdb.Database) -> None:
    table = big.table("t")
    seen: list[int] = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done:
            big.interrupt()

    with pytest.raises(vdb.Cancelled):
        table.create_index("e", vdb.HNSW(M=4, ef_construction=16, codes="none"), progress=progress)
    assert seen[-1] < 40_000
    assert table.list_indexes() == []


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "1", True])
def test_a_timeout_is_a_positive_number(big: vdb.Database, timeout: Any) -> None:
    with pytest.raises(vdb.InvalidArgument, match="timeout must be a number of seconds above 0"):
        big.table("t").search(np.zeros(64), 3, timeout=timeout)
    with pytest.raises(vdb.InvalidArgument, match="timeout"):
        big.sql("SELECT 1", timeout=timeout)


@pytest.mark.parametrize("timeout", [1e10, 10**400, float("inf")])
def test_a_timeout_longer_than_threads_can_wait_is_none(
    big: vdb.Database, timeout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    assert big.table("t").search(np.zeros(64), 3, where="n = 3", timeout=timeout).ids.shape == (3,)
    assert big.sql("SELECT count(*) FROM t", timeout=timeout).fetchall() == [(40_000,)]
    assert not any(thread.name == "vdb-stop" for thread in threading.enumerate())
    assert not failed
