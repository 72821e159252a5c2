"""A declaration becomes a schema as DuckDB would read it, or says which word was wrong."""

from __future__ import annotations

from typing import Any

import pytest

from vdb.errors import DimensionMismatch, InvalidArgument
from vdb.storage.schema import make_schema, parse_schema
from vdb.types import Column, Dtype, TableSchema, VectorColumn


def parse(columns: Any = None, **options: Any) -> TableSchema:
    return parse_schema("items", {"embedding": "FLOAT[3]"} | (columns or {}), **options)


def test_declaration_of_a_table_is_read_in_order() -> None:
    schema = parse_schema(
        "items",
        {
            "id": "BIGINT PRIMARY KEY",
            "lang": "varchar not  null",
            "price": "DOUBLE",
            "tags": "VARCHAR[]",
            "embedding": "FLOAT[384]",
            "image": "FLOAT[512] NOT NULL",
        },
        metric={"embedding": "cosine"},
    )
    assert schema.columns == (
        Column("id", "BIGINT", nullable=False),
        Column("lang", "VARCHAR", nullable=False),
        Column("price", "DOUBLE"),
        Column("tags", "VARCHAR[]"),
        VectorColumn("embedding", 384, "cosine"),
        VectorColumn("image", 512, "l2", nullable=False),
    )
    assert schema.key == schema.integer_key == schema.row_id_column == "id"


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("int", "INTEGER"),
        ("int8", "BIGINT"),
        ("  text ", "VARCHAR"),
        ("varchar(10)", "VARCHAR"),
        ("string[]", "VARCHAR[]"),
        ("timestamp with time zone", "TIMESTAMP WITH TIME ZONE"),
        ("timestamp with time zone not null", "TIMESTAMP WITH TIME ZONE"),
        ("numeric(10, 2) NULL", "DECIMAL(10,2)"),
        ("double precision", "DOUBLE"),
        ("struct(a int, b text[])", "STRUCT(a INTEGER, b VARCHAR[])"),
        ("enum('not null', 'b')", "ENUM('not null', 'b')"),
        ("map(varchar, int)", "MAP(VARCHAR, INTEGER)"),
        ("integer[2]", "INTEGER[2]"),
        ("json", "JSON"),
        ("uuid", "UUID"),
        ("double[]", "DOUBLE[]"),
    ],
)
def test_duckdb_spells_the_types(text: str, spelled: str) -> None:
    assert parse({"x": text}).by_name["x"] == Column("x", spelled, "not null" not in text or text[0] == "e")


@pytest.mark.parametrize("text", ["FLOAT[3]", "real[3]", "float4 [ 3 ]", "float array[3]"])
def test_every_spelling_of_a_float_array_is_a_vector(text: str) -> None:
    assert parse({"v": text}).by_name["v"] == VectorColumn("v", 3)


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("FLOAT16[3]", "float16"),
        ("float16 [ 3 ]", "float16"),
        ("Float16 array[3]", "float16"),
        ("BFLOAT16[3]", "bfloat16"),
        ("bfloat16[3] NULL", "bfloat16"),
        ("TINYINT[3]", "int8"),
        ("tinyint array[3]", "int8"),
        ("int1[3]", "int8"),
    ],
)
def test_arrays_of_narrow_numbers_are_vectors(text: str, dtype: Dtype) -> None:
    column = parse({"v": text}, metric={"v": "ip"}).by_name["v"]
    assert column == VectorColumn("v", 3, "ip", dtype=dtype)
    again = parse({"v": f"{column.type} not null"}).by_name["v"]
    assert again == VectorColumn("v", 3, nullable=False, dtype=dtype)


@pytest.mark.parametrize(("text", "spelled"), [("TINYINT[]", "TINYINT[]"), ("TINYINT[2][3]", "TINYINT[2][3]")])
def test_other_lists_of_tiny_integers_are_attributes(text: str, spelled: str) -> None:
    assert parse({"x": text}).by_name["x"] == Column("x", spelled)


