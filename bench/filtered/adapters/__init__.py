"""One file per peer, at most 60 lines each: how it builds and how it is asked with a filter. PEERS names them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from bench.adapters import MissingPeer

if TYPE_CHECKING:
    from bench.filtered.adapters.base import FilteredPeer, Setup

PEERS = {
    "vdb": "vdb_:VdbFiltered",
    "vdb_ivf": "vdb_ivf:VdbIvf",
    "numpy": "numpy_:NumpyGather",
    "faiss_flat": "faiss_flat:FaissFlat",
    "faiss_hnsw": "faiss_hnsw:FilteredFaissHnsw",
    "faiss_ivfpq": "faiss_ivfpq:FilteredFaissIvfPq",
    "faiss_ivfpq8": "faiss_ivf:FilteredFaissIvfPq8",
    "faiss_ivf_rabitq": "faiss_ivf:FilteredFaissIvfRabitq",
    "hnswlib": "hnswlib_:FilteredHnswlib",
    "rabitqlib_ivf": "rabitqlib_ivf:UnfilteredRabitqlibIvf",
    "scann": "scann_:UnfilteredScann",
    "zvec": "zvec_:FilteredZvec",
    "lancedb": "lancedb_:FilteredLancedb",
    "duckdb": "duckdb_:DuckdbExact",
    "chromadb": "chromadb_:FilteredChroma",
}


def make(name: str, setup: Setup) -> FilteredPeer:
    """Return the adapter of a peer, ready to build; MissingPeer where its library is absent."""
    if name not in PEERS:
        raise ValueError(f"unknown peer {name!r}; expected one of {', '.join(PEERS)}")
    module, _, class_name = PEERS[name].partition(":")
    try:
        adapter = getattr(import_module(f"bench.filtered.adapters.{module}"), class_name)
    except ImportError as error:
        raise MissingPeer(f"{name}: {error}; pip install -e '.[bench]'") from error
    return cast("FilteredPeer", adapter(setup))
