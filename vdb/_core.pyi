"""The compiled core: row sets, exact scan, codes, graphs. It knows slots and stored values, never SQL or row ids."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt

_F32: TypeAlias = npt.NDArray[np.float32]
_U16: TypeAlias = npt.NDArray[np.uint16]
_U32: TypeAlias = npt.NDArray[np.uint32]
_I64: TypeAlias = npt.NDArray[np.int64]
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
class Stop:
    """What ends the long calls of a thread with Cancelled, besides Ctrl-C; one for many calls, one after the other."""

    def __init__(self) -> None: ...
    def begin(self, seconds: float) -> None:
        """Forget an earlier `stop`; end what runs that many seconds from now, inf for never."""
    def stop(self) -> None:
        """End what runs, from any thread, within about 20 ms."""
    @property
    def stopped(self) -> bool:
        """Whether it was stopped, or the time is over."""

def watch(stop: Stop | None) -> None:
    """Let the calls of this thread look at `stop` from now on, at no other where it is None."""

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
    def holds(self, slots: _U32) -> npt.NDArray[np.bool_]:
        """Whether each of some slots is in the set, (n,)."""
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
class SortedSlots:
    """Slots in the order of their keys, immutable: a sorted column, or the inverted lists of its values."""

    def __init__(self, keys: _I64, slots: _U32, size: int) -> None:
        """slots[i] has keys[i]; keys ascend, slots are below `size` and may repeat. InvalidArgument otherwise."""
    def between(self, low: int, high: int, size: int) -> RowSet:
        """The slots with a key from `low` to `high`, both included, over `size` slots, no fewer than before."""
    def any_of(self, keys: _I64, size: int) -> RowSet:
        """The slots with one of `keys`, in any order."""
    def count_between(self, low: int, high: int) -> int:
        """How many keys are from `low` to `high`."""
    def keys(self) -> _I64: ...
    def slots(self) -> _U32: ...
    def __len__(self) -> int: ...
    @property
    def memory_bytes(self) -> int: ...

@final
class SearchStats:
    """What a call did, summed over its queries."""

    @property
    def distances(self) -> int: ...
    @property
    def estimates(self) -> int:
        """Distances estimated from codes."""
    @property
    def refined(self) -> int:
        """Of the estimates, those by all bits of a code for rows that its signs had left among the nearest."""
    @property
    def hops(self) -> int: ...
    @property
    def lists(self) -> int:
        """Lists of an inverted file that were read."""
    @property
    def tests(self) -> int:
        """Slots that walks looked up in a row set."""
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
        self,
        data: _Stored,
        metric: str,
        inverse_norms: _F32 | None = None,
        custom: _Function | None = None,
        in_order: _Stored | None = None,
    ) -> None:
        """`inverse_norms` (n,) float32 is required for cosine, `custom` for custom; ignored otherwise.

        `in_order` holds the same rows where those that follow each other are cheap to read; None: `data` does.

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
        are not covered are measured by vector, and so are all of up to 32 rows by codes of rabitq, which are read in
        stages: the signs of all allowed rows first.
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
        gamma: int = 0,
        M_beta: int = 0,
    ) -> None:
        """`codes` is what walks read instead of the vectors: sq8, or rabitq with `bits` 1 to 8. None: the vectors.

        With `gamma`, from 1, the edges are those of ACORN (Patel et al., SIGMOD 2024): up to gamma * M of a node on the
        upper levels, `M_beta` (1 to gamma * M) and 3M/2 on level 0, chosen for searches under any filter.

        With `packed`, which needs codes too, each node of level 0 holds 1-bit codes of its neighbours (SymphonyQG);
        walks that are allowed half of the rows or more read those.
        """
    @staticmethod
    def load(path: str) -> Hnsw:
        """Map a snapshot; Corrupted or FormatVersionError where any byte is not as saved.

        The file may be removed or replaced afterwards, but never changed in place while the result lives.
        """
    @staticmethod
    def load_with_cells(path: str) -> tuple[Hnsw, Cells | None]:
        """`load`, and the cells that were saved with the graph, None where none were."""
    def save(self, path: str, identity: bytes, cells: Cells | None = None) -> int:
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
        allowed: RowSet | None = None,
        pool: int = 0,
        budget: int = 0,
        limit: int | None = None,
        threads: int = 1,
        arm: str = "plain",
        seeds: _U32 | None = None,
    ) -> tuple[_U32, _F32, SearchStats]:
        """Approximate top k among the allowed slots, as `scan` returns them.

        Distances are exact: what a walk by codes found is measured on the vectors, the most promising first.

        `ef` is the number of allowed candidates kept (at least k + 1 is used), `budget` the steps after which a query
        stops (0: none): a step is a distance, an estimate or 16 bit tests. A query it ended, or one with fewer than k
        rows, is in `stats.unfinished`; what was found of it is in the answer. Only slots below `limit` (default: all
        covered ones) are searched.

        `arm` says how a walk goes by the filter; all are the same without one:

        - "plain": through every node. `pool` is the number of nodes kept for navigation (at least ef is used; widen it
          by 1/selectivity).
        - "adaptive": through allowed nodes, looking around each as far as the share of its neighbours that are allowed
          asks for (NaviX: Sehgal and Salihoglu, VLDB 2025), over other nodes where the allowed ones fall apart.
        - "two_hop": through allowed nodes, by the neighbours of all neighbours (ACORN-1: Patel et al., SIGMOD 2024).
        - "acorn": through allowed nodes from the top level on, as published with a graph with gamma, which it needs
          (ACORN-gamma: Patel et al., SIGMOD 2024).
        - "post": as if every node were allowed, first with `pool` nodes and then twice as many each time, until `ef`
          of them are, or the graph is at its end.

        `seeds` (nq, s), padded with ABSENT_SLOT, are allowed slots to start from besides the entry point; others count
        for nothing, and all do with "post". InvalidArgument for another shape, for seeds without `allowed`, and for an
        unknown arm.
        """
    def scan(
        self,
        view: VectorView,
        queries: _Stored,
        k: int,
        allowed: RowSet | None = None,
        begin: int = 0,
        threads: int = 1,
        slots: _U32 | None = None,
    ) -> tuple[_U32, _F32, SearchStats]:
        """Top k over the allowed slots in [begin, view.n) by the codes of the graph, as `Codes.scan` does it.

        Distances are exact. All nearest are found by codes of sq8 and by vector where the graph has no codes; codes of
        rabitq miss one in a hundred or so. With `slots`, a list for each query, (nq, width) padded with ABSENT_SLOT
        and without repetition, those are scanned instead: the rows of some cells, say.

        InvalidArgument for `slots` beside `allowed`, of another number of queries, or not below view.n.
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
    def gamma(self) -> int: ...
    @property
    def M_beta(self) -> int: ...
    @property
    def codes(self) -> str | None: ...
    @property
    def code_bits(self) -> int: ...
    @property
    def packed(self) -> bool: ...
    @property
    def record_bytes(self) -> int:
        """Bytes that the code of a row takes with what aligns it, 0 without codes."""
    @property
    def memory_bytes(self) -> int:
        """Of the edges and the codes, with the room to grow."""
    @property
    def max_level(self) -> int: ...
    def check(self) -> None:
        """Verify every graph invariant; Corrupted names the first broken one."""
    def neighbors(self, slot: int, level: int = 0) -> _U32: ...

@final
class Population:
    """The allowed rows of one RowSet by cell."""

    def seeds(self, view: VectorView, queries: _Stored, s: int, threads: int = 1) -> tuple[_U32, _F32]:
        """For each query the allowed rows of the cells nearest to it: ((nq, s) slots, (nq,) density).

        Cell after cell until there are `s`; fewer, padded with ABSENT_SLOT, where there are no more or where many cells
        had none. Rows that came after the cells were extended are not among them. Where fewer than one row in 64 but
        more than 16,384 are allowed, they are of a sample of as many.

        The density is the share of the allowed among the rows of the nearest cells, which hold one row in 64 or more:
        above the share of the allowed in the table where a filter goes along with the query, below where it goes
        against it. Rows that died count until the cells are made anew.

        InvalidArgument for vectors of another dimension or metric.
        """

@final
class Cells:
    """The vectors of a column in cells of k-means, by which allowed rows near a query are found."""

    def __init__(self, dim: int, metric: str, n: int = 0, seed: int = 42) -> None:
        """`n` is the number of cells, up to 65,535; 0: 1.5 for each root of the rows. InvalidArgument for custom."""
    def extend(self, view: VectorView, rows: RowSet | None = None, threads: int = 0) -> None:
        """Place the allowed slots in [covered, view.n); `covered` becomes view.n. Safe beside searches.

        Centroids are found first, and anew, placing every slot again, once there are four times the rows.

        Cancelled or KeyboardInterrupt leaves the cells as they were.
        """
    def renumbered(self, new_slot_of: _U32) -> Cells:
        """The same cells under other slots: one for each covered slot, rising, ABSENT_SLOT where it is no more."""
    def population(self, allowed: RowSet) -> Population:
        """The rows of `allowed` by cell, as placed now; no cost where one row in 64 or more is allowed."""
    @property
    def covered(self) -> int: ...
    @property
    def count(self) -> int:
        """Cells; 0 before there was a row to place."""
    @property
    def memory_bytes(self) -> int: ...

@final
class Ivf:
    """Inverted file (Jegou, Douze and Schmid, TPAMI 2011): rows in lists by nearest centroid, as codes of residuals.

    A search reads the codes of the lists nearest to a query and measures on the vectors what they leave in doubt.
    """

    def __init__(
        self,
        dim: int,
        metric: str,
        codes: str,
        nlist: int = 0,
        m: int = 0,
        nbits: int = 4,
        opq: bool = False,
        bits: int = 1,
        seed: int = 42,
    ) -> None:
        """`codes` is "pq" (`m`, `nbits`, `opq`) or "rabitq" (`bits`, 1 to 8); the options of the other are ignored.

        `nlist` is the number of lists of the first training, up to 65,535; 0: 1.6 for each root of the rows.
        Lists that double are split, so there may be more later. `m` is the number of sub-quantisers, up to dim; 0: one
        for four dimensions of 4 bits or eight of 8 bits. A dim that is no multiple of m is padded with zeros. `nbits`
        is 4, read in registers (Andre et al., VLDB 2015), or 8, read from tables. `opq` rotates first (Ge et al., CVPR
        2013) and is of up to 1,024 dimensions.

        InvalidArgument where an option is out of range, and for the metric custom.
        """
    @staticmethod
    def load(path: str) -> Ivf:
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
        """Put the allowed slots in [covered, view.n) into lists; `covered` becomes view.n. Safe beside searches.

        Trains first on a sample of the allowed slots where it never did, with fewer lists where there are fewer rows.
        Later calls append, and split lists that hold more than twice what they should. Where the new rows lie so far
        from the centroids that `drift` exceeds 1.25, or there are four times the rows of the training, it trains anew
        and places the allowed slots again: dead rows are then gone.

        The same seed and calls give the same lists for any number of threads. Cancelled or KeyboardInterrupt leaves
        the index as it was. Vectors are read in order, once: a view of a mapped file may be larger than memory.
        """
    def repair(self, view: VectorView, alive: RowSet, steps: int | None = None, threads: int = 0) -> bool:
        """Take the rows that are not `alive` out of their lists; True where none is left.

        `steps` is about how many rows a call looks at (None: all that are left); the next call goes on. Safe beside
        searches: one over an older state may miss rows that died since. A view of fewer rows than are covered does
        nothing and returns False. Cancelled or KeyboardInterrupt leaves a valid index; the next call goes on.
        """
    def renumbered(self, new_slot_of: _U32, slots: int) -> Ivf:
        """The same lists under other slot numbers below `slots`, rising with the slot; ABSENT_SLOT drops a row."""
    def search(
        self,
        view: VectorView,
        queries: _Stored,
        k: int,
        nprobe: int,
        allowed: RowSet | None = None,
        pool: int = 0,
        limit: int | None = None,
        threads: int = 1,
    ) -> tuple[_U32, _F32, SearchStats]:
        """Approximate top k among the allowed slots, as `scan` returns them; min(k, matching rows) of them always.

        Reads the `nprobe` lists (at least 1; more than there are: all) nearest to each query, and more of them, next
        nearest first, until they held 4 (k + 1) allowed rows, or k + 1 where all are allowed. Lists without an allowed
        row do not count. With nprobe from `nlist` on and a `pool` of all rows the answer is exact.

        Distances are exact: `pool` rows (at least k + 1 is used), the most promising by code, are measured on the
        vectors. 0: as many as the bounds of the codes ask for, which widen with the share of the lists that is read.

        Rows that are not covered, or not below `limit` (default: all covered ones), are not searched. `stats.lists`
        counts lists read, `estimates` codes, `refined` those read with all their bits after their signs, and
        `distances` rows measured.
        """
    def list_sizes(self) -> _U32:
        """(nlist,) rows of each list, dead ones among them."""
    @property
    def covered(self) -> int: ...
    @property
    def size(self) -> int:
        """Rows in the lists, dead ones among them."""
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def codes(self) -> str:
        """The kind: pq or rabitq."""
    @property
    def nlist(self) -> int:
        """Lists there are; 0 before there was a row to train on."""
    @property
    def m(self) -> int:
        """Sub-quantisers of pq; 0 with rabitq."""
    @property
    def nbits(self) -> int:
        """Bits of a sub-quantiser; 0 with rabitq."""
    @property
    def opq(self) -> bool: ...
    @property
    def bits(self) -> int:
        """Bits of a dimension; 0 with pq."""
    @property
    def drift(self) -> float:
        """Mean squared distance to their centroids of the rows that came since the training, by that of its sample.

        1.0 for rows like those it was trained on, and where none came since.
        """
    @property
    def trained_on(self) -> int:
        """Rows there were when the centroids were found."""
    @property
    def record_bytes(self) -> int:
        """Bytes of a row: code, factors and slot; 0 before the first extend."""
    @property
    def memory_bytes(self) -> int:
        """Of the lists, with the room to grow, the centroids and the codec. A mapped snapshot counts whole."""
    def check(self) -> None:
        """Verify every invariant; Corrupted names the first broken one."""

@final
class RangeGraph:
    """Layered-window graph (WoW, SIGMOD 2026) over the slots of one vector column, ranked by a key each.

    Layer l links rows at most 4**l * 64 ranks apart: a walk within a range of keys finds edges that stay inside it.
    """

    def __init__(self, dim: int, metric: str, M: int = 16, ef_construction: int = 200, seed: int = 42) -> None: ...
    @staticmethod
    def load(path: str) -> RangeGraph:
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
        rows: RowSet | None,
        threads: int,
        progress: Callable[[int, int], None] | None,
        slots: _U32,
        keys: _I64,
        codes: Hnsw | None = None,
        whole: bool = False,
    ) -> int:
        """Insert the rows that are not in the graph, and again those whose key has changed; `covered` becomes view.n.

        slots[i], each once, has keys[i]: those that are new and those that may have another key, read where they are in
        `rows` (None: all). Rows that are in the graph and no longer in `rows` stay, as waypoints. Walks read the codes
        of `codes`, a graph of the same column and metric, where they cover the view. Safe beside searches.

        With `whole` the slots are all that have a key, and keys may be others for the same order: only rows whose place
        in it has changed are linked anew. Returns how many rows were linked.

        Cancelled or KeyboardInterrupt leaves a valid graph that covers what it did; the next call, given the same slots
        again, goes on. InvalidArgument where a slot is given twice or there is not a key for each.
        """
    def search(
        self,
        view: VectorView,
        queries: _Stored,
        k: int,
        ef: int,
        low: int,
        high: int,
        allowed: RowSet | None = None,
        pool: int = 0,
        budget: int = 0,
        limit: int | None = None,
        threads: int = 1,
        codes: Hnsw | None = None,
    ) -> tuple[_U32, _F32, SearchStats]:
        """Approximate top k among the rows with low <= key <= high, as `scan` returns them.

        `allowed` are rows of that range: those that may be returned, where a predicate says more or a row of the range
        is dead. None: every row of it that is in the graph. Other arguments as for `Hnsw.search`, but a `pool` of 0 is
        widened where few rows of the range are allowed. A range of at most `ef` or 128 rows is measured row by row.
        """
    @property
    def covered(self) -> int: ...
    @property
    def size(self) -> int: ...  # rows in the graph, dead ones among them
    @property
    def layers(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def M(self) -> int: ...
    @property
    def ef_construction(self) -> int: ...
    @property
    def memory_bytes(self) -> int:
        """Of the edges, the keys and their order, with the room to grow."""
    def check(self) -> None:
        """Verify every edge; Corrupted names the first broken one."""
    def neighbors(self, slot: int, layer: int = 0) -> _U32: ...

@final
class LabelGraph:
    """Overlays: for each label that many slots have, a graph of those alone, edges over the vectors of one column."""

    def __init__(
        self,
        dim: int,
        metric: str,
        M: int = 16,
        ef_construction: int = 200,
        seed: int = 42,
        min_rows: int = 1000,
    ) -> None:
        """`min_rows` is how many slots have a label before it gets an overlay; it loses it below half of that.

        A label that more than three quarters of the allowed slots have gets none: there a walk of a graph of all of
        them does nearly as well. With `min_rows` of 1 every label has one.
        """
    @staticmethod
    def load(path: str) -> LabelGraph:
        """Map a snapshot; Corrupted or FormatVersionError where any byte is not as saved.

        Labels may be numbered anew since it was saved: extend it, with all of them, before it is searched. It finds out
        by the slots of an overlay which label that is now. The file may be removed or replaced afterwards, but never
        changed in place.
        """
    def save(self, path: str, identity: bytes) -> int:
        """Write and flush a snapshot; returns its length in bytes. `identity` is stored and returned by load."""
    @property
    def identity(self) -> bytes: ...
    def extend(
        self,
        view: VectorView,
        rows: RowSet | None,
        threads: int,
        progress: Callable[[int, int], None] | None,
        slots: _U32,
        offsets: _U32 | npt.NDArray[np.uint64],
        labels: _U32,
        codes: Hnsw | None = None,
        whole: bool = False,
        most: int = 0,
    ) -> None:
        """Make the overlays hold the labels of all allowed slots; `covered` becomes view.n. Safe beside searches.

        The labels of slots[i], ascending, are `labels[offsets[i]:offsets[i + 1]]`: of slots that are new and of those
        that may have other labels than before. Slots that died or lost a label stay in its overlay, as nodes to walk
        through, until they are more than a third of it; then it is made anew. Walks read the codes of `codes` where it
        has some and they cover the view. `progress` counts labels of slots. The same seed and calls give the same
        overlays for any number of threads.

        With `whole`, as in the first call after `load`, slots that are not given have no label, and labels may be
        numbered anew. New overlays get `most` rows in all, 0: every one; the next calls go on, and a label has the
        overlay it had, if any, until the new one is complete. Rows of this call come into what is complete at once.

        Cancelled or KeyboardInterrupt leaves overlays that can be searched; the next call goes on.
        InvalidArgument where the slots do not ascend, the offsets are not (len(slots) + 1,) and rising from 0 to the
        number of labels, or the first call after `load` is not `whole`.
        """
    def search(
        self,
        view: VectorView,
        queries: _Stored,
        k: int,
        ef: int,
        label_ids: Sequence[int] | _U32,
        allowed: RowSet | None = None,
        pool: int = 0,
        budget: int = 0,
        limit: int | None = None,
        threads: int = 1,
        codes: Hnsw | None = None,
    ) -> tuple[_U32, _F32, SearchStats]:
        """Approximate top k among the allowed slots that have any of the labels, as `scan` returns them.

        Each overlay is walked and the nearest of all are kept, every slot once; distances are exact. Where a label has
        no overlay every query is unfinished. Without `allowed`, nodes that died or lost the label are found too: leave
        it out only where as many slots match as `count(label)` says. `ef`, `pool`, `budget` (of a query, over all its
        walks) and `limit` are those of `Hnsw.search`; widen `pool` by count(label) / allowed.count for a conjunction.
        """
    def has(self, label: int) -> bool: ...
    def count(self, label: int) -> int:
        """Nodes of the label's overlay, 0 where it has none. They include every slot with the label up to covered."""
    @property
    def labels(self) -> _U32:
        """Labels that have an overlay, ascending."""
    @property
    def covered(self) -> int: ...
    @property
    def lacking(self) -> int:
        """About how many rows new overlays still lack."""
    @property
    def size(self) -> int: ...  # nodes of all overlays
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def M(self) -> int: ...
    @property
    def ef_construction(self) -> int: ...
    @property
    def min_rows(self) -> int: ...
    @property
    def memory_bytes(self) -> int:
        """Of the edges, with the room to grow."""
    def check(self) -> None:
        """Verify every invariant; Corrupted names the first broken one."""
    def neighbors(self, label: int, slot: int) -> _U32: ...
