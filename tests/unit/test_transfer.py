"""Tables out to files of other programs and back in: every type, every format, all or nothing."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb.storage.foreign import CHUNK_ROWS

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = {
    "id": "BIGINT PRIMARY KEY",
    "name": "VARCHAR",
    "price": "DECIMAL(9,2)",
    "day": "DATE",
    "tags": "VARCHAR[]",
    "point": "STRUCT(x INTEGER, y VARCHAR)",
    "e": "FLOAT[3]",
    "b": "TINYINT[2]",
}


def row(i: int) -> dict[str, Any]:
    return {
        "id": i,
        "name": None if i == 3 else f'n"{i},\n',
        "price": decimal.Decimal(i) / 4,
        "day": dt.date(2020, 1, 1) + dt.timedelta(i),
        "tags": [] if i == 5 else ["a", None, str(i)],
        "point": {"x": i, "y": "z"},
        "e": None if i == 7 else [i, 0.5, -1.25],
        "b": [i + 1, -i],
    }


@pytest.fixture
def table(db: vdb.Database) -> vdb.Table:
    made = db.create_table("t", SCHEMA)
    made.add([row(i) for i in range(30)])
    made.delete(ids=[11])
    return made


def contents(table: vdb.Table) -> list[dict[str, Any]]:
    names = [column.name for column in table.schema.columns]
    found = table.get(list(range(30)), select=names).to_dicts()
    return [{n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in row.items()} for row in found]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_exported_rows_come_back(db: vdb.Database, table: vdb.Table, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    seen: list[tuple[int, int]] = []
    assert db.export_table("t", path, progress=lambda *done: seen.append(done)) == 29
    assert seen == [(29, 29)]
    again = db.create_table("again", SCHEMA)
    seen.clear()
    assert db.import_table("again", path, progress=lambda *done: seen.append(done)) == 29
    assert seen == [(29, 29)]
    assert contents(again) == contents(table)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith("rows")] == [path.name]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_table_is_made_of_what_the_file_declares(
    db: vdb.Database, table: vdb.Table, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"rows.{ending}"
    db.export_table("t", path)
    assert db.import_table("new", path, key="id", metric="cosine") == 29
    made = db.table("new")
    types = {column.name: column.type for column in made.schema.columns}
    assert (types["id"], types["e"], made.schema.key) == ("BIGINT", "FLOAT[3]", "id")
    assert made.schema.vectors[0].metric == "cosine"
    assert made.search([2, 0.5, -1.25], 1, column="e", metric="l2").ids.tolist() == [2]
    if ending == "parquet":
        assert types == {name: text.removesuffix(" PRIMARY KEY") for name, text in SCHEMA.items()}


def test_arrow_files_are_read(db: vdb.Database, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import feather

    lists = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2.0, 3.0, 4.0], pa.float32()), 2)
    feather.write_feather(pa.table({"id": [1, 2], "e": lists}), str(tmp_path / "rows.feather"))
    assert db.import_table("t", tmp_path / "rows.feather", key="id") == 2
    assert db.table("t").search([3, 4], 1).ids.tolist() == [2]


def test_many_rows_come_in_chunks(db: vdb.Database, tmp_path: Path) -> None:
    n = 2 * CHUNK_ROWS + 5
    first = db.create_table("t", {"id": np.arange(n)}, e=np.arange(2.0 * n).reshape(n, 2), key="id")
    seen: list[tuple[int, int]] = []
    db.export_table("t", tmp_path / "rows.parquet", progress=lambda *done: seen.append(done))
    assert seen == [(CHUNK_ROWS, n), (2 * CHUNK_ROWS, n), (n, n)]
    seq = db.store.state.seq
    db.import_table("u", tmp_path / "rows.parquet", key="id")
    assert db.store.state.seq == seq + 1
    last = db.table("u").get(n - 1, select=["e"])["e"].tolist()
    assert last == first.get(n - 1, select=["e"])["e"].tolist() == [2.0 * n - 2, 2.0 * n - 1]


def test_rows_that_do_not_fit_leave_nothing(db: vdb.Database, table: vdb.Table, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"id": i, "e": [1, 2, 3]}) + "\n" for i in (100, 101, 5)))
    with pytest.raises(vdb.AlreadyExists):
        db.import_table("t", path)
    assert len(table) == 29
    path.write_text('{"id": 1, "e": [1, 2]}\n{"id": 2, "e": [1, 2, 3]}\n')
    with pytest.raises(vdb.InvalidArgument, match="no vector column"):
        db.import_table("new", path)
    assert db.tables() == ["t"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.parquet", b"PAR1 no", "cannot read"),
        ("x.csv", b"", "no vector column|cannot read"),
        ("x.jsonl", b"{", "cannot read"),
        ("x.txt", b"", "ends in '.txt'"),
        ("x.arrow", b"ARROW1", "cannot read"),
    ],
)
def test_a_file_that_is_none_is_told(db: vdb.Database, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(vdb.InvalidArgument, match=words):
        db.import_table("t", tmp_path / name)
    assert db.tables() == []


def test_a_missing_file_an_unknown_key_and_a_bad_progress_are_told(
    db: vdb.Database, table: vdb.Table, tmp_path: Path
) -> None:
    with pytest.raises(vdb.InvalidArgument, match="no file"):
        db.import_table("t", tmp_path / "no.parquet")
    db.export_table("t", tmp_path / "rows.parquet")
    with pytest.raises(vdb.InvalidArgument, match="'nr' is not a column"):
        db.import_table("new", tmp_path / "rows.parquet", key="nr")
    with pytest.raises(vdb.InvalidArgument, match="progress"):
        db.export_table("t", tmp_path / "rows.parquet", progress=3)  # type: ignore[arg-type]
    with pytest.raises(vdb.InvalidArgument, match="no directory"):
        db.export_table("t", tmp_path / "no" / "rows.parquet")
    with pytest.raises(vdb.NotFound):
        db.export_table("u", tmp_path / "rows.parquet")
    with pytest.raises(vdb.InvalidArgument, match=r"key must be a name, got \['id'\]"):
        db.import_table("new", tmp_path / "rows.parquet", key=["id"])  # type: ignore[arg-type]
    for path in ("a\0b.csv", b"a.csv", 3, None):
        with pytest.raises(vdb.InvalidArgument, match="path must be a path"):
            db.export_table("t", path)  # type: ignore[arg-type]


def test_a_later_chunk_that_fails_takes_the_transaction_with_it(db: vdb.Database, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    ids = [*range(2 * CHUNK_ROWS), 7]
    path.write_text("id,e\n" + "".join(f'{i},"[{i}, 1]"\n' for i in ids))
    db.create_table("t", {"id": "BIGINT PRIMARY KEY", "e": "FLOAT[2]"})
    transaction = db.store.begin()
    with pytest.raises(vdb.AlreadyExists):
        db.import_table("t", path)
    with pytest.raises(vdb.InvalidState, match="roll it back"):
        db.table("t").add({"id": 1, "e": [1, 1]})
    with pytest.raises(vdb.InvalidState, match="rolled back"), transaction:
        pass
    assert len(db.table("t")) == 0
    with db.transaction():
        with pytest.raises(vdb.InvalidArgument, match="no file"):
            db.import_table("t", tmp_path / "no.csv")
        db.table("t").add({"id": 1, "e": [1, 1]})
    assert len(db.table("t")) == 1


def test_an_export_that_fails_leaves_no_file(db: vdb.Database, table: vdb.Table, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").mkdir()
    with pytest.raises(vdb.InvalidArgument, match="is a directory"):
        db.export_table("t", tmp_path / "rows.parquet")

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError):
        db.export_table("t", tmp_path / "rows.csv", progress=stop)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["rows.parquet", "test.vdb"]
