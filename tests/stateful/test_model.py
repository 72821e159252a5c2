"""Any sequence of calls against a model: a dict of rows, searched by brute force in float64."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brute_force import assert_allowed, assert_exact, by_id
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import vdb

DIM = 3
KEYS = st.integers(0, 30)
LANGS = st.sampled_from(["en", "de", None])
NUMBERS = st.none() | st.integers(-3, 3)
VECTORS = st.lists(st.integers(-4, 4), min_size=DIM, max_size=DIM)  # small integers: ties and zeros are common
MAYBE = st.none() | VECTORS
ROWS = st.fixed_dictionaries({"lang": LANGS, "n": NUMBERS, "e": MAYBE})
METRICS = st.sampled_from(["l2", "cosine", "ip"])

Row = dict[str, Any]


def compare(column: str, sign: str, value: object) -> tuple[str, object]:
    """SQL, and its three-valued truth for a row: True, False or None."""
    ways = {
        "=": lambda a: a == value,
        "!=": lambda a: a != value,
        "<": lambda a: a < value,
        ">=": lambda a: a >= value,
    }
    literal = f"'{value}'" if isinstance(value, str) else str(value)
    return f"{column} {sign} {literal}", lambda row: None if row[column] is None else ways[sign](row[column])


def negated(given: tuple[str, Any]) -> tuple[str, Any]:
    sql, truth = given
    return f"NOT ({sql})", lambda row: None if truth(row) is None else not truth(row)


def joined(first: tuple[str, Any], word: str, second: tuple[str, Any]) -> tuple[str, Any]:
    decisive = word == "OR"

    def truth(row: Row) -> bool | None:
        values = {first[1](row), second[1](row)}
        if decisive in values:
            return decisive
        return None if None in values else not decisive

    return f"({first[0]}) {word} ({second[0]})", truth


def absent(column: str) -> tuple[str, Any]:
    return f"{column} IS NULL", lambda row: row[column] is None


SIGNS = st.sampled_from(["=", "!=", "<", ">="])
PREDICATES = st.recursive(
    st.builds(compare, st.just("n"), SIGNS, st.integers(-3, 3))
    | st.builds(compare, st.just("lang"), SIGNS, st.sampled_from(["en", "de", "fr"]))
    | st.builds(compare, st.just("id"), SIGNS, KEYS)
    | st.builds(absent, st.sampled_from(["n", "lang", "e"]))
    | st.sampled_from([("TRUE", lambda row: True), ("FALSE", lambda row: False)]),
    lambda inner: st.builds(negated, inner) | st.builds(joined, inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=4,
)


class Rollback(Exception):
    """Leaves a transaction."""


class Model(RuleBasedStateMachine):
    """The table `t` beside `rows`, its content by key."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.rows: dict[int, Row] = {}
        self.transaction: Any = None
        self.before: dict[int, Row] = {}
        self.indexes: dict[str, str] = {}  # metric by name, of graphs
        self.lists: dict[str, str] = {}  # and of inverted files
        self.connect()

    @initialize(metric=METRICS)
    def create(self, metric: str) -> None:
        self.metric = metric
        schema = {"id": "BIGINT PRIMARY KEY", "lang": "VARCHAR", "n": "INTEGER", "e": f"FLOAT[{DIM}]"}
        self.db.create_table("t", schema, metric=metric)

    def connect(self) -> None:
        self.db = vdb.connect(self.folder / "d", threads=2)

    @property
    def table(self) -> vdb.Table:
        return self.db.table("t")

    def teardown(self) -> None:
        if self.transaction is not None:
            self.end(Rollback())
        self.db.close()
        shutil.rmtree(self.folder)

    def storable(self, row: Row) -> Row:
        """A zero vector cannot be written under cosine: leave it out."""
        return row | {"e": None} if self.metric == "cosine" and row["e"] == [0] * DIM else row

    def matching(self, truth: Any) -> list[int]:
        return [key for key, row in self.rows.items() if truth(row | {"id": key}) is True]

    # Writing

    @rule(rows=st.dictionaries(KEYS, ROWS, min_size=1, max_size=12))
    def add(self, rows: dict[int, Row]) -> None:
        new = {key: self.storable(row) for key, row in rows.items()}
        batch = [{"id": key, **row} for key, row in new.items()]
        if new.keys() & self.rows.keys():
            with pytest.raises(vdb.AlreadyExists):
                self.table.add(batch)
            return
        assert self.table.add(batch) == len(new)
        self.rows |= new

    @rule(rows=st.dictionaries(KEYS, ROWS, min_size=1, max_size=12))
    def upsert(self, rows: dict[int, Row]) -> None:
        new = {key: self.storable(row) for key, row in rows.items()}
        assert self.table.upsert([{"id": key, **row} for key, row in new.items()]) == len(new)
        self.rows |= new

    @rule(keys=st.sets(KEYS, min_size=1, max_size=6), n=NUMBERS)
    def upsert_a_part(self, keys: set[int], n: int | None) -> None:
        self.table.upsert({"id": sorted(keys), "n": np.array([n] * len(keys), object)})
        for key in keys:
            self.rows[key] = self.rows.get(key, {"lang": None, "e": None}) | {"n": n}

    @rule(where=PREDICATES, lang=LANGS, n=NUMBERS)
    def update(self, where: tuple[str, Any], lang: str | None, n: int | None) -> None:
        keys = self.matching(where[1])
        assert self.table.update({"lang": lang, "n": n}, where=where[0]) == len(keys)
        for key in keys:
            self.rows[key] = self.rows[key] | {"lang": lang, "n": n}

    @rule(where=PREDICATES, e=MAYBE)
    def update_vector(self, where: tuple[str, Any], e: list[int] | None) -> None:
        keys = self.matching(where[1])
        e = self.storable({"e": e})["e"]
        assert self.table.update({"e": e}, where=where[0]) == len(keys)
        for key in keys:
            self.rows[key] = self.rows[key] | {"e": e}

    @rule(where=PREDICATES)
    def delete(self, where: tuple[str, Any]) -> None:
        keys = self.matching(where[1])
        assert self.table.delete(where[0]) == len(keys)
        for key in keys:
            del self.rows[key]

    @rule(keys=st.lists(KEYS, max_size=5))
    def delete_ids(self, keys: list[int]) -> None:
        present = set(keys) & self.rows.keys()
        assert self.table.delete(ids=keys) == len(present)
        for key in present:
            del self.rows[key]

    # Indexes, transactions, reopening

    @precondition(lambda self: self.transaction is None and len(self.indexes) < 3)
    @rule(metric=METRICS, m=st.integers(2, 8))
    def create_index(self, metric: str, m: int) -> None:
        name = f"i{len(self.indexes)}{metric}"
        if name not in self.indexes:
            self.table.create_index("e", vdb.HNSW(metric=metric, M=m, ef_construction=20), name=name)  # type: ignore[arg-type]
            self.indexes[name] = metric

    @precondition(lambda self: self.transaction is None and len(self.lists) < 2)
    @rule(metric=METRICS, kind=st.sampled_from([vdb.IVFPQ(m=2), vdb.IVFPQ(nbits=8), vdb.IVFRaBitQ(bits=3)]))
    def create_lists(self, metric: str, kind: Any) -> None:
        name = f"l{len(self.lists)}{metric}"
        if name not in self.lists:
            self.table.create_index("e", dataclasses.replace(kind, metric=metric), name=name)
            self.lists[name] = metric

    @precondition(lambda self: self.transaction is None and self.lists)
    @rule(data=st.data())
    def drop_lists(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.lists)))
        self.table.drop_index(name)
        del self.lists[name]

    @precondition(lambda self: self.transaction is None and self.indexes)
    @rule(data=st.data())
    def drop_index(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.indexes)))
        self.table.drop_index(name)
        del self.indexes[name]

    @precondition(lambda self: self.transaction is None)
    @rule()
    def begin(self) -> None:
        self.before = dict(self.rows)
        self.transaction = self.db.transaction()
        self.transaction.__enter__()

    @precondition(lambda self: self.transaction is not None)
    @rule(roll_back=st.booleans())
    def finish(self, roll_back: bool) -> None:
        self.end(Rollback() if roll_back else None)

    def end(self, error: Rollback | None) -> None:
        transaction, self.transaction = self.transaction, None
        if error is None:
            transaction.__exit__(None, None, None)
            return
        assert not transaction.__exit__(Rollback, error, None)  # false: the error goes on
        self.rows = self.before

    @rule()
    def compact(self) -> None:
        if self.transaction is not None:
            with pytest.raises(vdb.InvalidState):
                self.table.compact()
            return
        hits = self.table.search([1] * DIM, 40, metric="l2", strategy="scan", select=["id", "lang", "n"])
        dead = self.table.stats()["dead_slots"]
        done = self.table.compact()
        assert (done.rows, done.dead_slots) == (len(self.rows), dead)
        assert self.table.stats()["dead_slots"] == 0
        for row in hits:
            assert {"lang": row["lang"], "n": row["n"]}.items() <= self.rows[row["id"]].items()

    @precondition(lambda self: self.transaction is None)
    @rule()
    def reopen(self) -> None:
        self.db.close()
        self.connect()
        self.db.check()

    # Reading

    @rule(
        query=VECTORS,
        k=st.integers(1, 40),
        where=st.none() | PREDICATES,
        metric=METRICS,
        strategy=st.sampled_from(["auto", "scan", "graph", "post", "ivf"]),
    )
    def search(self, query: list[int], k: int, where: tuple[str, Any] | None, metric: Any, strategy: str) -> None:
        if strategy in ("graph", "post") and metric not in self.indexes.values():
            strategy = "scan"
        if strategy == "ivf" and metric not in self.lists.values():
            strategy = "scan"
        if metric == "cosine" and not any(query):
            return
        text, truth = where or (None, lambda row: True)
        expected = by_id(query, {key: self.rows[key]["e"] for key in self.matching(truth)}, metric)
        hits = self.table.search(query, k, where=text, metric=metric, strategy=strategy, select=["id", "lang", "n"])
        assert_allowed(hits, expected, k)
        if "strategy  scan" in hits.explain() or k >= len(expected):
            assert_exact(hits, expected, k)
        for row in hits:
            assert {"lang": row["lang"], "n": row["n"]}.items() <= self.rows[row["id"]].items()

    @rule(keys=st.lists(KEYS, max_size=6))
    def get(self, keys: list[int]) -> None:
        found = self.table.get(keys, select=["id", "lang", "n", "e"]).to_dicts()
        shown = [row | {"e": None if row["e"] is None else row["e"].tolist()} for row in found]
        assert shown == [{"id": key, **self.rows[key]} for key in keys if key in self.rows]

    @rule(where=PREDICATES)
    def count(self, where: tuple[str, Any]) -> None:
        assert self.table.count(where[0]) == len(self.matching(where[1]))

    @invariant()
    def length_is_that_of_the_model(self) -> None:
        if "t" in self.db.tables():
            assert len(self.table) == len(self.rows)


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestModel.pytestmark = [pytest.mark.slow]
