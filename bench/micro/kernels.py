"""How fast each kernel reads rows: from memory beside a plain read of it, in cache beside SimSIMD's kernels.

    python bench/micro/kernels.py

Block forms over rows that are a fixed number of bytes: 256 MiB from memory, 256 KiB from the second-level cache. A
plain read of the same bytes is measured before each kernel, SimSIMD (PyPI `simsimd`) where it is installed and has a
kernel of the dtype, and everything takes turns in one process. Below the table, 1-bit codes gathered at random.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from typing import TYPE_CHECKING, Any

import numpy as np

from bench import machine
from bench.report import markdown
from vdb import _core

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Rows = npt.NDArray[np.uint8]

testing: Any = vars(_core)["testing"]  # which the stub leaves out

MEMORY_BYTES = 256 << 20
CACHE_BYTES = 256 << 10
PQ4_BLOCK = 32
GATHER_DIM, GATHER_CODES = 4_096, 500_000
SIMSIMD = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "int8": "i8"}


@dataclass(frozen=True)
class Case:
    """A kernel and the bytes of a row of `dim` dimensions; `operation` matters to distances only."""

    kernel: str
    operation: str
    bits: int  # of a dimension

    def row_bytes(self, dim: int) -> int:
        """Bytes of a row; of a block of 32 rows where the kernel reads blocks."""
        return dim * self.bits // 8 * (PQ4_BLOCK if self.kernel == "pq4" else 1)

    def argument(self, dim: int) -> int:
        """What the kernel takes for a dimension: PQ counts sub-quantisers, here of four dimensions each."""
        return dim // 4 if self.kernel.startswith("pq") else dim


CASES = [
    *(
        Case(kernel, operation, bits)
        for kernel, bits in (("float32", 32), ("float16", 16), ("bfloat16", 16), ("int8", 8))
        for operation in ("inner_product", "l2_squared")
    ),
    *(Case(f"u{bits}", "inner_product", bits) for bits in (8, 4, 2, 1)),
    Case("bits", "inner_product", 1),
    Case("pq8", "inner_product", 2),
    Case("pq4", "inner_product", 1),
]


def rows_of(case: Case, dim: int, size: int, rng: np.random.Generator) -> Rows:
    """Rows whose bytes make finite, normal values of every dtype."""
    row_bytes = case.row_bytes(dim)
    n = size // row_bytes
    kind = {"float32": np.float32, "float16": np.float16, "bfloat16": np.float32}.get(case.kernel)
    if kind is None:
        return rng.integers(0, 256, (n, row_bytes), np.uint8)
    some: npt.NDArray[Any] = rng.normal(size=(64, dim)).astype(kind)
    if case.kernel == "bfloat16":
        some = _core.to_bfloat16(some)
    return np.ascontiguousarray(np.resize(some.view(np.uint8), (n, row_bytes)))


def seconds(call: Callable[[], object], repetitions: int) -> float:
    """The median time of a call."""
    spent = []
    for _ in range(repetitions):
        began = time.perf_counter()
        call()
        spent.append(time.perf_counter() - began)
    return float(np.median(spent))


def foreign_kernel(case: Case) -> int | None:
    """The address of SimSIMD's kernel of the same dtype and operation."""
    try:
        simsimd = importlib.import_module("simsimd")
    except ImportError:
        return None
    dtype = SIMSIMD.get(case.kernel)
    if dtype is None:
        return None
    pointer: Any = simsimd.pointer_to_sqeuclidean if case.operation == "l2_squared" else simsimd.pointer_to_dot
    try:
        return int(pointer(dtype))
    except LookupError:
        return None


def measure(case: Case, dim: int, isa: str, repetitions: int) -> list[str]:
    """A row of the table: GB/s from memory beside a plain read, and in cache beside SimSIMD."""
    rng = np.random.default_rng(dim)
    rows = rows_of(case, dim, MEMORY_BYTES, rng)
    query = (
        rng.integers(0, 256, max(case.argument(dim) * 256 * 4, 1 << 16), np.uint8)
        if case.kernel[:2] == "pq"
        else rows[:8].copy()
    )
    words = rows.reshape(-1)[: rows.size // 8 * 8].view(np.uint64)
    argument = case.argument(dim)
    reads, passes = [], []
    for _ in range(repetitions):  # in turns: bandwidth of a shared machine drifts
        reads.append(rows.size / seconds(lambda: testing.read_through(words), 1) / 1e9)
        run = lambda: testing.run_block(isa, case.kernel, case.operation, query, rows, argument)  # noqa: E731
        passes.append(rows.size / seconds(run, 1) / 1e9)
    read, memory = float(np.median(reads)), float(np.median(passes))
    cached = np.ascontiguousarray(rows[: max(CACHE_BYTES // case.row_bytes(dim), 4)])
    turns = max(1, (64 << 20) // cached.size)
    speed, other = [], []
    address = foreign_kernel(case)
    for _ in range(repetitions):
        run = lambda: testing.run_block(isa, case.kernel, case.operation, query, cached, argument, turns)  # noqa: E731
        speed.append(turns * cached.size / seconds(run, 1) / 1e9)
        if address is not None:
            foreign = lambda: testing.run_foreign(address, query, cached, dim, turns)  # noqa: E731
            other.append(turns * cached.size / seconds(foreign, 1) / 1e9)
    name = case.kernel if case.kernel not in SIMSIMD else f"{case.kernel} {case.operation}"
    line = [name, str(dim), f"{memory:.1f}", f"{read:.1f}", f"{memory / read:.2f}", f"{np.median(speed):.1f}"]
    return line + ([f"{np.median(other):.1f}", f"{np.median(speed) / np.median(other):.2f}"] if other else ["", ""])


def gather(repetitions: int) -> str:
    """Millions of 1-bit codes a second, read at random with prefetch against a query of four bit planes."""
    rng = np.random.default_rng(0)
    words = GATHER_DIM // 64
    codes = rng.integers(0, 2**63, (GATHER_CODES, words), np.uint64)
    planes = rng.integers(0, 2**63, (4, words), np.uint64)
    slots = rng.permutation(GATHER_CODES).astype(np.uint32)
    read = GATHER_CODES / seconds(lambda: testing.gather_words(codes, slots), repetitions) / 1e6
    rates = {}
    for ahead in (4, 8, 16, 32):
        spent = seconds(lambda ahead=ahead: testing.gather_bits(planes, codes, slots, ahead), repetitions)  # type: ignore[misc]
        rates[ahead] = GATHER_CODES / spent / 1e6
    each = ", ".join(f"{rate:.1f} ({ahead} ahead)" for ahead, rate in rates.items())
    return f"1-bit codes of {GATHER_DIM} dimensions gathered at random, million a second: {each}; only read: {read:.1f}"


def main() -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dims", default="384,768,1024,4096")
    parser.add_argument("--isa", default=_core.isa(), choices=_core.isa_levels())
    parser.add_argument("--only", default="", help="kernels, comma-separated")
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args()
    wanted = set(filter(None, options.only.split(",")))
    table = [["kernel", "dim", "memory GB/s", "plain read", "ratio", "cache GB/s", "SimSIMD", "ratio"]]
    dims = [int(dim) for dim in options.dims.split(",")]
    cases = [case for case in CASES if not wanted or case.kernel in wanted]
    table += [measure(case, dim, options.isa, options.repetitions) for case in cases for dim in dims]
    print(f"{options.isa} on {machine.describe()['processor']}, one thread, medians of {options.repetitions}")
    print("\n".join(markdown(table)))
    print(gather(options.repetitions))


if __name__ == "__main__":
    main()
