"""What opening costs: a graph and codes from their snapshots, and a whole database with its first search.

    python bench/micro/open.py [--rows 1000000] [--table-rows 1000000]

The graph is a snapshot of random edges, written as csrc/io/FORMAT.md lists it: its size is that of a real one, and
nobody waits for a build. All files are in the system's cache. A table is built for real, over vectors of 4 dimensions.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
import time
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import vdb
from bench import machine
from bench.adapters.base import bytes_below
from bench.report import markdown
from vdb import _core

if TYPE_CHECKING:
    from collections.abc import Callable

M = 16
ABSENT = 0xFFFFFFFF
HEADER_BYTES = 4096
TABLE_AT = 2048
CODE_DIM = 48  # of SQ8: records of 80 bytes
TABLE_DIM = 4
REPEATS = 7

Bytes = npt.NDArray[np.uint8]
Slots = npt.NDArray[np.uint32]


def main() -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--table-rows", type=int, default=0, help="rows of the table, 0: none")
    options = parser.parse_args()
    lines = [["what", "MB", "median ms", "fastest ms", "processor ms"]]
    with tempfile.TemporaryDirectory() as folder:
        graph, codes = Path(folder, "graph"), Path(folder, "codes")
        write_container(graph, random_graph(options.rows, np.random.default_rng(1)))
        save_codes(codes, options.rows)
        content = np.fromfile(graph, np.uint8)
        lines.append(["crc32c of the graph, one thread", *timed(lambda: _core.crc32c(content), len(content))])
        lines.append(["Hnsw.load", *timed(lambda: _core.Hnsw.load(str(graph)), len(content))])
        lines.append(["Codes.load", *timed(lambda: _core.Codes.load(str(codes)), codes.stat().st_size)])
        loaded = _core.Hnsw.load(str(graph))
        lines.append(["of Hnsw.load: the check of the edges", *timed(loaded.check, len(content))])
        if options.table_rows:
            lines += open_database(Path(folder, "db"), options.table_rows)
    print(f"{options.rows} rows, M={M}, {machine.describe()['cores']} cores; {machine.describe()['processor']}")
    print("\n".join(markdown(lines)))
    return 0


def timed(call: Callable[[], object], size: int) -> list[str]:
    """MB, and milliseconds of a call: median, least, and least of the processor time of all threads."""
    spent = []
    for _ in range(REPEATS):
        begin = clocks()
        kept = call()
        spent.append(clocks() - begin)
        del kept
    return summary(size, np.array(spent))


def clocks() -> npt.NDArray[np.float64]:
    """Milliseconds on the wall, and of the processor time of all threads."""
    return np.array([1e3 * time.perf_counter(), 1e3 * time.process_time()])


def summary(size: int, spent: npt.NDArray[np.float64]) -> list[str]:
    """The cells of (repeats, 2) wall and processor times."""
    cells = [np.median(spent[:, 0]), spent[:, 0].min(), spent[:, 1].min()]
    return [f"{size / 1e6:.0f}", *(f"{cell:.1f}" for cell in cells)]


def random_graph(rows: int, random: np.random.Generator) -> dict[str, Bytes]:
    """The sections of a graph of random edges: 24 of 32 on level 0, all 16 above."""
    levels = np.minimum(-np.log(1 - random.random(rows)) / np.log(M), 30).astype(np.uint8)
    base = random_edges(np.arange(rows, dtype=np.uint32), rows, 2 * M, random)
    base[:, 3 * M // 2 :] = ABSENT
    owners, heights = rows_above(levels)
    upper = np.empty((len(owners), M), np.uint32)
    for level in range(1, int(levels.max()) + 1):
        members = np.flatnonzero(levels >= level).astype(np.uint32)
        at = np.flatnonzero(heights == level)
        if len(members) > 1:
            upper[at] = members[random_edges(np.arange(len(at), dtype=np.uint32), len(members), M, random)]
        else:
            upper[at] = ABSENT
    entry = int(np.argmax(levels))
    params = struct.pack("<6I3Q", M, 100, TABLE_DIM, 0, int(levels[entry]), entry, 42, rows, rows)
    return {
        "params": np.frombuffer(params, np.uint8),
        "levels": levels,
        "base": base.reshape(-1).view(np.uint8),
        "upper": upper.reshape(-1).view(np.uint8),
    }


def random_edges(own: Slots, below: int, width: int, random: np.random.Generator) -> Slots:
    """(len(own), width) numbers below `below`, none in a row its own."""
    edges = random.integers(0, below - 1, (len(own), width), dtype=np.uint32)
    return edges + (edges >= own[:, None])


def rows_above(levels: npt.NDArray[np.uint8]) -> tuple[Slots, npt.NDArray[np.int64]]:
    """The node and the level of each row of the upper levels, in the order of the file."""
    owners = np.repeat(np.arange(len(levels), dtype=np.uint32), levels)
    first = np.cumsum(levels, dtype=np.int64) - levels
    return owners, np.arange(len(owners)) - first[owners] + 1


def write_container(path: Path, sections: dict[str, Bytes]) -> None:
    """A snapshot file of these sections."""
    header = bytearray(HEADER_BYTES)
    struct.pack_into("<8s2H3I", header, 0, b"VDBIDX\r\n", 1, 0, 0x0A0B0C0D, len(sections), 0)
    offset = HEADER_BYTES
    for number, (tag, data) in enumerate(sections.items()):
        entry = struct.pack("<8s2QI4x", tag.encode(), offset, len(data), _core.crc32c(data))
        header[TABLE_AT + 32 * number : TABLE_AT + 32 * (number + 1)] = entry
        offset += padded(len(data))
    crc = _core.crc32c(bytes(header[:-4]))
    struct.pack_into("<I", header, HEADER_BYTES - 4, crc)
    footer = struct.pack("<8sQI40x", b"VDBEND\r\n", offset + 64, crc)
    with path.open("wb") as file:
        file.write(header)
        for data in sections.values():
            file.write(data.tobytes().ljust(padded(len(data)), b"\0"))
        file.write(footer + struct.pack("<I", _core.crc32c(footer)))


def padded(size: int) -> int:
    """The next multiple of 64."""
    return -(-size // 64) * 64


def save_codes(path: Path, rows: int) -> None:
    """A snapshot of SQ8 codes."""
    codes = _core.Codes(CODE_DIM, "l2", "sq8")
    codes.extend(_core.VectorView(vectors(rows, CODE_DIM), "l2"))
    codes.save(str(path), b"")


def vectors(rows: int, dim: int) -> npt.NDArray[np.float32]:
    """Random ones, the same for the same shape."""
    return np.random.default_rng(2).standard_normal((rows, dim), dtype=np.float32)


def open_database(path: Path, rows: int) -> list[list[str]]:
    """What connect, the first search by the graph and a second one cost."""
    values = vectors(rows, TABLE_DIM)
    with vdb.connect(path) as db:
        table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "v": f"FLOAT[{TABLE_DIM}]"}, metric="l2")
        table.add({"id": np.arange(rows)}, v=values)
        table.create_index("v", vdb.HNSW(M=M, ef_construction=M))
    spent = np.empty((REPEATS, 3, 2))
    for repeat in range(REPEATS):
        times = [clocks()]
        with vdb.connect(path, read_only=True) as db:
            times.append(clocks())
            for _ in range(2):
                len(db.table("t").search(values[0], k=10, ef_search=50).ids)
                times.append(clocks())
        spent[repeat] = np.diff(times, axis=0)
    size = bytes_below(path)
    steps = ("vdb.connect", "its first search", "its second search")
    return [[f"{step}, a table of {rows} rows", *summary(size, spent[:, at])] for at, step in enumerate(steps)]


if __name__ == "__main__":
    sys.exit(main())
