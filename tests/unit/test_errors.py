"""Bad input: one clear error that says what was wrong, what was expected and what to do, and nothing has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bad_filters import FILTERING
from bad_input import ADDING, CHANGING, ONE, SEARCHING, X, rows

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CASES = {
    **{f"add: {name}": case for name, case in ADDING.items()},
    **{f"search: {name}": case for name, case in SEARCHING.items()},
    **{f"filter: {name}": case for name, case in FILTERING.items()},
    **{f"change: {name}": case for name, case in CHANGING.items()},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("errors") / "d"


@pytest.fixture(scope="module")
def db(path: Path) -> Iterator[vdb.Database]:
    """Twenty rows with two vector columns, an index on the first one."""
    with vdb.connect(path) as made:
        schema = {
            "id": "BIGINT PRIMARY KEY",
            "lang": "VARCHAR NOT NULL",
            "n": "INTEGER",
            "e": "FLOAT[3]",
            "c": "FLOAT[2]",
        }
        items = made.create_table("items", schema, metric={"c": "cosine"})
        x = np.arange(60, dtype=np.float32).reshape(20, 3)
        items.add({"id": np.arange(20), "lang": ["en", "de"] * 10, "n": np.arange(20)}, e=x, c=x[:, 1:])
        items.create_index("e", name="h")
        yield made


def everything(db: vdb.Database) -> tuple[Any, ...]:
    """All that a user can see of the database."""
    table = db.table("items")
    searches = [(ONE, "e", "scan"), (ONE, "e", "graph"), ([1, 2], "c", "scan")]
    hits = [table.search(q, 30, column=column, strategy=s, select=["id", "lang", "n"]) for q, column, s in searches]
    return (
        db.tables(),
        table.count(),
        table.count("e IS NOT NULL AND c IS NOT NULL"),
        [found.to_dicts() for found in hits],
        {**table.stats(), "indexes": [info.name for info in table.list_indexes()]},
    )


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_clear_error_and_changes_nothing(db: vdb.Database, name: str) -> None:
    expected, pattern, call = CASES[name]
    before, seq = everything(db), db.store.state.seq
    with pytest.raises(vdb.VdbError, match=f"(?s){pattern}") as caught:
        call(db, db.table("items"))
    assert type(caught.value) is expected
    assert (everything(db), db.store.state.seq) == (before, seq)


def test_database_goes_on_and_reopens_as_it_was_after_every_bad_input(db: vdb.Database, path: Path) -> None:
    table = db.table("items")
    before = everything(db)
    for _, _, call in CASES.values():
        with pytest.raises(vdb.VdbError):
            call(db, table)
    assert table.add(rows(2), e=X) == 2
    assert table.delete(ids=[1000, 1001]) == 2
    shown = everything(db)
    assert shown[:-1] == before[:-1]  # all but the dead slots
    db.check()
    db.close()
    with vdb.connect(path, read_only=True) as again:
        assert everything(again) == shown
        with pytest.raises(vdb.PredicateError) as caught:
            again.table("items").count("n = 1 AND langs = 'en'")
        assert caught.value.position == 10


OPENING: dict[str, tuple[type[vdb.VdbError], str, Callable[[Path], Any]]] = {
    "file": (vdb.InvalidArgument, r"is a file.*directory.*Fix", lambda path: path.write_text("x") and path),
    "DuckDB file": (
        vdb.InvalidArgument,
        r"a DuckDB database.*Fix",
        lambda path: path.write_bytes(b"12345678DUCK" + bytes(99)) and path,
    ),
    "folder of other things": (vdb.InvalidArgument, r"holds a\.txt.*Fix", lambda path: folder(path)),
    "folder that cannot be made": (vdb.InvalidArgument, r"no directory.*Fix", lambda path: path / "a" / "b"),
    "empty path": (vdb.InvalidArgument, r"non-empty", lambda path: ""),
    "no path": (vdb.InvalidArgument, r"got 5", lambda path: 5),
}


def folder(path: Path) -> Path:
    path.mkdir()
    (path / "a.txt").write_text("x")
    return path


@pytest.mark.parametrize("name", OPENING)
def test_place_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    expected, pattern, make = OPENING[name]
    place = make(tmp_path / "p")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    with pytest.raises(vdb.VdbError, match=f"(?s){pattern}") as caught:
        vdb.connect(place)
    assert type(caught.value) is expected
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_read_only_open_of_nothing_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(vdb.NotFound, match=r"no database at .*p\. Fix"):
        vdb.connect(tmp_path / "p", read_only=True)
    assert not (tmp_path / "p").exists()


def test_memory_database_cannot_be_read_only() -> None:
    with pytest.raises(vdb.InvalidArgument, match="read-only"):
        vdb.connect(":memory:", read_only=True)


@pytest.mark.parametrize(
    ("option", "pattern"),
    [
        ({"threads": -1}, "threads.*got -1"),
        ({"threads": True}, "got True"),
        ({"memory_limit": "many"}, "many"),
        ({"memory_limit": "9" * 400}, "below 8 EiB"),
    ],
)
def test_bad_option_is_refused_before_anything_is_made(tmp_path: Path, option: dict[str, Any], pattern: str) -> None:
    with pytest.raises(vdb.InvalidArgument, match=pattern):
        vdb.connect(tmp_path / "p", **option)
