"""The vectors that benchmarks and tests run on, by the names used in data/registry.toml.

Every loader returns float32 vectors and queries and says where they come from; nothing is downloaded.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
ARXIV_ROWS, ARXIV_QUERIES, ARXIV_DIM = 100_000, 2_000, 384
LIFTED_DIM, LIFTED_SEED = 4_096, 2_507
GROWN_MOST = 10_000_000  # rows that may be asked for
_CHUNK_ROWS = 8_192  # 12 MiB of float32 at 384 dimensions: the temporaries stay in cache
_LIFTED_CHUNK_ROWS = 1_024  # 16 MiB at 4,096 dimensions

FloatMatrix = npt.NDArray[np.float32]


class MissingDataset(RuntimeError):
    """The data, or the library that ships it, is not on this machine; the message says what to do."""


@dataclass(frozen=True)
class Dataset:
    """Vectors to search, (n, dim) float32 C-contiguous, and queries, (nq, dim) float32; both read-only.

    `labels`, (n,) int64, are the classes of the rows where the set has them.
    """

    name: str
    vectors: FloatMatrix
    queries: FloatMatrix
    labels: npt.NDArray[np.int64] | None = None

    def head(self, rows: int | None, queries: int | None) -> Dataset:
        """Keep the first `rows` vectors and the first `queries` queries; None keeps all."""
        labels = None if self.labels is None else self.labels[:rows]
        return Dataset(self.name, self.vectors[:rows], self.queries[:queries], labels)


def load(name: str, *, rows: int | None = None, queries: int | None = None) -> Dataset:
    """Load a data set by name, cut to its first `rows` and `queries`.

    Raises
    ------
    ValueError
        The name is unknown, or the set has fewer rows or queries than asked for.
    MissingDataset
        The data is not on this machine.
    """
    if name not in LOADERS:
        raise ValueError(f"unknown data set {name!r}; expected one of {', '.join(sorted(LOADERS))}")
    if name in _TO_MEASURE:
        loader, most = _TO_MEASURE[name]
        _check_counts(name, (rows, most), (queries, ARXIV_QUERIES))
        return loader(rows, queries)
    full = LOADERS[name]()
    _check_counts(name, (rows, len(full.vectors)), (queries, len(full.queries)))
    return full.head(rows, queries)


def _check_counts(name: str, rows: tuple[int | None, int], queries: tuple[int | None, int]) -> None:
    for what, (wanted, held) in (("rows", rows), ("queries", queries)):
        if wanted is not None and not 0 < wanted <= held:
            raise ValueError(f"{name} has {held} {what}, {wanted} were asked for; choose 1 to {held}")


def arxiv_folder() -> Path:
    """Where the real papers are looked for: $VDB_DATA, else ../shared/arxiv beside the checkout."""
    return Path(os.environ.get("VDB_DATA") or ROOT.parent / "shared" / "arxiv")


def arxiv() -> Dataset:
    """100,000 abstracts of real arXiv papers and 2,000 titles of others, 384 dimensions, unit length."""
    folder = arxiv_folder()
    files = {"vectors.f16.npy": (ARXIV_ROWS, ARXIV_DIM), "queries.f16.npy": (ARXIV_QUERIES, ARXIV_DIM)}
    vectors, queries = (_unit_file(folder / name, shape) for name, shape in files.items())
    return Dataset("arxiv", vectors, queries)


def _unit_file(path: Path, shape: tuple[int, int]) -> FloatMatrix:
    if not path.exists():
        raise MissingDataset(f"no {path}; set VDB_DATA to the folder of the arXiv set (data/README.md)")
    half = np.load(path, mmap_mode="r")
    if half.shape != shape or half.dtype != np.float16:
        raise ValueError(f"{path} holds {half.dtype} {half.shape}; expected float16 {shape}; fetch the file again")
    return unit_rows(half)


def digits() -> Dataset:
    """1,797 handwritten digits of 8x8 pixels with their labels; the last 297 are the queries."""
    sklearn_datasets = _sklearn_datasets()
    pixels, labels = sklearn_datasets.load_digits(return_X_y=True)
    pixels = np.ascontiguousarray(pixels, dtype=np.float32)
    return Dataset("digits", _frozen(pixels[:1500]), _frozen(pixels[1500:]), labels[:1500].astype(np.int64))


def blobs(rows: int = 20_000, queries: int = 1_000, dim: int = 64, seed: int = 7) -> Dataset:
    """Gaussian clusters on the unit sphere, 50 centres; made, not real, and the same for the same seed."""
    points, labels = _sklearn_datasets().make_blobs(
        n_samples=rows + queries, n_features=dim, centers=50, cluster_std=3.0, random_state=seed
    )
    unit = unit_rows(points)
    return Dataset("blobs", _frozen(unit[:rows]), _frozen(unit[rows:]), labels[:rows].astype(np.int64))


def lifted(
    rows: int | None = None, queries: int | None = None, dim: int = LIFTED_DIM, seed: int = LIFTED_SEED
) -> Dataset:
    """The arXiv vectors through one random linear layer 384 -> `dim`, normalised again: wide, of rank 384.

    Made, not real, and the same for the same seed; all 100,000 rows of 4,096 dimensions take 1.6 GB, so only the
    first `rows` and `queries` are made.
    """
    small = arxiv().head(rows, queries)
    layer = lifting_layer(dim, seed)
    return Dataset("lifted", through(layer, small.vectors), through(layer, small.queries))


@functools.cache
def lifting_layer(dim: int = LIFTED_DIM, seed: int = LIFTED_SEED) -> FloatMatrix:
    """(384, dim) float32, standard normal."""
    return _frozen(np.random.default_rng(seed).standard_normal((ARXIV_DIM, dim), dtype=np.float32))


def through(layer: FloatMatrix, vectors: FloatMatrix) -> FloatMatrix:
    """(n, 384) vectors through a layer, at unit length again; read-only."""
    wide = np.empty((len(vectors), layer.shape[1]), dtype=np.float32)
    for begin in range(0, len(vectors), _LIFTED_CHUNK_ROWS):
        wide[begin : begin + _LIFTED_CHUNK_ROWS] = unit_rows(vectors[begin : begin + _LIFTED_CHUNK_ROWS] @ layer)
    return _frozen(wide)


def _grown(rows: int | None = None, queries: int | None = None) -> Dataset:
    from bench.grown import grown  # which reads the real set by this module

    return grown(rows, queries)


LOADERS: dict[str, Callable[[], Dataset]] = {
    "arxiv": arxiv,
    "digits": digits,
    "blobs": blobs,
    "lifted": lifted,
    "grown": _grown,
}
# Made only as far as they are asked for, at most so many rows.
_TO_MEASURE: dict[str, tuple[Callable[[int | None, int | None], Dataset], int]] = {
    "lifted": (lifted, ARXIV_ROWS),
    "grown": (_grown, GROWN_MOST),
}


def unit_rows(values: npt.NDArray[np.floating]) -> FloatMatrix:
    """Copy (n, dim) of any float type to float32 rows of length 1, read-only; norms are taken in float32."""
    unit = np.empty(values.shape, dtype=np.float32)
    for begin in range(0, len(values), _CHUNK_ROWS):
        part = values[begin : begin + _CHUNK_ROWS].astype(np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        unit[begin : begin + _CHUNK_ROWS] = part
    return _frozen(unit)


def _frozen(matrix: FloatMatrix) -> FloatMatrix:
    matrix.flags.writeable = False
    return matrix


def _sklearn_datasets() -> Any:
    try:
        import sklearn.datasets
    except ImportError as error:
        raise MissingDataset("scikit-learn ships this set; pip install 'vdb[bench]'") from error
    return sklearn.datasets
