"""What an index is asked for, checked against the table it is asked of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdb.attributes.spec import Attribute
from vdb.errors import InvalidArgument
from vdb.index.build import SPECS
from vdb.index.partial_spec import Partial
from vdb.index.spec import HNSW
from vdb.query.condition import can_fail
from vdb.query.parse import parse_predicate
from vdb.query.request import choose_column

if TYPE_CHECKING:
    from vdb.index.spec import Spec
    from vdb.types import TableSchema


def wanted_index(schema: TableSchema, column: str | None, spec: Spec | None, where: str | None) -> tuple[str, Spec]:
    """The vector column of an index and its spec, which has the condition in it where there is one.

    InvalidArgument where the table has no such column, or several and none is named; for anything but a spec; and as
    `partial_index`.
    """
    chosen = choose_column(schema, column).name
    if spec is not None and not isinstance(spec, SPECS):
        known = ", ".join(f"vdb.{kind.__name__}(...)" for kind in (*SPECS, Attribute))
        raise InvalidArgument(f"an index is described by one of {known}, got {spec!r}.\n  Fix: pass one of them.")
    spec = spec or HNSW()
    return chosen, spec if where is None else partial_index(schema, spec, where)


def partial_index(schema: TableSchema, spec: Spec, where: str) -> Partial:
    """An index over the rows where a condition is TRUE.

    PredicateError where the condition is none that `where` of a search takes, InvalidArgument where some row might make
    it fail, or the spec is not one of a partial index.
    """
    predicate = parse_predicate(where, None, schema)
    if can_fail(predicate.condition):
        raise InvalidArgument(
            f"the condition of an index, {where:.200}, may fail for a row that is added later, as a cast or a division"
            " does.\n  Fix: compare columns with constants; TRY_CAST gives NULL where CAST fails."
        )
    return Partial.of(spec, predicate.sql, predicate.columns)


def check_condition(schema: TableSchema, where: str | None) -> None:
    """PredicateError where the condition of an attribute index is none.

    Such an index is of all rows whatever its condition says: it answers the same predicates by the same keys.
    """
    if where is not None:
        parse_predicate(where, None, schema)
