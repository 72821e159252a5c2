"""Random SELECTs over vectors, for asking vdb and a stock DuckDB that holds the vectors itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import duckdb

    import vdb

DIM = 4
ROWS = 400
NEEDLES = 6

ITEMS = "id BIGINT PRIMARY KEY, lang VARCHAR, price DOUBLE, tags VARCHAR[], e FLOAT[4]"
SALES = "item BIGINT, sold INTEGER"
VIEWS = (
    "CREATE VIEW shown AS SELECT * FROM items WHERE price > 10 OR lang = 'de'",
    "CREATE VIEW computed AS SELECT id, price * 2 AS twice, lower(lang) AS low, e FROM shown WHERE id > 5",
)
PROBES = "qid BIGINT PRIMARY KEY, lang VARCHAR, e FLOAT[4]"

DISTANCES = (
    ("{v} <-> {q}", "array_distance({v}, {q})", "ASC"),
    ("{v} <=> {q}", "array_cosine_distance({v}, {q})", "ASC"),
    ("{v} <#> {q}", "array_negative_inner_product({v}, {q})", "ASC"),
    ("array_distance({v}, {q})", "array_distance({v}, {q})", "ASC"),
    ("array_cosine_distance({q}, {v})", "array_cosine_distance({q}, {v})", "ASC"),
    ("1 - array_cosine_similarity({v}, {q})", "1 - array_cosine_similarity({v}, {q})", "ASC"),
    ("array_negative_inner_product({v}, {q})", "array_negative_inner_product({v}, {q})", "ASC"),
    ("array_inner_product({v}, {q})", "array_inner_product({v}, {q})", "DESC"),
    ("array_cosine_similarity({v}, {q})", "array_cosine_similarity({v}, {q})", "DESC"),
)
PREDICATES = (
    "TRUE",
    "i.lang = 'en'",
    "i.lang <> 'en'",
    "NOT (i.lang = 'en')",
    "i.lang IS NULL",
    "i.price BETWEEN 20 AND 60",
    "i.price < 5 OR i.lang IN ('de', NULL)",
    "i.lang NOT IN ('de', 'fr')",
    "list_contains(i.tags, 'new')",
    "NOT list_contains(i.tags, 'old')",
    "i.tags && ['a', 'new']",
    "i.id % 7 = 3",
    "i.e IS NOT NULL AND i.price > 50",
    "length(i.lang) = 2 AND i.id > 100",
    "i.id IN (SELECT item FROM sales WHERE sold > 5)",
    "EXISTS (SELECT 1 FROM sales s2 WHERE s2.item = i.id)",
    "i.price > (SELECT avg(price) FROM items)",
    "coalesce(i.lang, 'en') = 'en'",
    "i.id < 0",
)
# {d} is the distance, {w} a predicate, {k} a number, {o} its order. Every row that is shown has the keys that order it.
WRITTEN = """\
SELECT i.id, {d} AS d FROM items i WHERE {w} ORDER BY {d} {o} LIMIT {k}

SELECT i.id, {d} AS d FROM items i WHERE {w} ORDER BY d {o}, i.id LIMIT {k}

SELECT i.id, {d} AS d FROM items i WHERE {w} ORDER BY d {o}, i.id DESC LIMIT {k} OFFSET 3

SELECT i.id, {d} AS d FROM items i WHERE {w} AND i.e IS NOT NULL ORDER BY 2 {o} LIMIT {k}

SELECT i.*, {d} AS d FROM items i WHERE {w} ORDER BY d {o}, id LIMIT {k}

SELECT i.id, s.sold, {d} AS d FROM items i JOIN sales s ON s.item = i.id WHERE {w} ORDER BY d {o}, i.id, s.sold
LIMIT {k}

SELECT i.id, s.sold, {d} AS d FROM items i LEFT JOIN sales s ON s.item = i.id WHERE {w} ORDER BY d {o}, i.id,
s.sold LIMIT {k}

SELECT i.id, s.sold, {d} AS d FROM sales s LEFT JOIN items i ON s.item = i.id WHERE {w} ORDER BY d {o}, i.id,
s.sold LIMIT {k}

SELECT i.id, {d} AS d FROM items i SEMI JOIN sales s ON s.item = i.id WHERE {w} ORDER BY d {o}, i.id LIMIT {k}

SELECT i.id, {d} AS d FROM items i, sales s WHERE s.item = i.id AND s.sold = 3 AND {w} ORDER BY d {o}, i.id
LIMIT {k}

WITH near AS (SELECT i.id, i.lang, {d} AS d FROM items i WHERE {w} ORDER BY d {o}, i.id LIMIT {k}) SELECT lang,
count(*) AS n, min(d) AS d FROM near GROUP BY lang ORDER BY lang

SELECT h.id, s.sold, h.d AS d FROM (SELECT i.id, {d} AS d FROM items i WHERE {w} ORDER BY d {o}, i.id LIMIT {k})
h LEFT JOIN sales s ON s.item = h.id ORDER BY h.id, s.sold

SELECT i.lang, count(*) AS n, max({d}) AS d FROM items i WHERE {w} GROUP BY i.lang ORDER BY i.lang

SELECT i.id, {d} AS d, row_number() OVER (ORDER BY {d} {o}, i.id) AS r FROM items i WHERE {w} ORDER BY i.id
LIMIT {k}

SELECT i.id, {d} AS d FROM items i WHERE {w} QUALIFY row_number() OVER (PARTITION BY lang ORDER BY {d} {o},
i.id) <= 2 ORDER BY i.id

SELECT DISTINCT lang, {d} > 0.5 AS d FROM items i WHERE {w} ORDER BY ALL

