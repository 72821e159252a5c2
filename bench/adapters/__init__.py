"""One file per peer, at most 60 lines each: how it builds and how it is asked. PEERS names them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from bench.adapters.base import Adapter, GraphParams

PEERS = {
    "vdb": "bench.adapters.vdb_:VdbCore",
    "vdb_table": "bench.adapters.vdb_table:VdbTable",
    "hnswlib": "bench.adapters.hnswlib_:Hnswlib",
    "faiss_hnsw": "bench.adapters.faiss_hnsw:FaissHnsw",
    "faiss_hnsw_sq8": "bench.adapters.faiss_codes:FaissHnswSq8",
    "faiss_ivfpq": "bench.adapters.faiss_codes:FaissIvfPq",
    "faiss_ivf_rabitq": "bench.adapters.faiss_codes:FaissIvfRabitq",
    "lancedb": "bench.adapters.lancedb_:Lancedb",
    "ngt": "bench.adapters.ngt_:Ngt",
    "rabitqlib_hnsw": "bench.adapters.rabitqlib_hnsw:RabitqlibHnsw",
    "rabitqlib_symqg": "bench.adapters.rabitqlib_symqg:RabitqlibSymqg",
    "scann": "bench.adapters.scann_:Scann",
    "svs": "bench.adapters.svs_:Svs",
    "usearch": "bench.adapters.usearch_:Usearch",
    "usearch_bf16": "bench.adapters.usearch_:UsearchBf16",
    "usearch_i8": "bench.adapters.usearch_:UsearchI8",
    "zvec": "bench.adapters.zvec_:Zvec",
}


class MissingPeer(RuntimeError):
    """The peer's library is not installed; the message says which."""


def make(name: str, params: GraphParams) -> Adapter:
    """Return the adapter of a peer, ready to build; MissingPeer where its library is absent."""
    if name not in PEERS:
        raise ValueError(f"unknown peer {name!r}; expected one of {', '.join(PEERS)}")
    module, _, class_name = PEERS[name].partition(":")
    try:
        adapter = getattr(import_module(module), class_name)
    except ImportError as error:
        raise MissingPeer(f"{name}: {error}; pip install -e '.[bench]'") from error
    return cast("Adapter", adapter(params))