@pytest.mark.parametrize("text", ["INT8[3]", "int8 [ 3 ]", "int8 array[3]", "INT8[3] NOT NULL"])
def test_int8_array_is_asked_which_it_means(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"(?s)INT8 is BIGINT in SQL.*Fix: TINYINT\[384\].*BIGINT\[384\]"):
        parse({"x": text})


@pytest.mark.parametrize(
    "text", ["FLOAT16", "FLOAT16(3)", "FLOAT16[]", "BFLOAT16", "bfloat16[]", "FLOAT16[3][2]", "FLOAT16[3][]"]
)
def test_half_precision_is_for_vectors_only(text: str) -> None:
    word = text.upper().partition("[")[0].partition("(")[0]
    with pytest.raises(InvalidArgument, match=rf"(?s)of items\.x: {word} is for vectors.*Fix: {word}\[384\]"):
        parse({"x": text})


@pytest.mark.parametrize("text", ["FLOAT16[0]", "BFLOAT16[65536]", "TINYINT[-1]", "TINYINT[99999]"])
def test_length_is_bounded_whatever_the_dtype(text: str) -> None:
    with pytest.raises(DimensionMismatch, match="from 1 to 65535"):
        parse({"x": text})


@pytest.mark.parametrize(
    "text",
    [
        "FLOAT16[3], y INTEGER",
        "FLOAT16[3]); DROP TABLE t; --",
        "FLOAT16[x]",
        "FLOAT32[3]",
        "FLOAT8_E4M3[3]",
        "HALF[3]",
        "BF16[3]",
        "FLOAT16x[3]",
        "STRUCT(a FLOAT16)",
        "foo",
        "",
        "   ",
        "INTEGER UNIQUE",
        "INTEGER DEFAULT 3",
        "INTEGER CHECK (x > 1)",
        "INTEGER AS (3)",
        "VARCHAR COLLATE NOCASE",
        "INTEGER, y INTEGER",
        "INTEGER); DROP TABLE t; --",
        "INTEGER) || CAST(1 AS VARCHAR",
        "INTEGER) -- ",
        "INTEGER;",
        "any",
        '"NULL"',
        '"NULL"[]',
        "NOT NULL",
        "PRIMARY KEY",
        "x" * 9000,
        "FLOAT[" + "9" * 5000 + "]",
        "VARCHAR\x00",
        None,
        str,
    ],
)
def test_what_is_not_a_type_is_refused(text: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"of items\.x is") as caught:
        parse({"x": text})
    assert "Fix:" in str(caught.value)


def test_misspelled_half_precision_is_named_as_written() -> None:
    with pytest.raises(InvalidArgument, match=r"type 'FLOAT16\[x\]' of items\.x is unknown"):
        parse({"x": "FLOAT16[x]"})


def test_misspelled_type_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidArgument, match=r"type 'VARCHR' of items\.x is unknown. Did you mean .*VARCHAR"):
        parse({"x": "VARCHR"})


def test_vector_without_a_length_is_told_how_to_give_one() -> None:
    with pytest.raises(InvalidArgument, match=r"(?s)FLOAT\[\] of items\.x has no length.*FLOAT\[384\].*DOUBLE\[\]"):
        parse({"x": "FLOAT[]"})


def test_vector_of_doubles_is_told_to_use_floats() -> None:
    with pytest.raises(InvalidArgument, match=r"(?s)stored as float32.*Fix: FLOAT\[4\]"):
        parse({"x": "DOUBLE[4]"})


@pytest.mark.parametrize("length", ["0", "-1", "65536", "1" * 20])
def test_length_of_a_vector_is_bounded(length: str) -> None:
    with pytest.raises(DimensionMismatch, match="from 1 to 65535"):
        parse({"x": f"FLOAT[{length}]"})


