"""What a commit flushes at each level of durability, and that every level outlives the end of a process."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from papers import MakeRows, contents

import vdb
from vdb.storage import files
from vdb.storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from vdb.types import Durability


@pytest.mark.parametrize(
    ("level", "flushed"),
    [("full", ["sync", "sync-directory"]), ("normal", ["sync"]), ("off", [])],
)
def test_flushes_of_a_commit(
    path: Path,
    tmp_path: Path,
    batch: MakeRows,
    monkeypatch: pytest.MonkeyPatch,
    level: Durability,
    flushed: list[str],
) -> None:
    store = Store.open(path, durability=level)
    steps: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(files, "hook", lambda step, _path: steps.append(step))
        with store.begin() as transaction:
            transaction.insert("papers", batch([20]))
    assert [step for step in steps if step.startswith("sync")] == flushed
    shutil.copytree(path, tmp_path / "killed")
    store.close()
    for place in (path, tmp_path / "killed"):
        again = Store.open(place)
        assert sorted(contents(again)) == [*range(10), 20]
        again.close()


def test_an_unknown_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(vdb.InvalidArgument, match="full, normal, off"):
        vdb.connect(tmp_path / "d", durability="some")  # type: ignore[arg-type]
