"""Every predicate of the hostile corpus is refused, or does nothing but choose rows of its own table."""

from __future__ import annotations

import os
import random
import re
from typing import TYPE_CHECKING

import duckdb
import pytest
from hostile_corpus import HARMLESS, LINES, PAPERS, REFUSED
from hostile_grammar import Grammar

from vdb.errors import PredicateError
from vdb.query.allow import FUNCTIONS
from vdb.query.parse import parse_predicate
from vdb.storage.schema import parse_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.types import Predicate

REPEAT = re.compile(r"\{(.+?)\}\*(\d+)")


def decoded(line: str) -> str:
    text = re.sub(
        r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|[0nt\\])",
        lambda m: {"0": "\0", "n": "\n", "t": "\t", "\\": "\\"}.get(m[1]) or chr(int(m[1][1:], 16)),
        line,
    )
    return REPEAT.sub(lambda m: m[1] * int(m[2]), text)


GENERATED = int(os.environ.get("VDB_HOSTILE", "1000"))


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        fill(connection, "treasure")
        yield connection


def fill(connection: duckdb.DuckDBPyConnection, secret: str) -> None:
    connection.execute(
        """
        CREATE TABLE papers (id BIGINT, title VARCHAR, year INTEGER, d DATE, ts TIMESTAMP, tags VARCHAR[],
            s STRUCT(x INTEGER, y VARCHAR), embedding BOOLEAN, _slot UINTEGER);
        INSERT INTO papers SELECT i, repeat('a', 200), i, DATE '2020-01-01', TIMESTAMP '2020-01-01', ['a'],
            {'x': i, 'y': 'b'}, TRUE, i FROM range(100) r(i);
        CREATE TABLE secret (secret VARCHAR);
        """
    )
    connection.execute("INSERT INTO secret VALUES (?)", [secret])


def everything(connection: duckdb.DuckDBPyConnection) -> list[object]:
    """All that a predicate could change."""
    return [
        connection.execute(query).fetchall()
        for query in (
            "SELECT * FROM papers ORDER BY id",
            "SELECT * FROM secret",
            "SELECT database_name FROM duckdb_databases()",
            "SELECT table_name FROM duckdb_tables()",
            "SELECT function_name FROM duckdb_functions() WHERE NOT internal",
            "SELECT name, value FROM duckdb_settings()",
        )
    ]


def test_corpus_is_large_and_every_line_is_marked() -> None:
    assert len(REFUSED) + len(HARMLESS) == len(LINES) == len(set(LINES))
    assert len(LINES) >= 150


@pytest.mark.parametrize("line", REFUSED)
def test_hostile_predicate_is_refused(line: str) -> None:
    with pytest.raises(PredicateError):
        parse_predicate(decoded(line), None, PAPERS)


@pytest.mark.parametrize("line", HARMLESS)
def test_accepted_predicate_only_chooses_rows(line: str, database: duckdb.DuckDBPyConnection) -> None:
    before = everything(database)
    rows = run(database, parse_predicate(decoded(line), None, PAPERS))
    assert rows <= set(range(100))
    assert everything(database) == before


def run(database: duckdb.DuckDBPyConnection, predicate: Predicate) -> set[int]:
    found = database.execute(f"SELECT _slot FROM papers WHERE {predicate.sql}", predicate.parameters or None)
    return {slot for (slot,) in found.fetchall()}


def test_generated_predicates_are_refused_with_a_reason_or_choose_rows_of_their_table(
    database: duckdb.DuckDBPyConnection,
) -> None:
    """What is accepted chooses the same rows beside other secrets, tables and settings, and changes none of them."""
    grammar = Grammar(random.Random(7), [decoded(line) for line in LINES if "}*" not in line], FUNCTIONS)
    accepted, reasons = 0, []
    with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "200MB"}) as other:
        fill(other, "trinket")
        other.execute("CREATE TABLE more AS SELECT 1 AS id")
        before = [everything(connection) for connection in (database, other)]
        for _ in range(GENERATED):
            text = grammar.predicate()
            try:
                predicate = parse_predicate(text, None, PAPERS)
            except PredicateError as error:
                reasons.append(str(error))
                continue
            accepted += 1
            assert outcome(database, predicate) == outcome(other, predicate), text
            if accepted % 100 == 0:
                assert [everything(connection) for connection in (database, other)] == before, text
        assert [everything(connection) for connection in (database, other)] == before
    assert accepted > GENERATED // 100
    assert min(map(len, reasons)) > len("Fix:")


def outcome(database: duckdb.DuckDBPyConnection, predicate: Predicate) -> set[int] | type:
    """The rows chosen, or the kind of error that a row makes."""
    try:
        rows = run(database, predicate)
    except duckdb.Error as error:
        return type(error)
    assert rows <= set(range(100))
    return rows


@pytest.mark.parametrize("line", [line for line in REFUSED if "}*" in line])
def test_refusal_of_a_huge_text_is_short(line: str) -> None:
    with pytest.raises(PredicateError) as error:
        parse_predicate(decoded(line), None, PAPERS)
    assert len(str(error.value)) < 2_000


@pytest.mark.parametrize(
    "value", ["x' OR 1=1 --", "'); DROP TABLE secret; --", "$1", "?", "\\'; --", '"', "a\0b", "\N{ZERO WIDTH SPACE}"]
)
def test_a_parameter_is_a_value_and_never_text(value: str, database: duckdb.DuckDBPyConnection) -> None:
    before = everything(database)
    assert run(database, parse_predicate("title = ?", [value], PAPERS)) == set()
    assert len(run(database, parse_predicate("title != $v", {"v": value}, PAPERS))) == 100
    assert everything(database) == before


@pytest.mark.parametrize(
    "name", ['a"b', "a'b", "a;b", "a--b", "a/*b", "select", "a b", "$1", "?", "papers", "main", "__t", "true", "*", "1"]
)
def test_no_column_name_breaks_out_of_its_quotes(name: str) -> None:
    schema = parse_schema("papers", {name: "INTEGER", "embedding": "FLOAT[3]"})
    quoted = '"' + name.replace('"', '""') + '"'
    predicate = parse_predicate(f"{quoted} = 7", None, schema)
    assert predicate.columns == {name}
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE papers ({quoted} INTEGER, _slot UINTEGER)")
        connection.execute("INSERT INTO papers VALUES (7, 0), (8, 1)")
        assert run(connection, predicate) == {0}


def test_field_of_a_struct_named_like_its_table_is_not_a_hidden_column() -> None:
    schema = parse_schema("papers", {"papers": "STRUCT(_slot INTEGER)", "embedding": "FLOAT[3]"})
    predicate = parse_predicate("papers._slot = 7", None, schema)
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE papers (papers STRUCT(_slot INTEGER), _slot UINTEGER)")
        connection.execute("INSERT INTO papers VALUES ({'_slot': 7}, 0), ({'_slot': 8}, 7)")
        assert run(connection, predicate) == {0}
