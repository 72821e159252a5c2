"""Data with attributes, and the questions of a cell: queries, predicates, the rows they allow, the exact answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import numpy.typing as npt

from bench import attributes, datasets, ground_truth, grown
from bench.datasets import Dataset
from bench.filtered.cells import CELLS, draw_predicates
from bench.filtered.predicate import to_sql

if TYPE_CHECKING:
    import pyarrow as pa

    from bench.filtered.predicate import Predicate, Value
    from bench.ground_truth import GroundTruth, Metric

BLOB_QUERIES = 1_000
TRUTH_DEPTH = 40  # neighbours kept of a question: k and room for ties


@dataclass(frozen=True)
class FilteredData:
    """Vectors, queries and a row of `attributes` for each vector, as bench/attributes.py has them."""

    dataset: Dataset
    attributes: pa.Table
    given: dict[str, list[Predicate]] = field(default_factory=dict)  # of cells whose predicates come with the set

    @property
    def vectors(self) -> datasets.FloatMatrix:
        """(n, dim) float32."""
        return self.dataset.vectors


def load(name: str, rows: int, queries: int, warm: int = 0) -> FilteredData:
    """A data set of data/registry.toml cut to its first rows and queries, with attributes.

    `warm` queries more come behind: those of the set, or where it has no more, some of its rows.
    """
    held = min(queries + warm, max(_queries_of(name), queries))
    data = _load(name, rows, held)
    missing = queries + warm - held
    if not missing:
        return data
    padded = np.concatenate([data.dataset.queries, data.vectors[:missing]])
    given = {cell: predicates + predicates[:missing] for cell, predicates in data.given.items()}
    return replace(data, dataset=replace(data.dataset, queries=padded), given=given)


def _queries_of(name: str) -> int:
    if is_published(name):
        from bench.fanns import load as published  # which makes what this module describes

        return published.find(name).queries.rows
    return BLOB_QUERIES if name == "blobs" else datasets.ARXIV_QUERIES


def is_published(name: str) -> bool:
    """Whether it is a set in the published layout: fanns_small and so on, or a path to its folder."""
    return name.startswith("fanns_") or "/" in name


def _load(name: str, rows: int, queries: int) -> FilteredData:
    if is_published(name):
        from bench.fanns import load as published

        return published.filtered(name, rows, queries)
    if name == "blobs":
        blobs = datasets.load(name, rows=rows, queries=queries)
        if blobs.labels is None:
            raise ValueError("blobs have labels; expected them of the loader")
        return FilteredData(blobs, attributes.made(blobs.labels))
    if name == "grown":
        vectors, papers = grown.draw(rows)
        made = Dataset(name, vectors, datasets.arxiv().queries[:queries])
        return FilteredData(made, attributes.of_rows(attributes.papers(), papers))
    if name not in ("arxiv", "lifted"):
        raise ValueError(
            f"{name!r} has no attributes to filter by; expected arxiv, lifted, grown, blobs, fanns_... or a path"
        )
    real = datasets.load(name, rows=rows, queries=queries)
    return FilteredData(real, attributes.of_rows(attributes.papers(), np.arange(len(real.vectors))))


@dataclass(frozen=True)
class Allowed:
    """A set of rows: a bit for each of the `n` rows of the data, least significant first."""

    bits: npt.NDArray[np.uint8]
    n: int

    @staticmethod
    def of(rows: npt.NDArray[np.int64], n: int) -> Allowed:
        """The set of these row numbers."""
        mask = np.zeros(n, np.bool_)
        mask[rows] = True
        return Allowed(np.packbits(mask, bitorder="little"), n)

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(n,) bool."""
        return np.unpackbits(self.bits, count=self.n, bitorder="little").view(np.bool_)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Row numbers, ascending."""
        return np.flatnonzero(self.mask)


class RowFinder:
    """DuckDB over the attributes, on one thread: which rows satisfy a predicate.

    The oracle of every row set, and what finds them for a peer that knows no predicates.
    """

    def __init__(self, table: pa.Table) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._connection.register("given", table)
        self._connection.execute("CREATE TABLE papers AS SELECT * FROM given")
        self._connection.unregister("given")

    def rows(self, sql: str, values: list[Value]) -> npt.NDArray[np.int64]:
        """The numbers of the rows for which the predicate is TRUE."""
        found = self._connection.execute(f"SELECT row FROM papers WHERE {sql}", values).fetchnumpy()["row"]
        return np.asarray(found, dtype=np.int64)

    def close(self) -> None:
        """Let go of the attributes."""
        self._connection.close()


@dataclass(frozen=True)
class Questions:
    """The questions of one cell: query i with predicate i; `warm` are such that come before and are not measured."""

    cell: str
    queries: datasets.FloatMatrix
    predicates: list[Predicate]
    allowed: list[Allowed]
    truth: GroundTruth
    warm: Questions | None = None

    def __len__(self) -> int:
        return len(self.predicates)

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """(nq,) rows allowed."""
        return np.array([int(allowed.mask.sum()) for allowed in self.allowed])

    @property
    def share(self) -> float:
        """The mean share of the rows that are allowed."""
        return float(self.counts.mean() / self.allowed[0].n)


@dataclass(frozen=True)
class Questioner:
    """Makes the questions of a cell: the last `warm` queries of the data are for warming up."""

    data: FilteredData
    metric: Metric
    finder: RowFinder
    warm: int
    seed: int

    @cached_property
    def nearest(self) -> npt.NDArray[np.int64]:
        """The row nearest to each query, whatever the predicate."""
        return ground_truth.cached(self.data.dataset, self.metric, 1).rows[:, 0]

    def questions(self, cell: str) -> Questions:
        """The questions of a cell by its name."""
        predicates = self.data.given.get(cell) or draw_predicates(
            CELLS[cell], self.data.attributes, self.nearest, self.seed
        )
        n = len(self.data.vectors)
        allowed = [Allowed.of(self.finder.rows(*to_sql(predicate)), n) for predicate in predicates]
        masks = np.array([each.mask for each in allowed])
        truth = ground_truth.cached(self.data.dataset, self.metric, TRUTH_DEPTH, masks)
        whole = Questions(cell, self.data.dataset.queries, predicates, allowed, truth)
        measured = len(predicates) - self.warm
        return part(whole, slice(0, measured), part(whole, slice(measured, None)))


def part(whole: Questions, which: slice, warm: Questions | None = None) -> Questions:
    """Some of the questions."""
    truth = ground_truth.GroundTruth(whole.truth.rows[which], whole.truth.distances[which])
    return Questions(whole.cell, whole.queries[which], whole.predicates[which], whole.allowed[which], truth, warm)
