"""Make the golden databases of this version: `python tests/compat/make.py`, once for each version of the format.

`make.py sql` adds a word to the name, for what came without a new version: so v1.0-lists.zip, with inverted files, and
v1.0-sql.zip, with views, defaults, UNIQUE and a partial index too.
`closed` was closed, `killed` is a copy taken while it was open: its last commits are in DuckDB's log, and its vector
files are longer than what is committed. What they hold follows from `expected`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import vdb

DIM = 8
ROWS = 60
LANGS = ["en", "de", None]
SCHEMA = {
    "id": "BIGINT PRIMARY KEY",
    "lang": "VARCHAR",
    "year": "INTEGER",
    "tags": "VARCHAR[]",
    "f32": f"FLOAT[{DIM}]",
    "f16": f"FLOAT16[{DIM}]",
    "bf16": f"BFLOAT16[{DIM}]",
    "i8": f"TINYINT[{DIM}]",
}


def vector(i: int) -> list[int]:
    """Small whole numbers: every dtype has them exactly."""
    return [(i * (j + 3)) % 11 - 5 for j in range(DIM)]


def expected(i: int) -> dict[str, Any]:
    """The row of an id as it is in the end."""
    found: dict[str, Any] = {"id": i, "lang": LANGS[i % 3], "year": 2000 + i % 7, "tags": ["x", str(i % 4)]}
    found |= {name: vector(i) for name in ("f32", "f16", "bf16", "i8")}
    if i % 10 == 4:
        found["lang"] = "updated"
    if i % 10 == 6:
        found["f32"] = [1] * DIM
    return found


def ids(closed: bool) -> list[int]:
    """The ids there are; the last five are in the log of the killed one only."""
    return [i for i in range(ROWS) if i % 9 != 0 and (not closed or i < ROWS - 5)]


def first(i: int) -> dict[str, Any]:
    """The row as it was added."""
    return expected(i) | {"lang": LANGS[i % 3], "f32": vector(i)}


def fill(path: Path) -> vdb.Database:
    """Every kind of column, index and history."""
    db = vdb.connect(path, threads=1)
    table = db.create_table("Papers 1", SCHEMA, metric={"f16": "cosine", "i8": "ip"})
    table.add([first(i) for i in range(ROWS - 5)])
    table.delete("id % 9 = 0 AND id < 30")
    table.compact()
    table.delete("id % 9 = 0")
    table.update({"lang": "updated"}, where="id % 10 = 4")
    table.update({"f32": [1] * DIM}, where="id % 10 = 6")
    table.create_index("f32", vdb.HNSW(M=4, ef_construction=20, codes="sq8"), name="graph")
    table.create_index("f32", vdb.ACORN(M=4, gamma=2, ef_construction=20), name="acorn")
    table.create_index("f32", vdb.Flat(), name="flat")
    table.create_index("f32", vdb.Range("year", M=4, ef_construction=20), name="range")
    table.create_index("f32", vdb.Label("lang", M=4, ef_construction=20, min_rows=5), name="label")
    table.create_index("year", vdb.Attribute(), name="attribute")
    table.create_index("f32", vdb.IVFPQ(nlist=4, m=4), name="lists")
    table.create_index("f32", vdb.IVFRaBitQ(nlist=4, bits=2), name="bits")
    table.create_index("f32", vdb.HNSW(M=4, ef_construction=20), name="partial", where="lang = 'en'")
    notes = db.create_table("notes", {"text": "VARCHAR NOT NULL", "v": "FLOAT[2]"})
    notes.add([{"text": "a", "v": [1, 2]}, {"text": "b", "v": None}])
    db.sql('CREATE VIEW recent AS SELECT id, f32 FROM "Papers 1" WHERE year > 2002')
    db.sql("CREATE TABLE rated (mail VARCHAR UNIQUE, stars INTEGER DEFAULT 3 CHECK (stars < 6))")
    db.sql("INSERT INTO rated VALUES ('a@x', 5), (NULL, DEFAULT)")
    return db


def main() -> None:
    """Write v<major>.<minor>.zip beside this file."""
    from vdb.storage.layout import FORMAT_MAJOR, FORMAT_MINOR

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fill(root / "closed").close()
        shutil.copytree(root / "closed", root / "open")
        with vdb.connect(root / "open", threads=1) as db:
            table = db.table("Papers 1")
            table.add([expected(i) for i in range(ROWS - 5, ROWS)])
            table.delete("id % 9 = 0")
            shutil.copytree(root / "open", root / "killed")
        name = "-".join([f"v{FORMAT_MAJOR}.{FORMAT_MINOR}", *sys.argv[1:]])
        target = Path(__file__).with_name(f"{name}.zip")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for folder_name in ("closed", "killed"):
                for path in sorted((root / folder_name).rglob("*")):
                    archive.write(path, path.relative_to(root))
    sys.stdout.write(f"{target}: {target.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
