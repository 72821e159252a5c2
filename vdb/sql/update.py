"""UPDATE: new values computed by DuckDB for each row, then written through the one commit of every write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vdb.errors import InvalidArgument
from vdb.sql import tree
from vdb.sql.result import Result
from vdb.sql.returning import returned
from vdb.sql.scope import SHOWS_SLOT
from vdb.sql.staging import Call, settled, staged, target_column
from vdb.storage.append import NewVectors
from vdb.storage.staged import WRITTEN
from vdb.types import SLOT_COLUMN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.query.syntax import Node
    from vdb.sql.session import Session
    from vdb.storage.store import WriteTransaction
    from vdb.types import Slots


def update(session: Session, node: Node, values: Mapping[str, object]) -> Result:
    """Run an UPDATE."""
    schema = session.table(node["table"]["table_name"]).schema
    alias = node["table"]["alias"] or schema.name
    with session.engine.writing(schema.name) as transaction, session.engine.store.statement() as statement:
        call = Call(session, statement, values)
        changes = {**node["set_info"], "cte_map": node["cte_map"]}
        slots = update_from(call, transaction, (node["table"], node.get("from_table")), changes)
        if not node["returning_list"]:
            return Result(None, len(slots))
        return returned(call, node, schema, alias, slots)


def update_from(
    call: Call, transaction: WriteTransaction, tables: tuple[Node, Node | None], changes: Mapping[str, Any]
) -> Slots:
    """Set columns of the first table where its rows, joined with the second, fulfil a condition.

    Returns the slots that the changed rows have now.
    """
    target, other = tables
    schema = call.session.table(target["table_name"]).schema
    columns = [target_column(schema, name) for name in changes["columns"]]
    if schema.key in columns:
        raise InvalidArgument(
            f"{schema.name}.{schema.key} is the primary key and cannot be set.\n"
            "  Fix: delete the row and insert a new one."
        )
    query = chosen_rows(target, other, changes["condition"], changes.get("cte_map"))
    query["select_list"] += settled(changes["expressions"], schema, columns)
    with staged(call, query, schema, [SLOT_COLUMN, *columns]) as rows:
        rows.ask(  # a row that is joined with several gets the values of one
            f"DELETE FROM temp.{WRITTEN} WHERE rowid NOT IN"
            f" (SELECT min(rowid) FROM temp.{WRITTEN} GROUP BY {SLOT_COLUMN})"
        )
        slots = rows.slots()
        if len(slots):
            vectors = {name: NewVectors(found.values, found.present) for name, found in rows.vectors().items()}
            first = transaction.state.table(schema.name).next_slot
            transaction.assign(schema.name, slots, rows.attributes, vectors)
            if vectors:
                slots = np.arange(first, first + len(slots), dtype=np.uint32)
    return slots


def chosen_rows(target: Node, other: Node | None, condition: Node | None, ctes: Any) -> Node:
    """A query for the slots of a table's rows that fulfil a condition, joined with another where there is one."""
    query = tree.query("SELECT 1")
    target = {**target, SHOWS_SLOT: True}
    clause = target
    if other is not None:
        clause = tree.relation("a, b")
        clause |= {"left": target, "right": other}
    query["from_table"] = clause
    query["where_clause"] = condition
    query["select_list"] = [tree.column(target["alias"] or target["table_name"], SLOT_COLUMN)]
    if ctes is not None:
        query["cte_map"] = ctes
    return query