SELECT id FROM items i WHERE {w} AND id IN (SELECT i.id FROM items i ORDER BY {d} {o}, i.id LIMIT {k}) ORDER BY
id

SELECT (SELECT i.id FROM items i WHERE {w} ORDER BY {d} {o}, i.id LIMIT 1) AS one, count(*) FROM sales

SELECT i.id, {d} AS d FROM items i WHERE {w} AND {d} < 1 ORDER BY d {o}, i.id LIMIT {k}

SELECT count(*) AS n FROM items i WHERE {w} AND {d} > 0.9

SELECT p.qid, h.id FROM probes p, LATERAL (SELECT i.id FROM items i WHERE {w} AND i.lang = p.lang ORDER BY
array_distance(i.e, p.e), i.id LIMIT 2) h ORDER BY ALL

SELECT p.qid, h.id, h.d AS d FROM probes p, LATERAL (SELECT i.id, array_cosine_distance(p.e, i.e) AS d FROM items i
WHERE {w} AND i.price > p.qid * 10 ORDER BY d, i.id LIMIT 3) h WHERE p.qid < 5 ORDER BY ALL

SELECT p.qid, (SELECT i.id FROM items i WHERE {w} ORDER BY array_distance(i.e, p.e), i.id LIMIT 1) AS one FROM probes p
ORDER BY p.qid

SELECT p.qid, h.id FROM probes p LEFT JOIN LATERAL (SELECT * FROM shown i WHERE {w} ORDER BY array_inner_product(i.e,
p.e) DESC, i.id LIMIT 2) h ON TRUE ORDER BY ALL

SELECT i.id, {d} AS d FROM shown i WHERE {w} ORDER BY d {o}, i.id LIMIT {k}

SELECT i.*, {d} AS d FROM computed i WHERE i.twice > 30 ORDER BY d {o}, i.id LIMIT {k}

SELECT i.id, s.sold, {d} AS d FROM shown i JOIN sales s ON s.item = i.id WHERE {w} ORDER BY d {o}, i.id, s.sold
LIMIT {k}

SELECT i.id FROM items i WHERE {w} ORDER BY array_distance(i.e, (SELECT e FROM probes WHERE qid = 2)), i.id
LIMIT {k}

(SELECT i.id, {d} AS d FROM items i WHERE {w} ORDER BY d {o}, i.id LIMIT {k}) UNION ALL (SELECT qid, NULL FROM
probes) ORDER BY ALL

SELECT i.id, {d} AS d FROM items i WHERE {w} ORDER BY {d} {o} NULLS FIRST, i.id LIMIT {k}

SELECT i.id, i.e, {d} AS d FROM items i WHERE {w} ORDER BY i.id LIMIT {k}

SELECT i.* FROM items i WHERE {w} ORDER BY price DESC, id LIMIT {k} OFFSET 2

SELECT i.id AS price, i.e FROM items i WHERE {w} ORDER BY price, i.id LIMIT {k}

SELECT a.id, i.id AS other, {d} AS d FROM items a JOIN items i ON a.id = i.id + 1 WHERE {w} ORDER BY d {o}, i.id
LIMIT {k}
"""
SHAPES = [" ".join(shape.split()) for shape in WRITTEN.split("\n\n")]


@dataclass(frozen=True)
class Question:
    """One statement for vdb, the same for DuckDB, and the query vector of both."""

    asked: str
    plain: str
    query: list[float]


def questions(n: int, seed: int) -> list[Question]:
    """`n` statements; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        shape = SHAPES[number % len(SHAPES)]
        ours, theirs, order = DISTANCES[rng.integers(len(DISTANCES))]
        predicate = PREDICATES[rng.integers(len(PREDICATES))]
        k = int(rng.choice([1, 5, 10, 50, 1000]))
        words: dict[str, Any] = {"w": f"({predicate})", "k": k, "o": order}
        d, plain = ours.format(v="i.e", q="$q"), theirs.format(v="i.e", q="$q::FLOAT[4]")
        query = rng.standard_normal(DIM).round(3).tolist()
        made.append(Question(shape.format(d=f"({d})", **words), shape.format(d=f"({plain})", **words), query))
    return made


def fill(db: vdb.Database, stock: duckdb.DuckDBPyConnection, seed: int) -> None:
    """The same rows into both, NULLs of every kind among them."""
    rng = np.random.default_rng(seed)
    langs, tags = ["en", "de", "fr", None], [["old"], ["new", "a"], [], None, ["a", None]]
    items = [
        (
            i,
            langs[rng.integers(4)],
            None if rng.random() < 0.05 else round(float(rng.random() * 100), 3),
            tags[rng.integers(5)],
            None if rng.random() < 0.05 else rng.standard_normal(DIM).astype(np.float32).tolist(),
        )
        for i in range(ROWS)
    ]
    sales = [(int(rng.integers(ROWS)), int(rng.integers(10))) for _ in range(ROWS // 2)]
    probes = [(i, langs[i % 3], rng.standard_normal(DIM).astype(np.float32).tolist()) for i in range(NEEDLES)]
    for name, columns, rows in (("items", ITEMS, items), ("sales", SALES, sales), ("probes", PROBES, probes)):
        db.sql(f"CREATE TABLE {name} ({columns})")
        stock.execute(f"CREATE TABLE {name} ({columns})")
        places = ", ".join("?" * len(rows[0]))
        stock.executemany(f"INSERT INTO {name} VALUES ({places})", rows)
        with db.transaction():
            for begin in range(0, len(rows), 50):
                part = rows[begin : begin + 50]
                values = ", ".join(f"({places})" for _ in part)
                db.sql(f"INSERT INTO {name} VALUES {values}", [value for row in part for value in row])
    for view in VIEWS:
        db.sql(view)
        stock.execute(view)
