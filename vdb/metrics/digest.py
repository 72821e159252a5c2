"""What a function computes, as a short digest: by it an index notices another function under the name of its own."""

from __future__ import annotations

import hashlib
import re
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIGEST_BYTES: Final = 16
_LIBRARIES: Final = ("numba", "numpy", "math", "scipy")  # whose functions are known by their names
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")  # in the repr of an object: another one in every process


def digest(function: Callable[..., Any]) -> str:
    """A digest of the bytecode and of all it refers to by name, functions in Python included.

    Comments, names of local variables and places in files do not count. Another minor version of Python compiles to
    other bytecode, so its digests are others.
    """
    found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in _parts(function, set()):
        found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()


def _parts(value: object, seen: set[int]) -> Iterator[bytes]:
    value = getattr(value, "py_func", value)  # of a function that numba compiled
    if isinstance(value, FunctionType) and value.__module__.partition(".")[0] not in _LIBRARIES:
        if id(value) in seen:  # it calls itself
            yield b"again"
            return
        seen.add(id(value))
        names = {name: value.__globals__[name] for name in _names(value.__code__) if name in value.__globals__}
        free = {
            name: cell.cell_contents
            for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        }
        yield from _parts(value.__code__, seen)
        for name, used in sorted({**names, **free}.items()):
            yield name.encode()
            yield from _parts(used, seen)
        yield from _parts(value.__defaults__, seen)
    elif isinstance(value, CodeType):
        yield value.co_code
        yield " ".join(value.co_names).encode()
        yield from _parts(value.co_consts, seen)
    elif isinstance(value, (tuple, list)):
        yield f"{type(value).__name__} {len(value)}".encode()
        for item in value:
            yield from _parts(item, seen)
    elif isinstance(value, (set, frozenset)):  # in an order that is another one in every process
        yield f"set {sorted(map(repr, value))}".encode()
    elif isinstance(value, np.ndarray):
        yield f"array {value.dtype.str} {value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, (ModuleType, FunctionType, BuiltinFunctionType, type)):
        yield f"{getattr(value, '__module__', None)}.{value.__name__}".encode()
    else:
        yield f"{type(value).__name__} {_ADDRESS.sub('', repr(value))}".encode()


def _names(code: CodeType) -> Iterator[str]:
    """The names that a code and the codes inside it look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
