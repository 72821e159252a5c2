"""What a `where` text may say, what becomes of it, and what is said about the others."""

from __future__ import annotations

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from vdb.errors import InvalidArgument, PredicateError
from vdb.query import allow, bind, syntax
from vdb.query.parse import parse_predicate
from vdb.storage.schema import parse_schema

PAPERS = parse_schema(
    "papers",
    {
        "id": "BIGINT PRIMARY KEY",
        "title": "VARCHAR",
        "year": "INTEGER",
        "d": "DATE",
        "ts": "TIMESTAMP",
        "score": "DECIMAL(5,2)",
        "tags": "VARCHAR[]",
        "ok": "BOOLEAN",
        "key": "UUID",
        "s": "STRUCT(x INTEGER, y STRUCT(z INTEGER))",
        "Group": "INTEGER",
        "gr\N{LATIN SMALL LETTER O WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}e": "INTEGER",
        "embedding": "FLOAT[3]",
    },
)


def refusal(text: str, parameters: object = None) -> PredicateError:
    with pytest.raises(PredicateError) as error:
        parse_predicate(text, parameters, PAPERS)
    return error.value


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("year >= 2020", '("year" >= 2020)'),
        ("year>2020 -- since", '("year" > 2020)'),
        ("year > 2020 ;", '("year" > 2020)'),
        ("/* a */ year /* b */ > /* c */ 2020 /* d */ ; -- e", '("year" > 2020)'),
        ("YEAR = 1 AND Ok", '(("year" = 1) AND ok)'),
        ('"group" = 1', '("Group" = 1)'),
        ("year BETWEEN 1 AND 2", '("year" BETWEEN 1 AND 2)'),
        ("year NOT IN (1, NULL)", '(NOT ("year" IN (1, NULL)))'),
        ("title NOT ILIKE 'a%'", "(title !~~* 'a%')"),
        ("title LIKE 'a!%' ESCAPE '!'", "like_escape(title, 'a!%', '!')"),
        ("title = 'it''s'", "(title = 'it''s')"),
        ("title = $$it's$$", "(title = 'it''s')"),
        ("d >= DATE '2020-01-01'", "(d >= CAST('2020-01-01' AS DATE))"),
        ("year::int4 = 1", '(CAST("year" AS INTEGER) = 1)'),
        ("s.x = 1", "((s).x = 1)"),
        ("S.y.z = 1", "(((s).y).z = 1)"),
        ("'a' IN tags", "contains(tags, 'a')"),
        ("LOWER(title) = 'a'", "(lower(title) = 'a')"),
        ("(title).lower() = 'a'", "(lower(title) = 'a')"),
        ("ok IS NOT UNKNOWN", "(ok IS NOT NULL)"),
        ("embedding IS NOT NULL", "(embedding IS NOT NULL)"),
        ("TRUE", "true"),
    ],
)
def test_text_is_written_anew_by_duckdb(text: str, sql: str) -> None:
    assert parse_predicate(text, None, PAPERS).sql == sql


@pytest.mark.parametrize(
    "text",
    [
        "list_contains(tags, 'a') AND tags && ['a'] AND tags @> ['b'] AND tags <@ ['c']",
        "len(tags) = 2 OR tags[1] = 'a' OR tags[1:2] = ['a', 'b']",
        "CASE WHEN ok THEN year > 1 ELSE title IS NULL END",
        "CASE year WHEN 1 THEN ok END",
        "COALESCE(ok, year IS DISTINCT FROM 1, FALSE)",
        "ts >= TIMESTAMP '2020-01-01' - INTERVAL 3 MONTH",
        "ts >= d + INTERVAL (year) DAY",
        "EXTRACT(year FROM d) = 2020 AND date_trunc('month', ts) = d",
        "year + 1 - 2 * 3 // 4 % 5 > -6 / 7",
        "title || 'x' = concat(title, 'x') AND title ^@ 'a'",
        "regexp_matches(title, '^a', 'i') OR title ~ 'b' OR title SIMILAR TO 'c'",
        "TRY_CAST(title AS INTEGER) = 1 AND year::VARCHAR(4) = '2020' AND year::DECIMAL(9, 2) > 1.5",
        "isfinite(year::DOUBLE) AND greatest(year, id) = least(1, 2)",
        "ts::TIMESTAMP WITH TIME ZONE IS NOT NULL",
        "TRY(1 // year) IS NULL",
        "CASE WHEN ok THEN CASE year WHEN 1 THEN CASE id WHEN 2 THEN FALSE END END END",
        "(year BETWEEN 1 AND 2) BETWEEN FALSE AND TRUE",
        "strftime(d, '%Y') = '2020' AND substring(title FROM 1 FOR 2) = 'ab'",
        "position('a' IN title) > 0 AND trim(BOTH 'x' FROM title) = 'a'",
        "key = '4b80f0e8-2262-4780-bc28-ef9329425600' AND score < '1.50'",
    ],
)
def test_ordinary_sql_is_accepted(text: str) -> None:
    assert parse_predicate(text, None, PAPERS).parameters == ()


