"""The tabular forms a caller may pass, read as one: named columns of equal length.

A dict of columns, one dict, a list of dicts and a pandas frame hold numpy arrays or Python objects, which `values`
looks through; Arrow and polars hold types of their own, which DuckDB reads as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vdb.dtypes import is_real
from vdb.errors import InvalidArgument, InvalidState
from vdb.storage.values import as_column, check_integral, is_nested

if TYPE_CHECKING:
    from vdb.storage.values import ColumnArray

_FORMS: Final = "a dict of columns, a list of dicts, a pandas or polars frame, or an Arrow table"


class Tabular(ABC):
    """Columns by name.

    Attributes
    ----------
    lengths : mapping of str to int
        The number of rows of each column.
    single : str or None
        A column given as a single value, which made a dict one row.
    """

    lengths: Mapping[str, int]
    single: str | None = None

    @abstractmethod
    def raw(self, name: str) -> Any:
        """Return a column as the caller gave it."""

    @abstractmethod
    def relation(self, table: str, types: Mapping[str, str | None]) -> Any:
        """Return these columns as an object DuckDB's `register` takes, checked against their declared types."""

    def column(self, table: str, name: str, declared: str | None) -> ColumnArray:
        """Return one column as a numpy array, checked against its declared type."""
        return as_column(self.raw(name), f"{table}.{name}", declared)


class PythonColumns(Tabular):
    """Columns in numpy arrays, lists and Series."""

    def __init__(self, columns: Mapping[str, Any], single: str | None = None) -> None:
        self._columns = columns
        self.single = single
        self.lengths = {name: len(values) for name, values in columns.items()}

    def raw(self, name: str) -> Any:
        """Return a column as the caller gave it."""
        return self._columns[name]

    def relation(self, table: str, types: Mapping[str, str | None]) -> dict[str, ColumnArray]:
        """Return the columns as a dict of arrays."""
        return {name: self.column(table, name, declared) for name, declared in types.items()}


class ArrowColumns(Tabular):
    """The columns of a pyarrow Table."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.lengths = dict.fromkeys(_distinct(table.column_names), table.num_rows)

    def raw(self, name: str) -> Any:
        """Return a column as the caller gave it."""
        return self._table.column(name)

    def relation(self, table: str, types: Mapping[str, str | None]) -> Any:
        """Return the columns as a pyarrow Table."""
        import pyarrow.types as kinds

        for name, declared in types.items():
            kind, where = self._table.schema.field(name).type, f"{table}.{name}"
            if kinds.is_floating(kind):
                check_integral(np.asarray(self.raw(name).drop_null()), where, declared)
            bytes_in_text = "binary" in str(kind) and declared == "VARCHAR"  # polars has binary views
            lists_in_scalar = kinds.is_nested(kind) and not is_nested(declared or "VARIANT") and declared != "JSON"
            if declared is not None and (bytes_in_text or lists_in_scalar):
                raise InvalidArgument(f"{where} is {kind}, but the column is {declared}.\n  Fix: convert the column.")
        return self._table.select(list(types))


def read_tabular(data: Any) -> Tabular:
    """Recognise what the caller passed.

    Parameters
    ----------
    data : object or None
        One of the forms the module names, or None for no columns at all.

    Raises
    ------
    InvalidArgument
        It is none of them, or a column name is not a string or occurs twice.
    InvalidState
        It is a polars frame and pyarrow is not installed.
    """
    if data is None:
        return PythonColumns({})
    if isinstance(data, Mapping):
        return _read_mapping(data)
    if isinstance(data, (list, tuple)):
        return PythonColumns(_columns_of_rows(data))
    module = type(data).__module__.partition(".")[0]
    if module == "pandas" and hasattr(data, "columns"):
        return PythonColumns({name: data[name] for name in _distinct(data.columns)})
    if module in ("pyarrow", "polars") or hasattr(data, "__arrow_c_stream__"):
        return ArrowColumns(_as_arrow_table(data))
    raise _unknown_form(data)


def is_one_vector(values: Any) -> bool:
    """Whether `values` is a flat sequence of numbers, the vector of a single row."""
    if isinstance(values, (list, tuple)):
        return len(values) > 0 and all(isinstance(value, (int, float, np.number)) for value in values)
    return isinstance(values, np.ndarray) and values.ndim == 1 and is_real(values)


def _read_mapping(data: Mapping[Any, Any]) -> PythonColumns:
    """Read a dict as columns, or as one row where any of its values is a single one."""
    _distinct(data)
    single = next((name for name, values in data.items() if _is_single(values)), None)
    if single is not None:
        return PythonColumns({name: [value] for name, value in data.items()}, single)
    return PythonColumns(dict(data))


def _columns_of_rows(rows: Sequence[Any]) -> dict[str, Any]:
    for row, value in enumerate(rows):
        if not isinstance(value, Mapping):
            raise InvalidArgument(
                f"row {row} is a {type(value).__name__}, not a dict.\n  Fix: pass each row as {{'column': value}}."
            )
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in _distinct(names)}


def _is_single(values: Any) -> bool:
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        return True
    return isinstance(values, np.ndarray) and values.ndim == 0


def _as_arrow_table(data: Any) -> Any:
    if hasattr(data, "collect") and hasattr(data, "lazy"):
        raise InvalidArgument("the data is a polars LazyFrame.\n  Fix: pass frame.collect().")
    try:
        import pyarrow as pa
    except ImportError as error:
        raise InvalidState("reading this frame needs pyarrow.\n  Fix: pip install 'vdb[arrow]'.") from error
    try:
        return data if isinstance(data, pa.Table) else pa.table(data)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise _unknown_form(data) from error


def _distinct(names: Any) -> list[str]:
    """Return the names of columns as a list, each a string and there once."""
    listed = list(names)
    for name in listed:
        if not isinstance(name, str):
            raise InvalidArgument(f"column name {name!r} is a {type(name).__name__}.\n  Fix: name columns by strings.")
    twice = next((name for name in listed if listed.count(name) > 1), None) if len(set(listed)) < len(listed) else None
    if twice is not None:
        raise InvalidArgument(f"the data has two columns {twice!r}.\n  Fix: rename or drop one.")
    return listed


def _unknown_form(data: Any) -> InvalidArgument:
    return InvalidArgument(f"cannot read rows from a {type(data).__name__}.\n  Fix: pass {_FORMS}.")
