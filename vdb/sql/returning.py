"""RETURNING: what a write shows of the rows that it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vdb.sql import tree
from vdb.sql.result import Result
from vdb.sql.scope import ONLY
from vdb.storage.rows import quoted

if TYPE_CHECKING:
    from vdb.query.syntax import Node
    from vdb.sql.staging import Call
    from vdb.types import Slots, TableSchema

_ROWS = "vdb_returned"


def returned(call: Call, node: Node, schema: TableSchema, alias: str, slots: Slots) -> Result:
    """The RETURNING list of a write for the rows in `slots`, as they are now; `alias` is what it calls the table."""
    return Result(call.statement.answer(*shown_rows(call, node["returning_list"], schema, alias, slots)), len(slots))


def shown_rows(call: Call, shown: list[Node], schema: TableSchema, alias: str, slots: Slots) -> tuple[str, Any]:
    """The SQL and the values of a query for some expressions over the rows in `slots`."""
    call.statement.bind(_ROWS, {"slot": slots})
    query = tree.query("SELECT 1")
    query["select_list"] = shown
    query["from_table"] = {**tree.relation(f"{quoted(schema.name)} AS {quoted(alias)}"), ONLY: _ROWS}
    return call.prepared(query)
