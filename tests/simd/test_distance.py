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
DTYPES = ("float32", "float16", "bfloat16", "int8")
LONGEST = 65_535  # dimensions a table can have
DIMS = (*range(1, 1031), LONGEST)
QUERIES = 3  # a tile of two and a rest
ROWS = 9  # two groups of four and a rest
EPSILON = np.finfo(np.float32).eps
EXTREMES = {  # whose squares are normal float32 values
    "float32": [5e17, -5e17, 1e-18, -1e-18, 0.0],
    "float16": [65504.0, -65504.0, 6e-8, -6e-8, 0.0],
    "bfloat16": [5e17, -5e17, 1e-18, -1e-18, 0.0],
    "int8": [127, -128, 1, -1, 0],
}

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


def stored(values: np.ndarray, dtype: str) -> np.ndarray:
    """The values as a column of the dtype holds them."""
    if dtype == "bfloat16":
        return _core.to_bfloat16(values.astype(np.float32))
    return values.astype(dtype)


def as_float64(values: np.ndarray) -> np.ndarray:
    return (_core.from_bfloat16(values) if values.dtype == np.uint16 else values).astype(np.float64)


def drawn(dtype: str, rows: int, dim: int, seed: int = 42) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "int8":
        return rng.integers(-128, 128, (rows, dim), dtype=np.int8)
    return stored(rng.normal(size=(rows, dim)), dtype)


def reference(operation: str, queries: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The (queries, rows) values in float64 and the sums of the magnitudes, which bound the rounding."""
    q, x = as_float64(queries)[:, None], as_float64(rows)[None]
    terms = (x - q) ** 2 if operation == "l2_squared" else x * q
    return terms.sum(axis=2), np.abs(terms).sum(axis=2)


def shifted(values: np.ndarray, offset: int) -> np.ndarray:
    """A C-contiguous copy that starts `offset` values after an aligned address."""
    flat = np.empty(values.size + offset, values.dtype)[offset:]
    flat[:] = values.ravel()
    return flat.reshape(values.shape)


def check(isa: str, operation: str, queries: np.ndarray, rows: np.ndarray) -> None:
    """Compare all forms with float64 and, bit by bit, with each other. int8 has one rounding, that of the answer."""
    dtype = {"uint16": "bfloat16"}.get(str(rows.dtype), str(rows.dtype))
    dim = rows.shape[1]
    exact, magnitude = reference(operation, queries, rows)
    forms = _core.testing.distance(isa, dtype, operation, queries, rows)
    steps = np.log2(dim) + dim / 4 + 4
    bound = np.abs(exact) * EPSILON / 2 if dtype == "int8" else steps * EPSILON * magnitude
    assert (np.abs(forms[0] - exact) <= bound).all(), dim
    for form in forms[1:]:
        assert form.tobytes() == forms[0].tobytes(), dim


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_kernels_agree_with_float64_at_every_dimension(isa: str, dtype: str, operation: str) -> None:
    pool = drawn(dtype, QUERIES + ROWS, LONGEST)
    for dim in DIMS:
        queries = shifted(pool[:QUERIES, :dim], dim % 5)
        rows = shifted(pool[QUERIES:, :dim], dim % 3)
        check(isa, operation, queries, rows)


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_forms_read_any_number_of_queries_and_rows(isa: str, dtype: str, operation: str) -> None:
    pool = drawn(dtype, 40, 33)
    for n_queries in range(1, 8):
        for n_rows in range(1, 20):
            check(isa, operation, pool[:n_queries], pool[20 : 20 + n_rows])
    pool = drawn(dtype, 500, 385)  # more rows than a tile takes at once
    check(isa, operation, pool[:7], pool[7:])


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_large_values_beside_small_ones_neither_overflow_nor_vanish(isa: str, dtype: str, operation: str) -> None:
    for dim in (1, 15, 64, 130):
        values = np.random.default_rng(dim).choice(np.array(EXTREMES[dtype]), (QUERIES + ROWS, dim))
        pool = stored(values, dtype)
        check(isa, operation, pool[:QUERIES], pool[QUERIES:])


@pytest.mark.parametrize("isa", LEVELS)
def test_int8_is_exact_where_a_signed_sum_would_overflow(isa: str) -> None:
    low, high = np.full((1, LONGEST), -128, np.int8), np.full((1, LONGEST), 127, np.int8)
    for queries, rows in ((low, high), (high, low), (low, low), (high, high)):
        for operation in OPERATIONS:
            check(isa, operation, queries, rows)


def test_levels_are_those_of_one_architecture_lowest_first() -> None:
    x86 = ["scalar", "avx2", "avx512", "avx512_vnni"]
    arm = ["scalar", "neon", "neon_dotprod"]
    assert x86[: len(LEVELS)] == LEVELS or arm[: len(LEVELS)] == LEVELS


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_distance_to_itself_is_zero_and_integers_are_exact(isa: str, dtype: str) -> None:
    for dim in (1, 7, 16, 64, 385):
        rows = stored(np.random.default_rng(dim).integers(-30, 30, (ROWS, dim)), dtype)
        for operation in OPERATIONS:
            exact, _ = reference(operation, rows[:1], rows)
            assert _core.testing.distance(isa, dtype, operation, rows[:1], rows)[0].tolist() == exact.tolist()
        assert _core.testing.distance(isa, dtype, "l2_squared", rows[:1], rows)[0][0, 0] == 0


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_infinities_and_nan_reach_the_answer_from_every_position(isa: str, dtype: str) -> None:
    dim = 70
    for bad in (np.inf, -np.inf, np.nan):
        values = np.full((dim, dim), 2.0)
        np.fill_diagonal(values, bad)
        ones = stored(np.ones((1, dim)), dtype)
        for operation in OPERATIONS:
            expected = bad * bad if operation == "l2_squared" else bad
            for form in _core.testing.distance(isa, dtype, operation, ones, stored(values, dtype)):
                np.testing.assert_array_equal(form[0], np.full(dim, expected, np.float32))


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_value_of_a_16_bit_float_is_read_as_what_it_is(isa: str, dtype: str) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16).reshape(-1, 1)
    values = bits.view(np.float16) if dtype == "float16" else bits
    one = stored(np.ones((1, 1)), dtype)
    with np.errstate(invalid="ignore"):
        expected = as_float64(values).astype(np.float32).T
    found = _core.testing.distance(isa, dtype, "inner_product", one, values)[2]
    if dtype == "bfloat16":  # vdpbf16ps takes subnormal values for zero
        tiny = np.abs(expected) < np.finfo(np.float32).tiny
        assert (np.abs(found[tiny]) <= np.finfo(np.float32).tiny).all()
        found, expected = found[~tiny], expected[~tiny]
    np.testing.assert_array_equal(found, expected)


def test_unknown_level_or_another_dtype_is_refused() -> None:
    one = np.ones((1, 4), np.float32)
    with pytest.raises(ValueError, match="no kernel level 'mmx'"):
        _core.testing.distance("mmx", "float32", "l2_squared", one, one)
    with pytest.raises(ValueError, match="must be int8"):
        _core.testing.distance("scalar", "int8", "l2_squared", one, one)


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


@pytest.mark.parametrize("isa", ["sse9", "AVX2", "avx512_", "neon" if "neon" not in LEVELS else "avx2", " "])
def test_level_the_machine_lacks_is_a_clear_error(isa: str) -> None:
    done = child(isa)
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()
    text = "\n".join(last[-3:])
    assert "Error" in text or "InvalidArgument" in text
    assert "VDB_ISA" in text
    assert isa.strip() in text
    assert all(level in text for level in LEVELS)
