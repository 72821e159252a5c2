"""Every distance kernel at every level this machine runs, against float64; and how VDB_ISA chooses one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from vdb import _core

LEVELS = _core.isa_levels()
OPERATIONS = ("l2_squared", "inner_product")
DIMS = range(1, 1031)
ROWS = 9  # two groups of four and a rest
EPSILON = np.finfo(np.float32).eps

CHILD = """
import json, sys
import numpy as np
import vdb
rng = np.random.default_rng(0)
answers = {}
with vdb.connect(":memory:") as db:
    x = rng.normal(size=(500, 37)).astype(np.float32)
    table = db.create_table("t", {"id": np.arange(500)}, e=x, key="id")
    for metric in ("l2", "cosine", "ip"):
        table.create_index("e", vdb.HNSW(metric=metric, M=8, ef_construction=500), name=metric)
        for strategy in ("scan", "graph"):
            hits = table.search(x[:5] + 0.1, 10, metric=metric, strategy=strategy, ef_search=500)
            answers[metric + strategy] = [hits.ids.tolist(), hits.distances.tolist()]
    print(json.dumps({"isa": table.stats()["isa"], "answers": answers}))
"""


def reference(operation: str, query: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The value in float64 and the sum of the magnitudes, which bounds the rounding."""
    q, x = query.astype(np.float64), rows.astype(np.float64)
    terms = (x - q) ** 2 if operation == "l2_squared" else x * q
    return terms.sum(axis=1), np.abs(terms).sum(axis=1)


def padded(values: np.ndarray, offset: int) -> np.ndarray:
    """A C-contiguous copy that starts `offset` floats after an aligned address."""
    flat = np.empty(values.size + offset, np.float32)[offset:]
    flat[:] = values.ravel()
    return flat.reshape(values.shape)


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_kernels_agree_with_float64_at_every_dimension(isa: str, operation: str) -> None:
    rng = np.random.default_rng(42)
    pool = rng.normal(size=(ROWS + 1, DIMS[-1])).astype(np.float32)
    for dim in DIMS:
        query = padded(pool[ROWS, :dim], dim % 5)
        rows = padded(pool[:ROWS, :dim], dim % 3)
        exact, magnitude = reference(operation, query, rows)
        by_pair, by_x4, by_block = _core.testing.distance_f32(isa, operation, query, rows)
        bound = (np.log2(dim) + dim / 4 + 4) * EPSILON * magnitude
        assert (np.abs(by_pair - exact) <= bound).all(), dim
        assert by_block.tobytes() == by_pair.tobytes(), dim
        assert by_x4[:8].tobytes() == by_pair[:8].tobytes(), dim


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("rows", range(1, 20))
def test_block_form_reads_any_number_of_rows(isa: str, rows: int) -> None:
    data = np.random.default_rng(rows).normal(size=(rows, 33)).astype(np.float32)
    for operation in OPERATIONS:
        by_pair, _, by_block = _core.testing.distance_f32(isa, operation, data[0], data)
        assert by_pair.tobytes() == by_block.tobytes()


@pytest.mark.parametrize("isa", LEVELS)
def test_distance_to_itself_is_zero_and_integers_are_exact(isa: str) -> None:
    for dim in (1, 7, 16, 64, 385):
        rows = np.random.default_rng(dim).integers(-30, 30, (ROWS, dim)).astype(np.float32)
        for operation in OPERATIONS:
            exact, _ = reference(operation, rows[0], rows)
            assert _core.testing.distance_f32(isa, operation, rows[0], rows)[0].tolist() == exact.tolist()
        assert _core.testing.distance_f32(isa, "l2_squared", rows[0], rows)[0][0] == 0


def test_unknown_level_is_refused() -> None:
    one = np.ones((1, 4), np.float32)
    with pytest.raises(ValueError, match="no kernel level 'mmx'"):
        _core.testing.distance_f32("mmx", "l2_squared", one[0], one)


def child(isa: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "VDB_ISA"}
    environment |= {} if isa is None else {"VDB_ISA": isa}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD], env=environment, capture_output=True, text=True, check=False
    )


def test_every_level_can_be_forced_and_gives_the_same_neighbours() -> None:
    found = {isa: json.loads(child(isa).stdout) for isa in LEVELS}
    default = json.loads(child(None).stdout)
    assert default["isa"] == LEVELS[-1]
    for isa, result in found.items():
        assert result["isa"] == isa
        for name, (ids, distances) in result["answers"].items():
            assert ids == default["answers"][name][0]
            np.testing.assert_allclose(distances, default["answers"][name][1], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("isa", ["sse9", "AVX2", "neon" if "neon" not in LEVELS else "avx2", " "])
def test_level_the_machine_lacks_is_a_clear_error(isa: str) -> None:
    done = child(isa)
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()
    text = "\n".join(last[-3:])
    assert "Error" in text or "InvalidArgument" in text
    assert "VDB_ISA" in text
    assert isa.strip() in text
    assert all(level in text for level in LEVELS)
