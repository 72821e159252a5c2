"""A metric written in Python, as a value: its name, what it computes, and the compiled code."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from vdb.errors import DimensionMismatch, InvalidArgument, MetricError
from vdb.metrics.digest import digest
from vdb.metrics.native import compile_distance, source_of
from vdb.types import MAX_DIM, METRICS, Metric

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

    import numpy.typing as npt

    from vdb.types import FloatMatrix

CORE_NAME: Final = "custom"  # of every such metric in the core
_RESERVED: Final = (*METRICS, CORE_NAME)
_PROBES: Final = 6
_PROBE_DIM: Final = 16
_POINTER: Final = ctypes.POINTER(ctypes.c_float)
_CALL: Final = ctypes.CFUNCTYPE(ctypes.c_int32, _POINTER, _POINTER, ctypes.c_int64, _POINTER)


@dataclass(frozen=True, repr=False)
class CustomMetric:
    """A distance written in Python, made by `vdb.metric`. Equal where name, code and dimension are.

    Attributes
    ----------
    name : str
        By which indexes remember it.
    digest : str
        Of its bytecode and all it refers to: an index built with another function of the same name is rebuilt.
    dim : int or None
        The only dimension it is for.
    address : int
        Of the compiled code, which lives as long as this object does.
    """

    name: str
    digest: str
    dim: int | None
    address: int = field(compare=False)
    _function: FunctionType = field(compare=False)
    _owner: object = field(compare=False)

    def __call__(self, a: npt.ArrayLike, b: npt.ArrayLike) -> float:
        """The distance of two vectors as a search measures it; MetricError, with the reason, where it fails."""
        rows = [np.ascontiguousarray(vector, dtype=np.float32) for vector in (a, b)]
        if rows[0].ndim != 1 or rows[0].shape != rows[1].shape:
            raise InvalidArgument(
                f"metric {self.name!r} takes two vectors of one length, got shapes {rows[0].shape} and {rows[1].shape}."
            )
        self.check_dim(len(rows[0]))
        return self._measure(rows[0], rows[1], len(rows[0]))

    def __repr__(self) -> str:
        return f"<vdb.CustomMetric {self.name}>"

    def check_dim(self, dim: int) -> None:
        """DimensionMismatch where the metric is for another dimension."""
        if self.dim is not None and dim != self.dim:
            raise DimensionMismatch(
                f"metric {self.name!r} is for {self.dim} dimensions, got vectors of {dim}.\n"
                "  Fix: make it with another dim=, or without."
            )

    def probe(self) -> None:
        """Measure every pair of a few vectors; MetricError at the first that has no distance.

        Half the values of some are zero, but no vector is, and each is measured against itself too. The memory behind
        a probe goes on, so a function that is made for more dimensions than it is told reads nothing foreign.
        """
        rows = np.random.default_rng(0).standard_normal((_PROBES, MAX_DIM), np.float32)
        rows[::2, 1::2] = 0
        for a in rows:
            for b in rows:
                self._measure(a, b, self.dim or _PROBE_DIM)

    def _measure(self, a: FloatMatrix, b: FloatMatrix, dim: int) -> float:
        out = ctypes.c_float()
        left, right = a.ctypes.data_as(_POINTER), b.ctypes.data_as(_POINTER)
        if _CALL(self.address)(left, right, dim, ctypes.byref(out)) != 0:
            raise self._failure(f"raised {_exception(self._function, left, right, dim)}", dim)
        if np.isnan(out.value):
            raise self._failure("is NaN", dim)
        return out.value

    def _failure(self, what: str, dim: int) -> MetricError:
        return MetricError(
            f"metric {self.name!r} {what}, for vectors of {dim} dimensions; expected a number for every pair.\n"
            "  Fix: return inf where there is no distance; pass dim= if it is for one dimension only."
        )


AnyMetric: TypeAlias = Metric | CustomMetric


def metric(
    distance: Callable[..., Any] | None = None, name: str | None = None, *, dim: int | None = None
) -> CustomMetric:
    """Compile a distance written in Python, for `search(metric=...)` and `HNSW(metric=...)`.

    Parameters
    ----------
    distance : function or numba cfunc
        Of `(a, b, dim)`: `a[i]` and `b[i]` are the values of two vectors, float32 whatever the column stores, for i
        below dim, and `numba.carray(a, dim)` is an array of them. It returns a number, smaller is nearer; inf says
        that there is no distance, NaN and exceptions are errors. A cfunc has the signature
        `float32(CPointer(float32), CPointer(float32), int64)` and is compiled anew with its fastmath, error_model and
        boundscheck; a plain function is compiled so that sums are vectorised in any order. Indices are not checked.
    name : str, optional
        By which indexes remember it; the function's by default.
    dim : int, optional
        The only dimension it is for.

    Returns
    -------
    CustomMetric
        Call it on two vectors to see their distance.

    Raises
    ------
    InvalidState
        numba is not installed.
    InvalidArgument
        numba cannot compile it, or the signature or the name is wrong.
    MetricError
        It raised or was NaN for vectors it was tried on.

    Notes
    -----
    The scan is exact for any function. A graph takes it to be symmetric and to obey the triangle inequality, more or
    less: the further it is from that, the lower the recall.

    Examples
    --------
    >>> import vdb
    >>> @vdb.metric
    ... def manhattan(a, b, dim):
    ...     total = 0.0
    ...     for i in range(dim):
    ...         total += abs(a[i] - b[i])
    ...     return total
    >>> manhattan([0, 0], [3, 4])
    7.0
    """
    function, options = source_of(distance)
    chosen = _checked_name(function.__name__ if name is None else name)
    if dim is not None and (type(dim) is not int or not 1 <= dim <= MAX_DIM):
        raise InvalidArgument(f"dim must be an integer from 1 to {MAX_DIM:,}, got {dim!r}.")
    native = compile_distance(function, options)
    made = CustomMetric(chosen, digest(function), dim, native.address, function, native.owner)
    made.probe()
    return made


def name_of(chosen: AnyMetric) -> str:
    """The name of a metric, built in or not."""
    return chosen.name if isinstance(chosen, CustomMetric) else chosen


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or name == "<lambda>":
        raise InvalidArgument(f"a metric needs a name that is a string, got {name!r}.\n  Fix: pass name=.")
    if name in _RESERVED:
        raise InvalidArgument(f"{name!r} is the name of a built-in metric.\n  Fix: pass another as name=.")
    return name


def _exception(function: FunctionType, a: Any, b: Any, dim: int) -> str:
    """What the function raises for two vectors, found by running it in Python."""
    try:
        function(a, b, dim)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "an exception"
