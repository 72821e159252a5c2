"""The parser of predicates. An input is a text; a number behind it chooses the parameters.

A text is refused with a PredicateError that points into it, or it becomes SQL that reads as itself, chooses rows of a
small table or fails for a value, and leaves the table as it was.
"""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from vdb.errors import InvalidArgument, PredicateError
from vdb.query import allow
from vdb.query.parse import parse_predicate

sys.path.append(str(Path(__file__).parent.parent / "unit" / "query"))

from hostile_corpus import LINES, PAPERS, TYPES

if TYPE_CHECKING:
    import random

KEYWORDS = r"""
    ( ) [ ] { } ' " '' $$ AND OR NOT IN IS NULL BETWEEN CASE WHEN THEN ELSE END LIKE ESCAPE SIMILAR TO CAST TRY
    TRUE FALSE SELECT FROM WITH WINDOW VALUES UNION COLLATE INTERVAL DISTINCT FILTER OVER ORDER BY DEFAULT LAMBDA
    EXISTS ANY ALL DATE TIMESTAMP 1 0 -1 1.5 1e400 9223372036854775808 0x1F 'a' 'x%' '2020-01-01' E'\n' x'00' 1_000
"""
FUNCTIONS = [f"{name}(" for name in sorted(allow.FUNCTIONS)]
WORDS = [
    *PAPERS.by_name,
    *(allow.OPERATORS | {"=", "<", ">=", "<>", "::", "->", ".", ",", ";", "--", "/*", "*/", "#1", "$a", "$1", "?"}),
    *KEYWORDS.split(),
    *(f"AS {name}" for name in sorted(set(allow.SCALAR_TYPES.values()))),
    "read_csv('/etc/passwd')", "getenv('HOME')", "year IN (1, 2, 3)", "title LIKE 'a%'", "list_contains(tags, 'a')",
    "CASE WHEN year = 1 THEN 'a' ELSE NULL END", "s.x = 1", "(s).y", "tags[1]", "\N{ZERO WIDTH SPACE}", "\N{EM DASH}",
]  # fmt: skip
VALUES = [None, True, 1, -5, 1.5, float("nan"), "a", "2020-01-01", "'", b"\0", [1, 2], ["a"], [], 1 << 70]
FINE = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)
TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)


class Predicates:
    watched = ("vdb/query/", "vdb/attributes/")

    def __init__(self) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = None

    def seeds(self) -> list[bytes]:
        texts = [line[2:] for line in LINES if len(line) < 200]
        return [text.encode() + b"%d" % (number % 3) for number, text in enumerate([*texts, *WORDS])]

    def change(self, data: bytes, other: bytes, chance: random.Random) -> bytes:
        text = data[:-1].decode(errors="surrogateescape")
        tokens = TOKEN.findall(text)
        others = TOKEN.findall(other[:-1].decode(errors="surrogateescape"))
        for _ in range(chance.randint(1, 3)):
            at, end = sorted((chance.randint(0, len(tokens)), chance.randint(0, len(tokens))))
            match chance.randrange(8):
                case 0:
                    tokens[at:end] = []
                case 1 | 2:
                    tokens[at:at] = [" ", chance.choice(chance.choice((WORDS, FUNCTIONS))), " "]
                case 3:
                    tokens[at : at + 1] = [chance.choice(WORDS)]
                case 4:
                    tokens[at:end] = others[: chance.randint(1, 10)]
                case 5:
                    tokens[at:end] = ["(", *tokens[at:end], ")"]
                case 6:
                    tokens += [chance.choice((" AND ", " OR ", " = ")), *others]
                case _ if at < len(tokens):
                    place = chance.randint(0, len(tokens[at]))
                    letter = chr(chance.choice((0, 9, 39, 92, 233, 0x1F600, 65)))
                    tokens[at] = tokens[at][:place] + letter + tokens[at][place:]
        return "".join(tokens)[:600].encode(errors="surrogateescape") + b"%d" % chance.randrange(10)

    def use(self, data: bytes, chance: random.Random) -> str | None:
        text = data[:-1].decode(errors="surrogateescape")
        parameters: object = None
        if data[-1] % 3 == 1:
            parameters = [chance.choice(VALUES) for _ in range(min(text.count("?") + text.count("$"), 20))]
        elif data[-1] % 3 == 2:
            parameters = {name: chance.choice(VALUES) for name in re.findall(r"\$(\w+)", text)[:20]}
        try:
            predicate = parse_predicate(text, parameters, PAPERS)
        except PredicateError as error:
            inside = error.position is None or 0 <= error.position <= len(text)
            return None if inside and str(error) else f"it points to {error.position}"
        except InvalidArgument as error:
            return None if str(error) else "it says nothing"
        again = parse_predicate(predicate.sql, predicate.parameters, PAPERS)
        if again.sql != predicate.sql:
            return f"it becomes {predicate.sql}, and that {again.sql}"
        return self._run(predicate.sql, predicate.parameters)

    def _run(self, sql: str, values: object) -> str | None:
        connection = self._table()
        with contextlib.suppress(*FINE):
            connection.execute(f"SELECT _slot FROM papers WHERE {sql}", values or None).fetchall()
        if connection.execute("SELECT count(*), sum(_slot) FROM papers").fetchone() != (20, 190):
            return f"{sql} changes the table"
        return None

    def _table(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
            columns = ", ".join(f'"{name}" {kind}' for name, kind in TYPES.items())
            self._connection.execute(f"CREATE TABLE papers ({columns}, embedding BOOLEAN, _slot UINTEGER)")
            self._connection.execute(
                "INSERT INTO papers SELECT i, repeat('a', i % 5), nullif(i, 3), DATE '2020-01-01',"
                " TIMESTAMP '2020-01-01', ['a'], {'x': i, 'y': 'b'}, TRUE, i FROM range(20) r(i)"
            )
        return self._connection
