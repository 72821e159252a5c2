"""Which codes "auto" takes, and that graphs walked by any codes find what there is, with exact distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb.index.walk_codes import NO_CODES, WalkCodes, choose_walk_codes, code_bytes

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 3_000
DIM = 192


@pytest.fixture(scope="module")
def clouds() -> np.ndarray:
    """Clusters of a low dimension within a wide space, as embeddings are."""
    rng = np.random.default_rng(5)
    directions = rng.standard_normal((24, DIM))
    points = rng.standard_normal((40, 24))[rng.integers(0, 40, ROWS + 100)] + 0.6 * rng.standard_normal(
        (ROWS + 100, 24)
    )
    return (points @ directions).astype(np.float32)


def chosen(sample: np.ndarray, row_bytes: int | None = None) -> WalkCodes:
    return choose_walk_codes(sample, row_bytes or sample[0].nbytes, "l2", seed=1)


def test_wide_vectors_take_as_few_bits_as_rank_them_well() -> None:
    rng = np.random.default_rng(0)
    low_rank = rng.standard_normal((2_000, 16)) @ rng.standard_normal((16, 1024))
    assert chosen(low_rank.astype(np.float32)) == WalkCodes("rabitq", 1)
    # In a cloud without structure all rows are nearly as far, which a bit cannot tell apart.
    assert chosen(rng.standard_normal((2_000, 256)).astype(np.float32)).bits == 4


def test_vectors_of_a_few_cache_lines_take_none() -> None:
    rng = np.random.default_rng(0)
    assert chosen(rng.standard_normal((2_000, 64)).astype(np.float32)) == NO_CODES
    assert chosen(rng.standard_normal((2_000, 256)).astype(np.float32), row_bytes=256) == NO_CODES  # as TINYINT[256]


def test_too_few_rows_to_measure_on_leave_it_to_the_width() -> None:
    assert chosen(np.zeros((0, 384), np.float32), row_bytes=1536) == WalkCodes("rabitq", 1)
    assert chosen(np.zeros((10, 160), np.float32)) == NO_CODES


def test_codes_of_no_bytes_are_none() -> None:
    assert code_bytes("none", 0, 384) is None
    assert code_bytes("rabitq", 2, 384) == 112
    assert code_bytes("sq8", 0, 384) == 400
    assert code_bytes("packed", 0, 384) == code_bytes("rabitq", 1, 384)


def exact(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    return np.sort(np.linalg.norm(rows.astype(np.float64) - query, axis=1))[:10]


@pytest.mark.parametrize(
    "options",
    [{"codes": "rabitq"}, {"codes": "rabitq", "bits": 3}, {"codes": "sq8"}, {"codes": "packed"}, {"codes": "none"}, {}],
    ids=str,
)
def test_every_kind_finds_the_nearest_with_exact_distances_before_and_after_a_reopen(
    clouds: np.ndarray, tmp_path: Path, options: dict[str, Any]
) -> None:
    rows, queries = clouds[:ROWS], clouds[ROWS:]
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": np.arange(ROWS - 500)}, e=rows[: ROWS - 500], key="id")
        info = table.create_index("e", vdb.HNSW(M=12, ef_construction=80, **options))
        assert info.params["codes"] == options.get("codes", info.params["codes"])
        table.add({"id": np.arange(ROWS - 500, ROWS)}, e=rows[ROWS - 500 :])
        table.delete("id % 7 = 0")
    kept = rows[np.arange(ROWS) % 7 != 0]
    with vdb.connect(tmp_path / "d") as db:
        table = db.table("t")
        right = 0
        for query in queries:
            hits = table.search(query, 10, strategy="graph", ef_search=120)
            truth = exact(kept, query)
            assert len(hits.ids) == 10
            assert (hits.ids % 7 != 0).all()
            np.testing.assert_allclose(hits.distances, np.linalg.norm(rows[hits.ids] - query, axis=1), rtol=1e-5)
            right += int((hits.distances <= truth[-1] * (1 + 1e-6)).sum())
        assert right >= 0.97 * 10 * len(queries)


def test_auto_says_what_it_took(clouds: np.ndarray) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {"id": np.arange(ROWS)}, e=clouds[:ROWS], key="id")
        info = table.create_index("e")
        assert info.params["codes"] == "rabitq"
        assert info.params["bits"] in (1, 2, 4)
        assert info.record_bytes is not None
        assert info.record_bytes < DIM
        assert table.stats()["indexes"][info.name].params == info.params
        assert "estimates" in table.search(clouds[-1], 5, strategy="graph").explain()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"codes": "pq"}, r"unknown codes 'pq'; expected one of auto, none, rabitq, sq8, packed\.\n  Fix: pass one"),
        ({"codes": "rabitq", "bits": 9}, r"bits must be an integer from 1 to 8, got 9\."),
        ({"codes": "rabitq", "bits": 1.5}, r"bits must be an integer"),
        ({"codes": "sq8", "bits": 2}, r"bits=2 is for codes='rabitq', got codes='sq8'\.\n  Fix: pass codes='rabitq'"),
        ({"bits": 2}, r"bits=2 is for codes='rabitq', got codes='auto'"),
    ],
)
def test_wrong_codes_are_refused_where_they_are_written(options: dict[str, Any], text: str) -> None:
    with pytest.raises(vdb.InvalidArgument, match=text):
        vdb.HNSW(**options)
