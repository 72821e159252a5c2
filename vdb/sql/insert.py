"""INSERT: its rows computed by DuckDB, then written through the one commit of every write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdb.errors import InvalidArgument
from vdb.sql import tree
from vdb.sql.found import NO_SLOTS
from vdb.sql.result import Result
from vdb.sql.returning import returned
from vdb.sql.staging import Call, default_of, settled, staged, target_column, with_ctes
from vdb.sql.update import update_from
from vdb.storage.rows import quoted, table_name
from vdb.storage.staged import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vdb.query.syntax import Node
    from vdb.sql.session import Session
    from vdb.sql.staging import Staged
    from vdb.storage.store import WriteTransaction
    from vdb.types import Slots, TableSchema


def insert(session: Session, node: Node, values: Mapping[str, object]) -> Result:
    """Run an INSERT."""
    state = session.table(node["table"])
    schema = state.schema
    action = _action(node)
    with session.engine.writing(schema.name) as transaction, session.engine.store.statement() as statement:
        call = Call(session, statement, values)
        columns, query = _source(call, node, schema)
        with staged(call, query, schema, columns) as rows:
            changed = _resolve_conflicts(call, transaction, node, schema, rows)
            first = transaction.state.table(schema.name).next_slot
            added = rows.n
            if added:
                batch = rows.batch()
                if action == "REPLACE":
                    transaction.upsert(schema.name, batch, str(schema.key))
                else:
                    transaction.insert(schema.name, batch)
        if not node["returning_list"]:
            return Result(None, len(changed) + added)
        slots = np.arange(first, first + added, dtype=np.uint32)
        return returned(call, node, schema, schema.name, np.concatenate([changed, slots]))


def _source(call: Call, node: Node, schema: TableSchema) -> tuple[list[str], Node]:
    """The columns that are given and the query for their values."""
    names = [target_column(schema, name) for name in node["columns"]]
    if node.get("default_values"):
        query = tree.query("SELECT 1")
        query["select_list"] = [default_of(schema, column) for column in schema.by_name]
        return list(schema.by_name), query
    query = with_ctes(node["select_statement"]["node"], node)
    if node["column_order"] == "INSERT_BY_NAME":
        return [target_column(schema, name) for name, _ in call.described(query)], query
    columns = names or list(schema.by_name)
    given = _width(query)
    if given is not None and given != len(columns):
        raise InvalidArgument(
            f"{given} values for {len(columns)} columns of {schema.name}: {', '.join(columns)}.\n"
            "  Fix: name the columns that are given, INSERT INTO table (column, ...)."
        )
    if given is not None:
        clause = query["from_table"]
        clause["values"] = [settled(row, schema, columns) for row in clause["values"]]
    return columns, query


def _width(query: Node) -> int | None:
    """How many columns VALUES has."""
    clause = query.get("from_table") or {}
    return len(clause["values"][0]) if clause.get("type") == "EXPRESSION_LIST" else None


def _action(node: Node) -> str:
    info = node.get("on_conflict_info") or {}
    return str(info.get("action_type", "THROW"))


def _resolve_conflicts(
    call: Call, transaction: WriteTransaction, node: Node, schema: TableSchema, rows: Staged
) -> Slots:
    """Do what ON CONFLICT says about keys that are taken, and leave the rows to insert; returns the changed slots."""
    action = _action(node)
    changed = NO_SLOTS
    if action == "THROW":
        return changed
    if schema.key is None or schema.key not in rows.columns:
        raise InvalidArgument(
            f"ON CONFLICT needs the primary key of {schema.name} among the values; it is: {schema.key or 'none'}.\n"
            "  Fix: give it, or leave ON CONFLICT out."
        )
    info = node["on_conflict_info"]
    named: Sequence[str] = [name.lower() for name in info.get("indexed_columns", [])]
    if named and named != [schema.key.lower()]:
        raise InvalidArgument(f"ON CONFLICT ({', '.join(named)}): the key of {schema.name} is {schema.key}.")
    key = quoted(schema.key)
    taken = f"{key} IN (SELECT {key} FROM {table_name(schema)})"
    if action == "UPDATE":
        changed = _update_taken(call, transaction, node, schema, rows)
    if action in ("NOTHING", "UPDATE"):
        rows.ask(f"DELETE FROM temp.{WRITTEN} WHERE {taken}")
    if action == "NOTHING":
        rows.ask(
            f"DELETE FROM temp.{WRITTEN} WHERE rowid NOT IN (SELECT min(rowid) FROM temp.{WRITTEN} GROUP BY {key})"
        )
    return changed


def _update_taken(call: Call, transaction: WriteTransaction, node: Node, schema: TableSchema, rows: Staged) -> Slots:
    """ON CONFLICT DO UPDATE: an UPDATE of the rows whose key is given, FROM the given rows."""
    changes = node["on_conflict_info"]["set_info"]
    rows.ask(f"CREATE OR REPLACE TEMP TABLE vdb_given AS SELECT * FROM temp.{WRITTEN}")
    kept = rows.ask(f"SELECT * FROM temp.{WRITTEN}").description
    target = tree.relation(quoted(schema.name))
    given = tree.relation("temp.vdb_given AS excluded")
    key = schema.key or ""
    parts = [tree.expression("a = b", a=tree.column(schema.name, key), b=tree.column("excluded", key))]
    if changes.get("condition"):
        parts.append(changes["condition"])
    written = {**changes, "condition": tree.conjunction(parts)}
    slots = update_from(call, transaction, (target, given), written)
    columns = ", ".join(quoted(column[0]) for column in kept)
    rows.ask(f"CREATE OR REPLACE TEMP TABLE {WRITTEN} AS SELECT {columns} FROM temp.vdb_given")
    rows.ask("DROP TABLE temp.vdb_given")
    return slots
