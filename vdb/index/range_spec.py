"""What a user may ask of an index for ranges of an attribute: `Range`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Final

from vdb.errors import InvalidArgument
from vdb.index.spec import Option, check_metric, check_name, check_option
from vdb.metrics.custom import AnyMetric, CustomMetric, name_of
from vdb.types import Column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.types import Metric, TableSchema

_M: Final = Option(2, 16, 1024, "edges of a row in each layer, at most")
_EF_CONSTRUCTION: Final = Option(1, 200, 100_000, "candidates kept while a new row looks for its edges")
_SEED: Final = Option(0, 42, 2**63 - 1, "of the order rows come in; the same seed and commits give the same graph")

# What a sorted attribute index orders too: numbers, dates, times, truth values and strings, of any precision.
_ORDERED: Final = re.compile(
    r"(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\)|BOOLEAN|DATE|TIME|TIMESTAMP(_\w+)?"
    r"|TIMESTAMP WITH TIME ZONE|VARCHAR)"
)


@dataclass(frozen=True)
class Range:
    """Layered-window graph for searches within ranges of an attribute (WoW, SIGMOD 2026).

    Rows are ranked by the attribute, and each layer links rows within a window of ranks, four times as wide as the
    layer below: a search within a range walks by the edges that stay inside it, and finds as much as a search without
    a predicate does. Other conditions may come along; rows whose attribute is NULL are not in it.

    Walks read the codes of an HNSW index of the same column and metric where there is one with codes.

    Parameters
    ----------
    attribute : str
        The column to order by: a number, date, time, BOOLEAN or VARCHAR.
    metric : {"l2", "cosine", "ip"}, CustomMetric or None
        What it is built for; None takes the column's metric.
    M : int
        2 to 1024: edges of a row in each layer, at most.
    ef_construction : int
        1 to 100,000: candidates kept while a new row looks for its edges.
    seed : int
        Of the order rows come in; the same seed and commits give the same graph.

    Raises
    ------
    InvalidArgument
        An option is out of range.
    """

    attribute: str
    metric: AnyMetric | None = None
    M: int = _M.default
    ef_construction: int = _EF_CONSTRUCTION.default
    seed: int = _SEED.default

    kind: ClassVar[str] = "range"
    options: ClassVar[Mapping[str, Option]] = {"M": _M, "ef_construction": _EF_CONSTRUCTION, "seed": _SEED}

    def __post_init__(self) -> None:
        check_name("the attribute of a Range", self.attribute)
        if self.metric is not None and not isinstance(self.metric, CustomMetric):
            check_metric(self.metric)
        for name, option in self.options.items():
            object.__setattr__(self, name, check_option(name, getattr(self, name), option))

    def params(self, metric: Metric) -> dict[str, int | float | str]:
        """Everything that decides the graph, `metric` standing in for None."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return given | {"metric": name_of(self.metric or metric)}

    def check(self, schema: TableSchema) -> None:
        """InvalidArgument where the table cannot be ordered by the attribute."""
        column = schema.by_name.get(self.attribute)
        ordered = [c.name for c in schema.attributes if _ORDERED.fullmatch(c.type)]
        offer = f"columns to order by: {', '.join(ordered) or 'none'}"
        if column is None:
            near = difflib.get_close_matches(self.attribute, ordered, n=1)
            hint = f", such as {near[0]!r}" if near else ""
            raise InvalidArgument(
                f"table {schema.name} has no column {self.attribute!r} to order by; {offer}.\n  Fix: name one{hint}."
            )
        if not isinstance(column, Column):
            raise InvalidArgument(
                f"{schema.name}.{self.attribute} is a vector column, which has no order; {offer}.\n"
                "  Fix: Range takes the attribute to order by; the vector column is the first argument of create_index."
            )
        if not _ORDERED.fullmatch(column.type):
            raise InvalidArgument(
                f"{schema.name}.{self.attribute} is {column.type}, which cannot be ordered; {offer}.\n"
                "  Fix: order by a number, date, time, BOOLEAN or VARCHAR."
            )