def test_predicate_knows_its_columns_by_their_own_names() -> None:
    predicate = parse_predicate("YEAR = 1 OR s.x = 2 OR EMBEDDING IS NULL OR year = 3", None, PAPERS)
    assert predicate.columns == {"year", "s", "embedding"}


def test_unknown_column_is_named_with_its_place_and_the_nearest() -> None:
    error = refusal("yeer >= 2020")
    assert str(error).startswith("no column 'yeer' in table papers.\n  yeer >= 2020\n  ^\n  Columns: id, title, year")
    assert str(error).endswith("Did you mean 'year'?")
    assert error.position == 0


def test_place_counts_characters_not_bytes() -> None:
    error = refusal("title = '\N{GRINNING FACE}\N{LATIN SMALL LETTER E WITH ACUTE}' AND\n  yeer = 1")
    assert error.position == 19
    assert "\n    yeer = 1\n    ^\n" in str(error)


def test_long_line_is_shown_around_the_place() -> None:
    error = refusal("year = 1 OR " * 50 + "yeer = 1" + " OR year = 1" * 50)
    line, caret = str(error).splitlines()[1:3]
    assert line[caret.index("^") :].startswith("yeer = 1")
    assert len(line) <= 102


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("year = ", 6, "ends too early"),
        ("year > AND ok", 7, 'syntax error at or near "AND"'),
        ("(year = 1", 0, "'(' is never closed"),
        ("year = 1)", 8, "')' closes nothing"),
        ("title = 'a", 8, "unterminated string"),
        ("year = 1 ORDER BY year", 9, 'near "ORDER"'),
        ("year = 1 WINDOW w AS ()", 9, "WINDOW has no place"),
        ("year = (SELECT 1)", 8, "SELECT has no place"),
        ("year IN (FROM x)", 8, "subquery is not allowed"),
        ("year = 1; DROP TABLE papers", 8, 'near ";"'),
        ("lower(year) = 'a'", 0, "No function matches the given name and argument types 'lower(INTEGER)'"),
        ("ok AND list_contains(title, 'x')", 7, "'list_contains(VARCHAR, STRING)'"),
        ("ok AND list_contains(tags, 1)", 27, "given VARCHAR and INTEGER."),
        ("ok AND lower(title) > 1", 7, "Cannot compare values of type VARCHAR and type INTEGER"),
        ("year >= 'abc'", 8, "'abc' cannot be read as INTEGER, the type of column year"),
        ("d BETWEEN '2020-01-01' AND '2020-13-01'", 27, "cannot be read as DATE"),
        ("year IN (1, 'b')", 12, "cannot be read as INTEGER"),
        ("score > '1.x'", 8, "cannot be read as DECIMAL(5,2)"),
        ("d > DATE '2020-13-01'", 4, "cannot be read as DATE"),
        ("year", 0, "a value of type INTEGER; expected a condition"),
        ("1", 0, "a value of type INTEGER"),
        ("'abc'", 0, "a value of type VARCHAR"),
        ("NULL", 0, "a value of type NULL"),
        ("embedding", 0, "embedding is a vector"),
        ("ok AND embedding = TRUE", 7, "embedding is a vector"),
        ("_slot = 1", 0, "no column '_slot'"),
        ("_row_id = 1", 0, "no column '_row_id'"),
        ("papers.year = 1", 0, "without their table"),
        ("s.y.z.a.b = 1", 0, "at most 4 parts"),
        ("now() > ts", 0, "function now is not allowed"),
        ("lowr(title) = 'a'", 0, "Did you mean lower"),
        ("main.lower(title) = 'a'", 0, "plain name"),
        ("year::INTEGER[] IS NULL", 4, "not to list"),
        ("year::JSON IS NULL", 4, "not to JSON"),
        ("year IN (?)", 9, "the predicate asks for 1 value"),
        ("CASE CASE year WHEN 1 THEN 2 END WHEN 2 THEN ok END", 0, "the x of CASE x WHEN is not simple"),
        ("CASE WHEN ok THEN ok END OR CASE " + "1+" * 16 + "1 WHEN 1 THEN ok END", 28, "is not simple"),
        ("title ~ title", 6, "the same for every row"),
        ("title ~ 'x' AND title SIMILAR TO '(a{1,50}){1,50}'", 33, "2,501 states; at most 2,000"),
        ("a\0b", 1, "NUL"),
        ("\ud800 = 1", 0, "lone surrogate"),
    ],
)
def test_refusal_says_what_and_where(text: str, position: int, words: str) -> None:
    error = refusal(text)
    assert words in str(error)
    assert error.position == position


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n -- nothing", "is empty"),
        ("year = 1 OR " * 1_000 + "ok", "12,002 characters; at most 8,192"),
        ("year IN (" + "1," * 2_500 + "1)", "more than 2,000 parts"),
        ("(" * 101 + "ok" + ")" * 101, "nested too deeply"),
        ("- " * 33 + "1 = 1", "nested too deeply"),
        ("NOT " * 1_500 + "ok", "nested too deeply"),
        ("NOT " * 200 + "ok", "nested too deeply"),
        ("year = $a AND year = ?", "mixes $name with ?"),
        ("(" * 11 + "ok" + " BETWEEN ok AND ok)" * 11, "more than 2,000 parts"),
        ("s.nothing = 1", 'Could not find key "nothing"'),
        ("regexp_matches(title, '(')", "missing )"),
        ("date_part('epic', ts) = 1", '"epic" not recognized'),
        ("year = 1, 2", "a row (a, b) is not allowed"),
    ],
)
def test_refusal_without_a_place(text: str, words: str) -> None:
    error = refusal(text)
    assert words in str(error)
    assert error.position is None


