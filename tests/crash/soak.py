"""Open, do a bit of everything, close, over and over: memory, descriptors and disk stay as they are after a warm-up.

The database keeps the same number of rows while all of them are replaced many times over, so whatever grows is lost.
Memory is what the process has resident, after each close; the first third of the cycles warms up, the second says what
is normal, the last must not be above it.

    python tests/crash/run.py soak --seconds 3600
"""

from __future__ import annotations

import gc
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from workload import connect

import vdb

ROWS: Final = 400
DIM: Final = 16
PER_CYCLE: Final = 12  # operations
MEMORY_SLACK: Final = 8 << 20  # bytes: what the allocator keeps differs from cycle to cycle
DISK_SLACK: Final = 1.3


def rows(chance: random.Random, keys: list[int]) -> dict[str, Any]:
    rng = np.random.default_rng(chance.randrange(2**32))
    title = [f"{chance.randrange(50)} " * 20 for _ in keys]
    return {"id": keys, "n": rng.integers(0, 100, len(keys)), "title": title, "e": rng.normal(size=(len(keys), DIM))}


def fill(path: Path, chance: random.Random) -> None:
    with connect(path) as db:
        columns = {"id": "BIGINT PRIMARY KEY", "n": "INTEGER", "title": "VARCHAR", "e": f"FLOAT[{DIM}]"}
        table = db.create_table("t", columns)
        table.add(rows(chance, list(range(ROWS))))
        table.create_index("e", vdb.HNSW(M=4, ef_construction=16), name="graph")
        table.create_index("e", vdb.Range("n", M=4, ef_construction=16), name="range")
        table.create_index("e", vdb.IVFRaBitQ(), name="lists")
        table.create_index("n", vdb.Attribute(), name="attribute")


def operate(db: vdb.Database, chance: random.Random) -> None:
    """One operation of a kind that users mix."""
    table = db.table("t")
    keys = chance.sample(range(ROWS), 40)
    query = rows(chance, [0])["e"][0]
    kind = chance.randrange(8)
    if kind < 2:
        table.upsert(rows(chance, keys))
    elif kind == 2:
        with db.transaction():
            table.delete(ids=keys)
            table.add(rows(chance, keys))
    elif kind == 3:
        table.update({"title": f"changed {chance.random()}"}, where="n % 7 = ?", params=[chance.randrange(7)])
    elif kind == 4:
        db.sql("SELECT id, title FROM t WHERE n < 50 ORDER BY e <-> ? LIMIT 5", [query]).fetchall()
        db.sql("UPDATE t SET n = (n + 1) % 100 WHERE n < ?", [chance.randrange(100)])
    elif kind == 5:
        db.publish()
    else:
        for strategy in ("auto", "graph", "ivf", "scan"):
            table.search(query, 10, where=chance.choice([None, "n < 30"]), strategy=strategy).to_dicts()
        table.search(query, 10, where="n BETWEEN 20 AND 60", strategy="range").to_dicts()


def cycle(path: Path, chance: random.Random, number: int) -> None:
    with connect(path) as db:
        for _ in range(PER_CYCLE):
            operate(db, chance)
        assert len(db.table("t")) == ROWS
        if number % 10 == 0:
            db.table("t").compact()
            db.backup(path.with_name("copy"))
            shutil.rmtree(path.with_name("copy"))
        assert db.check() == []


def measures(path: Path) -> tuple[int, int, int]:
    """Bytes resident, descriptors, bytes on the disk."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    disk = sum(entry.stat().st_blocks * 512 for entry in path.rglob("*"))
    return resident, len(os.listdir("/proc/self/fd")), disk  # noqa: PTH208 -- a Path opens another


def main(folder: Path, count: int, seed: int, seconds: float) -> dict[str, Any]:
    """Cycle for `seconds`, or `count` times."""
    chance = random.Random(seed)
    path = folder / "db"
    fill(path, chance)
    end, seen = time.monotonic() + seconds, []
    while len(seen) < count and time.monotonic() < end:
        cycle(path, chance, len(seen))
        seen.append(measures(path))
    third = len(seen) // 3
    normal, last = np.array(seen[third : 2 * third]), np.array(seen[2 * third :])
    failures = []
    if last[:, 0].max() > normal[:, 0].max() + MEMORY_SLACK:
        failures.append(f"memory grows: {[resident for resident, *_ in seen[:: max(1, len(seen) // 50)]]}")
    if last[:, 1].max() > normal[:, 1].min():
        failures.append(f"descriptors grow: {sorted({held for _, held, _ in seen})}")
    if last[:, 2].max() > DISK_SLACK * normal[:, 2].max():
        failures.append(f"disk grows: {[used for *_, used in seen[:: max(1, len(seen) // 50)]]}")
    shown = {"cycles": len(seen), "operations": len(seen) * PER_CYCLE}
    for name, at in (("memory", 0), ("descriptors", 1), ("disk", 2)):
        shown[name] = [int(seen[0][at]), int(normal[:, at].max()), int(last[:, at].max())]
    return {**shown, "failures": failures}
