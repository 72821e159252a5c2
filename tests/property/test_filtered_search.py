"""Filtered search as its users meet it: random tables, random predicates, every strategy.

Always min(k, matching) rows, all of them satisfying the predicate by DuckDB's word, at their exact distances and in
order; what "auto" finds has a recall above its floor. `VDB_QUERIES=100000` runs as many searches; a few hundred are run
otherwise.
"""

from __future__ import annotations

import datetime
import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

import vdb
from vdb.index import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERIES = int(os.environ.get("VDB_QUERIES", "600"))
DIM = 12
ROWS = 3000
PER_PREDICATE = 3
RECALL_FLOOR = 0.95
WALK_FLOOR = 0.6  # of walks that are forced: no curve has promised them anything

COLUMNS = {
    "id": "BIGINT PRIMARY KEY",
    "n": "INTEGER",
    "x": "DOUBLE",
    "topic": "VARCHAR",
    "tags": "VARCHAR[]",
    "day": "DATE",
    "ok": "BOOLEAN",
}
TOPICS = ("math", "physics", "biology", "art", "", "Zo\u00eb")
TAGS = ("new", "old", "red", "blue", "it's")
EPOCH = datetime.date(2020, 1, 1)


@dataclass
class World:
    """A table of vdb and the same rows in a DuckDB of the test."""

    table: vdb.Table
    oracle: duckdb.DuckDBPyConnection
    rng: np.random.Generator
    vectors: dict[int, np.ndarray] = field(default_factory=dict)
    next_id: int = 0

    def grow(self, count: int) -> None:
        ids = np.arange(self.next_id, self.next_id + count)
        self.next_id += count
        centers = np.random.default_rng(1).normal(size=(12, DIM)) * 2
        cluster = self.rng.integers(0, len(centers), count)
        e = (centers[cluster] + self.rng.normal(size=(count, DIM))).astype(np.float32)
        rows = [self._row(int(key), int(c)) for key, c in zip(ids, cluster, strict=True)]
        self.table.add([{**row, "e": vector} for row, vector in zip(rows, e, strict=True)])
        marks = ", ".join("?" * len(COLUMNS))
        self.oracle.executemany(f"INSERT INTO t VALUES ({marks})", [list(row.values()) for row in rows])
        self.vectors |= dict(zip(ids.tolist(), e, strict=True))

    def delete(self, where: str) -> None:
        gone = self.matching(where)
        self.table.delete(where)
        self.oracle.execute(f"DELETE FROM t WHERE {where}")
        for key in gone:
            del self.vectors[key]

    def matching(self, where: str) -> list[int]:
        return [key for (key,) in self.oracle.execute(f"SELECT id FROM t WHERE {where}").fetchall()]

    def _row(self, key: int, cluster: int) -> dict[str, Any]:
        def perhaps(value: Any, missing: float = 0.1) -> Any:
            return None if self.rng.random() < missing else value

        tags = [perhaps(str(tag), 0.05) for tag in self.rng.choice(TAGS, self.rng.integers(0, 4))]
        return {
            "id": key,
            "n": perhaps(int(self.rng.integers(-50, 50))),
            "x": perhaps(float(np.round(self.rng.normal(), 2))),
            "topic": perhaps(TOPICS[cluster % len(TOPICS)]),  # goes with the vectors
            "tags": perhaps(tags),
            "day": perhaps(EPOCH + datetime.timedelta(int(self.rng.integers(0, 400)))),
            "ok": perhaps(bool(self.rng.random() < 0.7), 0.3),
        }


