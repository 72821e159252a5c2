"""MERGE INTO: DuckDB has no tree for it, so it is read by its clauses, each of which is part of a statement that has.

The join is computed once, with the clause that each row falls to; then every clause is an UPDATE, DELETE or INSERT of
its rows, through the one commit of every write. RETURNING shows each of them as it is
then, or was before it was deleted.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vdb.errors import InvalidArgument
from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.found import NO_SLOTS
from vdb.sql.given import check_given
from vdb.sql.result import Result
from vdb.sql.returning import shown_rows
from vdb.sql.scope import SHOWS_SLOT
from vdb.sql.staging import Call, settled, staged, target_column
from vdb.sql.tokens import Reader, Script
from vdb.sql.update import update_from
from vdb.storage.rows import quoted
from vdb.types import SLOT_COLUMN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.query.syntax import Node
    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement
    from vdb.storage.store import WriteTransaction
    from vdb.types import Slots, TableSchema

_MERGED: Final = "vdb_merged"
_RETURNED: Final = "vdb_merge_returned"
_ACTION: Final = "merge_action"  # what RETURNING calls that which was done to a row
_SLOT: Final = "_vdb_target"
_CLAUSE: Final = "_vdb_clause"
_GIVEN: Final = "_vdb_given"
_KINDS: Final = ("delete", "update", "insert")
_HEADS: Final = {"update": "UPDATE", "insert": "INSERT INTO"}
_BY_NAME: Final = ("", "*", "set *", "by name", "by name *")


@dataclass(frozen=True)
class _Clause:
    """A WHEN: `state` is matched, target (not matched by it) or source; `node` is the UPDATE or INSERT behind THEN.

    None: of every column of the source, by its name.
    """

    state: str
    condition: Node
    action: str
    node: Node | None = None


@dataclass(frozen=True)
class _Merge:
    """A MERGE INTO as read: its two sides joined, its clauses in order, and what RETURNING shows."""

    target: Node
    source: Node
    join: Node
    clauses: tuple[_Clause, ...]
    returning: list[Node]

    @property
    def nodes(self) -> list[Any]:
        """Everything that was read."""
        parts = (part for clause in self.clauses for part in (clause.condition, clause.node))
        return [self.join, *parts, self.returning]

    @property
    def name(self) -> str:
        """What the source is called."""
        return str(self.source["alias"] or self.source.get("table_name") or "vdb_source")


def merge(session: Session, statement: Statement, values: Mapping[str, object]) -> Result:
    """Run a MERGE INTO."""
    statement.refuse_marks()
    read = _read(statement)
    check_given(tree.parameters_of(read.nodes), values)
    schema = session.table(read.target["table_name"]).schema
    session.before_write()
    with session.engine.writing(schema.name) as transaction, session.engine.store.statement() as opened:
        call = Call(session, opened, values)
        final, bound = call.prepared(_joined(read))
        opened.ask(f"CREATE OR REPLACE TEMP TABLE {_MERGED} AS {final}", bound)
        try:
            _check_once(call, schema, read)
            _show(call, read, "", NO_SLOTS)
            n = 0
            for kind in _KINDS:  # so that a key that goes can come again
                for number, clause in enumerate(read.clauses):
                    if clause.action == kind:
                        n += _carry_out(call, transaction, read, number)
            return Result(opened.answer(f"SELECT * FROM temp.{_RETURNED}") if read.returning else None, n)
        finally:
            if not opened.failed:
                opened.ask(f"DROP TABLE temp.{_MERGED}")
                opened.ask(f"DROP TABLE IF EXISTS temp.{_RETURNED}")


def _read(statement: Statement) -> _Merge:
    reader = Reader(statement, 1)
    reader.expect("into")
    target = reader.clause("using")
    reader.expect("using")
    source = reader.clause("when")
    node = _parsed(f"SELECT 1 FROM {target} JOIN {source}")
    join = node["from_table"]
    if join.get("type") != "JOIN" or join["left"].get("type") != "BASE_TABLE":
        raise reader.error("expected a table, USING rows ON a condition")
    clauses = []
    while reader.take("when"):
        clauses.append(_read_clause(reader, quoted(join["left"]["table_name"])))
    table = quoted(join["left"]["table_name"])
    returning = _parsed(f"DELETE FROM {table} RETURNING {reader.rest()}") if reader.take("returning") else {}
    reader.end()
    if not clauses:
        raise reader.error("expected WHEN MATCHED or WHEN NOT MATCHED")
    return _Merge(join["left"], join["right"], join, tuple(clauses), returning.get("returning_list", []))


def _read_clause(reader: Reader, table: str) -> _Clause:
    state = "matched"
    if reader.take("not"):
        state = "target"
    reader.expect("matched")
    if state == "target" and reader.take("by"):
        state = "source" if reader.take("source") else "target"
        if state == "target":
            reader.expect("target")
    condition = tree.written(reader.clause("then") if reader.take("and") else "TRUE")
    reader.expect("then")
    if reader.take("do", "nothing"):
        return _Clause(state, condition, "nothing")
    action = next((word for word in _KINDS if reader.take(word)), "")
    if not action or (action == "insert") != (state == "target"):
        expected = "INSERT" if state == "target" else "UPDATE or DELETE"
        raise reader.error(f"expected {expected}, or DO NOTHING")
    rest = reader.clause("when", "returning")
    if action == "delete" or " ".join(rest.lower().split()) in _BY_NAME:
        return _Clause(state, condition, action)
    return _Clause(state, condition, action, _parsed(f"{_HEADS[action]} {table} {rest}"))


def _joined(read: _Merge) -> Node:
    """A query for the rows of both sides: the target's slot, the number of the clause, and the source's columns."""
    join = copy.deepcopy(read.join)  # compiling it changes it
    join["left"][SHOWS_SLOT] = True
    alias = read.target["alias"] or read.target["table_name"]
    source = tree.relation(f"(SELECT *, TRUE AS {_GIVEN} FROM t) AS {quoted(read.name)}")
    source["subquery"]["node"]["from_table"] = join["right"]
    slot, given = tree.column(alias, SLOT_COLUMN), tree.column(read.name, _GIVEN)
    states = {
        "matched": tree.expression("s IS NOT NULL AND g IS NOT NULL", s=slot, g=given),
        "target": tree.expression("s IS NULL", s=slot),
        "source": tree.expression("g IS NULL", g=given),
    }
    number: Node = tree.expression("CAST(NULL AS INTEGER)")
    for i, clause in reversed(list(enumerate(read.clauses))):
        parts = [states[clause.state], clause.condition]
        when = tree.conjunction([one for part in parts for one in tree.conjuncts(part)])
        assert when is not None
        number = tree.expression(f"CASE WHEN a THEN {i} ELSE b END", a=when, b=number)
    query = tree.query(f"SELECT s AS {_SLOT}, c AS {_CLAUSE}, x.* FROM t")
    query["select_list"][0] = {**slot, "alias": _SLOT}
    query["select_list"][1] = {**number, "alias": _CLAUSE}
    query["select_list"][2]["relation_name"] = read.name
    outer = any(clause.state == "source" for clause in read.clauses)
    query["from_table"] = {**join, "right": source, "join_type": "FULL" if outer else "RIGHT"}
    return query


def _check_once(call: Call, schema: TableSchema, read: _Merge) -> None:
    """Refuse to change a row twice, since which change should stay is unclear."""
    changing = [str(i) for i, clause in enumerate(read.clauses) if clause.action in ("update", "delete")]
    if not changing:
        return
    twice = call.statement.ask(
        f"SELECT 1 FROM temp.{_MERGED} WHERE {_CLAUSE} IN ({', '.join(changing)})"
        f" GROUP BY {_SLOT} HAVING count(*) > 1 LIMIT 1"
    ).fetchall()
    if twice:
        raise InvalidArgument(
            f"MERGE would change a row of {schema.name} twice: several rows of {read.name} match it.\n"
            "  Fix: make them one, as by SELECT DISTINCT ON."
        )


def _carry_out(call: Call, transaction: WriteTransaction, read: _Merge, number: int) -> int:
    """Do what a clause says to its rows; returns their number."""
    clause = read.clauses[number]
    schema = call.session.table(read.target["table_name"]).schema
    if clause.action == "delete":
        asked = call.statement.ask(f"SELECT {_SLOT} AS s FROM temp.{_MERGED} WHERE {_CLAUSE} = {number}")
        slots = np.ascontiguousarray(asked.fetchnumpy()["s"], np.uint32)
        _show(call, read, "DELETE", slots)  # as they were
        return transaction.delete(schema.name, slots)
    if clause.action == "update":
        slots = _update(call, transaction, read, number)
        _show(call, read, "UPDATE", slots)
    else:
        first = transaction.state.table(schema.name).next_slot
        slots = np.arange(first, first + _insert(call, transaction, read, number), dtype=np.uint32)
        _show(call, read, "INSERT", slots)
    return len(slots)


def _show(call: Call, read: _Merge, action: str, slots: Slots) -> None:
    """Note what RETURNING shows of the rows in `slots`, to which `action` was done; the first call has none."""
    if not read.returning:
        return
    schema = call.session.table(read.target["table_name"]).schema
    done = tree.expression(f"'{action}'")

    def put(node: Node) -> Node | None:
        return done if fold(tree.only_name(node)) == _ACTION else None

    shown = [
        {**tree.replaced(node, put), "alias": node["alias"] or tree.shown_name(node)}
        if any(map(put, tree.walk(node)))
        else node
        for node in copy.deepcopy(read.returning)
    ]
    final, bound = shown_rows(call, shown, schema, read.target["alias"] or schema.name, slots)
    head = f"INSERT INTO temp.{_RETURNED}" if action else f"CREATE OR REPLACE TEMP TABLE {_RETURNED} AS"
    call.statement.ask(f"{head} {final}", bound)


def _update(call: Call, transaction: WriteTransaction, read: _Merge, number: int) -> Slots:
    alias = read.target["alias"] or read.target["table_name"]
    schema = call.session.table(read.target["table_name"]).schema
    node = read.clauses[number].node
    if node is None:
        names = [name for name in _given(call) if fold(name) != fold(schema.key or "")]
        names = [name for name in names if any(fold(name) == fold(known) for known in schema.by_name)]
        changes: dict[str, Any] = {"columns": names, "expressions": [tree.column(read.name, name) for name in names]}
    else:
        changes = copy.deepcopy(node["set_info"])
    _check_alone(changes["expressions"])
    mine = tree.expression(
        f"a = b AND c = {number}",
        a=tree.column(alias, SLOT_COLUMN),
        b=tree.column(read.name, _SLOT),
        c=tree.column(read.name, _CLAUSE),
    )
    given = tree.relation(f"temp.{_MERGED} AS {quoted(read.name)}")
    return update_from(call, transaction, (copy.deepcopy(read.target), given), {**changes, "condition": mine})


def _insert(call: Call, transaction: WriteTransaction, read: _Merge, number: int) -> int:
    schema = call.session.table(read.target["table_name"]).schema
    node = copy.deepcopy(read.clauses[number].node)
    if node is None:
        columns = [target_column(schema, name) for name in _given(call)]
        values = [tree.column(read.name, name) for name in _given(call)]
    else:
        columns = [target_column(schema, name) for name in node["columns"]] or list(schema.by_name)
        clause = ((node["select_statement"] or {}).get("node") or {}).get("from_table") or {}
        if clause.get("type") != "EXPRESSION_LIST" or len(clause["values"]) != 1:
            raise InvalidArgument(
                "MERGE inserts one VALUES (...) for each row.\n  Fix: INSERT (column, ...) VALUES (...)."
            )
        values = clause["values"][0]
    _check_alone(values)
    if len(values) != len(columns):
        raise InvalidArgument(
            f"{len(values)} values for {len(columns)} columns of {schema.name}: {', '.join(columns)}.\n"
            "  Fix: name the columns that are given, INSERT (column, ...) VALUES (...)."
        )
    query = tree.query(f"SELECT 1 FROM temp.{_MERGED} AS {quoted(read.name)} WHERE {_CLAUSE} = {number}")
    query["select_list"] = settled(values, schema, columns)
    with staged(call, query, schema, columns) as rows:
        n = rows.n
        if n:
            transaction.insert(schema.name, rows.batch())
    return n


def _given(call: Call) -> list[str]:
    """The columns of the source."""
    found = call.statement.ask(f"SELECT * FROM temp.{_MERGED} LIMIT 0").description
    return [column[0] for column in found if column[0] not in (_SLOT, _CLAUSE, _GIVEN)]


def _check_alone(expressions: list[Node]) -> None:
    if any(tree.is_query(inner) for inner in tree.walk(expressions)):
        raise InvalidArgument(
            "a query inside of a value of MERGE, which may look at rows that it has changed.\n"
            "  Fix: compute it in the source of the MERGE."
        )


def _parsed(text: str) -> Node:
    return tree.parse(Script(text).statements[0])
