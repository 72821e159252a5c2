"""Ctrl-C and progress callbacks that raise: the call ends, the database goes on."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

import vdb

WAIT_SECONDS = 60  # for a child that ends at once where it works; what is undisturbed takes minutes

BUILD = """
import sys
import numpy as np
import vdb

x = np.random.default_rng(0).normal(size=(120_000, 64)).astype(np.float32)
with vdb.connect(sys.argv[1]) as db:
    table = db.create_table("t", {"id": np.arange(len(x))}, e=x, key="id")
    seq = db.store.state.seq

    def progress(done, total):
        if done > 2000:
            print("building", flush=True)

    try:
        table.create_index("e", vdb.HNSW(ef_construction=2000, M=48), progress=progress)
        print("built", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    assert table.list_indexes() == []
    assert db.store.state.seq == seq
    print("found", table.search(x[7], 1).ids.tolist(), flush=True)
    table.delete("id >= 500")
    table.create_index("e", vdb.HNSW(M=4))
    print("indexed", table.search(x[7], 1, strategy="graph").ids.tolist(), flush=True)
"""

SCAN = """
import sys
import numpy as np
import vdb

x = np.random.default_rng(0).normal(size=(60_000, 64)).astype(np.float32)
with vdb.connect(":memory:") as db:
    table = db.create_table("t", {"id": np.arange(len(x))}, e=x, key="id")
    try:
        print("scanning", flush=True)
        table.search(np.concatenate([x] * 4), 10, strategy="scan")
        print("scanned", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    print("found", table.search(x[7], 1).ids.tolist(), flush=True)
"""


def interrupted(code: str, mark: str, *arguments: str) -> list[str]:
    """Run a child, send it SIGINT once it has printed `mark`; its distinct lines in order."""
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == mark
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=WAIT_SECONDS)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 0, err
    return list(dict.fromkeys([mark, *out.splitlines()]))


def test_ctrl_c_stops_a_build_and_leaves_no_index_and_a_usable_database(tmp_path: object) -> None:
    lines = interrupted(BUILD, "building", f"{tmp_path}/d")
    assert lines == ["building", "interrupted", "found [7]", "indexed [7]"]
    with vdb.connect(f"{tmp_path}/d") as db:
        assert len(db.table("t")) == 500
        db.check()


def test_ctrl_c_stops_a_batch_scan_and_the_next_search_answers() -> None:
    assert interrupted(SCAN, "scanning") == ["scanning", "interrupted", "found [7]"]


class Enough(Exception):
    """Raised by a progress callback."""


def test_progress_that_raises_stops_the_build(db: vdb.Database) -> None:
    x = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    table = db.create_table("t", {"id": np.arange(3000)}, e=x, key="id")
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done > 100:
            raise Enough

    with pytest.raises(Enough):
        table.create_index("e", name="h", progress=progress)
    assert seen[-1][0] < seen[-1][1] == 3000
    assert sum(done > 100 for done, _ in seen) == 1
    assert table.list_indexes() == []
    assert table.create_index("e", name="h").covered == 3000
    assert table.search(x[5], 1, strategy="graph").ids.tolist() == [5]


def test_interrupt_between_a_commit_and_its_index_loses_neither(
    db: vdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = db.create_table("t", {"id": np.arange(10)}, e=np.arange(10.0)[:, None], key="id")
    table.create_index("e")

    def ctrl_c(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(db.indexes._sources, "extend", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            table.add({"id": [10]}, e=[[-1.0]])
    assert table.search([-1], 2, strategy="graph").ids.tolist() == [10, 0]
    table.add({"id": [11]}, e=[[-2.0]])
    assert table.list_indexes()[0].covered == 12
    assert table.search([-2], 3, strategy="graph").ids.tolist() == [11, 10, 0]