class Predicates:
    """Random predicates, of every share from nearly none to all."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def next(self, depth: int = 2) -> str:
        choice = self._random
        kind = choice.choice(["leaf", "leaf", "and", "or", "not"]) if depth else "leaf"
        if kind == "and":
            return f"({self.next(depth - 1)} AND {self.next(depth - 1)})"
        if kind == "or":
            return f"({self.next(depth - 1)} OR {self.next(depth - 1)})"
        if kind == "not":
            return f"NOT ({self.next(depth - 1)})"
        return str(choice.choice([self._number, self._text, self._tags, self._day, self._other])())

    def _number(self) -> str:
        low = self._random.randint(-60, 60)
        high = low + self._random.choice([0, 1, 5, 30, 100])
        operator = self._random.choice(["=", "<>", "<", ">=", "IS DISTINCT FROM"])
        return self._random.choice(
            [f"n BETWEEN {low} AND {high}", f"n {operator} {low}", f"x > {low / 20}", f"n IN ({low}, {high}, NULL)"]
        )

    def _text(self) -> str:
        topic = self._quoted(self._random.choice(TOPICS))
        other = self._quoted(self._random.choice(TOPICS))
        return self._random.choice(
            [
                f"topic = {topic}",
                f"topic IN ({topic}, {other})",
                f"topic <> {topic}",
                "topic LIKE 'ma%'",
                "topic IS NULL",
            ]
        )

    def _tags(self) -> str:
        one, other = (self._quoted(self._random.choice(TAGS)) for _ in range(2))
        return self._random.choice(
            [
                f"list_contains(tags, {one})",
                f"list_has_any(tags, [{one}, {other}])",
                f"list_has_all(tags, [{one}, {other}])",
                "len(tags) = 0",
            ]
        )

    def _day(self) -> str:
        low = EPOCH + datetime.timedelta(self._random.randint(-5, 400))
        high = low + datetime.timedelta(self._random.choice([0, 3, 30, 200]))
        return self._random.choice(
            [f"day BETWEEN '{low}' AND '{high}'", f"day >= DATE '{low}'", f"day < DATE '{low}' OR day IS NULL"]
        )

    def _other(self) -> str:
        return self._random.choice(["ok", "NOT ok", "ok IS NULL", "TRUE", "id % 3 = 0", "length(topic) > 4", "n = x"])

    @staticmethod
    def _quoted(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"


@pytest.fixture(params=["fair", "scans are dear"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    if request.param == "scans are dear":  # so that "auto" walks tables as small as this one
        monkeypatch.setattr(machine, "measured", lambda graph, timed, guess: dear(guess))
    with vdb.connect(":memory:") as db, duckdb.connect() as oracle:
        oracle.execute(f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
        table = db.create_table("t", {**COLUMNS, "e": f"FLOAT[{DIM}]"})
        made = World(table, oracle, np.random.default_rng(5))
        made.grow(ROWS)
        table.create_index("e", vdb.HNSW(M=12, ef_construction=80, codes="rabitq", bits=4), name="h")
        for name, spec in overlays().items():
            table.create_index("e", spec, name=name)
        yield made


def overlays() -> dict[str, Any]:
    return {
        "acorn": vdb.ACORN(M=8, gamma=6, ef_construction=60),
        "days": vdb.Range("day", M=12, ef_construction=80),
        "topics": vdb.Label("topic", M=12, ef_construction=80, min_rows=100),
        "tags": vdb.Label("tags", M=12, ef_construction=80, min_rows=100),
        "signs": vdb.IVFRaBitQ(bits=4),
        "products": vdb.IVFPQ(nlist=40, m=6),
    }


def dear(guess: machine.Machine) -> machine.Machine:
    return guess._replace(vectors=guess.vectors.scaled(50), codes=guess.codes.scaled(50))


STRATEGIES = ("auto", "auto", "auto", "scan", "codes", "graph", "post", "acorn", "range", "label", "ivf")


def test_every_strategy_returns_all_it_must_and_only_what_it_may(world: World) -> None:
    predicates = Predicates(11)
    rng = np.random.default_rng(12)
    recalls: dict[str, list[float]] = {}
    for turn in range(QUERIES // (2 * PER_PREDICATE)):
        if turn % 40 == 20:
            world.grow(150)
        if turn % 40 == 30:
            world.delete(f"id % 37 = {turn % 37}")
        where = predicates.next()
        matching = np.array(sorted(world.matching(where)), np.int64)
        near = {key: world.vectors[key] for key in matching.tolist()}
        for _ in range(PER_PREDICATE):
            strategy = str(rng.choice(STRATEGIES))
            k = int(rng.choice([1, 3, 10, 40]))
            query = world.vectors[int(rng.choice(list(world.vectors)))] + rng.normal(size=DIM) * 0.7
            try:
                hits = world.table.search(query, k, where=where, strategy=strategy)
            except vdb.InvalidArgument:
                if strategy in ("range", "label"):  # the predicate has no term for them
                    continue
                raise
            found = checked(hits, query.astype(np.float32), near, k)
            recalls.setdefault(strategy, []).append(found)
    for strategy, found in recalls.items():
        floor = {"scan": 1.0, "auto": RECALL_FLOOR, "codes": RECALL_FLOOR}.get(strategy, WALK_FLOOR)
        assert np.mean(found) >= floor, (strategy, np.mean(found))
    assert set(recalls) == set(STRATEGIES)


def checked(hits: vdb.Hits, query: np.ndarray, near: dict[int, np.ndarray], k: int) -> float:
    """The recall of an answer that is right in all else: `near` are the rows that match."""
    ids, distances = hits.ids.tolist(), hits.distances
    text = hits.explain()
    assert len(ids) == len(set(ids)) == min(k, len(near)), text
    assert set(ids) <= near.keys(), text
    if not ids:
        return 1.0
    keys = np.array(list(near))
    exact = np.linalg.norm(np.stack(list(near.values())).astype(np.float64) - query, axis=1)
    of = dict(zip(keys.tolist(), exact.tolist(), strict=True))
    np.testing.assert_allclose(distances, [of[key] for key in ids], rtol=1e-4, atol=1e-4, err_msg=text)
    assert sorted(zip(distances.tolist(), ids, strict=True)) == list(zip(distances.tolist(), ids, strict=True)), text
    last = np.sort(exact)[len(ids) - 1] * (1 + 1e-4) + 1e-4
    return float(np.mean([of[key] <= last for key in ids]))
