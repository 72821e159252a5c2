"""What a partial index is: the graph of the rows for which a condition is TRUE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from vdb.errors import InvalidArgument
from vdb.index.spec import HNSW, params_of
from vdb.storage.state import listing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vdb.index.spec import Spec
    from vdb.metrics.custom import AnyMetric
    from vdb.types import Metric

PARTIAL: Final = "partial"


@dataclass(frozen=True)
class Partial:
    """A graph of the rows where a condition holds, as `create_index(column, HNSW(...), where=...)` makes it.

    It is the one overlay (`Label`) of a column that has the value TRUE in those rows: edges alone, over the vectors of
    the column and the codes of an `HNSW` of the same metric where there is one. Rows that come to fulfil the condition
    join it with the commit, and those that no longer do leave it. A search may walk it where every row that it asks for
    is in it.

    Attributes
    ----------
    where : str
        The condition, as `vdb.query.parse` writes it.
    columns : str
        The columns it reads, as JSON.
    """

    where: str
    columns: str
    metric: AnyMetric | None
    M: int
    ef_construction: int
    seed: int

    kind: ClassVar[str] = PARTIAL

    @classmethod
    def of(cls, spec: Spec, where: str, columns: Iterable[str]) -> Partial:
        """The graph that a spec describes, of the rows where a condition over some columns is TRUE.

        InvalidArgument where the spec is not one of a plain graph without codes of its own.
        """
        if not isinstance(spec, HNSW):
            raise InvalidArgument(
                f"an index with WHERE is an HNSW, of the rows where a condition holds, got {type(spec).__name__}.\n"
                "  Fix: use HNSW, or leave WHERE out: an index over all rows answers searches with WHERE too."
            )
        if spec.codes not in ("auto", "none"):
            raise InvalidArgument(
                f"an index with WHERE has no codes of its own, got codes={spec.codes!r}: its walks read those of an"
                " HNSW over all rows of the column.\n  Fix: leave codes out."
            )
        return cls(where, listing(sorted(columns)), spec.metric, spec.M, spec.ef_construction, spec.seed)

    def params(self, metric: Metric) -> dict[str, int | float | str]:
        """Everything that decides the graph, `metric` standing in for None."""
        return params_of(self, metric)
