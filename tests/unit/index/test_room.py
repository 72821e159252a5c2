"""The memory limit: what indexes will take is known about, and refused with its figures before it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb.index.room import estimate

if TYPE_CHECKING:
    from pathlib import Path

SPECS = {
    "hnsw": vdb.HNSW(M=8, ef_construction=16, codes="none"),
    "wide hnsw": vdb.HNSW(M=24, ef_construction=24, codes="sq8"),
    "bits": vdb.HNSW(M=8, ef_construction=16, codes="rabitq", bits=2),
    "packed": vdb.HNSW(M=8, ef_construction=16, codes="packed"),
    "acorn": vdb.ACORN(M=8, gamma=4, M_beta=24, ef_construction=16, codes="none"),
    "flat": vdb.Flat(codes="sq8"),
    "projection": vdb.Flat(codes="projection"),
    "range": vdb.Range("n", M=8, ef_construction=16),
    "label": vdb.Label("s", M=8, ef_construction=16, min_rows=10),
    "pq": vdb.IVFPQ(),
    "rabitq": vdb.IVFRaBitQ(bits=3),
}


def rows(n: int, dim: int) -> dict[str, Any]:
    rng = np.random.default_rng(n + dim)
    texts = [f"k{i % 20}" for i in range(n)]
    return {"id": np.arange(n), "n": rng.integers(0, 1000, n), "s": texts, "e": rng.normal(size=(n, dim))}


@pytest.mark.parametrize(("n", "dim"), [(1500, 16), (1500, 100), (4000, 24)])
def test_estimates_are_near_what_indexes_take(n: int, dim: int) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", rows(n, dim), key="id")
        for name, spec in SPECS.items():
            info = table.create_index("e", spec, name=name)
            estimated = estimate(info.kind, info.params, dim, n)
            assert 0.8 * info.memory_bytes <= estimated <= 2 * info.memory_bytes, (name, estimated / n)
            table.drop_index(name)


def test_a_build_that_does_not_fit_is_refused_with_need_and_limit(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d", memory_limit="130MB") as db:  # 66 MB beside DuckDB
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[4]"})
        table.add({"id": np.arange(9000)}, e=np.random.default_rng(0).normal(size=(9000, 4)))
        seq = db.store.state.seq
        with pytest.raises(
            vdb.OutOfMemory, match=r"index t_e_hnsw of table t: [\d,]+ bytes are needed.*130,000,000.*Fix:"
        ):
            table.create_index("e", vdb.HNSW(M=1024, codes="none"))
        assert db.store.state.seq == seq
        assert table.list_indexes() == []
        assert table.create_index("e", vdb.HNSW(M=4, ef_construction=16, codes="none")).covered == 9000


def test_rows_that_do_not_fit_are_refused_before_anything_changes() -> None:
    with vdb.connect(":memory:", memory_limit="128MB") as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[1024]"})
        one = np.zeros((4000, 1024), np.float32)  # 16 MB
        for begin in (0, 4000):
            table.add({"id": np.arange(begin, begin + 4000)}, e=one)
        with pytest.raises(vdb.OutOfMemory, match=r"4,000 more rows of table t: [\d,]+ bytes are needed"):
            table.add({"id": np.arange(8000, 12_000)}, e=one)
        assert len(table) == 8000
        assert db.store.memory.used <= 64_000_000
        assert table.search(one[0], 2).ids.tolist() == [0, 1]
        table.add({"id": [-1]}, e=one[:1])
        with db.transaction():  # which is still good after it
            with pytest.raises(vdb.OutOfMemory):
                table.upsert({"id": np.arange(9_000)}, e=np.zeros((9_000, 1024), np.float32))
            table.delete(ids=[-1])
        assert len(table) == 8000


def test_searches_do_without_an_index_they_have_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(2000)}, e=x, key="id")
        table.create_index("e", vdb.HNSW(M=8, codes="none"), name="h")
    with vdb.connect(tmp_path / "d", memory_limit="1GB") as db:
        table, memory = db.table("t"), db.store.memory
        monkeypatch.setattr(memory, "_limit", memory.used + 1000)
        hits = table.search(x[7], 3)
        assert "strategy  scan" in hits.explain()
        assert hits.ids[0] == 7
        assert "memory_limit of 1,000,000,000" in table.list_indexes()[0].unusable
        with pytest.raises(vdb.InvalidArgument, match="bytes are needed"):
            table.search(x[7], 3, strategy="graph")
        monkeypatch.undo()
        assert table.search(x[7], 3, strategy="graph").ids[0] == 7
        assert table.list_indexes()[0].unusable == ""


def test_what_is_held_goes_when_it_is_dropped(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d", memory_limit="1GB") as db:
        table = db.create_table("t", rows(1500, 16), key="id")
        empty = db.store.memory.used
        info = table.create_index("e", vdb.HNSW(M=8, codes="none"), name="h")
        assert db.store.memory.used - empty >= info.memory_bytes
        table.search(np.zeros(16), 3, where="n > 10")
        with_column = db.store.memory.used
        table.drop_index("h")
        assert db.store.memory.used <= with_column - info.memory_bytes


@pytest.mark.parametrize("size", ["", "many", "2 GBB", "-1GB", "1PB", "nan", 7, True])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    with pytest.raises(vdb.InvalidArgument, match="memory_limit must be a size below 8 EiB, got"):
        vdb.connect(":memory:", memory_limit=size)
