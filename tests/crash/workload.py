"""What the crash programme does to a database, and how it looks at what is left.

An operation is one call of the public interface, so all it does on disk is under test: vectors, catalog, indexes,
checkpoints. Every run of an operation makes the same calls: there are no threads, times or uuids in its choices.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIM: Final = 16
Contents = dict[str, dict[str, Any]]


def connect(path: Path, **options: Any) -> vdb.Database:
    return vdb.connect(path, threads=1, **options)


def rows(ids: range, title: str = "t") -> dict[str, Any]:
    """Rows whose vectors and titles follow from their ids."""
    values = np.array(ids, np.int64)
    vectors = np.sin(np.outer(values + 1, np.arange(1, DIM + 1))).astype(np.float32)
    return {"id": values, "title": [f"{title}{i}" for i in ids], "n": values % 7, "v": vectors}


def create_table(db: vdb.Database) -> None:
    columns = {"id": "BIGINT PRIMARY KEY", "title": "VARCHAR", "n": "INTEGER", "v": f"FLOAT[{DIM}]"}
    db.create_table("papers", columns)


def add_first(db: vdb.Database) -> None:
    db.table("papers").add(rows(range(40)))


def build_graph(db: vdb.Database) -> None:
    db.table("papers").create_index("v", vdb.HNSW(M=4, ef_construction=16, codes="none"), name="h")


def delete_last(db: vdb.Database) -> None:
    db.table("papers").delete("id >= 30")  # a compaction has something to do


def add_one(db: vdb.Database) -> None:
    db.table("papers").add(rows(range(1000, 1001)))


def add_many(db: vdb.Database) -> None:
    db.table("papers").add(rows(range(2000, 3100)))  # 70 KB of vectors: more than a block of checksums


def delete_some(db: vdb.Database) -> None:
    db.table("papers").delete(ids=[3, 8, 11, *range(2100, 3100)])  # few rows are left to look at


def update_values(db: vdb.Database) -> None:
    db.table("papers").update({"title": "updated"}, where="n = 2")


def update_vectors(db: vdb.Database) -> None:
    db.table("papers").update({"v": [0.5] * DIM, "title": "moved"}, where="id IN (4, 5)")


def upsert(db: vdb.Database) -> None:
    db.table("papers").upsert(rows(range(0, 60, 2), "up"))


def mix(db: vdb.Database) -> None:
    """One transaction over two tables, one of them new."""
    with db.transaction():
        notes = db.create_table("notes", {"text": "VARCHAR", "v": "FLOAT[2]"})
        notes.add({"text": ["a", "b"]}, v=[[1, 2], [3, 4]])
        db.table("papers").delete(ids=[1])
        db.table("papers").add(rows(range(6000, 6020), "mixed"))


def publish(db: vdb.Database) -> None:
    """From here on every close publishes, and old snapshots are taken away."""
    db.publish()


def build_index(db: vdb.Database) -> None:
    db.table("papers").create_index("v", vdb.Flat(), name="f")


def drop_index(db: vdb.Database) -> None:
    db.table("papers").drop_index("h")


def compact(db: vdb.Database) -> None:
    db.table("papers").compact()


def add_column(db: vdb.Database) -> None:
    db.add_column("papers", "kind", "VARCHAR", default="paper")


def add_vector_column(db: vdb.Database) -> None:
    db.add_column("papers", "w", "FLOAT[2]")


def alter(db: vdb.Database) -> None:
    """One transaction of three changes."""
    with db.transaction():
        db.rename_column("papers", "kind", "sort")
        db.drop_column("papers", "w")
        db.rename_table("notes", "remarks")


def drop_column(db: vdb.Database) -> None:
    db.drop_column("papers", "sort")


def drop_table(db: vdb.Database) -> None:
    db.drop_table("remarks")


def reopen(db: vdb.Database) -> None:
    """Nothing: open and close are run with every operation."""


OPERATIONS: dict[str, Callable[[vdb.Database], None]] = {
    call.__name__: call
    for call in (
        create_table,
        add_first,
        build_graph,
        delete_last,
        add_one,
        add_many,
        delete_some,
        update_values,
        update_vectors,
        upsert,
        mix,
        publish,
        build_index,
        drop_index,
        compact,
        add_column,
        add_vector_column,
        alter,
        drop_column,
        drop_table,
        reopen,
    )
}


def contents(db: vdb.Database) -> Contents:
    """Every row and index of every table, after the checks of every block; fails where memory disagrees with them."""
    db.check()
    found: Contents = {}
    with db.store.read() as session:
        for name, state in sorted(session.state.tables.items()):
            slots = state.live.to_slots()
            shown = [column.name for column in state.schema.attributes]
            rows_of = session.fetch(name, slots, shown).fetchall()
            vectors = [[row.tobytes() for row in column.data[slots]] for column in state.vectors.values()]
            known = sorted(map(repr, zip(state.row_ids[slots].tolist(), rows_of, *vectors, strict=True)))
            found[name] = {"n": len(known), "rows": zlib.crc32("\n".join(known).encode())}
            found[name]["columns"] = [f"{column.name} {column.type}" for column in state.schema.columns]
    for name in found:
        table = db.table(name)
        infos = table.list_indexes()
        found[name]["indexes"] = sorted(info.name for info in infos)
        for info in infos:
            _check_index(table, info)
    return found


def _check_index(table: vdb.Table, info: vdb.IndexInfo) -> None:
    """An index answers as the scan does: a walk that keeps as many rows as there are misses none."""
    if info.kind != "hnsw" or len(table) == 0:
        return
    query = np.cos(np.arange(DIM, dtype=np.float32))
    exact = table.search(query, 10, strategy="scan").ids.tolist()
    assert table.search(query, 10, strategy="graph", ef_search=len(table) + 10).ids.tolist() == exact


def use(db: vdb.Database) -> None:
    """What recovered must take writes too."""
    if "papers" in db.tables():
        papers = db.table("papers")
        if set(papers.schema.by_name) == {"id", "title", "n", "v"}:
            papers.add(rows(range(999_999, 1_000_000)))
            papers.delete(ids=[999_999])
