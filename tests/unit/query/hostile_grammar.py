"""Hostile predicates by the thousand: made of what DuckDB has, what injections are made of, and of other such texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import duckdb

if TYPE_CHECKING:
    from random import Random

COLUMNS: Final = ("id", "title", "year", "d", "ts", "tags", "s", "s.x", "embedding", "papers.id", '"title"')
HIDDEN: Final = (
    "_slot",
    "rowid",
    "papers._slot",
    "papers.rowid",
    "secret",
    "secret.secret",
    "main.papers.id",
    "*",
    "__t",
)
VALUES: Final = (
    "1",
    "-1",
    "''",
    "'a'",
    "NULL",
    "TRUE",
    "1e308",
    "0x10",
    "['a']",
    "{'x': 1}",
    "?",
    "$1",
    "$n",
    "#1",
    "'\0'",
)
TYPES: Final = (
    "INTEGER",
    "VARCHAR",
    "BLOB",
    "INTEGER[]",
    "STRUCT(a INTEGER)",
    "MAP(INTEGER, VARCHAR)",
    "secret",
    "BIT",
    "UUID",
)
QUERIES: Final = (
    "SELECT secret FROM secret",
    "SELECT 1",
    "FROM secret",
    "VALUES (1)",
    "TABLE secret",
    "WITH w AS (SELECT * FROM secret) SELECT * FROM w",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM duckdb_settings()",
    "SHOW TABLES",
    "SELECT max(id) FROM papers",
)
STATEMENTS: Final = (
    "DROP TABLE secret",
    "DELETE FROM papers",
    "UPDATE papers SET year = 0",
    "INSERT INTO secret VALUES ('x')",
    "CREATE TABLE leak AS SELECT * FROM secret",
    "ATTACH ':memory:' AS leak",
    "COPY secret TO '/tmp/leak'",
    "SET memory_limit = '1GB'",
    "PRAGMA enable_profiling",
    "CREATE MACRO leak() AS 1",
    "INSTALL httpfs",
    "CALL pragma_version()",
    "BEGIN",
)
TAILS: Final = (
    " ORDER BY 1",
    " LIMIT 1",
    " GROUP BY id",
    " HAVING TRUE",
    " QUALIFY TRUE",
    " WINDOW w AS ()",
    " USING SAMPLE 1",
    " FOR UPDATE",
    " -- ",
    " /* ",
    " */",
    ";",
    "\n;;",
    ")",
    "(",
    "'",
    '"',
    "$$",
    "\\",
    "\u200b",
    " UNION ALL SELECT 1",
    " EXCEPT SELECT 1",
)
SIGNS: Final = (
    "=",
    "<>",
    "<",
    ">=",
    "IS DISTINCT FROM",
    "LIKE",
    "SIMILAR TO",
    "~",
    "->>",
    "||",
    "@>",
    "^@",
    "<->",
    "IN",
    "+",
)


class Grammar:
    """Makes predicates; `texts` are some that it may bend, and what is accepted calls `known` functions.

    Every other one has hostile parts at few places only: that is how far a gate looks.
    """

    def __init__(self, chance: Random, texts: list[str], known: frozenset[str]) -> None:
        self._chance = chance
        self._texts = texts
        self._known = sorted(known)
        self._tame = 0.0
        with duckdb.connect(":memory:") as connection:
            names = connection.execute("SELECT DISTINCT function_name FROM duckdb_functions() ORDER BY 1").fetchall()
        self._functions = [name for (name,) in names]

    def predicate(self) -> str:
        """One more."""
        self._tame = self._chance.choice([0.0, 0.9, 0.97, 1.0])
        if self._tame == 1.0:
            return self._boolean(2)
        kind = self._chance.randrange(10)
        if kind < 3:
            return self._bent()
        text = self._boolean(3)
        if kind == 3:
            return f"{text}; {self._chance.choice(STATEMENTS)}"
        if kind == 4:
            return (
                f"{text}) {self._chance.choice(['; ' + self._chance.choice(STATEMENTS), 'UNION SELECT (1'])}; SELECT (1"
            )
        if kind == 5:
            return text + self._chance.choice(TAILS)
        return text

    def _boolean(self, depth: int) -> str:
        one = self._chance.choice
        if depth == 0 or self._chance.random() < self._tame / 2:
            return f"{self._value(depth)} {self._sign()} {self._value(0)}"
        inner = [self._boolean(depth - 1) for _ in range(2)]
        plain = [
            f"{self._value(depth)} IS NOT NULL",
            f"{self._value(depth)} BETWEEN {self._value(0)} AND {self._value(0)}",
            f"{self._value(depth)} IN ({self._value(0)}, {self._value(0)})",
            f"({inner[0]}) {one(['AND', 'OR'])} ({inner[1]})",
            f"NOT ({inner[0]})",
            f"CASE WHEN {inner[0]} THEN {inner[1]} END",
        ]
        if self._chance.random() < self._tame:
            return one(plain)
        asking = [
            f"{self._value(0)} IN ({one(QUERIES)})",
            f"EXISTS ({one(QUERIES)})",
            f"{self._value(0)} = ANY ({one(QUERIES)})",
        ]
        return one(plain + asking)

    def _value(self, depth: int) -> str:
        one = self._chance.choice
        if self._chance.random() < self._tame:
            if depth == 0 or self._chance.random() < 0.5:
                return one(["id", "year", "title", "s.x", "1", "7", "'a'", "NULL", "TRUE"])
            return f"{one(self._known)}({', '.join(self._value(0) for _ in range(self._chance.randrange(1, 3)))})"
        if depth == 0:
            return one([one(COLUMNS), one(COLUMNS), one(VALUES), one(HIDDEN), f"({one(QUERIES)})"])
        parts = ", ".join(self._value(depth - 1) for _ in range(self._chance.randrange(4)))
        call = f"{self._name()}({parts})"
        return one(
            [
                call,
                call,
                f"{call} OVER ()",
                f"{self._name()}(DISTINCT {one(COLUMNS)})",
                f"{self._name()}({one(COLUMNS)}, x -> {self._value(0)})",
                f"CAST({self._value(depth - 1)} AS {one(TYPES)})",
                f"{self._value(0)}::{one(TYPES)}",
                f"{self._value(0)}[{self._value(0)}]",
                f"({self._value(0)}).{one(['x', 'y', 'upper()', '*'])}",
                f"COLUMNS({self._value(0)})",
                f"[{self._value(0)} for x in tags]",
                f"{self._value(0)} COLLATE nocase",
                f"({self._value(0)} AT TIME ZONE 'UTC')",
                f"INTERVAL {self._value(0)} DAY",
                f"EXTRACT(epoch FROM {self._value(0)})",
            ]
        )

    def _sign(self) -> str:
        return self._chance.choice(["=", "<", "<>"] if self._chance.random() < self._tame else SIGNS)

    def _name(self) -> str:
        name = self._chance.choice(self._functions)
        return self._chance.choice([name, name, name, f'"{name}"', name.upper(), f"main.{name}", f"system.main.{name}"])

    def _bent(self) -> str:
        """A text of the corpus with something cut out, put in or put together with another one."""
        chance = self._chance
        text = chance.choice(self._texts)
        for _ in range(chance.randrange(1, 4)):
            begin, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
            text = chance.choice(
                [
                    text[:begin] + text[end:],
                    text[:end] + text[begin:],
                    text[:begin] + chance.choice([*TAILS, *VALUES, *COLUMNS, *HIDDEN, *STATEMENTS]) + text[begin:],
                    text[:begin] + chance.choice(self._texts)[:200],
                ]
            )[:2000]
        return text
