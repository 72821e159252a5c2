"""What filters are asked of: the attributes of the real papers, derived as the published arXiv sets have them.

A pyarrow table of one row per vector. `lot` is not a property of papers: a random permutation of the row numbers, so
that a range of lots is a random share of the rows, whatever database is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np

from bench.datasets import MissingDataset, arxiv_folder

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

LOT_SEED = 2_507
MADE_ARCHIVES = 5
MADE_WORDS = ("graph", "random", "quantum", "lattice", "galaxy", "neural", "kernel", "bounds", "fields", "spectra")
# Every column and its DuckDB type, in order; `row` is the number of the vector.
COLUMNS = {
    "row": "BIGINT",
    "lot": "INTEGER",
    "title": "VARCHAR",
    "primary_category": "VARCHAR",
    "main_categories": "VARCHAR[]",
    "sub_categories": "VARCHAR[]",
    "number_of_main_categories": "INTEGER",
    "number_of_sub_categories": "INTEGER",
    "number_of_authors": "INTEGER",
    "has_comments": "BOOLEAN",
    "update_date": "INTEGER",  # days since 1970-01-01
}
_DERIVED = """
SELECT title, authors, categories[1] AS primary_category, mains AS main_categories, categories AS sub_categories,
       len(mains)::INTEGER AS number_of_main_categories, len(categories)::INTEGER AS number_of_sub_categories,
       len(authors)::INTEGER AS number_of_authors, comments IS NOT NULL AS has_comments,
       (coalesce(updated, published)::DATE - DATE '1970-01-01')::INTEGER AS update_date
FROM (SELECT *, list_sort(list_distinct([split_part(c, '.', 1) FOR c IN categories])) AS mains FROM read_parquet(?))
ORDER BY row
"""


def papers() -> pa.Table:
    """The attributes of all 100,000 papers in the order of their vectors, without `row` and `lot`."""
    path = arxiv_folder() / "papers.parquet"
    if not path.exists():
        raise MissingDataset(f"no {path}; set VDB_DATA to the folder of the arXiv set (data/README.md)")
    with duckdb.connect(":memory:") as connection:
        return connection.sql(_DERIVED, params=[str(path)]).to_arrow_table().combine_chunks()


def of_rows(source: pa.Table, rows: npt.NDArray[np.int64], seed: int = LOT_SEED) -> pa.Table:
    """Attributes of a data set whose vector i has those of row `rows[i]` of `source`, numbered and with lots."""
    chosen = source.take(rows)
    lots = np.random.default_rng(seed).permutation(len(rows)).astype(np.int32)
    return numbered(chosen, lots)


def made(labels: npt.NDArray[np.int64], seed: int = LOT_SEED) -> pa.Table:
    """Attributes for vectors that have only a class: its archive and category by the class, the others at random."""
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    archives = [f"a{label % MADE_ARCHIVES}" for label in labels.tolist()]
    categories = [f"{archive}.C{label}" for archive, label in zip(archives, labels.tolist(), strict=True)]
    second = [f"a{number}" for number in rng.integers(MADE_ARCHIVES, size=len(labels)).tolist()]
    crossed = rng.random(len(labels)) < 0.3
    mains = [
        sorted({archive, other}) if both else [archive]
        for archive, other, both in zip(archives, second, crossed.tolist(), strict=True)
    ]
    subs = [
        [category, f"{other}.X"] if both else [category]
        for category, other, both in zip(categories, second, crossed.tolist(), strict=True)
    ]
    words = rng.choice(MADE_WORDS, (len(labels), 2)).tolist()
    source = pa.table(
        {
            "title": [f"{first.title()} {then}" for first, then in words],
            "primary_category": categories,
            "main_categories": mains,
            "sub_categories": subs,
            "number_of_main_categories": np.array([len(each) for each in mains], np.int32),
            "number_of_sub_categories": np.array([len(each) for each in subs], np.int32),
            "number_of_authors": rng.integers(1, 9, len(labels)).astype(np.int32),
            "has_comments": rng.random(len(labels)) < 0.5,
            "update_date": rng.integers(12_000, 18_000, len(labels)).astype(np.int32),
        }
    )
    return numbered(source, rng.permutation(len(labels)).astype(np.int32))


def numbered(source: pa.Table, lots: npt.NDArray[np.int32]) -> pa.Table:
    """`source` with its row numbers and lots in front, in one chunk, the columns as COLUMNS has them."""
    import pyarrow as pa

    whole = source.append_column("row", pa.array(np.arange(len(source)))).append_column("lot", pa.array(lots))
    return whole.select(list(COLUMNS)).combine_chunks()
