"""A small table and batches for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from papers import DIM, PAPERS

from vdb.storage import files
from vdb.storage.batch import Batch, make_batch
from vdb.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from papers import MakeRows

    from vdb.types import TableSchema


@pytest.fixture
def schema() -> TableSchema:
    return PAPERS


@pytest.fixture
def batch() -> MakeRows:
    """Rows (id, f"{title}{id}", [fill + id] * DIM)."""

    def make(ids: Sequence[int], title: str = "t", fill: float = 0.0) -> Batch:
        vectors = np.repeat(np.array(ids, np.float32)[:, None] + np.float32(fill), DIM, axis=1)
        return make_batch(PAPERS, {"id": list(ids), "title": [f"{title}{i}" for i in ids]}, {"embedding": vectors})

    return make


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An open database with the empty table `papers`, once on disk and once in memory."""
    opened = Store.open(tmp_path / "db" if request.param == "disk" else None)
    with opened.begin() as transaction:
        transaction.create_table(PAPERS)
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path, batch: MakeRows) -> Path:
    """A closed database on disk whose table `papers` has the rows 0 to 9."""
    store = Store.open(tmp_path / "db")
    with store.begin() as transaction:
        transaction.create_table(PAPERS)
        transaction.insert("papers", batch(range(10)))
    store.close()
    return tmp_path / "db"


@pytest.fixture
def fail_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, BaseException], None]:
    """Raise an error at every later step of that name."""

    def install(step: str, error: BaseException) -> None:
        def hook(name: str, _path: str) -> None:
            if name == step:
                raise error

        monkeypatch.setattr(files, "hook", hook)

    return install
