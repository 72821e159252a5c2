"""From a distance written in Python to the address of native code, by numba, which is imported when first needed.

numba's own callbacks print an exception and return whatever the register held. So what is compiled here is a callback
around the function, which catches what it raises and says so in its return value.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from vdb.errors import InvalidArgument, InvalidState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIGNATURE: Final = "float32(CPointer(float32), CPointer(float32), int64)"

_PARAMETERS: Final = 3
# What the caller's decorator may decide. Not parallel: a distance is computed on one of many threads that search.
_OPTIONS: Final = ("fastmath", "error_model", "boundscheck")
# Lets sums be vectorised. Not nnan and ninf, with which a NaN would go unnoticed.
_FASTMATH: Final = frozenset({"reassoc", "contract", "nsz", "arcp"})
_REASON_CHARACTERS: Final = 600  # of numba's explanation, which has its stack behind it


@dataclass(frozen=True)
class Native:
    """Compiled code: `address` is that of an `int32(float32* a, float32* b, int64 dim, float32* out)`, 0 for success.

    `owner` frees it when it goes.
    """

    address: int
    owner: object


def source_of(distance: object) -> tuple[FunctionType, dict[str, Any]]:
    """The Python function of a distance and the options it asks to be compiled with.

    InvalidArgument where it is no function, or is compiled by numba for other types.
    """
    if isinstance(distance, FunctionType):
        _check_parameters(distance)
        return distance, {"fastmath": set(_FASTMATH)}
    numba = _numba()
    if isinstance(distance, numba.core.ccallback.CFunc):
        found = distance._sig
        if (found.return_type, found.args) != (numba.float32, _arguments(numba)):
            raise _wrong_signature(distance.__name__, f"{found.return_type}{found.args}")
        return distance._pyfunc, _chosen(distance._compiler.targetoptions)
    if isinstance(distance, numba.core.dispatcher.Dispatcher):
        _check_parameters(distance.py_func)
        return distance.py_func, _chosen(distance.targetoptions)
    raise InvalidArgument(
        f"a metric is a Python function or a numba cfunc, got {distance!r:.80}.\n"
        f"  Fix: pass a function of (a, b, dim), or numba.cfunc({SIGNATURE!r})(function)."
    )


def compile_distance(function: FunctionType, options: Mapping[str, Any]) -> Native:
    """Compile it; InvalidArgument with numba's reason where that cannot be done or gives no real number."""
    numba = _numba()
    distance = numba.jit(nopython=True, **options)(function)
    arguments = _arguments(numba)
    try:
        distance.compile(arguments)
    except Exception as error:
        raise InvalidArgument(
            f"numba cannot compile the metric {function.__name__}: {_reason(error)}\n"
            f"  Expected: a function that numba compiles as {SIGNATURE}."
        ) from error
    found = distance.overloads[arguments].signature.return_type
    if not isinstance(found, (numba.types.Float, numba.types.Integer)):
        raise _wrong_signature(function.__name__, f"{found}{arguments}")

    def guarded(a: Any, b: Any, dim: Any, out: Any) -> int:
        try:
            out[0] = distance(a, b, dim)
        except Exception:
            return 1
        return 0

    status = numba.types.int32(*arguments, numba.types.CPointer(numba.float32))
    callback = numba.cfunc(status)(guarded)
    return Native(callback.address, callback)


def _numba() -> Any:
    try:
        import numba
        import numba.core.ccallback
        import numba.core.dispatcher
    except ImportError as error:
        raise InvalidState(
            "a metric written in Python is compiled by numba, which is not installed.\n  Fix: pip install numba."
        ) from error
    return numba


def _arguments(numba: Any) -> tuple[Any, ...]:
    pointer = numba.types.CPointer(numba.float32)
    return pointer, pointer, numba.int64


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in _OPTIONS if name in options}


def _check_parameters(function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters
    if len(parameters) != _PARAMETERS:
        raise InvalidArgument(
            f"the metric {function.__name__} takes {len(parameters)} parameters ({', '.join(parameters)}), expected 3:"
            f" (a, b, dim).\n  Fix: a[i] and b[i] are the values of the two vectors, for i in range(dim)."
        )


def _wrong_signature(name: str, found: str) -> InvalidArgument:
    return InvalidArgument(
        f"the metric {name} has the signature {found}, expected {SIGNATURE}.\n"
        f"  Fix: compile it with numba.cfunc({SIGNATURE!r}), or pass the Python function."
    )


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:_REASON_CHARACTERS] or type(error).__name__
