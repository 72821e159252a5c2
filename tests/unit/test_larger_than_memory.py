"""Vectors in a file that is larger than memory, or that vdb takes for one: the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import vdb
from vdb.storage import vector_file

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DIM, ROWS = 16, 900
WAYS: tuple[dict[str, Any], ...] = ({"strategy": "scan"}, {"strategy": "ivf", "nprobe": 20})


def answers(path: Path, queries: np.ndarray) -> list[Any]:
    """What every index finds, exactly, before and after a compaction, and the vectors as they were stored."""
    rng = np.random.default_rng(5)
    found: list[Any] = []
    with vdb.connect(path) as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": f"FLOAT[{DIM}]"}, metric="cosine")
        for begin in range(0, ROWS, 300):
            ids = np.arange(begin, begin + 300)
            table.add({"id": ids}, e=rng.normal(size=(300, DIM)).astype(np.float32))
        table.create_index("e", vdb.IVFRaBitQ(nlist=20))
        table.create_index("e", vdb.Flat())
        for _ in range(2):
            for way in WAYS:
                hits = table.search(queries, 5, where="id % 3 < 2", **way)
                found += [hits.ids, hits.distances]
            found.append(np.stack([row["e"] for row in table.get(list(range(1, ROWS, 7)), ["e"])]))
            table.delete("id % 7 = 0")
            table.compact()
    return found


def test_answers_are_those_of_a_file_that_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = np.random.default_rng(6).normal(size=(20, DIM)).astype(np.float32)
    expected = answers(tmp_path / "small", queries)
    monkeypatch.setattr(vector_file, "machine_bytes", lambda: 0)
    for found, wanted in zip(answers(tmp_path / "large", queries), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
