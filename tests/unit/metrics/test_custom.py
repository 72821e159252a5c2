"""vdb.metric: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import gc
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb.metrics.native import SIGNATURE

numba = pytest.importorskip("numba")

if TYPE_CHECKING:
    from collections.abc import Callable

WEIGHTS = np.arange(1, 5, dtype=np.float32)


def euclid(a: Any, b: Any, dim: int) -> Any:
    total = np.float32(0)
    for i in range(dim):
        d = a[i] - b[i]
        total += d * d
    return np.sqrt(total)


def weighted(a: Any, b: Any, dim: int) -> Any:
    total = 0.0
    for i in range(dim):
        total += WEIGHTS[i] * abs(a[i] - b[i])
    return total


def arrays(a: Any, b: Any, dim: int) -> Any:
    return np.abs(numba.carray(a, dim) - numba.carray(b, dim)).max()


def count(a: Any, b: Any, dim: int) -> int:
    different = 0
    for i in range(dim):
        different += a[i] != b[i]
    return different


def only_large(a: Any, b: Any, dim: int) -> Any:
    if a[0] < b[0]:
        raise ValueError("the first is smaller")
    return a[0] - b[0]


def divides(a: Any, b: Any, dim: int) -> Any:
    return a[0] / (a[1] - b[1])


def rooted(a: Any, b: Any, dim: int) -> Any:
    return np.sqrt(a[0] - b[0])


def two(a: Any, b: Any) -> Any:
    return 0.0


def text(a: Any, b: Any, dim: int) -> str:
    return "near"


def nothing(a: Any, b: Any, dim: int) -> None:
    pass


def imaginary(a: Any, b: Any, dim: int) -> complex:
    return 1j * a[0]


def unknown_call(a: Any, b: Any, dim: int) -> Any:
    return sys.getsizeof(a)


@pytest.mark.parametrize(
    ("function", "a", "b", "expected"),
    [
        (euclid, [0, 3], [4, 0], 5.0),
        (weighted, [0, 0, 0, 0], [1, 1, 1, -1], 10.0),
        (arrays, [1, 2], [1, -5], 7.0),
        (count, [1, 2, 3], [1, 0, 0], 2.0),
    ],
)
def test_function_measures_two_vectors(
    function: Callable[..., Any], a: list[float], b: list[float], expected: float
) -> None:
    made = vdb.metric(function)
    assert made.name == function.__name__
    assert made(a, b) == expected
    assert repr(made) == f"<vdb.CustomMetric {made.name}>"


@pytest.mark.parametrize("compiled", [numba.cfunc(SIGNATURE, fastmath=True), numba.njit, numba.njit(SIGNATURE)])
def test_function_that_numba_compiled_is_taken(compiled: Any) -> None:
    made = vdb.metric(compiled(euclid), name="mine")
    assert made([1, 1], [1, 2]) == 1.0
    assert made.name == "mine"
    assert made.digest == vdb.metric(euclid).digest


@pytest.mark.parametrize(
    ("signature", "found"),
    [
        ("float64(CPointer(float64), CPointer(float64), int64)", r"float64\(float64\*, float64\*, int64\)"),
        ("float32(CPointer(float32), CPointer(float32), int32)", r"float32\(float32\*, float32\*, int32\)"),
        ("float64(CPointer(float32), CPointer(float32), int64)", r"float64\(float32\*, float32\*, int64\)"),
    ],
)
def test_cfunc_of_another_signature_is_refused(signature: str, found: str) -> None:
    with pytest.raises(vdb.InvalidArgument, match=rf"(?s)euclid has the signature {found}, expected float32\(CP.*Fix"):
        vdb.metric(numba.cfunc(signature)(euclid))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (two, r"two takes 2 parameters \(a, b\), expected 3: \(a, b, dim\).*Fix"),
        (numba.njit(two), r"two takes 2 parameters"),
        (text, r"text has the signature .*expected float32\("),
        (nothing, r"nothing has the signature none\(.*expected float32\("),
        (imaginary, r"imaginary has the signature complex128\(.*expected float32\("),
        (unknown_call, r"numba cannot compile the metric unknown_call: .*getsizeof.*Expected: a function"),
        (lambda a, b, dim: 0.0, r"needs a name that is a string, got '<lambda>'.*Fix: pass name="),
        ("l2", r"is a Python function or a numba cfunc, got 'l2'.*Fix"),
        (math.dist, r"is a Python function or a numba cfunc"),
        (None, r"is a Python function or a numba cfunc, got None"),
    ],
)
def test_what_is_no_distance_is_refused(function: Any, message: str) -> None:
    with pytest.raises(vdb.InvalidArgument, match=rf"(?s){message}"):
        vdb.metric(function)


@pytest.mark.parametrize("name", ["l2", "cosine", "ip", "custom", "", "  ", 5])
def test_name_that_cannot_be_told_apart_is_refused(name: Any) -> None:
    with pytest.raises(vdb.InvalidArgument, match=r"(?s)name.*Fix"):
        vdb.metric(euclid, name)


@pytest.mark.parametrize("dim", [0, -1, 2.0, True, 70_000])
def test_dimension_out_of_range_is_refused(dim: Any) -> None:
    with pytest.raises(vdb.InvalidArgument, match="dim must be an integer from 1 to 65,535"):
        vdb.metric(euclid, dim=dim)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (only_large, "raised ValueError: the first is smaller"),
        (divides, "raised ZeroDivisionError"),
        (rooted, "is NaN"),
    ],
)
def test_distance_that_fails_is_noticed_when_it_is_made(
    function: Callable[..., Any], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for made in (function, numba.cfunc(SIGNATURE)(function), numba.njit(fastmath=True)(function)):
        with pytest.raises(vdb.MetricError, match=rf"(?s){function.__name__}' {reason}.*Fix"):
            vdb.metric(made)
    assert capfd.readouterr() == ("", "")


def test_error_is_one_of_the_tree() -> None:
    assert issubclass(vdb.MetricError, vdb.InvalidArgument)


def test_call_refuses_vectors_of_different_or_wrong_lengths() -> None:
    with pytest.raises(vdb.InvalidArgument, match=r"two vectors of one length, got shapes \(2,\) and \(3,\)"):
        vdb.metric(euclid)([1, 2], [1, 2, 3])
    four = vdb.metric(weighted, dim=4)
    with pytest.raises(vdb.DimensionMismatch, match="'weighted' is for 4 dimensions, got vectors of 2"):
        four([1, 2], [1, 2])


def test_metrics_of_one_function_are_equal_and_of_another_are_not() -> None:
    assert vdb.metric(euclid) == vdb.metric(euclid)
    assert hash(vdb.metric(euclid)) == hash(vdb.metric(euclid))
    assert vdb.metric(euclid) != vdb.metric(weighted, name="euclid")
    assert vdb.metric(euclid) != vdb.metric(euclid, name="other")
    assert vdb.metric(euclid) != vdb.metric(euclid, dim=2)


def test_code_lives_as_long_as_the_metric() -> None:
    made = vdb.metric(numba.cfunc(SIGNATURE)(euclid))
    gc.collect()
    assert made([0, 3], [4, 0]) == 5.0


def test_missing_numba_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(vdb.InvalidState, match=r"(?s)numba, which is not installed.*Fix: pip install numba"):
        vdb.metric(euclid)
