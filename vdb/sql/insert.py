"""INSERT: its rows computed by DuckDB, then written through the one commit of every write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
from vdb.storage.unique import unique_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vdb.query.syntax import Node
    from vdb.sql.session import Session
    from vdb.sql.staging import Staged
    from vdb.storage.state import TableState
    from vdb.storage.store import WriteTransaction
    from vdb.types import Slots, TableSchema

_TAKEN: Final = "_vdb_taken"


def insert(session: Session, node: Node, values: Mapping[str, object]) -> Result:
    """Run an INSERT."""
    state = session.table(node["table"])
    schema = state.schema
    action = _action(node)
    with session.engine.writing(schema.name) as transaction, session.engine.store.statement() as statement:
        call = Call(session, statement, values)
        columns, query = _source(call, node, schema)
        with staged(call, query, schema, columns) as rows:
            changed = _resolve_conflicts(call, transaction, node, state, rows)
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


def _resolve_conflicts(call: Call, transaction: WriteTransaction, node: Node, state: TableState, rows: Staged) -> Slots:
    """Do what ON CONFLICT says about values that are taken, and leave the rows to insert; returns the changed slots."""
    action = _action(node)
    if action == "THROW":
        return NO_SLOTS
    targets = _targets(node, state, rows)
    if action == "UPDATE":
        return _update_taken(call, transaction, node, rows, targets[0])
    if action == "NOTHING":
        for columns in targets:
            known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in columns)
            listed = ", ".join(map(quoted, columns))
            rows.ask(
                f"DELETE FROM temp.{WRITTEN} WHERE rowid IN (SELECT w.rowid FROM temp.{WRITTEN} AS w"
                f" WHERE {_is_taken(state.schema, columns)})"
            )
            rows.ask(
                f"DELETE FROM temp.{WRITTEN} WHERE {known}"
                f" AND rowid NOT IN (SELECT min(rowid) FROM temp.{WRITTEN} GROUP BY {listed})"
            )
    return NO_SLOTS


def _targets(node: Node, state: TableState, rows: Staged) -> list[tuple[str, ...]]:
    """The columns that ON CONFLICT is about: those it names, or those of the key and of whatever is UNIQUE."""
    schema, info = state.schema, node["on_conflict_info"]
    key = () if schema.key is None else (schema.key,)
    known = [columns for columns in (key, *map(unique_columns, state.attribute_indexes.values())) if columns]
    given = [columns for columns in known if set(columns) <= set(rows.columns)]
    named = {name.lower() for name in info.get("indexed_columns", [])}
    if named:
        given = [columns for columns in given if {name.lower() for name in columns} == named]
    if _action(node) == "REPLACE":
        given = [columns for columns in given if columns == key]
    if given and (len(given) == 1 or _action(node) == "NOTHING"):
        return given
    asked = f" ({', '.join(sorted(named))})" if named else ""
    expected = " or ".join(f"({', '.join(columns)})" for columns in known) or "none"
    raise InvalidArgument(
        f"ON CONFLICT{asked} needs what is unique in {schema.name} among the"
        f" values: the primary key or UNIQUE columns, {expected}.\n  Fix: give them, and name which are meant."
    )


def _is_taken(schema: TableSchema, columns: Sequence[str]) -> str:
    """Whether a row of the table has the values of the row `w`."""
    same = " AND ".join(f"t.{quoted(name)} = w.{quoted(name)}" for name in columns)
    return f"EXISTS (SELECT 1 FROM {table_name(schema)} AS t WHERE {same})"


def _update_taken(call: Call, transaction: WriteTransaction, node: Node, rows: Staged, columns: Sequence[str]) -> Slots:
    """ON CONFLICT DO UPDATE: an UPDATE of the rows whose values are given, FROM the given rows; the others are left."""
    changes, schema = node["on_conflict_info"]["set_info"], call.session.table(node["table"]).schema
    kept = ", ".join(quoted(column[0]) for column in rows.ask(f"SELECT * FROM temp.{WRITTEN}").description)
    rows.ask(
        f"CREATE OR REPLACE TEMP TABLE vdb_given AS SELECT *, {_is_taken(schema, columns)} AS {_TAKEN}"
        f" FROM temp.{WRITTEN} AS w"
    )
    target = tree.relation(quoted(schema.name))
    given = tree.relation("temp.vdb_given AS excluded")
    parts = [
        tree.expression("a = b", a=tree.column(schema.name, name), b=tree.column("excluded", name)) for name in columns
    ]
    if changes.get("condition"):
        parts.append(changes["condition"])
    written = {**changes, "condition": tree.conjunction(parts)}
    slots = update_from(call, transaction, (target, given), written)
    rows.ask(f"CREATE OR REPLACE TEMP TABLE {WRITTEN} AS SELECT {kept} FROM temp.vdb_given WHERE NOT {_TAKEN}")
    rows.ask("DROP TABLE temp.vdb_given")
    return slots
