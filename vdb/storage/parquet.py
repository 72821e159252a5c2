"""Parquet files as columns, read by a DuckDB of their own: a database's is confined and opens no other file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import duckdb

from vdb.errors import InvalidArgument

if TYPE_CHECKING:
    import numpy.typing as npt


def read_parquet(path: str | os.PathLike[str], order_by: str | None = None) -> dict[str, npt.NDArray[Any]]:
    """Return every column, lists as object arrays, NULLs masked; rows ordered by a column where one is named.

    InvalidArgument where the file is missing or is not Parquet.
    """
    order = "" if order_by is None else ' ORDER BY "' + order_by.replace('"', '""') + '"'
    with duckdb.connect(":memory:") as connection:
        try:
            columns: dict[str, npt.NDArray[Any]] = connection.execute(
                f"SELECT * FROM read_parquet(?){order}", [os.fspath(path)]
            ).fetchnumpy()
        except duckdb.Error as error:
            raise InvalidArgument(f"cannot read {os.fspath(path)}: {error}.\n  Fix: pass a Parquet file.") from error
    return columns