def test_longest_vector_is_accepted() -> None:
    assert parse({"x": "FLOAT[65535]"}).by_name["x"] == VectorColumn("x", 65535)


@pytest.mark.parametrize("name", ["", " ", "a\x00b", "a\nb", "\ud800", "x" * 256, 3, None])
def test_names_are_printable_text(name: Any) -> None:
    with pytest.raises(InvalidArgument, match="column name"):
        parse({name: "INTEGER"})
    with pytest.raises(InvalidArgument, match="table name"):
        parse_schema(name, {"embedding": "FLOAT[3]"})


@pytest.mark.parametrize(
    "name", ["a b", 'quo"te', "select", "na\u00efve", "\u65e5\u672c\u8a9e", "query", "_private", "x" * 255]
)
def test_any_printable_text_is_a_name(name: str) -> None:
    assert parse_schema(name, {name: "INTEGER", "v": "FLOAT[3]"}).columns[0].name == name


@pytest.mark.parametrize("name", ["_slot", "_row_id", "_distance", "_SLOT"])
def test_hidden_columns_are_reserved(name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"column name '{name}' of table items is reserved"):
        parse({name: "INTEGER"})


@pytest.mark.parametrize("name", ["vdb", "vdb_tables", "DuckDB_x", "sqlite_master"])
def test_table_names_of_the_catalogs_are_reserved(name: str) -> None:
    with pytest.raises(InvalidArgument, match="is reserved"):
        parse_schema(name, {"embedding": "FLOAT[3]"})


def test_names_that_differ_in_case_only_are_one_name() -> None:
    with pytest.raises(InvalidArgument, match="columns 'lang' and 'LANG', which are one name"):
        parse({"lang": "VARCHAR", "LANG": "VARCHAR"})
    with pytest.raises(InvalidArgument, match="which are one name"):
        make_schema("items", [VectorColumn("v", 3), VectorColumn("v", 3)], None)


@pytest.mark.parametrize("text", ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "VARCHAR"])
def test_integers_and_text_may_be_keys(text: str) -> None:
    schema = parse({"id": f"{text} primary key"})
    assert schema.key == "id"
    assert schema.key_column == Column("id", text, nullable=False)
    assert schema.integer_key == ("id" if text != "VARCHAR" else None)


@pytest.mark.parametrize("text", ["DOUBLE", "UBIGINT", "HUGEINT", "DATE", "UUID", "VARCHAR[]", "FLOAT[3]"])
def test_other_types_may_not_be_keys(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"items\.id is .* which cannot be a primary key"):
        parse({"id": f"{text} PRIMARY KEY"})


def test_a_table_has_one_primary_key() -> None:
    with pytest.raises(InvalidArgument, match="2 primary keys: a, b"):
        parse({"a": "BIGINT PRIMARY KEY", "b": "BIGINT PRIMARY KEY"})


def test_a_table_has_a_vector_column() -> None:
    with pytest.raises(InvalidArgument, match="no vector column"):
        parse_schema("items", {"id": "BIGINT"})


@pytest.mark.parametrize("columns", [{}, None, [("id", "BIGINT")], "id BIGINT"])
def test_a_table_has_columns(columns: Any) -> None:
    with pytest.raises(InvalidArgument, match="no columns"):
        parse_schema("items", columns)


def test_one_metric_serves_every_vector_column() -> None:
    assert [column.metric for column in parse({"other": "FLOAT[2]"}, metric="ip").vectors] == ["ip", "ip"]


def test_unknown_metric_is_answered_with_the_list() -> None:
    with pytest.raises(InvalidArgument, match=r"(?s)unknown metric 'l3' for items\.embedding.*l2, cosine, ip"):
        parse(metric="l3")


def test_metric_of_an_unknown_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidArgument, match=r"(?s)given for 'embeding'.*Did you mean 'embedding'"):
        parse(metric={"embeding": "l2"})
