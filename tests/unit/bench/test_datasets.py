from __future__ import annotations

import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench import datasets

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = tomllib.loads((datasets.ROOT / "data" / "registry.toml").read_text(encoding="utf-8"))


def test_every_loader_is_in_the_registry() -> None:
    layouts = {name for name, entry in REGISTRY.items() if "layout" in entry}
    assert set(datasets.LOADERS) == set(REGISTRY) - layouts
    assert layouts == {"grown_lifted", "arxiv_layout", "fanns_small", "fanns_medium", "fanns_large"}


@pytest.mark.parametrize("name", ["digits", "blobs"])
def test_set_has_the_shape_the_registry_says(name: str) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn ships these sets")
    data, entry = datasets.load(name), REGISTRY[name]
    assert data.vectors.shape == (entry["rows"], entry["dim"])
    assert data.queries.shape == (entry["queries"], entry["dim"])
    assert data.vectors.dtype == data.queries.dtype == np.float32
    assert data.labels is not None
    assert len(data.labels) == entry["rows"]


def test_blobs_are_the_same_for_the_same_seed() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn ships make_blobs")
    first, second, other = (datasets.blobs(100, 10, 8, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.vectors, second.vectors)
    assert not np.array_equal(first.vectors, other.vectors)


def test_real_set_is_unit_float32_and_read_only(arxiv: datasets.Dataset) -> None:
    entry = REGISTRY["arxiv"]
    assert arxiv.vectors.shape == (entry["rows"], entry["dim"])
    assert arxiv.queries.shape == (entry["queries"], entry["dim"])
    for matrix in (arxiv.vectors, arxiv.queries):
        assert matrix.dtype == np.float32
        assert not matrix.flags.writeable
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-6)


def test_lifted_set_is_wide_unit_and_keeps_neighbourhoods(arxiv: datasets.Dataset) -> None:
    entry = REGISTRY["lifted"]
    data = datasets.load("lifted", rows=1_500, queries=20)
    assert data.vectors.shape == (1_500, entry["dim"])
    assert data.queries.shape == (20, entry["dim"])
    for matrix in (data.vectors, data.queries):
        assert matrix.dtype == np.float32
        assert not matrix.flags.writeable
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-6)
    energies = np.linalg.eigvalsh(data.vectors.astype(np.float64) @ data.vectors.T.astype(np.float64))[::-1]
    assert energies[entry["rank"] :].sum() < 1e-9 * energies.sum()
    wide, narrow = data.queries @ data.vectors.T, arxiv.queries[:20] @ arxiv.vectors[:1_500].T
    assert np.corrcoef(wide.ravel(), narrow.ravel())[0, 1] > 0.98


@pytest.mark.usefixtures("arxiv")
def test_lifted_set_is_the_same_for_the_same_seed_and_however_many_rows() -> None:
    first, longer, other = datasets.lifted(30, 3, 64), datasets.lifted(60, 3, 64), datasets.lifted(30, 3, 64, seed=1)
    np.testing.assert_allclose(first.vectors, longer.vectors[:30], atol=1e-6)
    assert not np.allclose(first.vectors, other.vectors, atol=1e-2)
    with pytest.raises(ValueError, match="lifted has 100000 rows, 100001 were asked for"):
        datasets.load("lifted", rows=100_001, queries=1)


@pytest.mark.usefixtures("arxiv")
def test_files_of_the_real_set_are_the_registered_ones() -> None:
    for name, digest in REGISTRY["arxiv"]["sha256"].items():
        assert sha256((datasets.arxiv_folder() / name).read_bytes()).hexdigest() == digest, name


def test_missing_real_set_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VDB_DATA", str(tmp_path))
    with pytest.raises(datasets.MissingDataset, match="set VDB_DATA"):
        datasets.arxiv()


def test_damaged_real_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VDB_DATA", str(tmp_path))
    np.save(tmp_path / "vectors.f16.npy", np.ones((3, 384), dtype=np.float16))
    with pytest.raises(ValueError, match=r"holds float16 \(3, 384\); expected float16 \(100000, 384\)"):
        datasets.arxiv()


def test_more_rows_than_there_are_is_refused() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn ships the digits")
    with pytest.raises(ValueError, match="digits has 1500 rows, 9999 were asked for"):
        datasets.load("digits", rows=9999)
    with pytest.raises(ValueError, match="unknown data set 'mnist'"):
        datasets.load("mnist")
