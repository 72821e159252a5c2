"""Table.add and Database.create_table from data: every form of rows, keys, and several vector columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable

IDS = [3, 1, 2]
TITLES = ["c", None, "b"]
VECTORS = np.array([[3, 0], [1, 0], [2, 0]], np.float32)
SCHEMA = {"id": "BIGINT PRIMARY KEY", "title": "VARCHAR", "e": "FLOAT[2]"}

FORMS: dict[str, Callable[[], Any]] = {
    "dict of lists": lambda: {"id": IDS, "title": TITLES, "e": VECTORS.tolist()},
    "dict of arrays": lambda: {"id": np.array(IDS), "title": np.array(TITLES, object), "e": VECTORS},
    "rows": lambda: [{"id": i, "title": t, "e": e} for i, t, e in zip(IDS, TITLES, VECTORS, strict=True)],
    "pandas": lambda: pd.DataFrame({"id": IDS, "title": TITLES, "e": list(VECTORS)}),
    "arrow": lambda: pa.table({"id": IDS, "title": TITLES, "e": VECTORS.tolist()}),
    "polars": lambda: pl.DataFrame({"id": IDS, "title": TITLES, "e": VECTORS}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_rows_adds_the_same(db: vdb.Database, form: str) -> None:
    table = db.create_table("t", SCHEMA)
    assert table.add(FORMS[form]()) == 3
    assert table.search([0, 0], 10).to_dicts() == [
        {"id": 1, "title": None, "_distance": 1.0},
        {"id": 2, "title": "b", "_distance": 2.0},
        {"id": 3, "title": "c", "_distance": 3.0},
    ]


@pytest.mark.parametrize("form", FORMS)
def test_table_made_from_data_holds_it(db: vdb.Database, form: str) -> None:
    data = FORMS[form]()
    wide = np.repeat(VECTORS, 5, axis=1)
    if form == "rows":
        data = [{**row, "e": vector.tolist()} for row, vector in zip(data, wide, strict=True)]
        table = db.create_table("t", data, key="id")
    else:
        columns = {"id": data["id"], "title": data["title"]}
        table = db.create_table("t", columns, key="id", e=wide)
    assert table.schema.key == "id"
    assert table.schema.by_name["e"].type == "FLOAT[10]"
    assert table.get([1, 2, 3], select=["id", "title"]).to_dicts() == [
        {"id": 1, "title": None},
        {"id": 2, "title": "b"},
        {"id": 3, "title": "c"},
    ]


def test_vectors_may_stand_beside_the_data(db: vdb.Database) -> None:
    table = db.create_table("t", SCHEMA)
    table.add({"id": IDS, "title": TITLES}, e=VECTORS)
    assert table.get(2, select=["e"])["e"].tolist() == [2, 0]


def test_one_dict_of_single_values_is_one_row(db: vdb.Database) -> None:
    table = db.create_table("t", SCHEMA)
    assert table.add({"id": 7, "title": "x"}, e=[1.0, 2.0]) == 1
    assert table.get(7, select=["title", "e"])["e"].tolist() == [1, 2]


def test_added_arrays_are_copied(db: vdb.Database) -> None:
    table = db.create_table("t", SCHEMA)
    x = VECTORS.copy()
    table.add({"id": IDS}, e=x)
    x[:] = 99
    assert table.search([0, 0], 3).distances.tolist() == [1, 2, 3]


def test_table_without_a_key_numbers_its_rows(db: vdb.Database) -> None:
    table = db.create_table("t", {"n": "INTEGER", "e": "FLOAT[2]"})
    table.add({"n": [10, 20]}, e=[[1, 0], [2, 0]])
    table.delete("n = 20")
    table.add({"n": [30]}, e=[[3, 0]])
    hits = table.search([0, 0], 5)
    assert hits.ids.tolist() == hits.row_ids.tolist() == [0, 2]
    assert table.get(2)["n"] == 30
    assert table.get([0, 1, 2]).ids.tolist() == [0, 2]


def test_text_keys_find_their_rows(db: vdb.Database) -> None:
    table = db.create_table("t", {"name": "VARCHAR PRIMARY KEY", "e": "FLOAT[2]"})
    table.add({"name": ["x", "y'--", "\N{SNOWMAN}"]}, e=[[1, 0], [2, 0], [3, 0]])
    assert table.get("y'--") == {"name": "y'--"}
    assert table.get(["\N{SNOWMAN}", "none", "x"]).ids.tolist() == ["\N{SNOWMAN}", "x"]
    assert table.search([0, 0], 2).ids.tolist() == ["x", "y'--"]
    assert table.delete(ids=["x", "none"]) == 1
    with pytest.raises(vdb.AlreadyExists, match="upsert"):
        table.add({"name": ["z", "\N{SNOWMAN}"]}, e=VECTORS[:2])
    assert len(table) == 2


def test_left_out_column_is_null(db: vdb.Database) -> None:
    table = db.create_table("t", SCHEMA)
    table.add({"id": [1]})
    assert table.count("title IS NULL AND e IS NULL") == 1
    assert table.get(1, select=["title", "e"]) == {"title": None, "e": None}


def test_rows_of_many_adds_are_one_table(db: vdb.Database, rng: np.random.Generator) -> None:
    table = db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[3]"})
    x = rng.normal(size=(300, 3)).astype(np.float32)
    for begin in range(0, 300, 30):
        table.add({"id": np.arange(begin, begin + 30)}, e=x[begin : begin + 30])
    hits = table.search(x[123], 1)
    assert hits.ids.tolist() == [123]
    assert hits.distances.tolist() == [0]
    assert (np.stack([row["e"] for row in table.get(range(300), select=["e"])]) == x).all()


@pytest.mark.parametrize("metric", ["cosine", {"e": "cosine"}])
def test_metric_of_the_column_is_the_default_of_search_and_index(db: vdb.Database, metric: Any) -> None:
    table = db.create_table("t", {"id": [1, 2]}, e=np.array([[1.0, 0.0], [5.0, 5.0]]), metric=metric, key="id")
    assert table.search([1, 1]).ids.tolist() == [2, 1]
    assert table.create_index().metric == "cosine"
