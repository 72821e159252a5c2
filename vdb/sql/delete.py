"""DELETE and TRUNCATE: the rows found by DuckDB, deleted through the one commit of every write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdb.sql import tree
from vdb.sql.result import Result
from vdb.sql.returning import returned
from vdb.sql.staging import Call
from vdb.sql.update import chosen_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.query.syntax import Node
    from vdb.sql.session import Session


def delete(session: Session, node: Node, values: Mapping[str, object]) -> Result:
    """Run a DELETE or TRUNCATE."""
    target = node["table"]
    schema = session.table(target["table_name"]).schema
    other = None
    for relation in node["using_clauses"]:
        joined = tree.relation("a, b")
        other = relation if other is None else {**joined, "left": other, "right": relation}
    with session.engine.writing(schema.name) as transaction, session.engine.store.statement() as statement:
        call = Call(session, statement, values)
        final, bound = call.prepared(chosen_rows(target, other, node.get("condition"), node["cte_map"]))
        found = statement.ask(f"SELECT DISTINCT * FROM ({final}) AS r(s)", bound).fetchnumpy()["s"]
        slots = np.ascontiguousarray(found, np.uint32)
        result = None
        if node["returning_list"]:
            result = returned(call, node, schema, target["alias"] or schema.name, slots)
        n = transaction.delete(schema.name, slots)
        return result or Result(None, n)
