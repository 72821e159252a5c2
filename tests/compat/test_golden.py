"""Databases that older versions left are read, searched, written and closed by this one, with the same answers."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from make import DIM, expected, ids, vector

import vdb

GOLDEN = sorted(Path(__file__).parent.glob("v*.zip"))


@pytest.fixture(params=[path.stem for path in GOLDEN])
def unpacked(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with zipfile.ZipFile(Path(__file__).with_name(f"{request.param}.zip")) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def check(db: vdb.Database, closed: bool) -> None:
    assert db.check() == []
    kinds = {info.name: info.kind for info in db.table("Papers 1").list_indexes()}
    has_sql = "partial" in kinds  # which came, with views and UNIQUE, after the first golden database of this format
    assert sorted(db.tables()) == ["Papers 1", "notes", *(["rated"] if has_sql else [])]
    table = db.table("Papers 1")
    names = [column.name for column in table.schema.columns]
    rows = table.get(list(range(-1, 200)), select=names).to_dicts()
    shown = [{n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in row.items()} for row in rows]
    assert shown == [expected(i) for i in ids(closed)]
    assert [column.metric for column in table.schema.vectors] == ["l2", "cosine", "l2", "ip"]
    later = {"lists": "ivfpq", "bits": "ivfrabitq", "partial": "partial"}
    assert all(kinds[name] == kind for name, kind in later.items() if name in kinds)
    assert ("lists" in kinds) == ("bits" in kinds) >= has_sql
    assert {name: kind for name, kind in kinds.items() if name not in later} == {
        "graph": "hnsw",
        "acorn": "acorn",
        "flat": "flat",
        "range": "range",
        "label": "label",
        "attribute": "attribute",
    }
    query = vector(5)
    for where, strategies in (
        (None, ("graph", "codes", "ivf") if "lists" in kinds else ("graph", "codes")),
        ("year BETWEEN 2002 AND 2004", ("range", "acorn", "post")),
        ("lang = 'en'", ("label", "partial") if has_sql else ("label",)),
    ):
        exact = table.search(query, 8, column="f32", where=where, strategy="scan")
        for strategy in strategies:
            effort = {"nprobe": 4} if strategy == "ivf" else {"ef_search": 200}
            hits = table.search(query, 8, column="f32", where=where, strategy=strategy, **effort)
            assert hits.ids.tolist() == exact.ids.tolist()
    if has_sql:
        check_sql(db, closed)
    assert db.table("notes").search([1, 2], 5).to_dicts() == [{"text": "a", "_distance": 0.0}]
    assert db.table("notes").count() == 2


def check_sql(db: vdb.Database, closed: bool) -> None:
    """The view is searched as its table is, and what was declared still holds."""
    recent = [i for i in ids(closed) if expected(i)["year"] > 2002]
    assert db.sql("SELECT count(*) FROM recent").fetchall() == [(len(recent),)]
    found = db.sql("SELECT id FROM recent ORDER BY f32 <-> ? LIMIT 5", [vector(5)])
    exact = db.table("Papers 1").search(vector(5), 5, column="f32", where="year > 2002", strategy="scan")
    assert [row[0] for row in found.fetchall()] == exact.ids.tolist()
    assert db.sql("SELECT * FROM rated ORDER BY mail").fetchall() == [("a@x", 5), (None, 3)]


@pytest.mark.parametrize("name", ["closed", "killed"])
def test_golden_databases_are_read_and_written(unpacked: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    with vdb.connect(unpacked / name, read_only=True) as db:
        check(db, closed=name == "closed")
    with vdb.connect(unpacked / name) as db:
        assert db.recovery_report().was_clean == (name == "closed")
        check(db, closed=name == "closed")
        assert "rebuilding" not in caplog.text
        table = db.table("Papers 1")
        table.add([expected(500)])
        assert 500 in table.search(expected(500)["f32"], 20, column="f32").ids
        table.compact()
        if "rated" in db.tables():
            for values, raised in ("('a@x', 1)", vdb.AlreadyExists), ("('b@x', 6)", vdb.InvalidArgument):
                with pytest.raises(raised):
                    db.sql(f"INSERT INTO rated VALUES {values}")
    with vdb.connect(unpacked / name) as db:
        assert len(db.table("Papers 1")) == len(ids(name == "closed")) + 1
        assert db.table("Papers 1").get(500, select=["i8"])["i8"].tolist() == vector(500)[:DIM]
        db.check()


def test_there_is_a_golden_database_of_this_format() -> None:
    from vdb.storage.layout import FORMAT_MAJOR, FORMAT_MINOR

    assert f"v{FORMAT_MAJOR}.{FORMAT_MINOR}" in [path.stem for path in GOLDEN]
