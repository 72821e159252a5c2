"""Rank reduction decides here: how many directions a sample of vectors spans, and in which order of energy.

Uncentred second moments, so one linear map keeps inner product, l2 and cosine alike. Whether the rest may be dropped is
judged on rows that took no part in finding the directions: a sample smaller than the rank cannot pass for low rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from vdb.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.types import FloatMatrix

DoubleMatrix: TypeAlias = npt.NDArray[np.float64]

LOSSLESS_TAIL: Final = 1e-6  # share of the energy that may be dropped: a thousandth of a vector's length
_GREATEST_SHARE: Final = 0.875  # of the dimensions: dropping fewer saves less than abandoning distances early
_WIDTH_STEP: Final = 16  # directions: a full register of the widest kernels
_HELD_STEP: Final = 8  # every eighth row judges what the others found
_FIRST_ROWS: Final = 256  # of the first attempt; each further attempt takes twice as many
_MAX_DECOMPOSED: Final = 4_096  # rows or dimensions of a decomposition: its time grows with the cube
_MAX_BASIS_VALUES: Final = 2**26  # 256 MiB of float32
_BLOCK_VALUES: Final = 2**22  # converted to float64 at a time: 32 MiB
_LEAST_ENERGY: Final = 1e-11  # of the total, of a direction that can be told from rounding by the sample's Gram matrix
_MAX_DEFECT: Final = 1e-4  # of the basis from orthonormal, entry by entry; float32 leaves about 1e-6


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The directions of a sample.

    Attributes
    ----------
    basis : FloatMatrix
        (width, dim) float32, orthonormal rows, greatest energy first.
    energies : numpy.ndarray
        (k,) float64, k <= width: the mean squared coordinate of the sample along the first k rows of `basis`. The
        sample has no energy along the others.
    tail : float
        Share of the sample's energy outside the basis, the greater of what the rows that made it and the rows held
        out say; 1 where no row could be held out.
    """

    basis: FloatMatrix
    energies: npt.NDArray[np.float64]
    tail: float

    @property
    def width(self) -> int:
        """The number of directions kept."""
        return len(self.basis)

    @property
    def dim(self) -> int:
        """The number of dimensions of a vector."""
        return int(self.basis.shape[1])

    @property
    def rank(self) -> int:
        """The number of directions with all but `LOSSLESS_TAIL` of the sample's energy; 0 for zeros."""
        within = np.cumsum(self.energies)
        return int(np.searchsorted(within, (1 - LOSSLESS_TAIL) * within[-1])) + 1 if within[-1] > 0 else 0

    @property
    def lossless(self) -> bool:
        """Whether dimensions were dropped, and none that matters."""
        return self.width < self.dim and self.tail < LOSSLESS_TAIL


