"""Wrong calls as a table: the error each must raise, a pattern its message must match, and the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

import vdb
from vdb import ACORN, HNSW

if TYPE_CHECKING:
    from collections.abc import Callable

NAN, INF = float("nan"), float("inf")
X = np.ones((2, 3), np.float32)
ONE = np.ones(3, np.float32)

Case = tuple[type[vdb.VdbError], str, "Callable[[vdb.Database, vdb.Table], Any]"]


def rows(count: int, **others: Any) -> dict[str, Any]:
    """New keys and what a case adds to them."""
    return {"id": np.arange(1000, 1000 + count), "lang": ["en"] * count, **others}


ADDING: dict[str, Case] = {
    "wrong dimension": (
        vdb.DimensionMismatch,
        r"row 0 of items\.e has 4 values.*FLOAT\[3\].*Fix",
        lambda db, t: t.add(rows(2), e=np.ones((2, 4))),
    ),
    "wrong dimension in one row": (
        vdb.DimensionMismatch,
        r"row 1 of items\.e has 2 values.*FLOAT\[3\].*Fix",
        lambda db, t: t.add([{"id": 1000, "lang": "x", "e": [1, 2, 3]}, {"id": 1001, "lang": "x", "e": [1, 2]}]),
    ),
    "one vector for two rows": (vdb.InvalidArgument, r"id has 2.*e has 1.*Fix", lambda db, t: t.add(rows(2), e=X[:1])),
    "more vectors than rows": (vdb.InvalidArgument, r"id has 1.*e has 2.*Fix", lambda db, t: t.add(rows(1), e=X)),
    "NaN": (
        vdb.InvalidArgument,
        r"row 1 of items\.e holds nan.*finite.*Fix",
        lambda db, t: t.add(rows(2), e=[[1, 2, 3], [1, NAN, 3]]),
    ),
    "infinity": (vdb.InvalidArgument, r"row 0 of items\.e holds -inf.*Fix", lambda db, t: t.add(rows(2), e=X * -INF)),
    "too large for float32": (
        vdb.InvalidArgument,
        r"row 0 of items\.e holds 1e\+39.*float32.*Fix",
        lambda db, t: t.add(rows(2), e=X.astype(np.float64) * 1e39),
    ),
    "zero vector under cosine": (
        vdb.InvalidArgument,
        r"row 1 of items\.c is a zero vector.*cosine.*Fix",
        lambda db, t: t.add(rows(2), c=[[1, 1], [0, 0]]),
    ),
    "text as vector": (vdb.InvalidArgument, r"items\.e holds str.*Fix", lambda db, t: t.add(rows(1), e=[["a"] * 3])),
    "complex numbers": (vdb.InvalidArgument, r"complex.*Fix", lambda db, t: t.add(rows(2), e=X * 1j)),
    "booleans as vector": (vdb.InvalidArgument, r"bool.*Fix", lambda db, t: t.add(rows(2), e=X > 0)),
    "objects as vector": (vdb.InvalidArgument, r"items\.e.*Fix", lambda db, t: t.add(rows(1), e=[[object()] * 3])),
    "three dimensions": (
        vdb.DimensionMismatch,
        r"shape \(2, 3, 1\)|3 dim.*Fix",
        lambda db, t: t.add(rows(2), e=X[..., None]),
    ),
    "empty batch": (vdb.InvalidArgument, r"no rows.*at least one", lambda db, t: t.add(rows(0), e=X[:0])),
    "no data at all": (vdb.InvalidArgument, r"no rows.*at least one", lambda db, t: t.add()),
    "unknown column": (
        vdb.InvalidArgument,
        r"no column 'langg'.*Did you mean 'lang'",
        lambda db, t: t.add(rows(2, langg=["a", "b"]), e=X),
    ),
    "unknown vector column": (
        vdb.InvalidArgument,
        r"'f' is not a vector column.*Fix",
        lambda db, t: t.add(rows(2), f=X),
    ),
    "missing key": (vdb.InvalidArgument, r"items\.id is the primary key.*Fix", lambda db, t: t.add({"n": [1, 2]}, e=X)),
    "missing NOT NULL": (
        vdb.InvalidArgument,
        r"items\.lang is NOT NULL.*Fix",
        lambda db, t: t.add({"id": [1000, 1001]}, e=X),
    ),
    "NULL in NOT NULL": (
        vdb.InvalidArgument,
        r"Row 1.*items\.lang.*NOT NULL.*Fix",
        lambda db, t: t.add(rows(2, lang=["en", None]), e=X),
    ),
    "NULL key": (vdb.InvalidArgument, r"id.*key.*Fix", lambda db, t: t.add(rows(2, id=[1000, None]), e=X)),
    "key in the table": (vdb.AlreadyExists, r"items\.id = 3 .*upsert", lambda db, t: t.add(rows(2, id=[1000, 3]), e=X)),
    "key twice in the batch": (
        vdb.AlreadyExists,
        r"items\.id = 1000 comes twice",
        lambda db, t: t.add(rows(2, id=[1000, 1000]), e=X),
    ),
    "key of another type": (vdb.InvalidArgument, r"items\.id.*BIGINT.*Fix", lambda db, t: t.add(rows(1, id=["a"]))),
    "fraction as key": (vdb.InvalidArgument, r"items\.id.*Fix", lambda db, t: t.add(rows(2, id=[1.5, 2.5]))),
    "text in a number": (vdb.InvalidArgument, r"abc", lambda db, t: t.add(rows(1, n=["abc"]))),
    "number out of range": (vdb.InvalidArgument, r"items", lambda db, t: t.add(rows(1, n=[2**40]))),
    "row that is no dict": (vdb.InvalidArgument, r"row 1 is a int.*Fix", lambda db, t: t.add([{"id": 1000}, 5])),
    "data of an unknown form": (vdb.InvalidArgument, r"cannot read rows from a int.*Fix", lambda db, t: t.add(5)),
    "column twice": (
        vdb.InvalidArgument,
        r"two columns 'id'.*Fix",
        lambda db, t: t.add(pd.DataFrame([[1000, 1001]], columns=["id", "id"])),
    ),
    "Arrow list with a NULL": (
        vdb.InvalidArgument,
        r"row 0 of items\.e.*NULL.*Fix",
        lambda db, t: t.add(pa.table({"id": [1000], "lang": ["x"], "e": [[1.0, None, 2.0]]})),
    ),
    "upsert on another column": (
        vdb.InvalidArgument,
        r"primary key of table items \(it is: id\).*on='n'",
        lambda db, t: t.upsert(rows(1), on="n"),
    ),
    "upsert with a key twice": (
        vdb.InvalidArgument,
        r"items\.id = 1 comes twice.*Fix",
        lambda db, t: t.upsert({"id": [1, 1], "lang": ["a", "b"]}),
    ),
    "upsert where half is wrong": (
        vdb.InvalidArgument,
        r"row 1 of items\.e holds nan",
        lambda db, t: t.upsert({"id": [1, 1000], "lang": ["a", "b"]}, e=[[1, 2, 3], [NAN] * 3]),
    ),
}

SEARCHING: dict[str, Case] = {
    "query too short": (
        vdb.DimensionMismatch,
        r"query has 2 values; items\.e is FLOAT\[3\].*Fix.*\(m, 3\)",
        lambda db, t: t.search([1, 2], column="e"),
    ),
    "batch too wide": (
        vdb.DimensionMismatch,
        r"4 values.*FLOAT\[3\]",
        lambda db, t: t.search(np.ones((2, 4)), column="e"),
    ),
    "NaN in the query": (
        vdb.InvalidArgument,
        r"query holds nan.*finite",
        lambda db, t: t.search([1, NAN, 2], column="e"),
    ),
    "text query": (vdb.InvalidArgument, r"must be numbers, got str", lambda db, t: t.search("abc", column="e")),
    "no query": (vdb.InvalidArgument, r"must be numbers, got NoneType", lambda db, t: t.search(None, column="e")),
    "scalar query": (vdb.InvalidArgument, r"numbers in rows, got 5", lambda db, t: t.search(5, column="e")),
    "zero query under cosine": (
        vdb.InvalidArgument,
        r"the query is a zero vector.*cosine.*Fix.*'l2'",
        lambda db, t: t.search([0, 0], column="c"),
    ),
    "zero query in a batch": (
        vdb.InvalidArgument,
        r"query 1 is a zero vector",
        lambda db, t: t.search([[1, 0], [0, 0]], column="c"),
    ),
    "k of zero": (vdb.InvalidArgument, r"k must be at least 1, got 0.*Fix", lambda db, t: t.search(ONE, 0, column="e")),
    "negative k": (vdb.InvalidArgument, r"at least 1, got -3", lambda db, t: t.search(ONE, -3, column="e")),
    "fractional k": (
        vdb.InvalidArgument,
        r"k must be an integer, got 2\.0",
        lambda db, t: t.search(ONE, 2.0, column="e"),
    ),
    "boolean k": (
        vdb.InvalidArgument,
        r"k must be an integer, got True",
        lambda db, t: t.search(ONE, True, column="e"),
    ),
    "no k": (vdb.InvalidArgument, r"k must be an integer, got None", lambda db, t: t.search(ONE, None, column="e")),
    "which vector column": (vdb.InvalidArgument, r"several vector columns: e, c.*column=", lambda db, t: t.search(ONE)),
    "column that is no vector": (
        vdb.InvalidArgument,
        r"'n' is not a vector column.*e, c",
        lambda db, t: t.search(ONE, column="n"),
    ),
    "unknown metric": (
        vdb.InvalidArgument,
        r"unknown metric 'l1'.*l2, cosine, ip",
        lambda db, t: t.search(ONE, column="e", metric="l1"),
    ),
    "unknown strategy": (
        vdb.InvalidArgument,
        r"unknown strategy 'fast'.*auto, scan, codes, graph, post, acorn, range, label, partial, ivf.*Fix",
        lambda db, t: t.search(ONE, column="e", strategy="fast"),
    ),
    "lists without an index of them": (
        vdb.InvalidArgument,
        r"'ivf' cannot run: the column has no inverted lists.*Fix: create_index\(column, IVFPQ",
        lambda db, t: t.search(ONE, column="e", strategy="ivf"),
    ),
    "strategy without its index": (
        vdb.InvalidArgument,
        r"'graph' cannot run: the column has no graph.*Fix: create_index",
        lambda db, t: t.search([1, 2], column="c", strategy="graph"),
    ),
    "forced index of another metric": (
        vdb.InvalidArgument,
        r"'post' cannot run: h: metric is l2",
        lambda db, t: t.search(ONE, column="e", strategy="post", metric="ip"),
    ),
    "ef_search of zero": (
        vdb.InvalidArgument,
        r"ef_search must be an integer from 1 .*got 0",
        lambda db, t: t.search(ONE, column="e", ef_search=0),
    ),
    "nprobe of zero": (
        vdb.InvalidArgument,
        r"nprobe must be at least 1, got 0.*Fix",
        lambda db, t: t.search(ONE, column="e", nprobe=0),
    ),
    "unknown column to select": (
        vdb.InvalidArgument,
        r"no column 'langs'.*Did you mean 'lang'",
        lambda db, t: t.search(ONE, column="e", select=["langs"]),
    ),
    "select of a string": (
        vdb.InvalidArgument,
        r"list.*'id'.*Fix",
        lambda db, t: t.search(ONE, column="e", select="id"),
    ),
    "select of a number": (vdb.InvalidArgument, r"list.*got 5", lambda db, t: t.search(ONE, column="e", select=5)),
    "select of a list in a list": (
        vdb.InvalidArgument,
        r"name",
        lambda db, t: t.search(ONE, column="e", select=[["id"]]),
    ),
    "unknown column in where": (vdb.PredicateError, r"langs.*\^.*lang", lambda db, t: t.count("langs = 'en'")),
    "syntax error in where": (
        vdb.PredicateError,
        r"lang = = 'en'.*\^",
        lambda db, t: t.search(ONE, column="e", where="lang = = 'en'"),
    ),
    "where that is no condition": (vdb.PredicateError, r"condition", lambda db, t: t.count("n + 1")),
    "where that is no text": (vdb.InvalidArgument, r"of type int; expected a string", lambda db, t: t.count(5)),
    "second statement": (vdb.PredicateError, r".", lambda db, t: t.count("TRUE; DROP TABLE items")),
    "subquery": (vdb.PredicateError, r"SELECT", lambda db, t: t.delete("id IN (SELECT id FROM items)")),
    "missing parameter": (vdb.PredicateError, r".", lambda db, t: t.count("n = ? AND id = ?", [1])),
    "surplus parameter": (vdb.PredicateError, r".", lambda db, t: t.count("n = ?", [1, 2])),
    "unnamed parameter": (vdb.PredicateError, r".", lambda db, t: t.count("n = $a", {"b": 1})),
    "parameters without where": (
        vdb.PredicateError,
        r"no where.*Fix",
        lambda db, t: t.search(ONE, column="e", params=[1]),
    ),
    "count with parameters only": (vdb.PredicateError, r"no where.*Fix", lambda db, t: t.count(params={"a": 1})),
    "where that fails on a row": (vdb.PredicateError, r"'en'", lambda db, t: t.count("CAST(lang AS INTEGER) = 1")),
    "get of nothing": (vdb.InvalidArgument, r"integers \(id\)", lambda db, t: t.get(None)),
    "get by text": (vdb.InvalidArgument, r"integers \(id\)", lambda db, t: t.get("3")),
    "get of an unknown id": (vdb.NotFound, r"table items has no row with id 77", lambda db, t: t.get(77)),
    "get of nested ids": (vdb.InvalidArgument, r"nested.*Fix", lambda db, t: t.get([[1], [2, 3]])),
}

CHANGING: dict[str, Case] = {
    "update without where": (vdb.InvalidArgument, r'every row.*where="TRUE"', lambda db, t: t.update({"n": 1})),
    "delete without where": (vdb.InvalidArgument, r'every row.*where="TRUE"', lambda db, t: t.delete()),
    "delete with where and ids": (
        vdb.InvalidArgument,
        r"both where and ids.*Fix",
        lambda db, t: t.delete("TRUE", ids=[1]),
    ),
    "delete with ids and parameters": (vdb.PredicateError, r"no where", lambda db, t: t.delete(ids=[1], params=[1])),
    "delete of fractional ids": (vdb.InvalidArgument, r"integers \(id\)", lambda db, t: t.delete(ids=[1.0])),
    "update of an unknown column": (
        vdb.InvalidArgument,
        r"no column 'm'\. Columns",
        lambda db, t: t.update({"m": 1}, where="TRUE"),
    ),
    "update by no name": (vdb.InvalidArgument, r"name, got 5", lambda db, t: t.update({5: 1}, where="TRUE")),
    "update that is no dict": (
        vdb.InvalidArgument,
        r"dict, got \['n'\].*Fix",
        lambda db, t: t.update(["n"], where="TRUE"),
    ),
    "update of the key": (
        vdb.InvalidArgument,
        r"items\.id is the primary key.*Fix",
        lambda db, t: t.update({"id": 5}, where="id = 1"),
    ),
    "update to a wrong type": (vdb.InvalidArgument, r"abc", lambda db, t: t.update({"n": "abc"}, where="TRUE")),
    "update of NOT NULL to NULL": (
        vdb.InvalidArgument,
        r"items\.lang.*NOT NULL",
        lambda db, t: t.update({"lang": None}, where="TRUE"),
    ),
    "update to a wrong dimension": (
        vdb.DimensionMismatch,
        r"2 values.*FLOAT\[3\]",
        lambda db, t: t.update({"e": [1, 2]}, where="TRUE"),
    ),
    "update to NaN": (
        vdb.InvalidArgument,
        r"items\.e holds nan",
        lambda db, t: t.update({"e": [1, 2, NAN]}, where="TRUE"),
    ),
    "update to a ragged vector": (
        vdb.InvalidArgument,
        r"items\.e.*Fix",
        lambda db, t: t.update({"e": [[1], [2, 3]]}, where="TRUE"),
    ),
    "update to zero under cosine": (
        vdb.InvalidArgument,
        r"items\.c is zero.*cosine.*Fix",
        lambda db, t: t.update({"c": [0, 0]}, where="TRUE"),
    ),
    "table that exists": (
        vdb.AlreadyExists,
        r"table 'items' already.*Fix",
        lambda db, t: db.create_table("ITEMS", {"e": "FLOAT[2]"}),
    ),
    "table without a vector": (
        vdb.InvalidArgument,
        r"no vector column.*Fix",
        lambda db, t: db.create_table("u", {"n": "INTEGER"}),
    ),
    "vector without a length": (
        vdb.InvalidArgument,
        r"no length.*FLOAT\[384\]",
        lambda db, t: db.create_table("u", {"e": "FLOAT[]"}),
    ),
    "unknown type": (
        vdb.InvalidArgument,
        r"type 'VECTOR'.*unknown.*Fix",
        lambda db, t: db.create_table("u", {"e": "VECTOR"}),
    ),
    "vector of int8, which SQL has for BIGINT": (
        vdb.InvalidArgument,
        r"'INT8\[3\]' of u\.e: INT8 is BIGINT.*Fix: TINYINT\[384\]",
        lambda db, t: db.create_table("u", {"e": "INT8[3]"}),
    ),
    "half precision without a length": (
        vdb.InvalidArgument,
        r"'FLOAT16' of u\.e: FLOAT16 is for vectors.*Fix: FLOAT16\[384\]",
        lambda db, t: db.create_table("u", {"e": "FLOAT16"}),
    ),
    "float of eight bits": (
        vdb.InvalidArgument,
        r"type 'FLOAT8_E4M3\[3\]' of u\.e is unknown.*Fix",
        lambda db, t: db.create_table("u", {"e": "FLOAT8_E4M3[3]"}),
    ),
    "half precision by another name": (
        vdb.InvalidArgument,
        r"type 'BF16\[3\]' of u\.e is unknown.*Fix",
        lambda db, t: db.create_table("u", {"e": "BF16[3]"}),
    ),
    "matrix of half precision": (
        vdb.InvalidArgument,
        r"'BFLOAT16\[3\]\[2\]' of u\.e: BFLOAT16 is for vectors.*Fix",
        lambda db, t: db.create_table("u", {"e": "BFLOAT16[3][2]"}),
    ),
    "vector of half precision as a key": (
        vdb.InvalidArgument,
        r"u\.e is BFLOAT16\[3\], which cannot be a primary key.*Fix",
        lambda db, t: db.create_table("u", {"e": "BFLOAT16[3] PRIMARY KEY"}),
    ),
    "too many tiny integers": (
        vdb.DimensionMismatch,
        r"TINYINT\[65536\] of u\.e has 65536 values.*Fix",
        lambda db, t: db.create_table("u", {"e": "TINYINT[65536]"}),
    ),
    "data of half precision with a NaN": (
        vdb.InvalidArgument,
        r"row 1 of u\.e holds nan.*finite.*Fix",
        lambda db, t: db.create_table("u", None, e=np.array([[1, 2], [NAN, 1]], np.float16)),
    ),
    "unknown metric of a column": (
        vdb.InvalidArgument,
        r"unknown metric 'l3'.*Fix",
        lambda db, t: db.create_table("u", {"e": "FLOAT[2]"}, metric="l3"),
    ),
    "two keys": (
        vdb.InvalidArgument,
        r"2 primary keys.*Fix",
        lambda db, t: db.create_table("u", {"a": "INTEGER PRIMARY KEY", "b": "INTEGER PRIMARY KEY", "e": "FLOAT[2]"}),
    ),
    "key beside a declaration": (
        vdb.InvalidArgument,
        r"PRIMARY KEY",
        lambda db, t: db.create_table("u", {"e": "FLOAT[2]"}, key="e"),
    ),
    "key that data lacks": (
        vdb.InvalidArgument,
        r"key 'id' is not a column.*Fix",
        lambda db, t: db.create_table("u", {"n": [1, 2]}, key="id", e=X),
    ),
    "data with a key twice": (
        vdb.AlreadyExists,
        r"u\.id = 1 comes twice",
        lambda db, t: db.create_table("u", {"id": [1, 1]}, key="id", e=X),
    ),
    "reserved name": (vdb.InvalidArgument, r"reserved.*Fix", lambda db, t: db.create_table("vdb_x", {"e": "FLOAT[2]"})),
    "unknown table": (vdb.NotFound, r"no table 'item'.*Did you mean 'items'", lambda db, t: db.table("item")),
    "drop of an unknown table": (vdb.NotFound, r"no table 'u'", lambda db, t: db.drop_table("u")),
    "table by no name": (vdb.InvalidArgument, r"name, got \[5\]", lambda db, t: db.table([5])),
    "index on an attribute": (vdb.InvalidArgument, r"'n' is not a vector column", lambda db, t: t.create_index("n")),
    "index on which column": (vdb.InvalidArgument, r"several.*column=", lambda db, t: t.create_index()),
    "index of no kind": (
        vdb.InvalidArgument,
        r"one of vdb\.HNSW\(\.\.\.\), .*vdb\.Attribute\(\.\.\.\), got 'hnsw'.*Fix",
        lambda db, t: t.create_index("e", "hnsw"),
    ),
    "index whose name is taken": (vdb.AlreadyExists, r"index 'h'.*Fix", lambda db, t: t.create_index("c", name="h")),
    "index without a name": (vdb.InvalidArgument, r"name, got ''", lambda db, t: t.create_index("c", name="")),
    "progress that cannot be called": (
        vdb.InvalidArgument,
        r"callable, got 5",
        lambda db, t: t.create_index("c", progress=5),
    ),
    "M of one": (
        vdb.InvalidArgument,
        r"M must be an integer from 2 to 1,024, got 1",
        lambda db, t: t.create_index("c", HNSW(M=1)),
    ),
    "gamma of none": (
        vdb.InvalidArgument,
        r"gamma must be an integer from 1 to 8,192, got 0",
        lambda db, t: t.create_index("c", ACORN(gamma=0)),
    ),
    "gamma too large for M": (
        vdb.InvalidArgument,
        r"gamma must be at most 512 where M is 32, got 513.*Fix",
        lambda db, t: t.create_index("c", ACORN(gamma=513)),
    ),
    "M_beta beyond the candidates": (
        vdb.InvalidArgument,
        r"M_beta must be an integer from 1 to 96, got 97",
        lambda db, t: t.create_index("c", ACORN(gamma=3, M_beta=97)),
    ),
    "packed codes of ACORN": (
        vdb.InvalidArgument,
        r"unknown codes 'packed'.*Fix",
        lambda db, t: t.create_index("c", ACORN(codes="packed")),
    ),
    "drop of an unknown index": (vdb.NotFound, r"no index 'x'\. Indexes: h", lambda db, t: t.drop_index("x")),
    "commit that is no number": (
        vdb.InvalidArgument,
        r"seq must be an integer, got 'x'",
        lambda db, t: db.has_commit("x"),
    ),
}
