from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from filtered_data import clustered

from bench.adapters import MissingPeer
from bench.adapters.base import GraphParams
from bench.filtered import adapters
from bench.filtered.adapters.base import Setup
from bench.filtered.predicate import (
    EVERYTHING,
    Between,
    Contains,
    Equal,
    Every,
    Inexpressible,
    Some,
    Substring,
    Without,
    to_sql,
)
from bench.filtered.questions import Allowed, RowFinder

LIBRARIES = {
    "vdb": "vdb._core",
    "numpy": "numpy",
    "faiss_flat": "faiss",
    "faiss_hnsw": "faiss",
    "faiss_ivfpq": "faiss",
    "faiss_ivfpq8": "faiss",
    "faiss_ivf_rabitq": "faiss",
    "vdb_ivf": "vdb._core",
    "rabitqlib_ivf": "rabitqlib",
    "scann": "scann",
    "hnswlib": "hnswlib",
    "zvec": "zvec",
    "lancedb": "lancedb",
    "duckdb": "duckdb",
    "chromadb": "chromadb",
}
PREDICATES = {
    "everything": EVERYTHING,
    "equal": Equal("number_of_sub_categories", 2),
    "between": Between("lot", 100, 500),
    "contains": Contains("main_categories", "a2"),
    "without": Every((Without("main_categories", "a2"), Between("lot", 100, 700))),
    "and": Every((Between("update_date", 13_000, 17_000), Contains("main_categories", "a1"))),
    "or": Some((Contains("main_categories", "a1"), Contains("main_categories", "a3"))),
    "text": Equal("primary_category", "a4.C9"),
    "substring": Substring("title", "LATTICE"),
}
CANNOT = {("zvec", "substring"), ("chromadb", "substring"), ("chromadb", "everything")}
UNFILTERED = ("rabitqlib_ivf", "scann")
COARSE = ("faiss_ivfpq8",)  # nothing of it is refined
DATA = clustered(1_000, 8, dim=64)
K = 10


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", adapters.PEERS)
def test_peer_finds_the_nearest_allowed_rows_of_every_predicate(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec(LIBRARIES[name]) is None:
        pytest.skip(f"{LIBRARIES[name]} is not installed; pip install -e '.[bench]'")
    if name in COARSE:  # its codebooks take long to train
        monkeypatch.setattr("bench.filtered.adapters.faiss_ivfpq.DIMENSIONS_PER_CODE", 16)
    indexes = ("hnsw", "flat", "acorn", "range:update_date", "label:main_categories", "ivfrabitq:2")
    peer = adapters.make(name, Setup(GraphParams("ip", M=16, ef_construction=100), indexes))
    finder = RowFinder(DATA.attributes)
    peer.build(DATA, threads=2)
    method, sweeps = next(iter(peer.sweeps().items()))
    peer.choose(method, sweeps[-1][-1])
    try:
        for kind, predicate in PREDICATES.items():
            allowed = Allowed.of(finder.rows(*to_sql(predicate)), len(DATA.vectors))
            if (name, kind) in CANNOT or (name in UNFILTERED and kind != "everything"):
                with pytest.raises(Inexpressible, match=name.removesuffix("_ivf")):
                    peer.bind(predicate, allowed)
                continue
            bound = peer.bind(predicate, allowed)
            found = [peer.search(query, K, bound) for query in DATA.dataset.queries]
            assert all(allowed.mask[rows[rows >= 0]].all() for rows in found), kind
            assert recall(found, allowed) > (0.4 if name in COARSE else 0.9), kind
        assert peer.memory_bytes() > 0
    finally:
        finder.close()
        peer.close()


def recall(found: list[np.ndarray], allowed: Allowed) -> float:
    rows = allowed.rows
    shares = []
    for query, answer in zip(DATA.dataset.queries, found, strict=True):
        true = rows[np.argsort(-(DATA.vectors[rows] @ query), kind="stable")[:K]]
        shares.append(np.isin(true, answer).mean())
    return float(np.mean(shares))


def test_peer_without_its_library_is_skipped_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(adapters.PEERS, "absent", "absent:Absent")
    with pytest.raises(MissingPeer, match=r"absent: .*pip install"):
        adapters.make("absent", Setup(GraphParams("ip")))
    with pytest.raises(ValueError, match="unknown peer 'nobody'; expected one of vdb"):
        adapters.make("nobody", Setup(GraphParams("ip")))
