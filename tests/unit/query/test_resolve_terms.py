"""What a resolved predicate says beside its rows: the terms of its columns, and how long an answer holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb
from vdb.query.parse import parse_predicate
from vdb.query.resolve import BY_BOTH, BY_CACHE, BY_INDEXES, Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.query.resolve import Resolved

TYPES = {"i8": "TINYINT", "i32": "INTEGER", "u8": "UTINYINT", "f64": "DOUBLE", "t": "VARCHAR", "tags": "VARCHAR[]"}


@pytest.fixture
def db() -> Iterator[vdb.Database]:
    """Thirty rows, some of them deleted."""
    with vdb.connect(":memory:") as made:
        table = made.create_table("t", {"id": "BIGINT PRIMARY KEY", **TYPES, "ok": "BOOLEAN", "e": "FLOAT[2]"})
        table.add(
            [
                {
                    "id": i,
                    "i8": i % 3,
                    "i32": None if i % 8 == 7 else i % 10 - 2,
                    "u8": [0, 1, 200][i % 3],
                    "f64": i / 10,
                    "t": "abc"[i % 3],
                    "tags": [["a"], ["a", "b"], None, []][i % 4],
                    "ok": i % 2 == 0,
                }
                for i in range(30)
            ]
        )
        table.delete("id IN (3, 8, 24)")
        yield made


def by_duckdb(db: vdb.Database, text: str) -> list[int]:
    state = db.store.state.table("t")
    return sorted(db.store.matching("t", parse_predicate(text, None, state.schema))[1].tolist())


def resolved(db: vdb.Database, text: str, params: object = None) -> Resolved:
    state = db.store.state.table("t")
    return Resolver(db.store, db.attributes).resolve(parse_predicate(text, params, state.schema), state)


def test_answers_are_kept_until_the_table_changes(db: vdb.Database) -> None:
    state = db.store.state.table("t")
    resolver = Resolver(db.store, db.attributes)

    def ask(text: str, params: object = None) -> Resolved:
        return resolver.resolve(parse_predicate(text, params, state.schema), db.store.state.table("t"))

    first = ask("f64 > ? AND t ILIKE '%a%'", [0.0])
    again = ask("f64  > ? AND t ILIKE '%a%'", [0.0])
    assert (again.how, again.rows, again.ranges) == (BY_CACHE, first.rows, first.ranges)
    assert ask("f64 > ? AND t ILIKE '%a%'", [0.5]).how == BY_BOTH
    assert ask("f64 > ?", [-0.0]).how == ask("f64 > ?", [0.0]).how == BY_INDEXES
    db.create_table("other", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[2]"}).add({"id": [1], "e": [[0, 1]]})
    assert ask("f64 > ?", [0.0]).how == BY_INDEXES, "what costs little is kept when it is asked for again"
    assert ask("f64 > ?", [0.0]).how == BY_CACHE
    db.drop_table("other")
    db.table("t").update({"i8": 4}, "id = 1")
    assert ask("f64 > ?", [0.0]).how == BY_INDEXES


def test_terms_are_what_the_top_level_demands_of_columns(db: vdb.Database) -> None:
    found = resolved(db, "i32 >= 0 AND i32 < 7 AND list_contains(tags, 'a')")
    assert found.whole
    (span,) = found.ranges
    assert (span.column, span.low, span.high) == ("i32", 0, 6)
    assert span.rows == len(by_duckdb(db, "i32 BETWEEN 0 AND 6"))
    (label,) = found.labels
    column = db.attributes.column(db.store.state.table("t"), "tags")
    assert (label.column, label.label_ids, label.any) == ("tags", (column.label_of("a"),), True)
    assert label.rows == len(by_duckdb(db, "list_contains(tags, 'a')"))
    every = resolved(db, "tags @> ['a', 'b'] AND ok IS NOT NULL")
    assert not every.whole
    assert every.labels[0].any is False
    assert len(every.labels[0].label_ids) == 2
    either = resolved(db, "list_contains(tags, 'a') OR list_contains(tags, 'b')")
    assert either.whole
    assert (either.labels[0].any, len(either.labels[0].label_ids)) == (True, 2)
    assert resolved(db, "i32 > 0 OR ok").ranges == ()
    assert not resolved(db, "i32 > 0 AND t ILIKE 'a%'").whole
    assert resolved(db, "NOT (i32 < 0)").ranges[0].low == 0


def test_scalars_have_label_terms_once_they_have_labels(db: vdb.Database) -> None:
    column = db.attributes.column(db.store.state.table("t"), "u8")
    before = resolved(db, "u8 = 200")
    assert (before.labels, before.whole) == ((), True)
    slots, offsets, labels = column.memberships()
    found = resolved(db, "u8 = 200")
    assert found.labels[0].label_ids == (column.label_of(200),)
    slots = np.repeat(slots, np.diff(offsets).astype(int))
    live = db.store.state.table("t").live
    assert [s for s in slots[labels == column.label_of(200)].tolist() if s in live] == by_duckdb(db, "u8 = 200")
    assert resolved(db, "u8 IN (200, 1)").labels[0].any
