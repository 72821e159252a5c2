"""A folder in the published layout: its files by name, each looked at when it is needed and checked against the others.

The layout is that of SPCL/arxiv-for-fanns-small, -medium and -large on the Hugging Face hub (arXiv 2507.21989).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import ground_truth
from bench.fanns.lines import FILTERS, attribute_batches, count_lines, predicates
from bench.fanns.vecs import AGAIN, BadFile, Fvecs, Rows, read_ivecs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from bench.filtered.predicate import Predicate

VECTORS, QUERIES, ATTRIBUTES = "database_vectors.fvecs", "query_vectors.fvecs", "database_attributes.jsonl"
ALL = "all"  # the questions without a filter
TRUTHS = {ALL: "ground_truth.ivecs"} | {name: f"ground_truth_{name}.ivecs" for name in FILTERS}
FILTER_FILES = {name: f"{name}_query_attributes.jsonl" for name in FILTERS}
FILES = (VECTORS, ATTRIBUTES, QUERIES, *FILTER_FILES.values(), *TRUTHS.values())
ORIGIN = "origin.json"  # of a folder that was made here: from what, by which seed
METRIC: ground_truth.Metric = "l2"


@dataclass(frozen=True)
class Layout:
    """The files of one data set."""

    folder: Path

    @cached_property
    def vectors(self) -> Fvecs:
        """The vectors of the database."""
        return Fvecs.open(self.folder / VECTORS)

    @cached_property
    def queries(self) -> Fvecs:
        """The query vectors; BadFile where they have another dimension than the database."""
        queries = Fvecs.open(self.folder / QUERIES)
        if queries.dim != self.vectors.dim:
            raise BadFile(
                f"{queries.path}: byte 0 says {queries.dim} dimensions, {self.vectors.path} has {self.vectors.dim}; "
                f"expected the same of both. {AGAIN}"
            )
        return queries

    @property
    def name(self) -> str:
        """What the set is called in results: as its maker named it, else its folder."""
        return str(self.origin.get("name", self.folder.name))

    @cached_property
    def origin(self) -> dict[str, Any]:
        """From what the folder was made here; empty where it was published."""
        path = self.folder / ORIGIN
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def attributes(self, batch_rows: int, first: int = 0, rows: int | None = None) -> Iterator[pa.Table]:
        """The attributes of the rows from `first` on, in their order."""
        end = self.vectors.rows if rows is None else rows
        return attribute_batches(self.folder / ATTRIBUTES, end, batch_rows, first)

    def filters(self, name: str, queries: int | None = None) -> list[Predicate]:
        """The predicate of each query; `name` is em, r or emis."""
        return predicates(self.folder / FILTER_FILES[name], name, queries or self.queries.rows)

    def truth_rows(self, name: str) -> list[Rows]:
        """The nearest rows of each query, nearest first; BadFile where there are not as many lists."""
        path = self.folder / TRUTHS[name]
        lists = read_ivecs(path, self.vectors.rows)
        if len(lists) != self.queries.rows:
            raise BadFile(f"{path}: ends after list {len(lists)}; expected {self.queries.rows}, one a query. {AGAIN}")
        return lists

    def truth(self, name: str, queries: int | None = None) -> ground_truth.GroundTruth:
        """The same with distances, measured here; of the first queries."""
        lists = self.truth_rows(name)[:queries]
        rows = np.full((len(lists), max(map(len, lists), default=0)), ground_truth.ABSENT, np.int64)
        for row, found in zip(rows, lists, strict=True):
            row[: len(found)] = found
        return ground_truth.measured(self.vectors.mapped(), self.queries.head(len(rows)), METRIC, rows)

    def check(self) -> dict[str, Any]:
        """Read every file from end to end and say what is there; BadFile at the first that is wrong."""
        self.queries.head()
        for _ in self.vectors.chunks():
            pass
        for _ in self.attributes(1 << 14):
            pass
        _expect_lines(self.folder / ATTRIBUTES, self.vectors.rows)
        for name in FILTERS:
            self.filters(name)
            _expect_lines(self.folder / FILTER_FILES[name], self.queries.rows)
        depths = {name: sum(map(len, self.truth_rows(name))) / max(self.queries.rows, 1) for name in TRUTHS}
        return {
            "name": self.name,
            "rows": self.vectors.rows,
            "dim": self.vectors.dim,
            "queries": self.queries.rows,
            "neighbours_a_query": depths,
        }


def _expect_lines(path: Path, wanted: int) -> None:
    if (lines := count_lines(path)) > wanted:
        raise BadFile(f"{path}: line {wanted + 1} is one too many of {lines}; expected {wanted}. {AGAIN}")
