"""Fixtures every test may ask for: the real data set, a seeded generator, a database of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # last, so that the installed vdb wins and `bench` is found

from bench import datasets  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    import vdb


@pytest.fixture(scope="session")
def arxiv() -> datasets.Dataset:
    """100,000 real papers and 2,000 queries, (n, 384) float32 of unit length, read-only."""
    try:
        return datasets.arxiv()
    except datasets.MissingDataset as reason:
        pytest.skip(str(reason))


@pytest.fixture(autouse=True, scope="session")
def pinned_machine() -> Iterator[None]:
    """Plans by what machines are expected to take, not by what this one does: the same plans everywhere."""
    from vdb.index import machine, pace

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "measured", lambda graph, timed, guess: guess)
        patch.setattr(machine, "measured_codes", lambda codes, timed, guess: guess)
        patch.setattr(pace, "measured_pace", lambda timed, guess: guess)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_250_721)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[vdb.Database]:
    """An empty database on disk, closed after the test."""
    import vdb

    with vdb.connect(tmp_path / "test.vdb") as database:
        yield database
