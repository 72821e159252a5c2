"""The values of a predicate, turned into what DuckDB binds."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from vdb.errors import InvalidArgument

Values: TypeAlias = tuple[object, ...] | dict[str, object]
Kinds: TypeAlias = tuple[object, ...]

_PLAIN: Final = (
    bool,
    float,
    bytes,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    Decimal,
    uuid.UUID,
)
_PLAIN_TYPES: Final = frozenset((*_PLAIN, type(None)))
_BELOW_DAYS: Final = frozenset({"h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"})
_SMALLEST, _LARGEST = -(2**127), 2**128 - 1  # HUGEINT and UHUGEINT


def to_values(parameters: object) -> Values:
    """Return the parameters as DuckDB takes them.

    Parameters
    ----------
    parameters : sequence, mapping or None
        Values for `?` and `$1` in order, or for `$name` by name. A value is None, a bool, number, string, bytes, date,
        time, timedelta, UUID, a numpy scalar, or a list, tuple or one-dimensional array of these.

    Raises
    ------
    InvalidArgument
        Something else was given.
    """
    if parameters is None:
        return ()
    if type(parameters) in (list, tuple):  # the usual
        return tuple([_to_value(value, f"params[{i}]") for i, value in enumerate(cast("Sequence[object]", parameters))])
    if isinstance(parameters, Mapping):
        for name in parameters:
            if not isinstance(name, str):
                raise InvalidArgument(
                    f"params has the key {name!r:.80}, of type {type(name).__name__}; names are strings.\n"
                    f"  Fix: params={{'name': value}} for $name."
                )
        return {name: _to_value(value, f"params[{name!r}]") for name, value in parameters.items()}
    if isinstance(parameters, np.ndarray) and parameters.ndim == 1:
        parameters = _items(parameters)
    if isinstance(parameters, (str, bytes, bytearray)) or not isinstance(parameters, Sequence):
        raise InvalidArgument(
            f"params is of type {type(parameters).__name__}; expected a list of values for ?, or a dict for $name.\n"
            f"  Fix: params=[value], or params={{'name': value}}."
        )
    return tuple(_to_value(value, f"params[{i}]") for i, value in enumerate(parameters))


def kinds_of(values: Values) -> Kinds:
    """Return what of the values decides how an expression binds: their types, not what they hold."""
    if isinstance(values, dict):
        return tuple((name, _kind(value)) for name, value in values.items())
    return tuple(_kind(value) for value in values)


def _to_value(value: object, where: str) -> object:
    """Return one value as DuckDB takes it; `where` says which it is."""
    kind = type(value)
    if kind is str or kind is int or kind in _PLAIN_TYPES:
        return _checked(value, where)
    if isinstance(value, (list, tuple)):
        return _to_list(value, where)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return _to_list(_items(value), where)
    return _to_item(value, where)


def _to_list(items: Sequence[object], where: str) -> list[object]:
    """Return a list as DuckDB takes it, without a look at each item where one look at all will do."""
    kinds = set(map(type, items))
    if kinds <= _PLAIN_TYPES:
        return list(items)
    if kinds == {int}:
        integers = cast("Sequence[int]", items)
        if min(integers) >= _SMALLEST and max(integers) <= _LARGEST:
            return list(items)
    if kinds == {str} and "".join(cast("Sequence[str]", items)).isascii():
        return list(items)
    return [_to_item(item, where) for item in items]


def _to_item(value: object, where: str) -> object:
    """Return one value that is not a list."""
    if isinstance(value, np.generic):
        value = _from_numpy(value, where)
    if isinstance(value, datetime.datetime) and value != value:  # pandas.NaT
        return None
    for plain, convert in _SUBCLASSES:
        if isinstance(value, plain):
            return _checked(convert(value), where)
    if value is None or isinstance(value, _PLAIN):
        return value
    shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
    raise InvalidArgument(
        f"{where} holds a value of type {type(value).__name__}{shape}, which cannot be bound.\n"
        f"  Fix: pass None, a bool, number, string, bytes, date, time, timedelta, UUID, or one list of these."
    )


def _same(value: object) -> object:
    return value


# bool before int, whose subclass it is; enum members and numpy strings become what they are made of.
_SUBCLASSES: Final[tuple[tuple[type, Callable[..., object]], ...]] = ((bool, _same), (int, int), (str, str.__str__))


def _checked(value: object, where: str) -> object:
    """Refuse the integers and strings DuckDB has no type for."""
    if type(value) is int and not _SMALLEST <= value <= _LARGEST:
        raise InvalidArgument(
            f"{where} is an integer of {value.bit_length()} bits; expected at most 128.\n  Fix: pass a float."
        )
    if type(value) is str and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgument(
                f"{where} is not valid Unicode at character {error.start}: a lone surrogate.\n"
                f"  Fix: decode the text with errors='replace'."
            ) from error
    return value


def _from_numpy(value: np.generic, where: str) -> object:
    """Return the Python form of a numpy scalar, dates and times to the microsecond."""
    if isinstance(value, np.longdouble):
        return float(value)
    if not isinstance(value, (np.datetime64, np.timedelta64)):
        return value.item()
    if np.isnat(value):
        return None
    unit = np.datetime_data(value.dtype)[0]
    if unit in _BELOW_DAYS:
        value = value.astype(f"{value.dtype.kind}8[us]")
    item = value.item()
    if isinstance(item, int):  # no Python object holds it
        raise InvalidArgument(
            f"{where} is {value!r}, which is not a Python date or time.\n"
            f"  Fix: pass one in days to microseconds, of years 1 to 9999."
        )
    return item


def _items(array: npt.NDArray[np.generic]) -> list[object]:
    """Return the elements of an array, masked ones as None; `tolist` would make integers of nanosecond dates."""
    if isinstance(array, np.ma.MaskedArray):
        return [None if item is np.ma.masked else item for item in array]
    return list(array) if array.dtype.kind in "mMO" else array.tolist()


def _kind(value: object) -> object:
    return frozenset(map(type, value)) if isinstance(value, list) else type(value)
