"""What a user may ask of overlays; checked when it is made, as the other specs are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from vdb.errors import InvalidArgument
from vdb.index.spec import Option, check_metric, check_name, check_option, params_of
from vdb.metrics.custom import CustomMetric
from vdb.storage.state import check_columns
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from vdb.metrics.custom import AnyMetric
    from vdb.types import Metric, TableSchema

_M: Final = Option(2, 16, 1024, "half the edges a row has at most in each overlay")
_EF_CONSTRUCTION: Final = Option(1, 200, 100_000, "candidates kept while a new row looks for its edges")
# Fewer rows are scanned by their codes in less time than a walk takes.
_MIN_ROWS: Final = Option(2, 1_000, 2**31 - 1, "rows a value has before it gets an overlay")
_SEED: Final = Option(0, 42, 2**63 - 1, "of the order of insertion; the same seed and rows give the same overlays")

# A column with a value of its own for every few rows: none of them will ever be frequent.
_ROWS_PER_VALUE: Final = 10


@dataclass(frozen=True)
class Label:
    """Overlays for the frequent values of a column: for each a graph of the rows that have it, edges alone.

    A search for one value walks the graph of just the rows that match, the partition that filtered graphs such as
    ACORN (Patel et al., SIGMOD 2024) approximate; one for any of a few values merges their walks, and a conjunction
    walks one of them and leaves out what does not match. The vectors, and the codes of an `HNSW` of the same column and
    metric, are shared with the other indexes. A value has its overlay from `min_rows` rows on and as long as three
    quarters of the rows do not have it: then the graph of the column does as well.

    Parameters
    ----------
    attribute : str
        A column of single values or of lists, whose elements are labels then. NULL is none.
    metric : {"l2", "cosine", "ip"}, CustomMetric or None
        What it is built for; None takes the column's metric.
    M : int
        2 to 1024: half the edges a row has at most in each overlay.
    ef_construction : int
        1 to 100,000: candidates kept while a new row looks for its edges.
    min_rows : int
        2 or more: rows a value has before it gets an overlay. It loses it with half of them.
    seed : int
        Of the order of insertion; the same seed, rows and commits give the same overlays.

    Raises
    ------
    InvalidArgument
        An option is out of range. `create_index` raises it where the column has nearly a value for each row.
    """

    attribute: str
    metric: AnyMetric | None = None
    M: int = _M.default
    ef_construction: int = _EF_CONSTRUCTION.default
    min_rows: int = _MIN_ROWS.default
    seed: int = _SEED.default

    kind: ClassVar[str] = "label"
    options: ClassVar[Mapping[str, Option]] = {
        "M": _M,
        "ef_construction": _EF_CONSTRUCTION,
        "min_rows": _MIN_ROWS,
        "seed": _SEED,
    }

    def __post_init__(self) -> None:
        check_name("the attribute of a Label", self.attribute)
        if self.metric is not None and not isinstance(self.metric, CustomMetric):
            check_metric(self.metric)
        for name, option in self.options.items():
            object.__setattr__(self, name, check_option(name, getattr(self, name), option))

    def check_column(self, schema: TableSchema) -> None:
        """InvalidArgument where the attribute gives no labels: no column, vectors, values of several parts."""
        check_columns(schema, (self.attribute,))
        declared = schema.by_name[self.attribute]
        element = declared.type.removesuffix("[]")
        if (
            isinstance(declared, VectorColumn)
            or element.endswith("]")
            or element.startswith(("STRUCT", "MAP", "UNION"))
        ):
            raise InvalidArgument(
                f"{schema.name}.{self.attribute} is {declared.type}, whose values are no labels; expected single values"
                " or a list of them.\n  Fix: name another column."
            )

    def check_counts(self, table: str, labels: npt.NDArray[np.uint32], rows: int) -> None:
        """InvalidArgument where nearly every row has a label of its own: `labels` are those of all rows."""
        counts = np.unique(labels, return_counts=True)[1]
        most = int(counts.max(initial=0))
        if rows >= self.min_rows > most and len(counts) * _ROWS_PER_VALUE > rows:
            raise InvalidArgument(
                f"{table}.{self.attribute} has {len(counts):,} values in {rows:,} rows, and none of them in more than"
                f" {most:,}: overlays are for values of at least min_rows={self.min_rows:,} rows.\n"
                "  Fix: name a column of few values, or pass a smaller min_rows."
            )

    def params(self, metric: Metric) -> dict[str, int | float | str]:
        """Everything that decides the overlays, `metric` standing in for None."""
        return params_of(self, metric)
