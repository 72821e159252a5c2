"""The border to the compiled core where it is more than the core itself: array dtypes and the interpreter lock."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from vdb import _core
from vdb.errors import InvalidArgument

BUILD_AND_LOOK = """
import threading
import numpy as np
from vdb import _core

rows = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)
graph = _core.Hnsw(8, "l2", M=8, ef_construction=40)
started, done = threading.Event(), threading.Event()

def build():
    graph.extend(_core.VectorView(rows, "l2"), progress=lambda so_far, total: started.set())
    done.set()

thread = threading.Thread(target=build)
thread.start()
started.wait()
while not done.is_set():
    graph.neighbors(0)
thread.join()
print(graph.covered)
"""


def test_looking_at_a_graph_beside_its_build_does_not_deadlock() -> None:
    # A deadlock keeps the interpreter lock for good, so only another process can report it.
    child = subprocess.run(
        [sys.executable, "-c", BUILD_AND_LOOK], capture_output=True, text=True, timeout=60, check=False
    )
    assert child.stdout.strip() == "3000", child.stderr


DTYPES = ("float32", "float16", "bfloat16", "int8")
DIM = 50


def stored(rows: int, dtype: str, seed: int = 0) -> np.ndarray:
    values = 40 * np.random.default_rng(seed).standard_normal((rows, DIM)).astype(np.float32)
    if dtype == "bfloat16":
        return _core.to_bfloat16(values)
    return np.clip(values, -128, 127).astype(np.int8) if dtype == "int8" else values.astype(dtype)


def as_float64(values: np.ndarray) -> np.ndarray:
    return (_core.from_bfloat16(values) if values.dtype == np.uint16 else values).astype(np.float64)


def exact(metric: str, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    q, x = as_float64(queries), as_float64(rows)
    if metric == "l2":
        return np.sqrt(((q[:, None] - x[None]) ** 2).sum(axis=2))
    if metric == "ip":
        return -q @ x.T
    return 1 - (q / np.linalg.norm(q, axis=1)[:, None]) @ (x / np.linalg.norm(x, axis=1)[:, None]).T


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_every_dtype_is_scanned_and_walked_by_the_distances_of_its_stored_values(dtype: str, metric: str) -> None:
    rows, queries = stored(700, dtype), stored(20, dtype, seed=1)
    view = _core.VectorView(rows, metric, _core.inverse_norms(rows))
    assert view.dtype == dtype
    slots, distances, _ = _core.scan(view, queries, 10)
    expected = np.sort(exact(metric, queries, rows), axis=1)
    np.testing.assert_allclose(distances, expected[:, :10], rtol=1e-5, atol=1e-5)
    graph = _core.Hnsw(DIM, metric, M=16, ef_construction=200)
    graph.extend(view)
    found, _, _ = graph.search(view, queries, 10, 300)
    hits = sum(len(set(a) & set(b)) for a, b in zip(slots.tolist(), found.tolist(), strict=True))
    assert hits >= 0.95 * slots.size


@pytest.mark.parametrize("dtype", DTYPES)
def test_inverse_norms_are_those_of_the_stored_values(dtype: str) -> None:
    rows = stored(30, dtype)
    rows[7] = 0
    with np.errstate(divide="ignore"):
        expected = 1 / np.linalg.norm(as_float64(rows), axis=1)
    np.testing.assert_allclose(_core.inverse_norms(rows), expected, rtol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES[:3])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_first_row_that_is_not_finite_is_found_in_every_float_dtype(dtype: str, bad: float) -> None:
    rows = stored(30, dtype)
    assert _core.first_nonfinite_row(rows) == -1
    rows[11, 49] = _core.to_bfloat16(np.array([bad], np.float32))[0] if dtype == "bfloat16" else bad
    assert _core.first_nonfinite_row(rows) == 11


def test_every_int8_is_finite() -> None:
    assert _core.first_nonfinite_row(np.arange(-128, 128, dtype=np.int8).reshape(4, 64)) == -1


@pytest.mark.parametrize("dtype", DTYPES)
def test_queries_of_another_dtype_are_refused(dtype: str) -> None:
    view = _core.VectorView(stored(30, dtype), "l2")
    graph = _core.Hnsw(DIM, "l2")
    graph.extend(view)
    for other in set(DTYPES) - {dtype}:
        message = f"the queries are {other}, the vectors {dtype}"
        with pytest.raises(InvalidArgument, match=message):
            _core.scan(view, stored(2, other), 5)
        with pytest.raises(InvalidArgument, match=message):
            graph.search(view, stored(2, other), 5, 50)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((3, 4)), "got float64"),
        (np.zeros((3, 4), np.int32), "got int32"),
        (np.zeros((3, 4), ">f4"), "got >f4"),
        (np.zeros((3, 4), np.dtype("f2").newbyteorder()), "got >f2"),
        (np.zeros((3, 8), np.float32)[:, ::2], "got a strided array of float32"),
        (np.zeros((3, 8), np.float16).T, "got a strided array of float16"),
        (np.zeros((3, 4), object), "got object"),
    ],
)
def test_an_array_that_would_have_to_be_converted_is_refused(array: np.ndarray, found: str) -> None:
    for call in (_core.inverse_norms, _core.first_nonfinite_row, lambda data: _core.VectorView(data, "l2")):
        with pytest.raises(InvalidArgument, match=f"data must be a C-contiguous array.*{found}"):
            call(array)


def test_bfloat16_is_rounded_to_the_nearest_even() -> None:
    values = np.concatenate([
        np.random.default_rng(0).integers(0, 1 << 32, 100_000, dtype=np.uint32),
        np.arange(1 << 16, dtype=np.uint32) << 16 | 0x8000,  # halfway between two values
    ]).view(np.float32)  # fmt: skip
    values = values[np.isfinite(values)]
    bits = values.view(np.uint32).astype(np.uint64)
    expected = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    np.testing.assert_array_equal(_core.to_bfloat16(values), expected)
    shaped = values[:24].reshape(2, 3, 4)
    np.testing.assert_array_equal(_core.from_bfloat16(_core.to_bfloat16(shaped)).shape, (2, 3, 4))


def test_bfloat16_keeps_infinities_and_nan() -> None:
    nans = np.array([0x7F800001, 0x7FFFFFFF, 0xFF800001], np.uint32).view(np.float32)
    assert np.isnan(_core.from_bfloat16(_core.to_bfloat16(nans))).all()
    infinite = np.array([np.inf, -np.inf, np.finfo(np.float32).max], np.float32)
    assert _core.from_bfloat16(_core.to_bfloat16(infinite)).tolist() == [np.inf, -np.inf, np.inf]


def test_sorted_slots_take_and_give_arrays() -> None:
    keys, slots = np.array([-5, 2, 2, 7], np.int64), np.array([3, 0, 2, 1], np.uint32)
    order = _core.SortedSlots(keys, slots, 4)
    assert order.between(2, 6, 5) == _core.RowSet.from_slots(np.array([0, 2], np.uint32), 5)
    assert order.any_of(np.array([7, -5, 9], np.int64), 4).to_slots().tolist() == [1, 3]
    assert (len(order), order.count_between(-9, 2)) == (4, 3)
    assert np.array_equal(order.keys(), keys)
    assert np.array_equal(order.slots(), slots)
    assert order.memory_bytes >= keys.nbytes + slots.nbytes
    with pytest.raises(InvalidArgument, match="keys for"):
        _core.SortedSlots(keys[:3], slots, 4)
    with pytest.raises(TypeError):
        _core.SortedSlots(keys.astype(np.float64), slots, 4)  # type: ignore[arg-type]


def test_a_pass_reads_rows_in_order_and_a_search_reads_them_where_they_are() -> None:
    rows, other = stored(700, "float32"), stored(700, "float32", seed=1)
    view = _core.VectorView(rows, "l2", in_order=other)
    slots, distances, _ = _core.scan(view, other, 1)
    assert slots[:, 0].tolist() == list(range(700))
    assert not distances.any()
    few = _core.RowSet.from_slots(np.arange(5, dtype=np.uint32), 700)
    slots, distances, _ = _core.scan(view, rows[:5], 1, rows=few)
    assert slots[:, 0].tolist() == list(range(5))
    assert not distances.any()


def test_rows_in_order_are_the_same_rows() -> None:
    rows = stored(30, "float32")
    for wrong in (rows[:29], rows[:, :49].copy(), rows.astype(np.float16)):
        with pytest.raises(InvalidArgument, match="in_order must hold the rows of data"):
            _core.VectorView(rows, "l2", in_order=wrong)
