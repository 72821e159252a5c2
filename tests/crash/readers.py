"""Eight threads and four processes read while one thread writes, publishes and compacts: none ever sees half a commit.

Every commit gives all rows of one group, in two tables, its own number and the vectors that go with it. So whoever
reads finds one number in a group, the same in both tables, never a smaller one than before, and distances that fit it.

    python tests/crash/run.py readers --seconds 600
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from worker import Worker
from workload import connect

import vdb

THREADS: Final = 8
PROCESSES: Final = 4
GROUPS: Final = 8
SIZE: Final = 6  # rows of a group
TABLES: Final = ("a", "b")
STRATEGIES: Final = ("auto", "scan", "graph")
COUNTS: Final = " UNION ALL ".join(f"SELECT grp, turn, count(*) FROM {name} GROUP BY ALL" for name in TABLES)


def vector(key: int, turn: int) -> list[float]:
    return [key, turn % 101, (key * turn) % 7, 1]


def rows(group: int, turn: int) -> list[dict[str, Any]]:
    keys = range(group * SIZE, (group + 1) * SIZE)
    return [{"id": key, "grp": group, "turn": turn, "e": vector(key, turn)} for key in keys]


def write(db: vdb.Database, turn: int) -> None:
    """A commit, and now and then what must not disturb readers either."""
    group = turn % GROUPS
    with db.transaction():
        for name in TABLES:
            if turn % 3:
                db.table(name).upsert(rows(group, turn))
            else:
                db.table(name).delete("grp = ?", [group])
                db.table(name).add(rows(group, turn))
    if turn % 5 == 0:
        db.publish()
    if turn % 23 == 0:
        db.table(TABLES[turn % 2]).compact()
    if turn % 41 == 0:  # readers ask for a graph at any time
        table = db.table("b")
        (old,) = table.list_indexes()
        table.create_index("e", vdb.HNSW(M=4, ef_construction=16), name=f"h{turn}")
        table.drop_index(old.name)


class Looks:
    """One reader: what it has seen so far, and how often it looked."""

    def __init__(self, db: vdb.Database, seed: int, is_live: bool) -> None:
        self._db = db
        self._chance = random.Random(seed)
        self._is_live = is_live
        self._newest = [-1] * GROUPS
        self.looks = 0
        self.overtaken = 0  # a commit replaced rows that were found before they were read

    def look(self) -> None:
        self.looks += 1
        found = self._db.sql(COUNTS).fetchall()
        whole = {rows for *_, rows in found} == {SIZE} and len(set(found)) == GROUPS == len(found) / len(TABLES)
        assert whole, f"half a commit: {found}"
        for group, turn, _ in found:
            assert turn >= self._newest[group], f"group {group} went from {self._newest[group]} back to {turn}"
            self._newest[group] = turn
        self._search(self._db.table(self._chance.choice(TABLES)))

    def _search(self, table: vdb.Table) -> None:
        group = self._chance.randrange(GROUPS)
        where = self._chance.choice([None, f"grp = {group}", f"grp != {group} AND turn >= 0"])
        expected = {None: GROUPS * SIZE, f"grp = {group}": SIZE}.get(where, (GROUPS - 1) * SIZE)
        query = np.array(vector(self._chance.randrange(48), self._chance.randrange(100)), np.float32)
        hits = table.search(query, 100, where=where, strategy=self._chance.choice(STRATEGIES))
        assert len(set(hits.ids.tolist())) == len(hits) == expected
        try:
            shown = hits.to_dicts()
        except vdb.InvalidState:
            assert self._is_live
            self.overtaken += 1
            return
        assert len({(row["grp"], row["turn"]) for row in shown}) == expected // SIZE
        for row in shown:
            away = np.linalg.norm(query - np.array(vector(row["id"], row["turn"]), np.float32))
            assert abs(row["_distance"] - away) < 1e-3, row


class Process:
    """A process that reads what is published. Its methods are asked for by `Worker`."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path = path
        self._seed = seed

    def read(self, stop: str) -> list[int]:
        """Look until there is a file `stop`; how often it looked and went on to something newer."""
        refreshed = 0
        with connect(self._path, read_only=True) as db:
            reader = Looks(db, self._seed, is_live=False)
            while not Path(stop).exists():
                refreshed += db.refresh()
                reader.look()
        return [reader.looks, refreshed]


def main(folder: Path, count: int, seed: int, seconds: float) -> dict[str, Any]:
    """Write for `seconds`, or `count` commits, with all readers beside it."""
    path = folder / "db"
    workers = [Worker(partial(Process, path, seed + number), folder) for number in range(PROCESSES)]
    done = {"commits": 0, "looks of threads": 0, "overtaken": 0, "looks of processes": 0, "refreshes": 0}
    failures: list[str] = []
    stop = threading.Event()
    with connect(path) as db, ThreadPoolExecutor(THREADS + PROCESSES) as pool:
        for name in TABLES:
            columns = {"id": "BIGINT PRIMARY KEY", "grp": "INTEGER", "turn": "INTEGER", "e": "FLOAT[4]"}
            table = db.create_table(name, columns)
            table.add([row for group in range(GROUPS) for row in rows(group, group)])
            table.create_index("e", vdb.HNSW(M=4, ef_construction=16), name="h")
        db.publish()
        end = time.monotonic() + seconds
        readers = [Looks(db, seed + 100 + number, is_live=True) for number in range(THREADS)]
        threads = [pool.submit(_look_on, reader, stop) for reader in readers]
        asked = [pool.submit(_ask, worker, folder / "stop") for worker in workers]
        try:
            for turn in range(GROUPS, GROUPS + count):
                if time.monotonic() > end or any(future.done() and future.exception() for future in (*threads, *asked)):
                    break
                write(db, turn)
                done["commits"] += 1
        finally:
            stop.set()
            (folder / "stop").touch()
        errors = [error for future in (*threads, *asked) if (error := future.exception()) is not None]
        failures += [f"{type(error).__name__}: {error}" for error in errors]
        for future in [future for future in asked if future.exception() is None]:
            done["looks of processes"] += future.result()[0]
            done["refreshes"] += future.result()[1]
        done["looks of threads"] = sum(reader.looks for reader in readers)
        done["overtaken"] = sum(reader.overtaken for reader in readers)
    for worker in workers:
        worker.kill()
    snapshots = sorted(entry.name for entry in (path / "snapshots").iterdir())
    if len(snapshots) != 2:  # CURRENT and what it names
        failures.append(f"snapshots that nobody reads are left: {snapshots}")
    with connect(path) as db:
        if swept := db.recovery_report().swept_files:
            failures.append(f"{swept} files were left that nothing names")
    return {**done, "failures": failures}


def _look_on(reader: Looks, stop: threading.Event) -> None:
    while not stop.is_set():
        reader.look()


def _ask(worker: Worker, stop: Path) -> list[int]:
    worker.ask("ready")
    found: list[int] = worker.ask("read", str(stop))
    return found
