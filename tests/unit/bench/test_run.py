from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench import adapters, ground_truth, report, run, workload
from bench.adapters.base import GraphParams
from bench.datasets import blobs

if TYPE_CHECKING:
    from pathlib import Path

LIBRARIES = {
    "vdb": "vdb._core",
    "vdb_table": "vdb.table",
    "hnswlib": "hnswlib",
    "faiss_hnsw": "faiss",
    "faiss_hnsw_sq8": "faiss",
    "faiss_ivfpq": "faiss",
    "faiss_ivf_rabitq": "faiss",
    "lancedb": "lancedb",
    "ngt": "ngtpy",
    "rabitqlib_hnsw": "rabitqlib",
    "rabitqlib_symqg": "rabitqlib",
    "scann": "scann",
    "svs": "svs",
    "usearch": "usearch",
    "usearch_bf16": "usearch",
    "usearch_i8": "usearch",
    "zvec": "zvec",
}
CODES_ONLY = {"faiss_hnsw_sq8", "rabitqlib_hnsw", "usearch_bf16", "usearch_i8"}  # they keep no float32 vectors


def read(name: str) -> workload.Workload:
    plan = workload.read(workload.find(name))
    assert isinstance(plan, workload.Workload)
    return plan


def require(name: str) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn ships make_blobs")
    if importlib.util.find_spec(LIBRARIES[name]) is None:
        pytest.skip(f"{LIBRARIES[name]} is not installed; pip install -e '.[bench]'")


# The wrappers that SWIG generates for faiss warn at import from Python 3.12 on.
@pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning")
@pytest.mark.parametrize("name", adapters.PEERS)
def test_peer_finds_the_neighbours_of_blobs(name: str) -> None:
    require(name)
    data = blobs(2_000, 50)
    truth = ground_truth.exact_neighbors(data.vectors, data.queries, "ip", 10)
    peer = adapters.make(name, GraphParams("ip", M=16, ef_construction=100))
    result = run.build(peer, data.vectors, threads=2)
    point = run.EffortResult(200)
    peer.set_effort(point.effort)
    run.ask(peer, point, run.Questions(data.queries, truth, workload.SearchPlan(10, (200,), 1, (0.9,))))
    peer.close()
    least = 0.9 if name in CODES_ONLY else 0.95
    assert point.recall > least
    assert point.batch_recall > least
    assert name in CODES_ONLY or result.memory_bytes >= data.vectors.nbytes


def test_peer_without_its_library_is_skipped_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(adapters.PEERS, "absent", "bench.adapters.absent:Absent")
    with pytest.raises(adapters.MissingPeer, match=r"absent: .*pip install"):
        adapters.make("absent", GraphParams("ip"))


def test_unknown_peer_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown peer 'nobody'; expected one of vdb"):
        adapters.make("nobody", GraphParams("ip"))


class Fails(adapters.base.Adapter):
    """Right always; fails at the query of a number."""

    name, version = "fails", "1"
    asked, fails_at = 0, 0

    def build(self, vectors, threads) -> None:
        self.vectors = vectors

    def set_effort(self, ef) -> None:
        pass

    def query(self, q, k):
        type(self).asked += 1
        if self.asked == self.fails_at:
            raise RuntimeError("the lights went out")
        return np.argsort(-(self.vectors @ q))[:k]

    def memory_bytes(self) -> int:
        return 1


def test_run_that_was_cut_goes_on_with_the_next_repetition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "make", lambda name, params: Fails(params))
    monkeypatch.setattr(run.datasets, "load", lambda name, rows, queries: blobs(300, 8))
    monkeypatch.setattr(ground_truth, "CACHE", tmp_path / "cache")
    plan = read("smoke")
    plan = replace(plan, search=replace(plan.search, efforts=(10, 20), repetitions=3))
    monkeypatch.setattr(workload, "read", lambda path: plan)
    out = tmp_path / "smoke.json"
    Fails.fails_at = 2 * 2 * (2 * 8 + 8) + 3  # eight to warm up, alone and in a batch; in the third repetition
    with pytest.raises(RuntimeError, match="lights"):
        run.main(["smoke", "--only", "fails", "--out", str(out)])
    assert not out.exists()
    Fails.fails_at, Fails.asked = 0, 0
    assert run.main(["smoke", "--only", "fails", "--out", str(out)]) == 0
    assert Fails.asked == 2 * (2 * 8 + 8)  # one repetition
    assert [path.name for path in tmp_path.glob("smoke*")] == ["smoke.json"]
    (point, _) = json.loads(out.read_text(encoding="utf-8"))["peers"]["fails"]["sweep"]
    assert (point["recall"], len(point["single_qps"]), len(point["batch_qps"])) == (1.0, 3, 3)
    assert len(point["latency_us"]["p99"]) == 3
    assert all(a <= b for a, b in zip(point["latency_us"]["p50"], point["latency_us"]["p99"], strict=True))


def test_peers_take_turns_at_being_first() -> None:
    assert [run.rotated(["a", "b", "c"], by) for by in range(3)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
    ]
    assert run.rotated([], 4) == []


def test_short_answers_are_padded() -> None:
    assert run.padded([np.array([3]), np.array([1, 2])], 2).tolist() == [[3, -1], [1, 2]]


@pytest.mark.parametrize("name", ["hnsw_100k", "workloads/hnsw_100k.toml", "smoke"])
def test_workloads_are_found_and_name_known_peers(name: str) -> None:
    plan = read(name)
    assert set(plan.peers) <= set(adapters.PEERS)
    assert plan.reference in plan.peers
    assert min(plan.search.efforts) >= plan.search.k


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("M = 16", "m = 16", "unknown keys"), ("k = 10", "", "k"), ("name =", "name", "smoke.toml")],
)
def test_mistake_in_a_workload_names_the_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = workload.find("smoke").read_text(encoding="utf-8")
    path = tmp_path / "smoke.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        workload.read(path)
    assert str(path) in str(caught.value)


def test_unknown_workload_lists_the_known_ones() -> None:
    known = "arxiv_100k, filtered_1m, filtered_384, filtered_4096, filtered_smoke, hnsw_100k, ivf_1m, ivf_384"
    with pytest.raises(ValueError, match=f"expected a TOML file or one of {known}"):
        workload.find("nothing")


def test_report_gives_the_ratio_of_the_same_repetition() -> None:
    plan = read("smoke")
    plan = replace(plan, search=replace(plan.search, recall_floors=(0.9,)))
    slow = {"version": "1", "build_s": 2.0, "memory_bytes": 1, "resident_bytes": 1}
    points = {"effort": 10, "recall": 0.95, "batch_recall": 0.5, "batch_qps": [1.0, 1.0]}
    result = {
        "workload": run.asdict(plan),
        "machine": {"processor": "p", "cores": 2},
        "peers": {
            "hnswlib": {**slow, "sweep": [{**points, "single_qps": [100.0, 200.0]}]},
            "vdb": {**slow, "sweep": [{**points, "single_qps": [300.0, 400.0]}]},
        },
        "skipped": {"faiss_hnsw": "faiss_hnsw: not here"},
    }
    text = report.text(result)
    assert "| 350 (300 - 400) | 2.50 (2.00 - 3.00) |" in text
    assert "| vdb     | -    | - |" in text  # no batch reached the floor
    assert "skipped faiss_hnsw: not here" in text
