"""What a user may ask of an inverted file; checked when it is made, as the other specs are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from vdb import _core
from vdb.errors import InvalidArgument
from vdb.index.spec import AUTO, Option, check_metric, check_option, params_of
from vdb.metrics.custom import CustomMetric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.types import Metric

_NBITS: Final = (4, 8)  # of a sub-quantiser: read in registers, read from tables
_MOST_OPQ: Final = 1024  # dimensions whose rotation is trained

_NLIST: Final = Option(1, 0, 65_535, "lists the rows are put into; by default 1.6 for each root of the rows", auto=True)
_M: Final = Option(
    1, 0, 65_535, "sub-quantisers; by default one for four dimensions of 4 bits or eight of 8", auto=True
)
_BITS: Final = Option(1, 1, 8, "of a dimension; more rank better and are read for longer")
_SEED: Final = Option(0, 42, 2**63 - 1, "of the samples and centroids; the same seed and commits give the same lists")


@dataclass(frozen=True)
class IVFPQ:
    """Inverted lists of product-quantised residuals (Jegou, Douze and Schmid, TPAMI 2011): the index of least memory.

    Rows are put into lists by the nearest of `nlist` centroids. A search reads the codes of the lists nearest to the
    query, those of rows that match where there is a predicate, and measures the most promising rows on the vectors:
    distances are exact. Lists grow with the table, split where they double, and are trained anew where the rows have
    drifted away from the centroids or there are four times as many; `list_indexes()` shows how far they are.

    Parameters
    ----------
    nlist : int or "auto"
        1 to 65,535 and at most the rows there are: lists; by default 1.6 times the square root of the rows, at
        most one for 32 rows.
    m : int or "auto"
        1 to the dimension: sub-quantisers. A dimension that is no multiple of it is padded. By default one for four
        dimensions with 4 bits, for eight with 8.
    nbits : {4, 8}
        Of a sub-quantiser: 4 are looked up in registers, 32 rows at a time (Andre, Kermarrec and Le Scouarnec, VLDB
        2015), 8 in tables.
    opq : bool
        Rotate first, so that the sub-quantisers lose less (Ge et al., CVPR 2013): up to 1,024 dimensions.
    refine : bool
        Whether more rows than asked for are measured, so that the codes only propose. Without it an answer is of the
        rows whose codes are nearest; `recall=` promises less then.
    metric : {"l2", "cosine", "ip"} or None
        What it is built for; None takes the column's metric.
    seed : int
        Of the samples and first centroids.

    Raises
    ------
    InvalidArgument
        An option is out of range. `create_index` raises it where there are fewer rows than lists, or m or opq does not
        suit the dimension.
    """

    nlist: int | str = AUTO
    m: int | str = AUTO
    nbits: int = 4
    opq: bool = False
    refine: bool = True
    metric: Metric | None = None
    seed: int = _SEED.default

    kind: ClassVar[str] = "ivfpq"
    options: ClassVar[Mapping[str, Option]] = {"nlist": _NLIST, "m": _M, "seed": _SEED}

    def __post_init__(self) -> None:
        _check(self)
        if isinstance(self.nbits, bool) or self.nbits not in _NBITS:
            raise InvalidArgument(
                f"nbits must be 4 or 8, got {self.nbits!r}.\n  Fix: 4 for the faster search, 8 for the finer codes."
            )
        for name in ("opq", "refine"):
            if not isinstance(value := getattr(self, name), bool):
                raise InvalidArgument(f"{name} must be True or False, got {value!r}.\n  Fix: pass one of them.")

    def params(self, metric: Metric) -> dict[str, int | float | str]:
        """Everything that decides the lists, `metric` standing in for None."""
        return params_of(self, metric)

    def check_column(self, name: str, dim: int) -> None:
        """InvalidArgument where m or opq does not suit the column `name` of `dim` dimensions."""
        if isinstance(self.m, int) and self.m > dim:
            raise InvalidArgument(
                f"m={self.m} sub-quantisers need as many dimensions, and {name} has {dim}; expected 1 to {dim}.\n"
                "  Fix: pass a smaller m, or leave it out."
            )
        if self.opq and dim > _MOST_OPQ:
            raise InvalidArgument(
                f"opq is for up to {_MOST_OPQ:,} dimensions, and {name} has {dim:,}.\n"
                "  Fix: leave opq out, or create an IVFRaBitQ, which rotates vectors of any length."
            )

    def make(self, dim: int, metric: str) -> _core.Ivf:
        """The index, of no rows yet."""
        nlist, m = (0 if value == AUTO else int(value) for value in (self.nlist, self.m))
        return _core.Ivf(dim, metric, "pq", nlist, m, self.nbits, self.opq, seed=self.seed)


@dataclass(frozen=True)
class IVFRaBitQ:
    """Inverted lists of RaBitQ codes (Gao and Long, SIGMOD 2024; Gao et al., SIGMOD 2025), whose errors are bounded.

    As `IVFPQ`, with a few bits of a random rotation for each dimension: nothing is trained but the centroids, and the
    bounds of the codes decide which rows are measured on the vectors. Signs are read first, further bits only of rows
    that the signs leave among the nearest.

    Parameters
    ----------
    nlist : int or "auto"
        1 to 65,535 and at most the rows there are: lists; by default 1.6 times the square root of the rows, at
        most one for 32 rows.
    bits : int
        1 to 8 for a dimension.
    metric : {"l2", "cosine", "ip"} or None
        What it is built for; None takes the column's metric.
    seed : int
        Of the rotation, the samples and the first centroids.

    Raises
    ------
    InvalidArgument
        An option is out of range. `create_index` raises it where there are fewer rows than lists.
    """

    nlist: int | str = AUTO
    bits: int = _BITS.default
    metric: Metric | None = None
    seed: int = _SEED.default

    kind: ClassVar[str] = "ivfrabitq"
    options: ClassVar[Mapping[str, Option]] = {"nlist": _NLIST, "bits": _BITS, "seed": _SEED}

    def __post_init__(self) -> None:
        _check(self)

    def params(self, metric: Metric) -> dict[str, int | float | str]:
        """Everything that decides the lists, `metric` standing in for None."""
        return params_of(self, metric)

    def check_column(self, name: str, dim: int) -> None:
        """Any column will do."""

    def make(self, dim: int, metric: str) -> _core.Ivf:
        """The index, of no rows yet."""
        nlist = 0 if self.nlist == AUTO else int(self.nlist)
        return _core.Ivf(dim, metric, "rabitq", nlist, bits=self.bits, seed=self.seed)


IvfSpec: TypeAlias = "IVFPQ | IVFRaBitQ"
IVFS: Final = (IVFPQ.kind, IVFRaBitQ.kind)


def check_rows(spec: IvfSpec, name: str, rows: int) -> None:
    """InvalidArgument where the column `name` has fewer vectors to train on than lists are asked for."""
    if isinstance(spec.nlist, int) and spec.nlist > rows:
        raise InvalidArgument(
            f"nlist={spec.nlist:,} lists need as many rows to train on, and {name} has {rows:,} vectors with a"
            " distance.\n  Fix: pass a smaller nlist, leave it out, or add the rows first."
        )


def _check(spec: IvfSpec) -> None:
    """Check what both have in common."""
    if isinstance(spec.metric, CustomMetric):
        raise InvalidArgument(
            f"inverted lists know l2, cosine and ip, not a metric written in Python, got {spec.metric.name!r}.\n"
            "  Fix: create an HNSW(metric=...), or no index: a scan needs none."
        )
    if spec.metric is not None:
        check_metric(spec.metric)
    for name, option in spec.options.items():
        given = getattr(spec, name)
        if not (option.auto and isinstance(given, str) and given == AUTO):
            object.__setattr__(spec, name, check_option(name, given, option))
