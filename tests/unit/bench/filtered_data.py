"""A small data set with attributes that the tests of the filtered bench share."""

from __future__ import annotations

import numpy as np
import pytest

from bench import attributes
from bench.datasets import Dataset, unit_rows
from bench.filtered.questions import FilteredData

CLUSTERS = 10

for library in ("pyarrow", "tqdm", "threadpoolctl"):
    pytest.importorskip(library, reason="the filtered bench needs it; pip install -e '.[bench]'")


def clustered(rows: int, queries: int, dim: int = 32, seed: int = 3) -> FilteredData:
    """Unit vectors around a few centres, whose class decides their categories."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLUSTERS, dim))
    labels = rng.integers(CLUSTERS, size=rows + queries)
    points = unit_rows(centres[labels] + 0.8 * rng.standard_normal((rows + queries, dim)))
    made = Dataset("made", points[:rows], points[rows:], labels[:rows])
    return FilteredData(made, attributes.made(labels[:rows]))
