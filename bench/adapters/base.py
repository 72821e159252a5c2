"""What the runner asks of a peer."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

FloatVector = npt.NDArray[np.float32]
FloatMatrix = npt.NDArray[np.float32]
RowNumbers = npt.NDArray[np.integer]


def installed_version(package: str) -> str:
    """Version of an installed package; a source tree on the path has none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "source tree"


@dataclass(frozen=True)
class GraphParams:
    """The parameters all graph peers share."""

    metric: Literal["l2", "cosine", "ip"]
    M: int = 16
    ef_construction: int = 200
    codes: str = "auto"  # of vdb: what walks read
    bits: int = 0


class Adapter(ABC):
    """A peer: build once, then answer queries on one thread at a chosen effort. Rows are numbered from 0."""

    name: ClassVar[str]
    version: ClassVar[str]

    def __init__(self, params: GraphParams) -> None:
        self.params = params

    @abstractmethod
    def build(self, vectors: FloatMatrix, threads: int) -> None:
        """Index (n, dim) float32 C-contiguous vectors on `threads` threads; afterwards search on one."""

    @abstractmethod
    def set_effort(self, ef: int) -> None:
        """Choose how many candidates a search keeps."""

    @abstractmethod
    def query(self, q: FloatVector, k: int) -> RowNumbers:
        """Row numbers of the k nearest of one (dim,) query, best first."""

    def query_batch(self, queries: FloatMatrix, k: int) -> RowNumbers:
        """(nq, k) row numbers, -1 where fewer were found; here of a peer that takes one query a call."""
        found = np.full((len(queries), k), -1, np.int64)
        for row, query in zip(found, queries, strict=True):
            rows = self.query(query, k)
            row[: len(rows)] = rows
        return found

    @abstractmethod
    def memory_bytes(self) -> int:
        """Bytes of links and vectors by the peer's own count, or of its serialised form."""

    def close(self) -> None:  # noqa: B027 -- most peers hold nothing open
        """Release what the peer holds."""


def bytes_below(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def bytes_saved(save: Callable[[str], object]) -> int:
    """The size of what a function writes into the folder whose path it is given."""
    with tempfile.TemporaryDirectory() as folder:
        save(folder)
        return bytes_below(Path(folder))
