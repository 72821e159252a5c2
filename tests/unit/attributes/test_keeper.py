"""Attribute indexes follow their table: through every kind of commit, reopening, and beside readers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attribute_keys import keys_by_slot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vdb
from vdb.attributes.keeper import Outdated
from vdb.attributes.keys import KEY_NULL
from vdb.query.parse import parse_predicate
from vdb.query.resolve import BY_CACHE, BY_DUCKDB, BY_INDEXES, Resolver
from vdb.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCHEMA = {"id": "BIGINT PRIMARY KEY", "n": "INTEGER", "t": "VARCHAR", "tags": "VARCHAR[]", "e": "FLOAT[2]"}
PREDICATES = [
    "n >= 3",
    "n = 0",
    "n IS NULL",
    "NOT (n BETWEEN 1 AND 4)",
    "t = 'b'",
    "t > 'a' AND n < 5",
    "t LIKE 'c%'",
    "list_contains(tags, 'x')",
    "NOT (tags && ['x', 'z'])",
    "tags IS NULL OR t IS NULL",
    "t IN ('a', 'c7', 'c60', 'nowhere')",
    "n IN (1, 2, 77)",
]


@pytest.fixture
def db() -> Iterator[vdb.Database]:
    with vdb.connect(":memory:") as made:
        made.create_table("t", SCHEMA)
        yield made


def assert_follows(db: vdb.Database, how: str | None = BY_INDEXES) -> None:
    """Every predicate chooses the rows DuckDB chooses, though a resolver of its own has no answers to fall back on."""
    state = db.store.state.table("t")
    resolver = Resolver(db.store, db.attributes)
    for text in PREDICATES:
        predicate = parse_predicate(text, None, state.schema)
        found = resolver.resolve(predicate, state)
        assert sorted(db.store.matching("t", predicate)[1].tolist()) == found.rows.to_slots().tolist(), text
        assert how is None or found.how == how, text


def rows(ids: Any, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)

    def one(values: list[Any]) -> Any:
        return values[int(rng.integers(len(values)))]

    return [
        {
            "id": int(i),
            "n": one([*range(8), None]),
            "t": one(["a", "b", "ca", "cb", f"c{i}", None]),
            "tags": one([None, [], ["x"], ["x", "y", None], ["z", "z"]]),
            "e": [float(i), 1.0],
        }
        for i in ids
    ]


def test_every_kind_of_commit_is_followed(db: vdb.Database) -> None:
    table = db.table("t")
    assert_follows(db)
    changes: list[Callable[[], object]] = [
        lambda: table.add(rows(range(200))),
        lambda: table.add(rows(range(200, 203), 1)),
        lambda: table.update({"n": 3}, "id % 7 = 0"),
        lambda: table.update({"n": None, "t": "new"}, "id < 4"),
        lambda: table.update({"tags": ["x", "w"]}, "id BETWEEN 10 AND 20"),
        lambda: table.update({"tags": None}, "id = 12"),
        lambda: table.upsert(rows(range(190, 230), 2)),
        lambda: table.upsert({"id": [5, 6], "n": [1, 1]}),
        lambda: table.update({"e": [9, 9]}, "id = 30"),
        lambda: table.update({"e": None, "n": 4}, "id = 31"),
        lambda: table.delete("id % 3 = 0"),
        lambda: table.compact(),
        lambda: table.add(rows(range(300, 302), 3)),
        lambda: table.update({"t": "everywhere"}, "TRUE"),
        lambda: table.delete("TRUE"),
        lambda: table.add(rows(range(5), 4)),
    ]
    for change in changes:
        change()
        assert_follows(db)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "upsert", "n", "t", "tags", "delete", "compact", "both"]),
            st.integers(0, 60),
            st.integers(1, 25),
        ),
        max_size=12,
    )
)
def test_any_sequence_of_commits_is_followed(steps: list[tuple[str, int, int]]) -> None:
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", SCHEMA)
        next_id = 0
        for number, (kind, at, count) in enumerate(steps):
            where = f"id BETWEEN {at} AND {at + count}"
            if kind == "add":
                table.add(rows(range(next_id, next_id + count), number))
                next_id += count
            elif kind == "upsert":
                table.upsert(rows(range(at, at + count), number))
                next_id = max(next_id, at + count)
            elif kind == "delete":
                table.delete(where)
            elif kind == "compact":
                table.compact()
            elif kind == "both":
                with db.transaction():
                    table.update({"n": number}, where)
                    table.update({"t": f"c{number}", "n": None}, f"id = {at}")
                    assert_follows(db, BY_DUCKDB)
            else:
                table.update({kind: {"n": number % 8, "t": f"c{number}", "tags": ["x", str(number)]}[kind]}, where)
            if number % 3 != 2:  # some commits are caught up with together
                assert_follows(db)
        assert_follows(db)


def test_a_column_is_read_from_duckdb_once_and_then_only_what_changed(
    db: vdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = db.table("t")
    table.add(rows(range(50)))
    assert table.count("n > 2") == table.count("n > 2 AND TRUE")

    def refuse(*_: object) -> None:
        raise AssertionError("DuckDB was asked")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "read", refuse)
        patched.setattr(Store, "matching", refuse)
        for low in range(8):
            table.count("n > ?", [low])
        table.delete(ids=[1])  # no attribute changes by it
    read: list[int] = []
    whole = type(db.store.read().__enter__()).values
    monkeypatch.undo()

    def counted(self: Any, table: str, query: Any, which: Any = 0) -> Any:
        found = whole(self, table, query, which)
        read.append(len(found[0]))
        return found

    from vdb.storage.read import Reader

    monkeypatch.setattr(Reader, "values", counted)
    table.count("n > 3")
    table.add(rows(range(50, 53), 1))
    table.update({"n": 5}, "id = 7")
    table.count("n > 3")
    assert sum(read) <= 4


def test_a_transaction_reads_its_own_writes_and_a_rollback_leaves_nothing(db: vdb.Database) -> None:
    table = db.table("t")
    table.add(rows(range(20)))
    assert_follows(db)

    def fail() -> None:
        with db.transaction():
            table.update({"n": 77}, "id < 5")
            table.add(rows(range(20, 30), 5))
            assert table.count("n = 77") == 5
            assert_follows(db, BY_DUCKDB)
            state = db.store.state.table("t")
            assert (keys_by_slot(db.attributes.column(state, "n")) == 77).sum() == 5
            assert db.attributes.column(state, "t").next_slot == state.next_slot
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert table.count("n = 77") == 0
    assert_follows(db, None)
    table.add(rows(range(20, 25), 6))  # into the slots that were rolled back
    table.update({"n": 78}, "id < 3")
    assert table.count("n = 78") == 3
    assert_follows(db)


def test_columns_are_read_again_after_a_reopen(tmp_path: Path) -> None:
    with vdb.connect(tmp_path / "d") as db:
        table = db.create_table("t", SCHEMA)
        table.add(rows(range(40)))
        table.create_index("n", vdb.Attribute(), name="by_n")
        table.delete("id < 7")
    with vdb.connect(tmp_path / "d", read_only=True) as db:
        assert [(info.name, info.kind, info.column, info.covered) for info in db.table("t").list_indexes()] == [
            ("by_n", "attribute", "n", 0)
        ]
        assert_follows(db)
        assert db.table("t").list_indexes()[0].covered == 40


def test_indexes_of_attributes_are_listed_and_dropped(db: vdb.Database) -> None:
    table = db.table("t")
    table.add(rows(range(40)))
    info = table.create_index("tags", vdb.Attribute())
    assert (info.name, info.kind, info.column, info.covered) == ("t_tags_attribute", "attribute", "tags", 40)
    assert info.memory_bytes > 0
    table.create_index("e", vdb.HNSW())
    assert {one.kind for one in table.list_indexes()} == {"attribute", "hnsw"}
    with pytest.raises(vdb.AlreadyExists, match="Fix"):
        table.create_index("tags", vdb.Attribute())
    with pytest.raises(vdb.AlreadyExists):
        table.create_index("e", vdb.Flat(), name="t_tags_attribute")
    table.compact()
    table.drop_index("t_tags_attribute")
    assert [one.kind for one in table.list_indexes()] == ["hnsw"]
    with pytest.raises(vdb.NotFound):
        table.drop_index("t_tags_attribute")
    assert_follows(db)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("e", r"vector column, which has no order.*Fix"),
        ("nowhere", r"no column 'nowhere'"),
        ("s", r"STRUCT.*no attribute index.*Fix"),
        ("b", r"BLOB.*Fix"),
        ("nested", r"INTEGER\[\]\[\].*Fix"),
        ("wide", r"DECIMAL\(30,2\).*Fix"),
        (None, r"must be a name"),
    ],
)
def test_what_cannot_be_indexed_is_said(column: str | None, message: str) -> None:
    columns = {"s": "STRUCT(a INTEGER)", "b": "BLOB", "nested": "INTEGER[][]", "wide": "DECIMAL(30,2)"}
    with vdb.connect(":memory:") as db:
        table = db.create_table("t", {**SCHEMA, **columns})
        with pytest.raises(vdb.InvalidArgument, match=f"(?s){message}"):
            table.create_index(column, vdb.Attribute())
        with pytest.raises(vdb.InvalidArgument, match="must be a name"):
            table.create_index("n", vdb.Attribute(), name=" ")
        with pytest.raises(vdb.InvalidArgument, match=r"(?s)vdb.Attribute\(.*Fix"):
            table.create_index("e", "sorted")  # type: ignore[arg-type]
        with db.transaction(), pytest.raises(vdb.InvalidState, match="inside a transaction"):
            table.create_index("n", vdb.Attribute())


def test_older_states_keep_their_columns_for_a_while(db: vdb.Database) -> None:
    table = db.table("t")
    table.add(rows(range(30)))
    old = db.store.state.table("t")
    before = keys_by_slot(db.attributes.column(old, "n"))
    table.update({"n": 99}, "TRUE")
    new = db.store.state.table("t")
    assert set(keys_by_slot(db.attributes.column(new, "n")).tolist()) == {99}
    assert np.array_equal(keys_by_slot(db.attributes.column(old, "n")), before)
    assert np.array_equal(keys_by_slot(db.attributes.column(new, "id")), np.arange(30))
    assert np.array_equal(keys_by_slot(db.attributes.column(old, "id")), np.arange(30))
    for number in range(9):
        table.update({"n": 90 + number}, "TRUE")
        db.attributes.column(db.store.state.table("t"), "n")
    with pytest.raises(Outdated):
        db.attributes.column(old, "n")
    assert len(table.search([0, 1], 30, where="n = 98")) == 30


def test_order_keys_and_memberships_describe_each_slot(db: vdb.Database) -> None:
    table = db.table("t")
    table.add(rows(range(60)))
    table.update({"n": None, "t": None, "tags": ["q", "x"]}, "id < 6")
    table.update({"n": 2}, "id = 3")
    table.delete("id = 40")
    state = db.store.state.table("t")
    by_slot = dict(zip(state.row_ids.tolist(), range(state.next_slot), strict=True))
    values = {row["id"]: row for row in table.get(list(range(60))).to_dicts()}
    keys = keys_by_slot(db.attributes.column(state, "n"))
    texts = keys_by_slot(db.attributes.column(state, "t"))
    tags = db.attributes.column(state, "tags")
    slots, offsets, labels = tags.memberships()
    assert (offsets.dtype, labels.dtype, len(offsets)) == (np.uint64, np.uint32, state.next_slot + 1)
    assert slots.tolist() == list(range(state.next_slot))
    for id_, row in values.items():
        slot = by_slot[id_]
        assert keys[slot] == (KEY_NULL if row["n"] is None else row["n"])
        assert (texts[slot] == KEY_NULL) == (row["t"] is None)
        expected = {tags.label_of(tag) for tag in (row["tags"] or []) if tag is not None}
        assert set(labels[int(offsets[slot]) : int(offsets[slot + 1])].tolist()) == expected
    ordered = sorted((row["t"], int(texts[by_slot[i]])) for i, row in values.items() if row["t"] is not None)
    assert [key for _, key in ordered] == sorted(key for _, key in ordered)
    assert len({key for _, key in ordered}) == len({text for text, _ in ordered})
    assert tags.labels == 4
    assert tags.count_of(tags.label_of("q") or 0) == 6
    numbers = db.attributes.column(state, "n")
    _, _, labels = numbers.memberships()
    label = numbers.label_of(2)
    assert label is not None
    assert numbers.count_of(label) == int((labels == label).sum())
    assert numbers.label_of(12345) is None


def test_labels_and_keys_of_texts_stay_as_rows_come(db: vdb.Database) -> None:
    table = db.table("t")
    table.add(rows(range(30)))
    state = db.store.state.table("t")
    column, tags = db.attributes.column(state, "t"), db.attributes.column(state, "tags")
    keys, labels = keys_by_slot(column), [tags.label_of(x) for x in "xyz"]
    table.add([{"id": i, "t": f"b{i}", "tags": [f"a{i}"], "e": [0, 0]} for i in range(100, 160)])
    table.delete("id = 0")
    state = db.store.state.table("t")
    assert np.array_equal(keys_by_slot(db.attributes.column(state, "t"))[:30], keys)
    assert [db.attributes.column(state, "tags").label_of(x) for x in "xyz"] == labels
    table.compact()
    after = db.attributes.column(db.store.state.table("t"), "tags")
    assert [after.label_of(x) for x in "xyz"] == labels


def test_readers_beside_a_writer_see_one_state_each(db: vdb.Database) -> None:
    table = db.table("t")
    table.add(rows(range(100)))
    failures: list[object] = []
    stop = threading.Event()

    def look(seed: int) -> None:
        rng = np.random.default_rng(seed)
        resolver = db.resolver
        while not stop.is_set():
            state = db.store.state.table("t")
            low = int(rng.integers(0, 9))
            predicate = parse_predicate("n >= ? AND n < ?", [1000, 1000 + low], state.schema)
            found = resolver.resolve(predicate, state)
            ids = found.state.row_ids[found.rows.to_slots()]
            # Each commit sets n of all rows with an even id to one value: a mixture of two states would show.
            if len(ids) not in (0, 50) or (ids % 2).any() or found.how == BY_DUCKDB:
                failures.append((ids, found.how))

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for number in range(40):
        table.update({"n": 1000 + number % 10}, "id % 2 = 0")
        if number % 10 == 5:
            table.add([{"id": 1000 + number, "n": 1, "e": [1, 1]}])
        if number % 20 == 7:
            table.delete("id >= 1000")
            table.compact()
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert_follows(db, None)


def test_a_search_says_what_answered_its_predicate(db: vdb.Database) -> None:
    table = db.table("t")
    table.add(rows(range(40)))
    for _ in range(2):
        assert f"by {BY_INDEXES}" in table.search([0, 1], 3, where="n > 3").explain()
    assert f"by {BY_CACHE}" in table.search([0, 1], 3, where="n > 3").explain()
    assert f"by {BY_DUCKDB}" in table.search([0, 1], 3, where="n + 1 > 3").explain()
    assert " by " not in table.search([0, 1], 3).explain()
