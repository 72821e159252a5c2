"""Which state a reader gets where the last writer was killed, and whether the next writer may begin beside it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb

if TYPE_CHECKING:
    from pathlib import Path

KILLED = """
import os, sys, vdb
db = vdb.connect(sys.argv[1])
db.publish()
if len(sys.argv) > 2:
    db.table("t").add({"id": [50]}, e=[[50.0]])
os._exit(1)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with vdb.connect(tmp_path / "d") as db:
        db.create_table("t", {"id": np.arange(10)}, e=np.arange(10.0)[:, None], key="id")
    return tmp_path / "d"


def test_a_reader_after_a_killed_writer_leaves_room_for_the_next_one(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    with vdb.connect(path, read_only=True) as reader:
        assert len(reader.table("t")) == 10
        with vdb.connect(path) as writer:
            writer.table("t").add({"id": [60]}, e=[[60.0]])
            writer.publish()
            assert reader.refresh()
            assert len(reader.table("t")) == 11


def test_a_reader_sees_what_a_killed_writer_did_not_publish_unless_it_asks_for_less(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path), "commit"], check=False)
    with vdb.connect(path, read_only=True) as reader:
        assert len(reader.table("t")) == 11
        with pytest.raises(vdb.Locked):
            vdb.connect(path)
    with vdb.connect(path, read_only=True, snapshot_only=True) as reader:
        assert len(reader.table("t")) == 10
        with vdb.connect(path) as writer:
            assert len(writer.table("t")) == 11
            writer.publish()
        assert reader.refresh()
        assert len(reader.table("t")) == 11


def test_a_damaged_snapshot_after_a_killed_writer_is_no_reason_to_refuse(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    (folder,) = (path / "snapshots").glob("s-*")
    (folder / "MANIFEST").write_bytes(b"")
    with vdb.connect(path, read_only=True) as reader:
        assert len(reader.table("t")) == 10


def test_what_is_no_snapshot_says_so(path: Path, tmp_path: Path) -> None:
    with pytest.raises(vdb.NotFound, match=r"Nothing was published[\s\S]*Fix: "):
        vdb.connect(path, read_only=True, snapshot_only=True)
    with pytest.raises(vdb.NotFound, match="no database"):
        vdb.connect(tmp_path / "none", read_only=True, snapshot_only=True)
    for given in ({}, {"read_only": False}):
        with pytest.raises(vdb.InvalidArgument, match=r"snapshot_only[\s\S]*Fix: pass read_only=True"):
            vdb.connect(path, snapshot_only=True, **given)  # type: ignore[arg-type]
    with pytest.raises(vdb.InvalidArgument, match="snapshot_only"):
        vdb.connect(":memory:", read_only=True, snapshot_only=True)