@pytest.mark.parametrize("text", [None, 5, b"year = 1", ["year = 1"], True])
def test_only_a_string_is_a_predicate(text: object) -> None:
    with pytest.raises(InvalidArgument, match="where is of type"):
        parse_predicate(text, None, PAPERS)  # type: ignore[arg-type]


def test_limits_can_be_reached() -> None:
    deepest = "(" * allow.MAX_BRACKETS + "ok" + ")" * allow.MAX_BRACKETS
    assert parse_predicate(deepest, None, PAPERS).sql == "ok"
    widest = "year IN (" + ",".join(["1"] * (allow.MAX_NODES - 2)) + ")"
    assert parse_predicate(widest, None, PAPERS).columns == {"year"}
    longest = "ok" + " " * (allow.MAX_CHARACTERS - 2)
    assert parse_predicate(longest, None, PAPERS).sql == "ok"


def test_ascii_case_of_names_does_not_count_but_other_letters_do() -> None:
    assert parse_predicate("GR\N{LATIN SMALL LETTER O WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}E = 1", None, PAPERS)
    refusal("GR\N{LATIN CAPITAL LETTER O WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}E = 1")


def test_text_compared_with_a_column_is_checked_wherever_it_comes_from() -> None:
    assert parse_predicate("d > ?", ["2020-01-01"], PAPERS).parameters == ("2020-01-01",)
    assert refusal("d > ?", ["soon"]).position == 4
    assert "'soon' cannot be read as DATE" in str(refusal("$when < d", {"when": "soon"}))
    assert "d IN ?" in str(refusal("d IN (?)", [["2020-01-01"]]))
    assert parse_predicate("d IN ?", [[datetime.date(2020, 1, 1)]], PAPERS).columns == {"d"}
    assert "contains works on values of one type; here it is given VARCHAR and DATE" in str(
        refusal("d IN ?", [["2020-01-01"]])
    )


def test_types_are_bound_again_when_the_kind_of_a_value_changes() -> None:
    assert parse_predicate("lower(?) = title", ["A"], PAPERS).parameters == ("A",)
    assert "lower(INTEGER)" in str(refusal("lower(?) = title", [1]))
    assert parse_predicate("lower(?) = title", [None], PAPERS).parameters == (None,)


def test_known_text_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = parse_predicate("year = ? AND d > ?", [1, "2020-01-01"], PAPERS)

    def fail() -> None:
        raise AssertionError("DuckDB was asked")

    monkeypatch.setattr(syntax, "parser_connection", fail)
    monkeypatch.setattr(bind, "parser_connection", fail)
    again = parse_predicate("year = ? AND d > ?", [2, "2020-01-01"], PAPERS)
    assert (again.sql, again.parameters) == (first.sql, (2, "2020-01-01"))


def test_each_table_has_its_own_columns() -> None:
    other = parse_schema("other", {"year": "VARCHAR", "embedding": "FLOAT[3]"})
    assert parse_predicate("year = 'a'", None, other).columns == {"year"}
    refusal("year = 'a'")


def test_a_tree_duckdb_writes_differently_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = syntax.ask

    def forged(function: str, argument: str) -> str:
        return told(function, argument.replace("1999", "2999") if function == "json_deserialize_sql" else argument)

    monkeypatch.setattr(syntax, "ask", forged)
    assert "something else" in str(refusal("year = 1999"))


def test_a_statement_around_the_predicate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = syntax.ask

    def forged(function: str, argument: str) -> str:
        return told(function, argument + " LIMIT 1" if function == "json_serialize_sql" else argument)

    monkeypatch.setattr(syntax, "ask", forged)
    assert "something around it" in str(refusal("year = 1998"))


def test_a_node_with_an_unknown_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = syntax.ask

    def newer(function: str, argument: str) -> str:
        return told(function, argument).replace('"try_cast":', '"mode":1,"try_cast":')

    monkeypatch.setattr(syntax, "ask", newer)
    assert duckdb.__version__ in str(refusal("CAST(year AS BIGINT) = 1"))


def test_many_threads_parse_at_once() -> None:
    start = threading.Barrier(8)

    def work(worker: int) -> list[str]:
        start.wait()
        found = []
        for i in range(20):
            found.append(parse_predicate(f"year = {i} AND id > ?", [worker], PAPERS).sql)
            with pytest.raises(PredicateError, match="yeer"):
                parse_predicate(f"yeer = {i}", None, PAPERS)
        return found

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[f'(("year" = {i}) AND (id > $1))' for i in range(20)]] * 8
