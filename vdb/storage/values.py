"""The attribute values of one column as a one-dimensional numpy array that DuckDB reads without guessing.

DuckDB infers the type of an array of Python objects from a sample. Here every value is looked at, so that a column of
one kind of scalar arrives typed, mixed scalars arrive as text for the INSERT to cast, and no value arrives changed.
A NaN is a missing value, as DuckDB has it for pandas; only Arrow and polars tell NaN and NULL apart.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from vdb.errors import InvalidArgument
from vdb.types import INTEGER_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

ColumnArray: TypeAlias = npt.NDArray[Any]

INTEGERS: Final = INTEGER_TYPES | {"UBIGINT", "HUGEINT", "UHUGEINT"}
_TIME_UNITS: Final = ("s", "ms", "us", "ns")  # those DuckDB has a timestamp type for
_LEAVES: Final = (bool, int, float, str, bytes, Decimal, dt.datetime, dt.date, dt.time, dt.timedelta, uuid.UUID)
_FAMILIES: Final = (*_LEAVES, list, dict)  # a subclass stands before its base: bool is an int, datetime a date
_PLAIN: Final = frozenset({bool, int, float, str, type(None)})


def as_column(values: Any, where: str, declared: str | None) -> ColumnArray:
    """Return the values of a column as an array, masked where some are missing.

    Parameters
    ----------
    values : sequence, array or Series
        One value per row.
    where : str
        The column as messages name it, such as `items.price`.
    declared : str or None
        The column's type in DuckDB's spelling; None while it is being inferred.

    Returns
    -------
    ndarray
        (n,) of a dtype `DuckDBPyConnection.register` takes inside a dict.

    Raises
    ------
    InvalidArgument
        A value is of a kind DuckDB cannot store, or not of a kind the declared type can take.
    """
    values = _from_series(values)
    if isinstance(values, np.ma.MaskedArray):
        if values.ndim != 1 or values.dtype.kind in "OUTS":
            return _from_objects(values.tolist(), where, declared)  # None where masked
        return np.ma.MaskedArray(_from_array(np.ma.getdata(values), where, declared), mask=np.ma.getmaskarray(values))
    if isinstance(values, np.ndarray):
        return _from_array(values, where, declared)
    return _from_objects(list(values), where, declared)


def check_integral(array: npt.NDArray[Any], where: str, declared: str | None) -> None:
    """Refuse a fraction where the column is an integer: DuckDB would round it."""
    if declared not in INTEGERS or array.dtype.kind != "f":
        return
    broken = np.flatnonzero((np.trunc(array) != array) & ~np.isnan(array))
    if len(broken):
        raise InvalidArgument(
            f"row {broken[0]} of {where} is {array[broken[0]]}; the column is {declared}.\n  Fix: round the values."
        )


def is_nested(declared: str) -> bool:
    """Whether values of this type are lists, structs or maps."""
    return declared.endswith("]") or declared.startswith(("STRUCT(", "MAP(", "UNION(")) or declared == "VARIANT"


def _from_series(values: Any) -> Any:
    """Turn a pandas, polars or Arrow column into a numpy array or a list."""
    module = type(values).__module__.partition(".")[0]
    if module == "pandas" and hasattr(values, "notna"):
        if isinstance(values.dtype, np.dtype):
            return values.to_numpy()
        return values.astype(object).where(values.notna(), None).to_numpy()
    if module == "polars" and hasattr(values, "to_list"):
        return values.to_list()
    if module == "pyarrow" and hasattr(values, "to_pylist"):
        return values.to_pylist()
    return values


def _from_array(array: npt.NDArray[Any], where: str, declared: str | None) -> ColumnArray:
    kind = array.dtype.kind
    if array.ndim != 1:
        array = array.astype("datetime64[us]") if kind == "M" else array  # finer units become integers in lists
        return _from_objects(array.tolist(), where, declared)
    if kind in "OUTS":
        return _from_objects(array.tolist(), where, declared)
    if kind == "M":
        unit = np.datetime_data(array.dtype)[0]
        return array.astype(f"datetime64[{unit if unit in _TIME_UNITS else 's'}]")
    if kind == "m":
        return array.astype("timedelta64[us]")
    if kind not in "biuf":
        raise InvalidArgument(f"{where} got an array of {array.dtype}.\n  Fix: convert it to numbers, text or dates.")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    check_integral(array, where, declared)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _from_objects(values: list[Any], where: str, declared: str | None) -> ColumnArray:
    values = _plain_values(values)
    families = {kind: _family(kind) for kind in set(map(type, values)) if kind is not type(None)}
    for kind, family in families.items():
        problem = _problem(family, declared)
        if problem is not None:
            row = next(row for row, value in enumerate(values) if type(value) is kind)
            raise InvalidArgument(f"row {row} of {where} is a {kind.__name__}, {problem}")
    found = set(families.values())
    if declared == "JSON" and found & {list, dict}:
        values = [json.dumps(value, default=str) if isinstance(value, (list, dict)) else value for value in values]
        found = {str}
    if found & {list, dict} and len(found) > 1:
        names = ", ".join(sorted(family.__name__ for family in found if family is not None))
        raise InvalidArgument(f"{where} mixes values of kind {names}.\n  Fix: give one kind.")
    if found == {dict} and declared is not None and declared.startswith("STRUCT("):
        values = _same_fields(values)
    return _typed(values, found, where, declared)


def _typed(values: list[Any], found: set[type | None], where: str, declared: str | None) -> ColumnArray:
    """Choose the array: typed for numbers, text for a mix or decimals, else the objects themselves."""
    missing = np.fromiter((value is None for value in values), dtype=np.bool_, count=len(values))
    if found and found <= {int, float}:
        numbers = [0 if value is None else value for value in values]
        try:
            array: ColumnArray = np.array(numbers, dtype=np.int64 if found == {int} else np.float64)
        except OverflowError:
            return _objects(values if declared is None else [_text(value) for value in values])
        masked = np.ma.MaskedArray(array, mask=missing)
        check_integral(array, where, declared)
        return masked if missing.any() else array
    if found == {bool}:
        array = np.array([bool(value) for value in values])
        return np.ma.MaskedArray(array, mask=missing) if missing.any() else array
    if len(found) > 1 or (found == {Decimal} and declared is not None):
        return _objects([_text(value) for value in values])
    return _objects(values)


def _problem(family: type | None, declared: str | None) -> str | None:
    """Return why values of this family cannot be stored in a column of the declared type, or None."""
    if family is None:
        return "which DuckDB cannot store.\n  Fix: convert it to numbers, text, dates, lists or dicts."
    if declared is None:
        return None
    if family is bytes and declared != "BLOB":
        return f"but the column is {declared}.\n  Fix: decode the bytes, for example value.decode()."
    if family in (list, dict) and not is_nested(declared) and declared != "JSON":
        return (
            f"but the column is {declared}.\n"
            f"  Fix: give one value per row; in a dict every column is a sequence, or every one is a single value."
        )
    return None


def _family(kind: type) -> type | None:
    return next((family for family in _FAMILIES if issubclass(kind, family)), None)


def _plain_values(values: list[Any]) -> list[Any]:
    """Replace numpy's and pandas' own objects by Python's, inside lists too, and a NaN by None."""
    kinds = set(map(type, values))
    items = set(map(type, chain.from_iterable(value for value in values if type(value) is list)))
    if not (kinds <= _PLAIN | {list} and items <= _PLAIN):
        values = [_plain(value) for value in values]
    elif float not in kinds:
        return values
    return [None if isinstance(value, float) and value != value else value for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    elif isinstance(value, np.timedelta64):
        value = value.astype("timedelta64[us]").item()
    elif isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(name): _plain(item) for name, item in value.items()}
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _same_fields(values: list[Any]) -> list[Any]:
    """Give every dict the same fields in one order, so that DuckDB sees structs and not maps."""
    fields = dict.fromkeys(chain.from_iterable(value for value in values if value is not None))
    return [value if value is None else {field: value.get(field) for field in fields} for value in values]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _objects(values: Sequence[Any]) -> ColumnArray:
    return np.fromiter(values, dtype=np.object_, count=len(values))
