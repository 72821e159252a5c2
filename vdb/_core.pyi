"""The compiled core: row sets, exact scan, codes, HNSW. It knows slots and stored values, never SQL or row ids."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt

_F32: TypeAlias = npt.NDArray[np.float32]
_U16: TypeAlias = npt.NDArray[np.uint16]
_U32: TypeAlias = npt.NDArray[np.uint32]
# Stored values, C-contiguous: float32, float16, int8, or uint16 for the bits of bfloat16, which numpy lacks.
_Stored: TypeAlias = npt.NDArray[np.float32 | np.float16 | np.int8 | np.uint16]

ABSENT_SLOT: int  # 2**32 - 1, pads the slots of a short result; its distance is +inf

def crc32c(data: bytes | memoryview | npt.NDArray[np.generic], seed: int = 0) -> int:
    """CRC-32C (Castagnoli) of a C-contiguous buffer, continuing from `seed`."""

def isa() -> str:
    """The kernel level in use, the best of `isa_levels()` unless `VDB_ISA` names another."""

def isa_levels() -> list[str]:
    """Every kernel level this machine can run, lowest first.

    Of scalar, avx2, avx512 and avx512_vnni, or of scalar, neon and neon_dotprod.
    """

def hardware_threads() -> int: ...

@final
class RowSet:
    """An immutable set of slots below `size` with its exact count; a set bit means allowed."""

    @staticmethod
    def all(size: int) -> RowSet: ...
    @staticmethod
    def none(size: int) -> RowSet: ...
    @staticmethod
    def from_slots(slots: _U32, size: int) -> RowSet:
        """Slots in any order, duplicates allowed; InvalidArgument where one is >= size."""
    @staticmethod
    def from_range(begin: int, end: int, size: int) -> RowSet: ...
    @staticmethod
    def from_bools(allowed: npt.NDArray[np.bool_]) -> RowSet: ...
    @property
    def count(self) -> int: ...
    @property
    def size(self) -> int: ...
    def __len__(self) -> int: ...
    def __contains__(self, slot: int) -> bool: ...
    def __eq__(self, other: object) -> bool: ...
    def __and__(self, other: RowSet) -> RowSet: ...
    def __or__(self, other: RowSet) -> RowSet: ...
    def __sub__(self, other: RowSet) -> RowSet: ...
    def __invert__(self) -> RowSet: ...
    def resized(self, size: int, fill: bool = False) -> RowSet:
        """The same slots over a larger universe; new slots are allowed where `fill` is true."""
    def to_slots(self) -> _U32:
        """Ascending."""

@final
class SearchStats:
    """What a call did, summed over its queries."""

    @property
    def distances(self) -> int: ...
    @property
    def estimates(self) -> int:
        """Distances estimated from codes."""
    @property
    def hops(self) -> int: ...
    @property
    def unfinished(self) -> _U32:
        """The numbers of the queries that a walk left short of k, or whose distance budget ended it."""
    @property
    def tied(self) -> _U32:
        """The numbers of the queries with equal distances in their answer."""
    @property
    def cut(self) -> _U32:
        """The numbers of the queries with a row outside their answer that is as near as its last."""
    @property
    def settled(self) -> bool:
        """Whether no query is unfinished, tied or cut."""

class _Function(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def address(self) -> int:
        """Of int32 f(const float* a, const float* b, int64 dim, float* out), 0 for success; never null.

        It is called without the GIL from many threads, for float32 whatever the dtype of the view.
        """

@final
class VectorView:
    """A read-only (n, dim) matrix of stored values bound to a metric; keeps alive what it is made of."""

    def __init__(
        self, data: _Stored, metric: str, inverse_norms: _F32 | None = None, custom: _Function | None = None
    ) -> None:
        """`inverse_norms` (n,) float32 is required for cosine, `custom` for custom; ignored otherwise.

        A call with such a view is a MetricError where a distance fails: those count as infinitely far until it ends.

        InvalidArgument where `data` is of another dtype or not C-contiguous: nothing is converted or copied.
        """
    @property
    def dtype(self) -> str: ...  # float32, float16, bfloat16 or int8
    @property
    def n(self) -> int: ...
    @property
    def row_bytes(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...

def inverse_norms(data: _Stored) -> _F32:
    """1/|row| of (n, dim) stored values, +inf for a zero row."""

def first_nonfinite_row(data: _Stored) -> int:
    """Index of the first row of (n, dim) stored values that holds a NaN or an infinity, or -1."""

def to_bfloat16(values: _F32) -> _U16:
    """The bits of the nearest bfloat16, ties to even; too large becomes infinite, NaN stays NaN. Any shape."""

def from_bfloat16(values: _U16) -> _F32:
    """The float32 of bfloat16 bits, exact. Any shape."""

def scan(
    view: VectorView,
    queries: _Stored,
    k: int,
    rows: RowSet | None = None,
    begin: int = 0,
    threads: int = 1,
) -> tuple[_U32, _F32, SearchStats]:
    """Exact top k over the allowed slots in [begin, view.n): ((nq, k) slots, (nq, k) distances, stats).

    `queries` is (nq, dim) of the dtype of the view, InvalidArgument otherwise. Nearest first, equal distances by
    slot. l2 is not squared; cosine is 1 - cosine similarity; ip is the negative inner product. Short results are
    padded.
    """

class _Directions(Protocol):
    @property
    def basis(self) -> _F32: ...
    @property
    def lossless(self) -> bool: ...

@final
class Codes:
    """Codes of the vectors of one column, a record per slot, and the exact scan over them."""

    def __init__(
        self,
        dim: int,
        metric: str,
        kind: str = "sq8",
        seed: int = 42,
        bits: int = 0,
        m: int = 0,
        opq: bool = False,
        spectrum: Callable[[_F32], _Directions] | None = None,
    ) -> None:
        """`kind` is sq8, rabitq (`bits` 1 to 8), pq (`m`, `bits` 4 or 8, `opq`) or projection (`spectrum`).

        InvalidArgument for an unknown kind, and where extend trains for options the kind does not take.
        """
    @staticmethod
    def load(path: str, spectrum: Callable[[_F32], _Directions] | None = None) -> Codes:
        """Map a snapshot; Corrupted or FormatVersionError where any byte is not as saved.

        The file may be removed or replaced afterwards, but never changed in place while the result lives.
        """
    def save(self, path: str, identity: bytes) -> int:
        """Write and flush a snapshot; returns its length in bytes. `identity` is stored and returned by load."""
    @property
    def identity(self) -> bytes: ...
    def extend(
        self,
        view: VectorView,
        rows: RowSet | None = None,
        threads: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Encode the slots in [covered, view.n), allowed or not; `covered` becomes view.n. Safe beside scans.

        Trains first on allowed ones: where it never did, and again, encoding every slot anew, where it saw less than
        a full sample and there are now several times the rows, or enough. Nothing is covered before there is a row
        to train on.

        Cancelled or KeyboardInterrupt leaves the codes as they were.
        """
    def scan(
        self,
        view: VectorView,
        queries: _Stored,
        k: int,
        rows: RowSet | None = None,
        begin: int = 0,
        threads: int = 1,
    ) -> tuple[_U32, _F32, SearchStats]:
        """Top k as `scan` returns it, reading vectors only where the codes leave a doubt.

        The same answer where `guaranteed`; otherwise rows whose estimate was too far off may be missing. Slots that
        are not covered are measured by vector.
        """
    @property
    def covered(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def guaranteed(self) -> bool:
        """Whether an estimate's interval surely holds the true distance, so that scans are exact."""
    @property
    def width(self) -> int:
        """Values of a vector that a record holds: fewer than `dim` where a projection dropped some."""
    def estimate(self, queries: _F32) -> tuple[_F32, _F32]:
        """(nq, covered) distances and errors; l2 squared, ip and cosine as the negative inner product.

        For cosine the vectors are of length 1 but the queries are taken as they are: pass them normalised.
        """
    @property
    def record_bytes(self) -> int:
        """Bytes of a record, 0 before the first extend."""
    @property
    def memory_bytes(self) -> int: ...

@final
class Hnsw:
    """Hierarchical navigable small world graph (Malkov and Yashunin 2018) over the slots of one vector column."""

    def __init__(
        self,
        dim: int,
        metric: str,
        M: int = 16,
        ef_construction: int = 200,
        seed: int = 42,
        codes: str | None = None,
        bits: int = 0,
        packed: bool = False,
    ) -> None:
        """`codes` is what walks read instead of the vectors: sq8, or rabitq with `bits` 1 to 8. None: the vectors.

        With `packed`, which needs codes too, each node of level 0 holds 1-bit codes of its neighbours (SymphonyQG);
        walks that are allowed half of the rows or more read those.
        """
    @staticmethod
    def load(path: str) -> Hnsw:
        """Map a snapshot; Corrupted or FormatVersionError where any byte is not as saved.

        The file may be removed or replaced afterwards, but never changed in place while the result lives.
        """
    def save(self, path: str, identity: bytes) -> int:
        """Write and flush a snapshot; returns its length in bytes. `identity` is stored and returned by load."""
    @property
    def identity(self) -> bytes: ...
    def extend(
        self,
        view: VectorView,
        rows: RowSet | None = None,
        threads: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Insert the allowed slots in [covered, view.n); `covered` becomes view.n. Safe beside searches.

        A graph holds no vectors and remembers no dtype: extend and search it with views of one dtype.

        Cancelled or KeyboardInterrupt leaves a valid graph that covers a prefix.
        """
    def repair(self, view: VectorView, alive: RowSet, steps: int | None = None, threads: int = 0) -> bool:
        """Take the nodes that are not `alive` out of the graph, in slices; True where no further slice is needed.

        A slice looks at about `steps` nodes (None: all that is left). All slices of one repair go by the rows that were
        alive at its first; call it again for those that died since. Safe beside searches: one over an older state may
        miss rows that died since. A view of fewer rows than are covered does nothing and returns False.

        Cancelled or KeyboardInterrupt leaves a valid graph; the next call goes on.
        """
    def renumbered(self, new_slot_of: _U32, slots: int) -> Hnsw:
        """The same graph under other slot numbers below `slots`, rising with the slot; ABSENT_SLOT drops a node.

        Dropped nodes take their edges along: repair first.
        """
    def search(
        self,
        view: VectorView,
        queries: _Stored,
        k: int,
        ef: int,
        rows: RowSet | None = None,
        pool: int = 0,
        budget: int = 0,
        limit: int | None = None,
        threads: int = 1,
    ) -> tuple[_U32, _F32, SearchStats]:
        """Approximate top k among the allowed slots, as `scan` returns them.

        Distances are exact: what a walk by codes found is measured on the vectors, the most promising first.

        `ef` is the number of allowed candidates kept (at least k + 1 is used), `pool` the number of nodes kept for
        navigation (at least ef is used; widen it by 1/selectivity), `budget` the distances or estimates after which a
        query stops (0: none). Only slots below `limit` (default: all covered ones) are searched.
        """
    @property
    def covered(self) -> int: ...
    @property
    def size(self) -> int: ...  # nodes in the graph
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def M(self) -> int: ...
    @property
    def ef_construction(self) -> int: ...
    @property
    def codes(self) -> str | None: ...
    @property
    def code_bits(self) -> int: ...
    @property
    def packed(self) -> bool: ...
    @property
    def record_bytes(self) -> int:
        """Bytes from one code to the next, 0 without codes."""
    @property
    def memory_bytes(self) -> int:
        """Of the edges and the codes, with the room to grow."""
    @property
    def max_level(self) -> int: ...
    def check(self) -> None:
        """Verify every graph invariant; Corrupted names the first broken one."""
    def neighbors(self, slot: int, level: int = 0) -> _U32: ...
