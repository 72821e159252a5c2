"""The neighbours transformer against scikit-learn's own: the checks of its estimators, its graphs, its pipelines."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6", reason="pip install 'vdb[sklearn]'")

from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_digits
from sklearn.exceptions import EfficiencyWarning, NotFittedError
from sklearn.manifold import Isomap
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import vdb
from vdb.sklearn import NeighborsTransformer


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = load_digits(return_X_y=True)
    return pixels[:700], labels[:700]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
@parametrize_with_checks([NeighborsTransformer(), NeighborsTransformer(mode="connectivity", n_neighbors=3)])
def test_passes_the_checks_of_scikit_learn(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_graph_is_that_of_scikit_learn(digits, mode: str, metric: str) -> None:
    rows, queries = digits[0][:500], digits[0][500:]
    own = NeighborsTransformer(mode=mode, n_neighbors=7, metric=metric)
    theirs = KNeighborsTransformer(mode=mode, n_neighbors=7, metric=metric, algorithm="brute")
    for found, expected in (
        (own.fit_transform(rows), theirs.fit_transform(rows)),
        (own.transform(queries), theirs.transform(queries)),
    ):
        assert found.format == "csr"
        assert found.shape == expected.shape
        assert np.array_equal(found.indptr, expected.indptr)
        assert found.dtype == expected.dtype
        by_row = found.data.reshape(found.shape[0], -1)
        assert np.all(np.diff(by_row, axis=1) >= 0)
        np.testing.assert_allclose(
            by_row, expected.data.reshape(by_row.shape), atol=1e-3 if metric == "cosine" else 0.01
        )
    graph = own.fit_transform(rows)
    assert all(row in graph.indices[graph.indptr[row] : graph.indptr[row + 1]] for row in range(len(rows)))
    assert own.get_feature_names_out().tolist() == [f"neighborstransformer{at}" for at in range(500)]


@pytest.mark.parametrize("index", [vdb.HNSW(M=4, ef_construction=10), vdb.IVFRaBitQ(nlist=8), vdb.Flat()])
def test_index_finds_neighbours_and_each_sample_is_its_own(digits, index) -> None:
    rows = np.concatenate([digits[0], np.tile(digits[0][3], (9, 1))])  # more copies than neighbours
    found = NeighborsTransformer(n_neighbors=5, index=index, recall=0.95).fit_transform(rows)
    exact = NeighborsTransformer(n_neighbors=5).fit_transform(rows)
    for graph in (found, exact):
        own = graph.indices.reshape(len(rows), 6) == np.arange(len(rows))[:, None]
        assert own.any(axis=1).all()
        assert np.all(np.diff(graph.data.reshape(len(rows), 6), axis=1) >= 0)
        assert np.all(graph.data.reshape(len(rows), 6)[own] == 0)
    shared = [
        len(np.intersect1d(a, b))
        for a, b in zip(found.indices.reshape(-1, 6), exact.indices.reshape(-1, 6), strict=True)
    ]
    assert np.mean(shared) > 0.9 * 6


def test_pipelines_give_what_they_give_with_scikit_learn(digits) -> None:
    pixels, labels = digits
    results = []
    for transformer in (NeighborsTransformer, KNeighborsTransformer):
        followers = (
            (transformer(n_neighbors=30), DBSCAN(eps=22, min_samples=4, metric="precomputed")),
            (transformer(n_neighbors=12), KNeighborsClassifier(n_neighbors=5, metric="precomputed")),
            (transformer(n_neighbors=20), Isomap(n_neighbors=20, n_components=2, metric="precomputed")),
        )
        clusters, classes, embedding = (make_pipeline(*steps) for steps in followers)
        found = clusters.fit_predict(pixels)
        guessed = classes.fit(pixels[:600], labels[:600]).predict(pixels[600:])
        assert np.mean(guessed == labels[600:]) > 0.9
        results.append((found, guessed, np.abs(embedding.fit_transform(pixels[:300]))))
    (found, guessed, placed), (their_found, their_guessed, their_placed) = results
    assert len(np.unique(their_found)) > 3
    assert np.array_equal(found, their_found)
    assert np.array_equal(guessed, their_guessed)
    np.testing.assert_allclose(placed, their_placed, rtol=0.02, atol=0.02 * their_placed.max())


def test_sorted_graph_needs_no_sorting_by_those_who_take_it(digits) -> None:
    import warnings

    graph = NeighborsTransformer(n_neighbors=30).fit_transform(digits[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", EfficiencyWarning)
        DBSCAN(eps=22, metric="precomputed").fit(graph)


def test_copies_and_pickles_find_the_same(digits) -> None:
    fitted = NeighborsTransformer(n_neighbors=4, index=vdb.HNSW(M=8)).fit(digits[0][:300])
    expected = fitted.transform(digits[0][300:320])
    copied = pickle.loads(pickle.dumps(fitted))
    fitted.close()
    for each in (copied, fitted, clone(fitted).fit(digits[0][:300])):
        found = each.transform(digits[0][300:320])
        assert np.array_equal(found.indices, expected.indices)
        assert np.array_equal(found.data, expected.data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "weights"}, "mode is 'weights'; expected one of distance, connectivity"),
        ({"metric": "manhattan"}, "metric is 'manhattan'; expected one of euclidean, l2, cosine"),
        ({"n_neighbors": 0}, "n_neighbors is 0; expected at least 1"),
        ({"n_neighbors": 2.5}, "n_neighbors is 2.5; expected an integer"),
        ({"n_neighbors": 20}, "21 neighbours are to be found among n_samples_fit = 20"),
        ({"metric": "cosine"}, "sample 0 is zero throughout"),
        ({"recall": 2.0}, "recall"),
    ],
)
def test_mistakes_are_errors_of_both_libraries(options: dict, message: str) -> None:
    rows = np.arange(40.0).reshape(20, 2)
    rows[0] = 0
    with pytest.raises(vdb.InvalidArgument, match=message):
        NeighborsTransformer(**options).fit_transform(rows)


def test_transform_before_fit_and_overflow_are_errors() -> None:
    with pytest.raises(NotFittedError):
        NeighborsTransformer().transform([[1.0]])
    with pytest.raises(ValueError, match="too large for dtype"):
        NeighborsTransformer().fit([[1e300], [0.0]])


def test_without_scikit_learn_the_error_has_three_parts() -> None:
    code = "import sys; sys.modules['sklearn'] = None; sys.modules['sklearn.base'] = None\nimport vdb.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "vdb.errors.InvalidState: vdb.sklearn needs scikit-learn, which could not be imported" in done.stderr
    assert "Expected version 1.6 or newer.\n  Fix: pip install 'vdb[sklearn]'." in done.stderr
