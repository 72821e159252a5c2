"""Changes of tables: columns and tables that come, go and get other names, with their rows, indexes and rollbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vdb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Stop(Exception):
    """Leaves a transaction."""


@pytest.fixture(params=["disk", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[vdb.Database]:
    """Rows 0 to 9 at (id, id), one of them deleted, with an index of each sort."""
    with vdb.connect(tmp_path / "d" if request.param == "disk" else ":memory:") as opened:
        table = opened.create_table("t", {"id": "BIGINT PRIMARY KEY", "n": "INTEGER", "e": "FLOAT[2]"})
        table.add({"id": np.arange(10), "n": np.arange(10) % 3}, e=np.repeat(np.arange(10.0)[:, None], 2, axis=1))
        table.delete(ids=[5])
        table.create_index("e", vdb.HNSW(M=4), name="h")
        table.create_index("e", vdb.Range("n", M=4), name="r")
        table.create_index("n", vdb.Attribute(), name="a")
        yield opened


def reopened(db: vdb.Database) -> vdb.Database:
    """The same database after a close, where it has a place."""
    if db.path is None:
        return db
    db.close()
    return vdb.connect(db.path)


def found(db: vdb.Database, name: str, column: str = "e", where: str | None = None) -> list[int]:
    """Ids nearest to the origin, by scan and by graph."""
    table = db.table(name)
    scan = table.search([0, 0], 20, column=column, where=where, strategy="scan").ids.tolist()
    assert table.search([0, 0], 20, column=column, where=where).ids.tolist() == scan
    return scan


LEFT = [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_added_attribute_has_its_default_in_every_row_and_takes_values(db: vdb.Database) -> None:
    db.add_column("t", "lang", "VARCHAR NOT NULL", default="en")
    db.add_column("t", "tags", "VARCHAR[]")
    table = db.table("t")
    assert table.count("lang = 'en' AND tags IS NULL") == 9
    table.add({"id": [20], "n": [1], "lang": ["de"], "tags": [["x"]]}, e=[[0.5, 0.5]])
    assert found(db, "t", where="lang = 'de'") == [20]
    with pytest.raises(vdb.InvalidArgument, match="NOT NULL"):
        table.add({"id": [21], "n": [1]}, e=[[0.5, 0.5]])
    again = reopened(db)
    assert again.table("t").get(20) == {"id": 20, "n": 1, "lang": "de", "tags": ["x"]}
    assert again.table("t").count("list_contains(tags, 'x')") == 1
    again.close()


def test_added_vector_column_is_missing_until_it_is_set(db: vdb.Database) -> None:
    db.add_column("t", "w", "TINYINT[2]", metric="ip")
    table = db.table("t")
    assert table.schema.vectors[1].metric == "ip"
    assert len(table.search([1, 1], 5, column="w")) == 0
    table.update({"w": [3, 4]}, where="id = 7")
    table.create_index("w", vdb.HNSW(M=4), name="hw")
    assert found(db, "t", "w") == [7]
    table.compact()
    assert found(db, "t", "w") == [7]
    again = reopened(db)
    assert found(again, "t", "w") == [7]
    assert found(again, "t") == LEFT
    again.check()
    again.close()


def test_dropped_column_takes_its_indexes_and_its_file_along(db: vdb.Database) -> None:
    db.add_column("t", "w", "FLOAT[2]")
    db.drop_column("t", "w")
    assert [column.name for column in db.table("t").schema.columns] == ["id", "n", "e"]
    if db.path is not None:
        assert len(list((db.path / "vectors").iterdir())) == 1
    db.drop_column("t", "n")
    assert [info.name for info in db.table("t").list_indexes()] == ["h"]
    with pytest.raises(vdb.PredicateError, match="n"):
        db.table("t").count("n = 1")
    again = reopened(db)
    assert found(again, "t") == LEFT
    assert again.table("t").get(3) == {"id": 3}
    again.close()


def test_column_of_another_type_under_an_old_name_is_read_anew(db: vdb.Database) -> None:
    assert db.table("t").count("n = 1") == 3
    db.drop_column("t", "n")
    db.add_column("t", "n", "VARCHAR", default="one")
    assert db.table("t").count("n = 'one'") == 9
    assert db.table("t").count("n IS NULL") == 0
    db.drop_column("t", "n")
    db.add_column("t", "n", "VARCHAR")
    assert db.table("t").count("n = 'one'") == 0
    assert db.table("t").count("n IS NULL") == 9
    reopened(db).close()


def test_renamed_column_keeps_values_indexes_and_key(db: vdb.Database) -> None:
    assert db.table("t").count("n = 1") == 3
    hits = db.table("t").search([0, 0], 3)
    for old, new in (("n", "number"), ("e", "vector"), ("id", "key")):
        db.rename_column("t", old, new)
    assert hits.ids.tolist() == [0, 1, 2]
    again = reopened(db)
    table = again.table("t")
    assert table.schema.key == "key"
    assert {info.name: info.column for info in table.list_indexes()} == {"h": "vector", "r": "vector", "a": "number"}
    assert table.count("number = 1") == 3
    ranged = table.search([0, 0], 5, where="number >= 1 AND number <= 1", strategy="range")
    assert ranged.ids.tolist() == [1, 4, 7]
    assert found(again, "t", "vector") == LEFT
    table.upsert({"key": [3], "number": [8]})
    assert table.get(3) == {"key": 3, "number": 8}
    again.close()


def test_renamed_table_keeps_everything(db: vdb.Database) -> None:
    hits = db.table("t").search([0, 0], 2)
    old = db.table("t")
    renamed = db.rename_table("t", "Papers 2")
    assert db.tables() == ["Papers 2"]
    with pytest.raises(vdb.NotFound):
        old.count()
    with pytest.raises(vdb.InvalidState, match="search again"):
        hits.to_dicts()
    renamed.add({"id": [30], "n": [0]}, e=[[0.1, 0.1]])
    assert db.rename_table("Papers 2", "PAPERS 2").name == "PAPERS 2"
    again = reopened(db)
    assert found(again, "PAPERS 2") == [0, 30, *LEFT[1:]]
    assert again.table("PAPERS 2").search([0, 0], 1, strategy="graph").ids.tolist() == [0]
    again.close()


def test_changes_of_a_transaction_are_rolled_back_together(db: vdb.Database) -> None:
    with pytest.raises(Stop), db.transaction():  # noqa: PT012
        db.add_column("t", "w", "FLOAT[2]")
        db.add_column("t", "x", "INTEGER", default=4)
        db.table("t").update({"w": [1, 1]}, where="id = 1")
        assert found(db, "t", "w") == [1]
        db.rename_column("t", "n", "m")
        db.drop_column("t", "x")
        db.rename_table("t", "u")
        assert db.table("u").count("m = 1") == 3
        raise Stop
    assert db.tables() == ["t"]
    assert found(db, "t", where="n = 1") == [1, 4, 7]
    assert [column.name for column in db.table("t").schema.columns] == ["id", "n", "e"]
    again = reopened(db)
    assert found(again, "t") == LEFT
    again.close()


def test_changes_of_a_transaction_are_one_commit(db: vdb.Database) -> None:
    seq = db.store.state.seq
    with db.transaction():
        db.table("t").add({"id": [40], "n": [2]}, e=[[40, 40]])
        db.add_column("t", "w", "FLOAT[2]")
        db.rename_table("t", "u")
        other = db.create_table("t", {"e": "FLOAT[1]"})
        other.add(e=[[1.0]])
        db.table("u").update({"w": [1, 1]}, where="id = 40")
    assert db.store.state.seq == seq + 1
    again = reopened(db)
    assert found(again, "u", "w") == [40]
    assert len(again.table("t")) == 1
    assert found(again, "u") == [*LEFT, 40]
    again.close()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda db: db.add_column("t", "N", "INTEGER"), "case does not count"),
        (lambda db: db.add_column("t", "_slot", "INTEGER"), "reserved"),
        (lambda db: db.add_column("t", "x", "NOTYPE"), "unknown"),
        (lambda db: db.add_column("t", "x", "BIGINT PRIMARY KEY"), "primary key later"),
        (lambda db: db.add_column("t", "x", "INTEGER NOT NULL"), "pass a default"),
        (lambda db: db.add_column("t", "x", "INTEGER", default="many"), "refused"),
        (lambda db: db.add_column("t", "x", "FLOAT[2]", default=[1, 2]), "takes no default"),
        (lambda db: db.add_column("t", "x", "FLOAT[2]", metric="l3"), "unknown metric"),
        (lambda db: db.drop_column("t", "id"), "primary key"),
        (lambda db: db.drop_column("t", "e"), "no vector column"),
        (lambda db: db.drop_column("t", "x"), "no column 'x'"),
        (lambda db: db.rename_column("t", "n", "e"), "one name"),
        (lambda db: db.rename_column("t", "x", "y"), "no column 'x'"),
        (lambda db: db.rename_table("t", "vdb_x"), "reserved"),
        (lambda db: db.rename_table("x", "y"), "no table 'x'"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_nothing_changes(db: vdb.Database, call, words: str) -> None:  # type: ignore[no-untyped-def]
    before = db.store.state
    with pytest.raises(vdb.VdbError, match=words) as caught:
        call(db)
    assert isinstance(caught.value, (vdb.InvalidArgument, vdb.NotFound))
    assert db.store.state is before
    assert found(db, "t", where="n = 1") == [1, 4, 7]


def test_name_of_another_table_is_taken(db: vdb.Database) -> None:
    db.create_table("u", {"e": "FLOAT[2]"})
    with pytest.raises(vdb.AlreadyExists, match="'u' already"):
        db.rename_table("t", "U")
