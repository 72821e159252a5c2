"""Rows in the forms a caller asks for: dicts, pandas, Arrow, polars.

A column is fetched from DuckDB, or stands in an array already (distances, row ids, vectors): each form joins the two
by position. The packages are imported only when their form is asked for.
"""

from __future__ import annotations

import datetime as dt
import importlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from vdb.errors import InvalidState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vdb.types import Slots, StoredMatrix

T = TypeVar("T")

_ZONED: Final = "TIMESTAMP WITH TIME ZONE"
_EXTRAS: Final = {"pandas": "pandas", "pyarrow": "arrow", "polars": "polars"}  # of pyproject.toml, by package


class Fetch(Protocol):
    """Reads attribute columns of the rows in `slots`, one row per slot in that order, and hands them to `read`.

    What `read` gets has `fetchall`, `fetchnumpy`, `df` and `to_arrow_table`; it is valid until `read` returns.
    """

    def __call__(self, slots: Slots, columns: tuple[str, ...], read: Callable[[Any], T]) -> T:
        """Return what `read` returns."""
        ...


@dataclass(frozen=True)
class Vectors:
    """The vectors of n rows: (n, dim) float32, float16 or int8, and which rows have one (None: all)."""

    values: StoredMatrix
    present: npt.NDArray[np.bool_] | None

    def to_list(self) -> list[StoredMatrix | None]:
        """One (dim,) array or None per row."""
        if self.present is None:
            return list(self.values)
        return [row if there else None for row, there in zip(self.values, self.present, strict=True)]


Computed: TypeAlias = npt.NDArray[Any] | Vectors


@dataclass(frozen=True)
class Columns:
    """The columns of a result.

    Attributes
    ----------
    slots : Slots
        (n,), the rows.
    order : tuple of str
        Every column, in the order it is shown.
    stored : mapping of str to str
        The columns to fetch and their DuckDB types.
    computed : mapping of str to Computed
        The columns at hand, n values each.
    fetch : Fetch
        Reads those of `stored`.
    """

    slots: Slots
    order: tuple[str, ...]
    stored: Mapping[str, str]
    computed: Mapping[str, Computed]
    fetch: Fetch


def to_dicts(columns: Columns) -> list[dict[str, Any]]:
    """Return a dict per row; vectors are (dim,) arrays."""
    n = len(columns.slots)
    values: dict[str, Any] = {
        name: held.to_list() if isinstance(held, Vectors) else held.tolist() for name, held in columns.computed.items()
    }
    zoned = tuple(name for name, kind in columns.stored.items() if kind == _ZONED)
    plain = tuple(name for name in columns.stored if name not in zoned)
    if n and plain:
        rows = columns.fetch(columns.slots, plain, lambda result: result.fetchall())
        _check_count(n, len(rows))
        values |= zip(plain, zip(*rows, strict=True), strict=True)
    if n and zoned:  # as Python objects DuckDB gives these only where pytz is installed
        arrays = columns.fetch(columns.slots, zoned, lambda result: result.fetchnumpy())
        values |= {name: _datetimes(arrays[name]) for name in zoned}
    return [{name: values[name][row] for name in columns.order} for row in range(n)]


def to_pandas(columns: Columns) -> Any:
    """Return a pandas.DataFrame; vectors are (dim,) arrays in a column of objects."""
    pandas = package("pandas")
    frame = pandas.DataFrame(index=range(len(columns.slots)))
    if columns.stored:
        frame = columns.fetch(columns.slots, tuple(columns.stored), lambda result: result.df())
        _check_count(len(columns.slots), len(frame))
    for name, held in columns.computed.items():
        if isinstance(held, Vectors):
            frame[name] = pandas.Series(held.to_list(), dtype=object)
        else:
            frame[name] = held
    return frame[list(columns.order)]


def to_arrow(columns: Columns) -> Any:
    """Return a pyarrow.Table; vectors are fixed-size lists of float, halffloat or int8."""
    pa = package("pyarrow")
    arrays: dict[str, Any] = {}
    if columns.stored:
        table = columns.fetch(columns.slots, tuple(columns.stored), arrow_table)
        _check_count(len(columns.slots), table.num_rows)
        arrays = dict(zip(table.column_names, table.columns, strict=True))
    for name, held in columns.computed.items():
        if isinstance(held, Vectors):
            mask = None if held.present is None else pa.array(~held.present)
            flat = pa.array(held.values.reshape(-1))
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, held.values.shape[1], mask=mask)
        else:
            arrays[name] = pa.array(held)
    return pa.table({name: arrays[name] for name in columns.order})


def to_polars(columns: Columns) -> Any:
    """Return a polars.DataFrame; vectors are of type Array."""
    return package("polars").from_arrow(to_arrow(columns))


def arrow_table(result: Any) -> Any:
    """The rows of a result of DuckDB as a pyarrow.Table."""
    with warnings.catch_warnings():  # DuckDB would rather make Arrow tables without the rows of a DB-API result
        warnings.simplefilter("ignore", UserWarning)
        return result.to_arrow_table()


def _datetimes(array: npt.NDArray[np.datetime64]) -> list[dt.datetime | None]:
    """Turn instants in UTC, as `fetchnumpy` returns them, into Python's."""
    values = np.ma.filled(array, np.datetime64("NaT")).astype("datetime64[us]").tolist()
    return [value.replace(tzinfo=dt.timezone.utc) if isinstance(value, dt.datetime) else value for value in values]


def _check_count(expected: int, found: int) -> None:
    if found != expected:
        raise InvalidState(
            f"{expected - found} of {expected} rows were deleted or replaced since they were found.\n"
            f"  Fix: read the columns of a result before the next write, or inside db.transaction()."
        )


def package(name: str) -> Any:
    """A package of an extra; InvalidState where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InvalidState(f"{name} is not installed.\n  Fix: pip install 'vdb[{_EXTRAS[name]}]'.") from error
