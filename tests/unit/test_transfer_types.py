"""Values of every type go out to a file and come back as they were, whatever reads them in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb
import pytest

import vdb
from vdb.storage.foreign import CHUNK_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS: Final = ("parquet", "csv", "jsonl")
# By type, SQL of values that a sloppy way would change; NULL is always among them.
VALUES: Final = {
    "BOOLEAN": ["TRUE", "FALSE"],
    "TINYINT": ["-128", "127"],
    "BIGINT": ["-9223372036854775808", "9007199254740993"],
    "UBIGINT": ["18446744073709551615"],
    "HUGEINT": ["9007199254740993", "-99999999999999999999999999999999999999"],
    "UHUGEINT": ["9007199254740993"],
    "BIGNUM": ["'123456789012345678901234567890123456789012345678901234567890'"],
    "FLOAT": ["'nan'", "'-inf'", "1e-40", "0.1", "'-0'"],
    "DOUBLE": ["'nan'", "'inf'", "1e-300", "0.1", "1.7976931348623157e308", "'-0'"],
    "DECIMAL(4,1)": ["-999.9"],
    "DECIMAL(20,4)": ["1234567890123456.1234", "1.5"],
    "DECIMAL(38,10)": ["'-1234567890123456789012345678.1234567891'"],
    "VARCHAR": ["''", "'1.50'", "'FALSE'", "'[1, 2]'", "'NULL'", "' x '", "'a\"b,\n''c'", "'2020-01-01'", "'\\'"],
    "BLOB": ["''", "'\\x00\\xFF,\\x22'::BLOB"],
    "UUID": ["'01234567-89ab-cdef-0123-456789abcdef'"],
    "BIT": ["'010101'", "'1'"],
    "DATE": ["'infinity'", "'-infinity'", "'0044-03-15 (BC)'", "'2020-02-29'"],
    "TIME": ["'12:34:56.789012'", "'24:00:00'"],
    "TIME_NS": ["'12:34:56.789012345'"],
    "TIMETZ": ["'12:34:56.789012+05:30'", "'00:00:00-15:59'"],
    "TIMESTAMP": ["'infinity'", "'-infinity'", "'1969-12-31 23:59:59.999999'"],
    "TIMESTAMP_S": ["'2020-01-01 00:00:01'"],
    "TIMESTAMP_MS": ["'2020-01-01 00:00:01.123'"],
    "TIMESTAMP_NS": ["'2020-01-01 00:00:01.123456789'"],
    "TIMESTAMPTZ": ["'2020-01-01 00:00:01.123456+02'", "'infinity'"],
    "INTERVAL": ["INTERVAL '1 month 2 days 3.000004 seconds'", "INTERVAL '-1 year'", "INTERVAL '3000000 hours'"],
    "ENUM('a', 'it''s', '')": ["'a'", "'it''s'"],
    "DOUBLE[]": ["[]", "[1e-300, NULL, 'nan'::DOUBLE]"],
    "INTEGER[3]": ["[1, NULL, 3]"],
    "VARCHAR[][]": ["[[], ['', NULL, 'a, ]b', 'NULL', '\"'], NULL]"],
    "HUGEINT[]": ["[9007199254740993]"],
    "TIMETZ[]": ["['12:34:56+05:30'::TIMETZ]"],
    "DECIMAL(20,4)[]": ["[1234567890123456.1234]"],
    "BLOB[]": ["['\\xAA\\x00'::BLOB]"],
    'STRUCT(a DOUBLE, "b c" STRUCT(d INTERVAL, e VARCHAR[]))': [
        "{'a': 'nan'::DOUBLE, 'b c': {'d': INTERVAL '1 month 1 day', 'e': ['', 'x''y']}}",
        "{'a': NULL, 'b c': NULL}",
    ],
    "MAP(VARCHAR, INTEGER[])": ["MAP {'a b': [1], '': NULL}", "MAP {}"],
    "UNION(i INTEGER, s VARCHAR)": ["5", "'abc'"],
    "JSON": ['\'{"a":[1,null,""]}\'', "'7'"],
    "VARIANT": ["42::VARIANT", "'x'::VARIANT"],
}


def shown(db: vdb.Database, table: str) -> list[tuple[Any, ...]]:
    return db.sql(f"SELECT id, typeof(c), c IS NULL, CAST(c AS VARCHAR), e FROM {table} ORDER BY id").fetchall()


@pytest.fixture(scope="module")
def shared() -> Iterator[vdb.Database]:
    with vdb.connect(":memory:", threads=1) as db:
        yield db


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("type_", VALUES)
def test_values_come_back(shared: vdb.Database, tmp_path: Path, type_: str, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    for name in ("t", "u"):
        shared.create_table(name, {"id": "BIGINT PRIMARY KEY", "c": type_, "e": "FLOAT[2]"})
    try:
        for number, value in enumerate([*VALUES[type_], "NULL"]):
            shared.sql(f"INSERT INTO t VALUES ({number}, CAST({value} AS {type_}), [{number}, 0.1])")
        shared.export_table("t", path)
        shared.import_table("u", path)
        assert shown(shared, "u") == shown(shared, "t")
    finally:
        shared.drop_table("t")
        shared.drop_table("u")


def columns(db: vdb.Database, table: str, *names: str) -> list[tuple[Any, ...]]:
    listed = ", ".join(f"CAST({name} AS VARCHAR)" for name in names)
    return db.sql(f"SELECT {listed} FROM {table}").fetchall()


def test_a_parquet_file_of_another_program_is_read_as_it_is(db: vdb.Database, tmp_path: Path) -> None:
    values = {
        "a": "'nan'::DOUBLE",
        "b": "INTERVAL '1 month 2 days'",
        "c": "'infinity'::TIMESTAMP",
        "d": "'-infinity'::DATE",
        "e": "'2020-01-01 00:00:00.123456789'::TIMESTAMP_NS",
        "f": "'2020-01-01 00:00:00+02'::TIMESTAMPTZ",
        "g": "'[1, 2]; but'",
        "v": "[1, 0.5]::DOUBLE[]",
    }
    listed = ", ".join(f"{value} AS {name}" for name, value in values.items())
    with duckdb.connect(":memory:") as other:
        other.sql(f"SELECT {listed}").write_parquet(str(tmp_path / "rows.parquet"))
        expected = other.sql(f"SELECT COLUMNS(*)::VARCHAR FROM (SELECT {listed})").fetchall()
    db.import_table("t", tmp_path / "rows.parquet")
    assert columns(db, "t", *values) == expected
    assert db.table("t").schema.by_name["v"].type == "FLOAT[2]"


@pytest.mark.parametrize("declared", [True, False])
def test_a_value_that_comes_late_counts_as_much_as_the_first(db: vdb.Database, tmp_path: Path, declared: bool) -> None:
    late = 39_000
    lines = [f'{i},{i},"[1, 0]"' for i in range(late)]
    (tmp_path / "rows.csv").write_text("\n".join(["id,s,e", *lines, f'{late},"a ""b"",\nc","[1, 0]"', ""]))
    objects = [f'{{"id": {i}, "e": [1.0, 0.0]}}' for i in range(late)]
    (tmp_path / "rows.jsonl").write_text("\n".join([*objects, f'{{"id": {late}, "e": [1.0, 0.0], "s": "abc"}}', ""]))
    for kind, last in (("csv", 'a "b",\nc'), ("jsonl", "abc")):
        if declared:
            db.create_table(kind, {"id": "BIGINT PRIMARY KEY", "s": "VARCHAR", "e": "FLOAT[2]"})
        assert db.import_table(kind, tmp_path / f"rows.{kind}", key=None if declared else "id") == late + 1
        assert db.table(kind).get(late, select=["s"])["s"] == last


@pytest.mark.parametrize("declared", [True, False])
def test_an_empty_text_of_a_csv_file_is_not_an_empty_field(db: vdb.Database, tmp_path: Path, declared: bool) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('i;s;d;e\n1;"";31/12/2020;"[1,0]"\n"";;"";"[1,0]"\n')
    if declared:
        db.create_table("t", {"i": "BIGINT", "s": "VARCHAR", "d": "DATE", "e": "FLOAT[2]"})
    db.import_table("t", path)
    assert columns(db, "t", "i", "s", "d") == [("1", "", "2020-12-31"), (None, None, None)]


@pytest.mark.parametrize(
    ("type_", "kind", "text", "words"),
    [
        ("BIGINT", "csv", "i,e\n1.5,[1]\n", "t.i holds 1.5; the column is BIGINT, expected a whole number"),
        ("BIGINT", "csv", "i,e\nx,[1]\n", "Could not convert string 'x'"),
        ("BIGINT", "jsonl", '{"i": 1.5, "e": [1]}', "t.i holds 1.5"),
        ("BIGINT", "parquet", "SELECT 1.5 AS i, [1] AS e", "t.i holds 1.5"),
        ("VARCHAR", "jsonl", '{"i": [1], "e": [1]}', r"t.i holds \[1\]; .* expected one value"),
        ("VARCHAR", "parquet", "SELECT [1] AS i, [1] AS e", r"t.i is INTEGER\[\] in the file; the column is VARCHAR"),
        ("VARCHAR", "parquet", "SELECT 'a'::BLOB AS i, [1] AS e", "t.i is BLOB in the file"),
        ("DECIMAL(20,4)", "jsonl", '{"i": 1234567890123456.1234, "e": [1]}', "expected a text between quotes"),
        ("BIGINT", "csv", "j,e\n1,[1]\n", "no column 'j' in table t"),
        ("BIGINT", "jsonl", '{"e": [1]}\n{"e": [1], "I": 2}', "no column 'I' in table t.*\n.* Did you mean 'i'"),
    ],
)
def test_a_value_that_is_none_of_the_column_is_told(
    db: vdb.Database, tmp_path: Path, type_: str, kind: str, text: str, words: str
) -> None:
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        with duckdb.connect(":memory:") as other:
            other.sql(text).write_parquet(str(path))
    else:
        path.write_text(text)
    db.create_table("t", {"i": type_, "e": "FLOAT[1]"})
    with pytest.raises(vdb.InvalidArgument, match=words):
        db.import_table("t", path)
    assert len(db.table("t")) == 0


def test_a_number_that_parquet_cannot_hold_is_told(db: vdb.Database, tmp_path: Path) -> None:
    db.create_table("t", {"i": "HUGEINT", "e": "FLOAT[1]"}).add({"i": 2**127 - 1, "e": [1]})
    with pytest.raises(vdb.InvalidArgument, match=r"rows.parquet cannot hold .*\n?.*Fix: export to .csv"):
        db.export_table("t", tmp_path / "rows.parquet")
    db.export_table("t", tmp_path / "rows.csv")
    assert [entry.name for entry in tmp_path.glob("rows*")] == ["rows.csv"]


def test_vectors_of_a_file_are_rounded_once(db: vdb.Database, tmp_path: Path) -> None:
    tie = 1 + 2.0**-11 + 2.0**-40  # as float32 it is halfway between two float16
    for kind, text in (("csv", f'e\n"[{tie!r}]"\n'), ("jsonl", f'{{"e": [{tie!r}]}}\n')):
        db.create_table(kind, {"e": "FLOAT16[1]"})
        (tmp_path / f"rows.{kind}").write_text(text)
        db.import_table(kind, tmp_path / f"rows.{kind}")
        assert db.sql(f"SELECT e FROM {kind}").fetchall() == [((1 + 2.0**-10,),)]


@pytest.mark.parametrize("kind", FORMATS)
def test_names_of_columns_stand_in_no_ones_way(db: vdb.Database, tmp_path: Path, kind: str) -> None:
    schema = {"rowid": "BIGINT", "rows": "VARCHAR", "c1": "VARCHAR", 'a"b': "VARCHAR", "e": "FLOAT[1]"}
    n = CHUNK_ROWS + 3
    rows = [{"rowid": 7 * i % n, "rows": str(i), "c1": "x", 'a"b': "y", "e": [i]} for i in range(n)]
    db.create_table("t", schema).add(rows)
    db.create_table("u", schema)
    db.export_table("t", tmp_path / f"rows.{kind}")
    assert db.import_table("u", tmp_path / f"rows.{kind}") == n
    shown = [db.sql(f'SELECT rowid, rows, c1, "a""b", e FROM {name} ORDER BY 1').fetchall() for name in "tu"]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_table_without_rows_comes_back(db: vdb.Database, tmp_path: Path, kind: str) -> None:
    db.create_table("t", {"id": "BIGINT", "e": "FLOAT[1]"})
    assert db.export_table("t", tmp_path / f"rows.{kind}") == 0
    assert db.import_table("t", tmp_path / f"rows.{kind}") == 0
