"""fvecs and ivecs: each record an int32 count and as many values of four bytes, little-endian.

Reading is in chunks, and whatever is wrong with a file is a `BadFile` that names it and the byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.datasets import FloatMatrix

CHUNK_BYTES = 16 << 20
MOST_DIM = 65_536  # of a vector that is believed
VALUE_BYTES = 4
AGAIN = "Fetch or make the file again (python bench/data.py --help)."

Rows = npt.NDArray[np.int64]


class BadFile(ValueError):
    """A file of a data set is not what its layout says: which file, where in it, what was expected, what to do."""


def chunk_rows(dim: int) -> int:
    """How many vectors are read or written at a time."""
    return max(CHUNK_BYTES // (VALUE_BYTES * (dim + 1)), 1)


@dataclass(frozen=True)
class Fvecs:
    """A file of vectors of one dimension; `open` checks its size, reading checks every record."""

    path: Path
    rows: int
    dim: int

    @staticmethod
    def open(path: Path) -> Fvecs:
        """Look at the first record and at the size of the file. BadFile where it is absent, empty or truncated."""
        size = _size(path)
        if size < VALUE_BYTES:
            raise BadFile(f"{path}: {size} bytes; expected vectors, each behind its dimension. {AGAIN}")
        dim = int(np.fromfile(path, "<i4", 1)[0])
        if not 0 < dim <= MOST_DIM:
            raise BadFile(f"{path}: byte 0 says {dim} dimensions; expected 1 to {MOST_DIM}. {AGAIN}")
        rows, left = divmod(size, VALUE_BYTES * (dim + 1))
        if left:
            begin = size - left
            raise BadFile(
                f"{path}: truncated: vector {rows} begins at byte {begin} and has {left} of the "
                f"{VALUE_BYTES * (dim + 1)} bytes that {dim} dimensions take. {AGAIN}"
            )
        return Fvecs(path, rows, dim)

    def chunks(self, first: int = 0, rows: int | None = None) -> Iterator[FloatMatrix]:
        """(<= chunk, dim) float32 from row `first` on, up to row `rows`; BadFile at a record of another dimension."""
        end = self.rows if rows is None else min(rows, self.rows)
        for begin in range(first, end, chunk_rows(self.dim)):
            yield self._read(begin, min(chunk_rows(self.dim), end - begin))

    def head(self, rows: int | None = None) -> FloatMatrix:
        """The first rows in memory."""
        count = self.rows if rows is None else min(rows, self.rows)
        whole = np.empty((count, self.dim), np.float32)
        begin = 0
        for part in self.chunks(rows=count):
            whole[begin : begin + len(part)] = part
            begin += len(part)
        return whole

    def mapped(self) -> FloatMatrix:
        """(rows, dim) float32 over the file itself, read when it is looked at; its records are not checked."""
        records = np.memmap(self.path, "<f4", "r", shape=(self.rows, self.dim + 1))
        return records[:, 1:]

    def _read(self, begin: int, count: int) -> FloatMatrix:
        record = VALUE_BYTES * (self.dim + 1)
        words = np.fromfile(self.path, "<i4", count * (self.dim + 1), offset=begin * record)
        records = words.reshape(count, self.dim + 1)
        wrong = np.flatnonzero(records[:, 0] != self.dim)
        if len(wrong):
            row = begin + int(wrong[0])
            raise BadFile(
                f"{self.path}: vector {row} at byte {row * record} has {records[wrong[0], 0]} dimensions; expected "
                f"{self.dim}, as those before it. {AGAIN}"
            )
        vectors = np.ascontiguousarray(records[:, 1:]).view("<f4")
        broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(broken):
            row = begin + int(broken[0])
            raise BadFile(
                f"{self.path}: vector {row} at byte {row * record} has a value that is not finite; expected numbers. "
                f"{AGAIN}"
            )
        return vectors


def write_fvecs(path: Path, parts: Iterable[FloatMatrix]) -> int:
    """Write (n, dim) float32 parts one after the other and return the rows written."""
    rows = 0
    with path.open("wb") as file:
        for part in parts:
            records = np.empty((len(part), part.shape[1] + 1), "<i4")
            records[:, 0] = part.shape[1]
            records[:, 1:] = np.ascontiguousarray(part, "<f4").view("<i4")
            records.tofile(file)
            rows += len(part)
    return rows


def read_ivecs(path: Path, limit: int) -> list[Rows]:
    """The lists of a file, each of a length of its own, row numbers below `limit`; BadFile where not."""
    size = _size(path)
    if size % VALUE_BYTES:
        raise BadFile(f"{path}: truncated: {size} bytes are no whole number of int32 values. {AGAIN}")
    words = np.fromfile(path, "<i4")
    lists: list[Rows] = []
    at = 0
    while at < len(words):
        count = int(words[at])
        if not 0 <= count <= len(words) - at - 1:
            raise BadFile(
                f"{path}: list {len(lists)} at byte {at * VALUE_BYTES} says {count} values; expected at most the "
                f"{len(words) - at - 1} that follow. {AGAIN}"
            )
        values = words[at + 1 : at + 1 + count]
        wrong = np.flatnonzero((values < 0) | (values >= limit))
        if len(wrong):
            raise BadFile(
                f"{path}: list {len(lists)} has {values[wrong[0]]} at byte {(at + 1 + int(wrong[0])) * VALUE_BYTES}; "
                f"expected a row of the database, 0 to {limit - 1}. {AGAIN}"
            )
        lists.append(values.astype(np.int64))
        at += count + 1
    return lists


def write_ivecs(path: Path, lists: Iterable[Rows]) -> None:
    """Write lists of row numbers, each as long as it is."""
    with path.open("wb") as file:
        for values in lists:
            np.concatenate([[len(values)], values]).astype("<i4").tofile(file)


def _size(path: Path) -> int:
    if not path.is_file():
        raise BadFile(f"{path}: no such file; expected one of the published layout. {AGAIN}")
    return path.stat().st_size
