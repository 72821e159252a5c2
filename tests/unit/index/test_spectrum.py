"""The spectrum of a sample: rank, order, and when dimensions may be dropped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from vdb.errors import InvalidArgument
from vdb.index import spectrum as module
from vdb.index.spectrum import LOSSLESS_TAIL, Spectrum, rank_at_most, spectrum

FloatMatrix = npt.NDArray[np.float32]


def low_rank(n: int, rank: int, dim: int, *, mean: float = 0, noise: float = 0, seed: int = 1) -> FloatMatrix:
    """Rows of a linear layer of `rank` inputs and, with a mean, a bias."""
    random = np.random.default_rng(seed)
    layer = np.random.default_rng(99).standard_normal((rank + 1, dim))
    rows = random.standard_normal((n, rank)) @ layer[:rank] + mean * layer[rank]
    return (rows + noise * random.standard_normal((n, dim))).astype(np.float32)


def missed(found: Spectrum, rows: FloatMatrix) -> float:
    """The share of the rows' energy outside the basis, by the explicit residual."""
    exact, basis = rows.astype(np.float64), found.basis.astype(np.float64)
    return float(np.square(exact - exact @ basis.T @ basis).sum() / np.square(exact).sum())


def check_basis(found: Spectrum) -> None:
    basis = found.basis.astype(np.float64)
    assert found.basis.dtype == np.float32
    assert found.basis.flags.c_contiguous
    np.testing.assert_allclose(basis @ basis.T, np.eye(found.width), atol=1e-5)
    assert (np.diff(found.energies) <= 0).all()
    assert (found.energies >= 0).all()


@pytest.mark.parametrize(("n", "dim"), [(400, 64), (400, 300), (400, 1000), (3000, 1500)])
@pytest.mark.parametrize("mean", [0, 3])
def test_rank_of_a_linear_layer_is_found(n: int, dim: int, mean: float) -> None:
    rank = 33 + (mean > 0)
    found = spectrum(low_rank(n, 33, dim, mean=mean))
    check_basis(found)
    assert found.lossless
    assert found.rank == rank
    assert rank <= found.width <= 48
    assert found.tail < 1e-10
    assert found.energies[rank - 1] > 1e-3 * found.energies[0]
    assert found.energies[rank:].sum() < LOSSLESS_TAIL * found.energies.sum()
    assert missed(found, low_rank(200, 33, dim, mean=mean, seed=2)) < 1e-10


@pytest.mark.parametrize(("n", "dim"), [(500, 20), (2000, 300), (5000, 700)])
def test_data_of_full_rank_keeps_all_dimensions_in_order_of_energy(n: int, dim: int) -> None:
    random = np.random.default_rng(3)
    scales = random.permutation(np.geomspace(1, 0.1, dim))
    sample = (random.standard_normal((n, dim)) * scales).astype(np.float32)
    found = spectrum(sample)
    check_basis(found)
    assert not found.lossless
    assert found.width == found.dim == dim
    assert found.rank > 0.95 * dim
    assert found.tail == 0
    coordinates = sample.astype(np.float64) @ found.basis.T
    measured = np.square(coordinates).mean(axis=0)
    np.testing.assert_allclose(measured, found.energies, rtol=0.5)
    np.testing.assert_allclose(measured[:5], found.energies[:5], rtol=0.1)
    assert measured[: dim // 2].sum() > 0.75 * measured.sum()


@pytest.mark.parametrize(("n", "rank", "dim"), [(40, 50, 200), (56, 50, 200), (300, 300, 600)])
def test_sample_smaller_than_the_rank_keeps_all_dimensions(n: int, rank: int, dim: int) -> None:
    found = spectrum(low_rank(n, rank, dim))
    check_basis(found)
    assert not found.lossless
    assert found.width == dim
    assert missed(found, low_rank(100, rank, dim, seed=2)) < 1e-10


def test_noise_decides_at_the_limit_of_the_tail() -> None:
    # Noise of size s takes a share of about s^2 / rank of the energy, spread over all dimensions.
    assert spectrum(low_rank(2000, 30, 300, noise=2e-3)).lossless
    assert not spectrum(low_rank(2000, 30, 300, noise=2e-2)).lossless


def test_width_fills_a_register_where_the_directions_are_known() -> None:
    found = spectrum(low_rank(2000, 33, 300, noise=1e-3))
    assert found.lossless
    assert found.width == 48


@pytest.mark.parametrize("n", [2, 8, 100])
def test_equal_rows_are_one_direction(n: int) -> None:
    found = spectrum(np.full((n, 50), 0.25, dtype=np.float32))
    check_basis(found)
    assert found.lossless
    assert found.rank == 1
    assert found.width <= 16
    np.testing.assert_allclose(np.abs(found.basis[0]), 50**-0.5, rtol=1e-6)
    np.testing.assert_allclose(found.energies.sum(), 50 / 16, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 100])