def spectrum(sample: FloatMatrix) -> Spectrum:
    """Find the directions a sample spans.

    Where the energy outside the first directions falls below `LOSSLESS_TAIL` and an eighth of the dimensions is saved,
    these are the basis, and up to 15 more where they are known, to fill a register. Else the basis has all `dim`
    directions; above 4,096 dimensions as many of the sample's own as 256 MiB hold. A low rank is found in a few
    seconds; to find that all of 4,096 dimensions are needed takes a decomposition of that size, under a minute.

    Parameters
    ----------
    sample : FloatMatrix
        (n, dim) float32, n >= 1, finite: rows drawn at random, more of them than the rank (3,000 or more).

    Returns
    -------
    Spectrum
        The basis, its energies and the tail.

    Raises
    ------
    InvalidArgument
        The sample is no float32 matrix with rows, or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> rows = random.standard_normal((500, 10)) @ random.standard_normal((10, 200))
    >>> found = spectrum(rows.astype(np.float32))
    >>> found.lossless, found.rank, found.width
    (True, 10, 16)
    """
    scale = _checked_scale(sample)
    fitted, judging = _parts(sample, scale)
    found = _in_order(_directions(fitted, judging), fitted, judging)
    rank = int(np.argmax(found.tails < LOSSLESS_TAIL)) + 1
    width = min(len(found.energies), -(-rank // _WIDTH_STEP) * _WIDTH_STEP)
    dim = sample.shape[1]
    most = max(1, _MAX_BASIS_VALUES // dim)
    if found.tails[rank - 1] >= LOSSLESS_TAIL or width > min(_GREATEST_SHARE * dim, most):
        found = _completed(found)
        width = min(len(found.directions), most)
    basis = np.ascontiguousarray(found.directions[:width], dtype=np.float32)
    defect = np.abs(basis @ basis.T - np.eye(width, dtype=np.float32)).max()
    assert defect <= _MAX_DEFECT, f"the basis is off by {defect} from orthonormal"
    tail = 0.0 if width == dim else float(found.tails[width - 1])
    return Spectrum(basis, found.energies[:width] * scale**2, tail)


def rank_at_most(sample: FloatMatrix, most: int) -> bool:
    """Whether the sample, (n, dim) float32, shows that its vectors span at most `most` directions.

    Costs a few decompositions of `most` by `most` at worst, and none where the sample is too small to tell.
    """
    fitted, judging = _parts(sample, _checked_scale(sample))
    if not len(judging) or not judging.any():
        return False
    limit = min(max(_FIRST_ROWS, 2 * most), len(fitted))
    found = _few_directions(fitted, judging, min(_FIRST_ROWS, limit), limit)
    if found is None:
        return False
    # Rounding gives a span directions of next to no energy: those that matter count, as in `spectrum`.
    tails = _in_order(found, fitted, judging).tails
    return bool((tails[:most] < LOSSLESS_TAIL).any())


def _parts(sample: FloatMatrix, scale: float) -> tuple[FloatMatrix, FloatMatrix]:
    """Return the rows that find the directions and those held out to judge them, scaled."""
    held = np.zeros(len(sample), dtype=np.bool_)
    held[_HELD_STEP - 1 :: _HELD_STEP] = True
    if 1 < len(sample) < _HELD_STEP:
        held[-1] = True
    return sample[~held] / scale, sample[held] / scale


@dataclass(frozen=True, eq=False)
class _Found:
    directions: DoubleMatrix  # (at least k, dim), orthonormal rows; the sample has no energy behind the first k
    energies: npt.NDArray[np.float64]  # (k,) per fitted row, falling
    tails: npt.NDArray[np.float64]  # (k,) share outside the first 1, 2, ... directions


def _checked_scale(sample: FloatMatrix) -> float:
    """Return the greatest magnitude, so that squares of scaled rows neither overflow nor vanish; 1 for zeros."""
    if sample.ndim != 2 or sample.dtype != np.float32 or not sample.size:
        raise InvalidArgument(
            f"a sample is a float32 matrix with rows, got {sample.dtype} of shape {sample.shape}.\n"
            f"  Fix: pass rows of the vector column."
        )
    greatest = float(max(abs(float(sample.max())), abs(float(sample.min()))))
    if not np.isfinite(greatest):
        raise InvalidArgument("the sample holds NaN or infinite values.\n  Fix: drop those rows.")
    return greatest or 1.0


def _directions(fitted: FloatMatrix, judging: FloatMatrix) -> DoubleMatrix | None:
    """Return (k, dim) orthonormal rows that span the fitted ones, found from few of them where few do; None for all."""
    n, dim = fitted.shape
    limit = min(n, dim, _MAX_DECOMPOSED)
    found = _few_directions(fitted, judging, _FIRST_ROWS, limit // 2)
    return found if found is not None or limit == dim else _span(fitted[_spread(n, limit)])


def _few_directions(fitted: FloatMatrix, judging: FloatMatrix, rows: int, most: int) -> DoubleMatrix | None:
    """Return the directions of as few rows as span the judging ones, from `rows` on; None where `most` do not."""
    while rows <= most:
        span = _span(fitted[_spread(len(fitted), rows)])
        if _tails(span, judging)[-1] < LOSSLESS_TAIL:
            return span
        rows *= 2
    return None


def _spread(n: int, count: int) -> npt.NDArray[np.int64]:
    return np.linspace(0, n - 1, count).astype(np.int64)


def _span(rows: FloatMatrix) -> DoubleMatrix:
    """Return the directions of a few rows by their Gram matrix, which is smaller than the second moments."""
    exact = rows.astype(np.float64)
    energies, vectors = np.linalg.eigh(exact @ exact.T)
    kept = energies > _LEAST_ENERGY * max(float(energies.sum()), np.finfo(np.float64).tiny)
    if not kept.any():
        return np.eye(1, rows.shape[1])
    directions, _ = np.linalg.qr((exact.T @ vectors[:, kept])[:, ::-1])
    return np.ascontiguousarray(directions.T)


def _in_order(directions: DoubleMatrix | None, fitted: FloatMatrix, judging: FloatMatrix) -> _Found:
    """Turn the directions so that the fitted rows have their greatest energy along the first."""
    k = fitted.shape[1] if directions is None else len(directions)
    moments = np.zeros((k, k))
    for block in _blocks(fitted):
        coordinates = block if directions is None else block @ directions.T
        moments += coordinates.T @ coordinates
    energies, turn = np.linalg.eigh(moments)
    turned = turn.T[::-1] if directions is None else turn.T[::-1] @ directions
    tails = np.maximum(_tails(turned, fitted), _tails(turned, judging))
    return _Found(turned, np.maximum(energies[::-1], 0) / len(fitted), tails)


def _tails(directions: DoubleMatrix, rows: FloatMatrix) -> npt.NDArray[np.float64]:
    """Return the share of the rows' energy outside the first 1, 2, ... directions; 1 where they have none."""
    total = 0.0
    within = np.zeros(len(directions))
    for block in _blocks(rows):
        total += float(np.vdot(block, block))
        within += np.square(block @ directions.T).sum(axis=0)
    return np.maximum(1 - np.cumsum(within) / total, 0) if total > 0 else np.ones(len(directions))


def _blocks(rows: FloatMatrix) -> Iterator[DoubleMatrix]:
    step = max(1, _BLOCK_VALUES // rows.shape[1])
    for begin in range(0, len(rows), step):
        yield rows[begin : begin + step].astype(np.float64)


def _completed(found: _Found) -> _Found:
    """Add directions until there are `dim`, where that many can be stored."""
    k, dim = found.directions.shape
    if k == dim or dim > _MAX_DECOMPOSED:
        return found
    basis, _ = np.linalg.qr(found.directions.T, mode="complete")
    return _Found(np.vstack([found.directions, basis.T[k:]]), found.energies, found.tails)
