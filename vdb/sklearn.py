"""Nearest neighbours for scikit-learn: `NeighborsTransformer` has the contract of its `KNeighborsTransformer`.

It needs scikit-learn 1.6 or newer (`pip install 'vdb[sklearn]'`); nothing else of vdb does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vdb.errors import InvalidArgument, InvalidState
from vdb.opening import connect

try:
    from scipy.sparse import csr_matrix
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise InvalidState(
        f"vdb.sklearn needs scikit-learn, which could not be imported: {error}. Expected version 1.6 or newer.\n"
        "  Fix: pip install 'vdb[sklearn]'."
    ) from error

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Self

    from vdb.database import Database
    from vdb.index.spec import Spec
    from vdb.types import FloatMatrix

MODES: Final = ("distance", "connectivity")
METRICS: Final = {"euclidean": "l2", "l2": "l2", "cosine": "cosine"}
_TABLE: Final = "samples"
_DATABASE: Final = "_database"


class NeighborsTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Transform samples into the sparse graph of their nearest neighbours among those that were fitted.

    For estimators that take such a graph: DBSCAN, Isomap, KNeighborsClassifier and others with `metric="precomputed"`.

    Parameters
    ----------
    mode : {"distance", "connectivity"}
        What an edge weighs: the distance, or 1.
    n_neighbors : int
        Neighbours of each sample. As in scikit-learn, one more is found in mode "distance": a fitted sample is its own
        neighbour, and estimators that follow leave it out.
    metric : {"euclidean", "l2", "cosine"}
        Distances of float32 values. "l2" is another name of "euclidean", which is not squared.
    index : HNSW, Flat, IVFRaBitQ or another index of vdb, optional
        How neighbours are found; without one by the exact scan.
    recall : float, optional
        The share of the true neighbours to find by the index on average, above 0 and at most 1.

    Attributes
    ----------
    n_features_in_ : int
        Values of a sample.
    feature_names_in_ : ndarray of str
        Their names, where `fit` was given a frame whose names are all strings.
    n_samples_fit_ : int
        Samples that were fitted.

    Examples
    --------
    >>> from sklearn.cluster import DBSCAN
    >>> from sklearn.pipeline import make_pipeline
    >>> from vdb.sklearn import NeighborsTransformer
    >>> points = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [8.0, 8.0], [8.0, 9.0], [9.0, 8.0]]
    >>> neighbors = NeighborsTransformer(n_neighbors=2)
    >>> clusters = make_pipeline(neighbors, DBSCAN(eps=2, min_samples=2, metric="precomputed"))
    >>> clusters.fit_predict(points).tolist()
    [0, 0, 0, 1, 1, 1]
    """

    def __init__(
        self,
        *,
        mode: str = "distance",
        n_neighbors: int = 5,
        metric: str = "euclidean",
        index: Spec | None = None,
        recall: float | None = None,
    ) -> None:
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.index = index
        self.recall = recall

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Remember (n_samples, n_features) samples, and index them; `y` is ignored.

        InvalidArgument, a ValueError, where a parameter or a sample is wrong: values must be finite in float32, and
        none may be zero throughout under cosine.
        """
        self._check_parameters()
        samples = self._validated(X, reset=True)
        self.close()
        self._samples = samples
        self.n_samples_fit_ = self._n_features_out = len(samples)
        self._opened()
        return self

    def transform(self, X: npt.ArrayLike) -> csr_matrix:
        """Find the neighbours of (n_queries, n_features) samples.

        Returns
        -------
        csr_matrix of float64, (n_queries, n_samples_fit_)
            Entry (i, j) is the edge from sample i to the fitted sample j; those of a row are stored by rising distance.
            Each row has `n_neighbors` of them, in mode "distance" one more.

        Raises
        ------
        NotFittedError
            `fit` was not called.
        InvalidArgument
            There are fewer fitted samples than neighbours are to be found, or the samples are wrong.
        """
        check_is_fitted(self)
        return self._graph(*self._nearest(self._validated(X, reset=False)))

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> csr_matrix:
        """Fit samples and find the neighbours of each; each is among its own, whatever the index finds."""
        self.fit(X, y)
        columns, distances = self._nearest(self._samples)
        own = np.arange(len(columns))
        missing = ~(columns == own[:, None]).any(axis=1)
        for values, first in ((columns, own[missing]), (distances, 0)):
            values[missing, 1:] = values[missing, :-1]
            values[missing, 0] = first
        return self._graph(columns, distances)

    def close(self) -> None:
        """Let go of the index, which the next `transform` makes anew."""
        database: Database | None = self.__dict__.pop(_DATABASE, None)
        if database is not None:
            database.close()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop(_DATABASE, None)
        return state

    def _check_parameters(self) -> None:
        for name, value, known in (("mode", self.mode, MODES), ("metric", self.metric, METRICS)):
            if value not in known:
                raise InvalidArgument(f"{name} is {value!r}; expected one of {', '.join(known)}.\n  Fix: choose one.")
        if not isinstance(self.n_neighbors, (int, np.integer)) or isinstance(self.n_neighbors, bool):
            raise InvalidArgument(f"n_neighbors is {self.n_neighbors!r}; expected an integer.\n  Fix: pass one.")
        if self.n_neighbors < 1:
            raise InvalidArgument(f"n_neighbors is {self.n_neighbors}; expected at least 1.\n  Fix: pass more.")

    def _validated(self, X: npt.ArrayLike, *, reset: bool) -> FloatMatrix:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused by name
            samples: FloatMatrix = validate_data(self, X, reset=reset, dtype=np.float32, order="C")
        if METRICS[self.metric] == "cosine" and len(zero := np.flatnonzero(~samples.any(axis=1))):
            raise InvalidArgument(
                f"sample {zero[0]} is zero throughout; expected a direction, as metric 'cosine' needs one.\n"
                "  Fix: leave such samples out, or use metric='euclidean'."
            )
        return samples

    def _opened(self) -> Database:
        """The database of the fitted samples, made where there is none, as in a copy or after `close`."""
        database: Database | None = self.__dict__.get(_DATABASE)
        if database is None:
            database = connect(":memory:")
            schema = {"sample": "BIGINT PRIMARY KEY", "features": f"FLOAT[{self._samples.shape[1]}]"}
            table = database.create_table(_TABLE, schema, metric=METRICS[self.metric])  # type: ignore[arg-type]
            table.add({"sample": np.arange(len(self._samples))}, features=self._samples)
            if self.index is not None:
                table.create_index("features", self.index)
            setattr(self, _DATABASE, database)
        return database

    def _nearest(self, samples: FloatMatrix) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """(n, k) numbers of fitted samples and their distances, nearest first."""
        k = int(self.n_neighbors) + (self.mode == "distance")
        if k > self.n_samples_fit_:
            raise InvalidArgument(
                f"Expected n_neighbors <= n_samples_fit, but {k} neighbours are to be found among n_samples_fit = "
                f"{self.n_samples_fit_} (in mode 'distance' one more than n_neighbors).\n  Fix: lower n_neighbors."
            )
        hits = self._opened().table(_TABLE).search(samples, k, recall=self.recall)
        distances = np.maximum(np.asarray(hits.distances, np.float64), 0)  # a cosine may be above 1 by rounding
        return np.array(hits.ids, np.int64).reshape(-1, k), distances.reshape(-1, k)

    def _graph(self, columns: npt.NDArray[np.int64], distances: npt.NDArray[np.float64]) -> csr_matrix:
        rows, k = columns.shape
        weights = distances.reshape(-1) if self.mode == "distance" else np.ones(columns.size)
        starts = np.arange(0, columns.size + 1, k)
        return csr_matrix((weights, columns.reshape(-1), starts), shape=(rows, self.n_samples_fit_))
