"""Values of each DuckDB type as int64 keys in DuckDB's order, and where a constant stands among the keys.

A position is given only where every type in which DuckDB might compare the two gives the same answer; for the rest
there is DuckDB. Keys at the ends of int64 stand for all that is further out.
"""

from __future__ import annotations

import datetime
import math
import re
import struct
import uuid
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import duckdb
import numpy as np

from vdb.storage.connection import parser_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Keys = npt.NDArray[np.int64]

KEY_NULL: Final = -(2**63)  # of a row that is NULL, and of no value
KEY_MIN: Final = -(2**63) + 1
KEY_MAX: Final = 2**63 - 1
KEY_NAN: Final = 0x7FF8_0000_0000_0000  # of a FLOAT or DOUBLE: above that of infinity, 0x7FF0_...

_EXACT: Final = 2**53  # below it a DOUBLE holds every integer
_EXACT_FLOAT: Final = 2**24  # and a FLOAT below this
_DIGITS: Final = 15  # of decimals that stay different as DOUBLEs
_DIVISORS: Final = 22  # 10^22 is the largest power of ten that a DOUBLE holds
_CASTS_CACHED: Final = 4_096
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_MOST_DECIMAL: Final = 18  # digits that an int64 holds
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH_DAY: Final = datetime.date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime.datetime(1970, 1, 1)
_EPOCH_UTC: Final = _EPOCH.replace(tzinfo=datetime.timezone.utc)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)


class Position(NamedTuple):
    """Keys up to `below` are of smaller values, those from `above` on of greater ones, those between of equal ones."""

    below: int
    above: int


_AFTER_ALL: Final = Position(KEY_MAX, KEY_MAX + 1)
_BEFORE_ALL: Final = Position(KEY_MIN - 1, KEY_MIN)


class Encoding(NamedTuple):
    """How values of a type become keys.

    Attributes
    ----------
    type : str
        DuckDB's spelling.
    sql : str
        What DuckDB makes of `{item}`: the key, or for `is_float` a DOUBLE and for `is_text` the text it is known by.
    position : callable
        The Position of a Python value that DuckDB would bind as it is, None where that is left to DuckDB.
    """

    type: str
    sql: str
    position: Callable[[Any], Position | None]
    is_float: bool = False
    is_text: bool = False

    def keys(self, values: npt.NDArray[Any]) -> Keys:
        """The keys of what `sql` gave, (n,); not for texts."""
        if self.is_float:
            return float_keys(np.asarray(values, np.float64))
        return np.asarray(values, np.int64)

    def position_of_text(self, text: str) -> Position | None:
        """The position of a text that DuckDB casts to the type; not for texts."""
        if self.type == "TIMESTAMP WITH TIME ZONE":  # depends on the time zone of the connection
            return None
        day = day_of(text) if self.type == "DATE" else None
        if day is not None:
            return exactly(day)
        key = _cast(self.type, self.sql, text)
        if key is None:
            return None
        number = int(float_keys(np.array([key], np.float64))[0]) if self.is_float else int(key)
        return exactly(number) if KEY_MIN < number < KEY_MAX else None


def encoding_of(type: str) -> Encoding | None:  # noqa: A002 -- it is what DuckDB calls it
    """How the values of a DuckDB type become keys, None where it has no order that vdb knows."""
    known = _ENCODINGS.get(type)
    if known is not None:
        return known
    decimal = _DECIMAL.fullmatch(type)
    if decimal is None or int(decimal[1]) > _MOST_DECIMAL:
        return None
    return _decimal(type, int(decimal[1]), int(decimal[2]))


def item_type(type: str) -> str | None:  # noqa: A002
    """The type of the items of a list, None where it is not one."""
    return type[:-2] if type.endswith("[]") else None


def exactly(key: int) -> Position:
    """The position of the value that has the key."""
    return Position(key - 1, key + 1)


