"""From a folder of the published layout into a database, in commits of bounded size, or into the filtered bench."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bench import attributes, datasets
from bench.fanns.layout import METRIC, Layout
from bench.fanns.lines import ATTRIBUTES, FILTERS
from bench.fanns.vecs import chunk_rows
from bench.filtered.questions import FilteredData

if TYPE_CHECKING:
    from collections.abc import Iterator

    import vdb

TABLE, KEY, COLUMN = "papers", "row", "embedding"
TYPES = {
    "submitter": "VARCHAR",
    "has_comments": "BOOLEAN",
    "main_categories": "VARCHAR[]",
    "sub_categories": "VARCHAR[]",
    "number_of_main_categories": "INTEGER",
    "number_of_sub_categories": "INTEGER",
    "license": "VARCHAR",
    "number_of_versions": "INTEGER",
    "update_date": "INTEGER",
    "authors": "VARCHAR[]",
    "number_of_authors": "INTEGER",
}
SIZES = ("small", "medium", "large")
PREFIX = "fanns_"  # of the names of published sets: fanns_small and so on


def fill(db: vdb.Database, source: Layout, rows: int | None = None, dtype: str = "FLOAT") -> vdb.Table:
    """Put the first `rows` into the table `papers`, a commit for each chunk; one that was cut goes on where it was.

    Never more than a chunk of vectors and attributes is in memory. `dtype` is that of the vector column: FLOAT,
    FLOAT16 or BFLOAT16.
    """
    end = source.vectors.rows if rows is None else rows
    if not 0 < end <= source.vectors.rows:
        raise ValueError(f"{source.folder} has {source.vectors.rows} rows, {end} were asked for; choose fewer")
    if TABLE not in db.tables():
        types = {KEY: "BIGINT PRIMARY KEY"} | TYPES | {COLUMN: f"{dtype}[{source.vectors.dim}]"}
        db.create_table(TABLE, types, metric=METRIC)
    table = db.table(TABLE)
    for begin, described, vectors in parts(source, len(table), end):
        numbers = pa.array(np.arange(begin, begin + len(vectors)))
        table.add(described.append_column(KEY, numbers), **{COLUMN: vectors})
    return table


def parts(source: Layout, first: int, end: int) -> Iterator[tuple[int, pa.Table, datasets.FloatMatrix]]:
    """Attributes and vectors side by side, with the number of the first row of each part."""
    described = source.attributes(chunk_rows(source.vectors.dim), first, end)
    for table, vectors in zip(described, source.vectors.chunks(first, end), strict=True):
        yield first, table, vectors
        first += len(vectors)


def find(name: str) -> Layout:
    """The folder of a published set by its name, or by a path; MissingDataset where it is not on this machine.

    Looked for below $VDB_FANNS, else data/cache.
    """
    folder = Path(name)
    if name.removeprefix(PREFIX) in SIZES and name.startswith(PREFIX):
        folder = home() / f"arxiv-for-fanns-{name.removeprefix(PREFIX)}"
    if not folder.is_dir():
        size = name.removeprefix(PREFIX) if name.startswith(PREFIX) else "small"
        raise datasets.MissingDataset(
            f"no folder {folder}; expected the files of the published layout in it; python bench/data.py fetch {size}, "
            "or python bench/data.py make"
        )
    return Layout(folder)


def home() -> Path:
    """Where published sets are kept: $VDB_FANNS, else data/cache."""
    return Path(os.environ.get("VDB_FANNS") or datasets.ROOT / "data" / "cache")


def filtered(name: str, rows: int, queries: int) -> FilteredData:
    """A set for the filtered bench, with its own predicates for the cells em, r and emis.

    Titles and primary categories are not in the layout: they are NULL, and cells that ask for them cannot be run.
    """
    source = find(name)
    for what, wanted, held in (("rows", rows, source.vectors.rows), ("queries", queries, source.queries.rows)):
        if not 0 < wanted <= held:
            raise ValueError(f"{name} has {held} {what}, {wanted} were asked for; choose 1 to {held}")
    whole = pa.concat_tables(list(source.attributes(1 << 16, rows=rows)))
    for column in ("title", "primary_category"):
        whole = whole.append_column(column, pa.nulls(rows, pa.string()))
    lots = np.random.default_rng(attributes.LOT_SEED).permutation(rows).astype(np.int32)
    made = datasets.Dataset(source.name, source.vectors.head(rows), source.queries.head(queries))
    given = {cell: source.filters(cell, queries) for cell in FILTERS}
    return FilteredData(made, attributes.numbered(whole, lots), given)


# The attribute columns of the table are those of the layout.
assert list(TYPES) == ATTRIBUTES.names