@pytest.mark.parametrize("dim", [1, 2, 40, 1000])
def test_zeros_say_nothing_and_keep_all_dimensions(n: int, dim: int) -> None:
    found = spectrum(np.zeros((n, dim), dtype=np.float32))
    check_basis(found)
    assert not found.lossless
    assert found.rank == 0
    assert found.width == dim


def test_one_row_says_nothing_of_others() -> None:
    found = spectrum(low_rank(1, 5, 30))
    check_basis(found)
    assert not found.lossless
    assert found.width == 30


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e20, 1e37])
def test_scale_of_the_rows_does_not_matter(scale: float) -> None:
    rows = low_rank(500, 10, 100)
    found, plain = spectrum(rows * np.float32(scale)), spectrum(rows)
    check_basis(found)
    assert found.lossless
    assert found.width == plain.width
    np.testing.assert_allclose(found.energies[:10], plain.energies[:10] * scale**2, rtol=1e-2)


@pytest.mark.parametrize("dim", [1, 2, 15, 16, 17, 20, 4096, 4097, 65_535])
def test_every_dimension_is_allowed(dim: int) -> None:
    rank = min(dim, 3)
    found = spectrum(low_rank(60, rank, dim))
    check_basis(found)
    assert found.dim == dim
    assert found.lossless == (dim > 17)  # sixteen values are stored at least, which must save an eighth
    assert rank <= found.width <= (16 if found.lossless else dim)


def test_basis_of_very_wide_data_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_DECOMPOSED", 100)
    monkeypatch.setattr(module, "_MAX_BASIS_VALUES", 40 * 300)
    found = spectrum(np.random.default_rng(1).standard_normal((400, 300)).astype(np.float32))
    check_basis(found)
    assert not found.lossless
    assert found.width == 40
    assert 0.5 < found.tail < 1
    assert not spectrum(low_rank(400, 60, 300)).lossless


def test_same_sample_gives_the_same_basis() -> None:
    rows = low_rank(500, 20, 200, noise=0.1)
    assert np.array_equal(spectrum(rows).basis, spectrum(rows).basis)


@pytest.mark.parametrize(
    "sample",
    [
        np.zeros((0, 3), dtype=np.float32),
        np.zeros((3, 0), dtype=np.float32),
        np.zeros(3, dtype=np.float32),
        np.zeros((3, 3)),
        np.full((3, 3), np.nan, dtype=np.float32),
        np.array([[0, np.inf]], dtype=np.float32),
    ],
)
def test_what_is_no_sample_is_refused(sample: FloatMatrix) -> None:
    with pytest.raises(InvalidArgument, match="sample"):
        spectrum(sample)


@pytest.mark.parametrize("dim", [64, 128, 384, 768])
@pytest.mark.parametrize("noise", [0, 1e-5])
def test_low_rank_is_told_from_a_higher_one_at_every_dimension(dim: int, noise: float) -> None:
    most = dim // 4
    for rank in (1, most - 1, most):
        assert rank_at_most(low_rank(3000, rank, dim, noise=noise), most), rank
    for rank in (most + 1, most + 2, 2 * most, dim):
        assert not rank_at_most(low_rank(3000, rank, dim, noise=noise), most), rank


@pytest.mark.parametrize("n", [1, 2, 7, 8, 40])
def test_sample_without_rows_to_spare_does_not_pass_for_low_rank(n: int) -> None:
    assert not rank_at_most(low_rank(n, 64, 256), 48)


def test_small_sample_shows_a_rank_far_below_its_rows() -> None:
    assert rank_at_most(low_rank(100, 5, 64), 16)
    assert not rank_at_most(low_rank(100, 40, 64), 16)