def float_keys(values: npt.NDArray[np.float64]) -> Keys:
    """Keys of floats: their bits as sign and magnitude, one zero, one NaN."""
    bits = (values + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    keys = np.where(bits < 0, -(bits & KEY_MAX), bits)
    keys[np.isnan(values)] = KEY_NAN
    return keys


def _integer(value: Any) -> Position | None:
    """Among integers, all of which have their own keys but for those at the ends."""
    kind = type(value)
    if kind is int:
        return exactly(value) if KEY_MIN < value < KEY_MAX else None
    if kind is float:
        if math.isnan(value):
            return _AFTER_ALL
        if math.isinf(value):
            return _AFTER_ALL if value > 0 else _BEFORE_ALL
        return _between_integers(value) if abs(value) < _EXACT else None
    if kind is Decimal and _is_short(value):
        return _between_integers(value)
    return None


def _between_integers(value: float | Decimal) -> Position:
    floor = math.floor(value)
    return exactly(floor) if floor == value else Position(floor, floor + 1)


def _boolean(value: Any) -> Position | None:
    return exactly(int(value)) if type(value) is bool else None


def _double(value: Any) -> Position | None:
    kind = type(value)
    if kind is int:
        return _of_float(float(value)) if abs(value) <= _EXACT else None
    if kind is Decimal:
        return _of_float(float(value)) if _is_short(value) else None
    return _of_float(value) if kind is float else None


def _single(value: Any) -> Position | None:
    """Among FLOATs: as DOUBLEs they are compared with a DOUBLE; other numbers must be FLOATs themselves."""
    kind = type(value)
    if kind is float:
        return _of_float(value)
    if kind is int:
        return _of_float(float(value)) if abs(value) <= _EXACT_FLOAT else None
    if kind is not Decimal or not _is_short(value):
        return None
    number = float(value)
    return _of_float(number) if Decimal(float(np.float32(number))) == value else None


def _of_float(value: float) -> Position:
    if math.isnan(value):
        return exactly(KEY_NAN)
    (bits,) = struct.unpack("<q", struct.pack("<d", value + 0.0))
    return exactly(bits if bits >= 0 else -(bits & KEY_MAX))


def _is_short(value: Decimal) -> bool:
    """Whether a decimal is the same number in every type that DuckDB may compare it in."""
    if not value.is_finite():
        return False
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    return len(digits) <= _DIGITS and -_DIVISORS < exponent <= _DIGITS - len(digits)


def _decimal(type: str, width: int, scale: int) -> Encoding:  # noqa: A002
    factor = 10**scale

    def position(value: Any) -> Position | None:
        kind = value.__class__
        if kind is int:
            return exactly(value * factor) if abs(value) < 10**_DIGITS else None
        if kind is Decimal and _is_short(value):
            return _between_integers(value * factor)
        if kind is float and width <= _DIGITS:
            if math.isnan(value) or math.isinf(value):
                return _integer(value)
            return _as_floats(value, factor, 10**width)
        return None

    sql = (
        "CAST({item} AS BIGINT)" if scale == 0 else f"CAST(CAST({{item}} AS DECIMAL(38,{scale})) * {factor} AS BIGINT)"
    )
    return Encoding(type, sql, position)


def _as_floats(value: float, factor: int, end: int) -> Position:
    """Among decimals that are compared as DOUBLEs: two searches, for the first that is not less, and is greater."""

    def first(holds: Callable[[float], bool]) -> int:
        low, high = -end, end  # every key is between
        while low < high:
            middle = (low + high) // 2
            if holds(middle / factor):
                high = middle
            else:
                low = middle + 1
        return low

    return Position(first(lambda number: number >= value) - 1, first(lambda number: number > value))


def _date(value: Any) -> Position | None:
    if type(value) is not datetime.date or _stands_for_infinity(value):
        return None
    return exactly(value.toordinal() - _EPOCH_DAY)


def day_of(text: str) -> int | None:
    """The days since 1970 of a text of the form 2020-01-31; None where it is of another form or no such day."""
    if _DAY.fullmatch(text) is None:
        return None
    try:
        return datetime.date.fromisoformat(text).toordinal() - _EPOCH_DAY
    except ValueError:
        return None


def _stands_for_infinity(day: datetime.date) -> bool:
    """Whether a day is the first or the last that Python has, which DuckDB's client takes and gives for infinity."""
    return (day.year, day.month, day.day) in ((1, 1, 1), (9999, 12, 31))


def _timestamp(value: Any) -> Position | None:
    if isinstance(value, datetime.date) and _stands_for_infinity(value):
        return None
    if type(value) is datetime.date:
        value = datetime.datetime(value.year, value.month, value.day)
    if type(value) is not datetime.datetime or value.tzinfo is not None:
        return None
    return exactly((value - _EPOCH) // _MICROSECOND)


def _timestamp_tz(value: Any) -> Position | None:
    if type(value) is not datetime.datetime or value.tzinfo is None or _stands_for_infinity(value):
        return None
    return exactly((value - _EPOCH_UTC) // _MICROSECOND)


def _time(value: Any) -> Position | None:
    if type(value) is not datetime.time or value.tzinfo is not None:
        return None
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return exactly(seconds * 1_000_000 + value.microsecond)


def _no_position(value: Any) -> Position | None:  # noqa: ARG001
    """Of texts, whose positions are known to their own column, and of types that DuckDB compares in several ways."""
    return None


def text_of(value: object) -> str | None:
    """The text that a value of a text type is known by."""
    if type(value) is str:
        return value
    return str(value) if isinstance(value, uuid.UUID) else None


@lru_cache(maxsize=_CASTS_CACHED)
def _cast(type: str, sql: str, text: str) -> Any:  # noqa: A002
    """What DuckDB makes of a text cast to a type; None where it does not read."""
    query = f"SELECT {sql.format(item='v')} FROM (SELECT TRY_CAST($1 AS {type}) AS v)"
    try:
        row = parser_connection().execute(query, [text]).fetchone()
    except duckdb.Error:
        return None
    return row[0] if row else None


def cast_text(type: str, text: str) -> str | None:  # noqa: A002
    """A text as the type spells it: what rows of a text type that equal it are known by."""
    return text if type == "VARCHAR" else _cast(type, "CAST({item} AS VARCHAR)", text)


def _finite(type: str, key: str) -> str:  # noqa: A002
    """SQL for the key of a date or time, those of the infinite ones at the ends."""
    return (
        f"CASE WHEN isfinite({{item}}) THEN {key} WHEN {{item}} > CAST('1970-01-01' AS {type}) THEN {KEY_MAX}"
        f" ELSE {KEY_MIN} END"
    )


def _encodings() -> dict[str, Encoding]:
    narrow = ("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER")
    wide = {
        "BIGINT": f"greatest({{item}}, {KEY_MIN})",
        "UBIGINT": f"CAST(least({{item}}, CAST({KEY_MAX} AS UBIGINT)) AS BIGINT)",
        "HUGEINT": f"CAST(greatest(least({{item}}, CAST({KEY_MAX} AS HUGEINT)), CAST({KEY_MIN} AS HUGEINT)) AS BIGINT)",
        "UHUGEINT": f"CAST(least({{item}}, CAST({KEY_MAX} AS UHUGEINT)) AS BIGINT)",
    }
    days = _finite("DATE", "CAST({item} - DATE '1970-01-01' AS BIGINT)")
    made = [
        *(Encoding(name, "CAST({item} AS BIGINT)", _integer) for name in narrow),
        *(Encoding(name, sql, _integer) for name, sql in wide.items()),
        Encoding("BOOLEAN", "CAST({item} AS BIGINT)", _boolean),
        Encoding("FLOAT", "CAST({item} AS DOUBLE)", _single, is_float=True),
        Encoding("DOUBLE", "{item}", _double, is_float=True),
        Encoding("VARCHAR", "{item}", _no_position, is_text=True),
        Encoding("UUID", "CAST({item} AS VARCHAR)", _no_position, is_text=True),
        Encoding("DATE", days, _date),
        Encoding("TIME", "date_diff('microsecond', TIME '00:00:00', {item})", _time),
        Encoding("TIMESTAMP", _finite("TIMESTAMP", "epoch_us({item})"), _timestamp),
        Encoding("TIMESTAMP WITH TIME ZONE", _finite("TIMESTAMP WITH TIME ZONE", "epoch_us({item})"), _timestamp_tz),
        Encoding("TIMESTAMP_S", _finite("TIMESTAMP_S", "epoch({item})::BIGINT"), _no_position),
        Encoding("TIMESTAMP_MS", _finite("TIMESTAMP_MS", "epoch_ms({item})"), _no_position),
        Encoding("TIMESTAMP_NS", _finite("TIMESTAMP_NS", "epoch_ns({item})"), _no_position),
    ]
    return {encoding.type: encoding for encoding in made}


_ENCODINGS: Final = _encodings()
