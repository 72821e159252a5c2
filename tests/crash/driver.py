"""Kill a process at every step of a scenario and look at what it left (run by test_kill.py, in a process of its own).

Each attempt is a forked child of this single-threaded process: it works on a copy of a database, counts the steps that
`vdb.storage.files.hook` sees, and at step N kills itself, for a write after half of the bytes or none. A second child
opens what is left. It must hold exactly what the returned operations made, or that and the operation under way.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vdb.storage import files
from vdb.storage.batch import make_batch
from vdb.storage.state import IndexRecord
from vdb.storage.store import Store
from vdb.types import Column, TableSchema, VectorColumn

if TYPE_CHECKING:
    from collections.abc import Callable

DIM = 16
PAPERS = TableSchema(
    "papers", (Column("id", "BIGINT", False), Column("title", "VARCHAR"), VectorColumn("v", DIM)), "id"
)
NOTES = TableSchema("notes", (Column("text", "VARCHAR"), VectorColumn("v", 2)))

Contents = dict[str, dict[str, Any]]


def rows(ids: range, title: str = "t") -> Any:
    vectors = np.repeat(np.array(ids, np.float32)[:, None], DIM, axis=1)
    return make_batch(PAPERS, {"id": list(ids), "title": [f"{title}{i}" for i in ids]}, {"v": vectors})


def make_base(path: Path) -> None:
    store = Store.open(path, threads=1)
    with store.begin() as transaction:
        transaction.create_table(PAPERS)
        transaction.insert("papers", rows(range(20)))
    store.close()


def insert_one(store: Store) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", rows(range(20, 21)))


def insert_many(store: Store) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", rows(range(100, 3100)))  # three blocks of checksums


def insert_after(store: Store) -> None:
    with store.begin() as transaction:
        transaction.insert("papers", rows(range(5000, 5003)))


def delete_some(store: Store) -> None:
    with store.begin() as transaction:
        transaction.delete("papers", transaction.slots_of_keys("papers", [3, 20, 500]))


def update_vector(store: Store) -> None:
    with store.begin() as transaction:
        slots = transaction.slots_of_keys("papers", [4, 101])
        transaction.update("papers", slots, {"title": "u"}, {"v": np.full(DIM, 0.5, np.float32)})


def mix(store: Store) -> None:
    with store.begin() as transaction:
        transaction.upsert("papers", rows(range(18, 23), "m"), "id")
        transaction.create_table(NOTES)
        transaction.insert("notes", make_batch(NOTES, {"text": ["a", "b"]}, {"v": [[1, 2], None]}))


def list_index(store: Store) -> None:
    file = store.save_index(lambda path: path.write_bytes(b"index"))
    with store.begin() as transaction:
        transaction.put_index(IndexRecord("h", "papers", "v", "hnsw", {"M": 8}, file, 20, store.state.seq))


def compact(store: Store) -> None:
    with store.begin() as transaction:
        transaction.compact("papers")
        file = store.save_index(lambda path: path.write_bytes(b"index of the new slots"))
        record = transaction.state.table("papers").indexes["h"]
        transaction.put_index(replace(record, file=file, covers_slots=transaction.state.table("papers").next_slot))


def drop(store: Store) -> None:
    with store.begin() as transaction:
        transaction.drop_table("notes")


OPERATIONS = (insert_one, insert_many, delete_some, update_vector, mix, list_index, compact, insert_after, drop)


def contents(store: Store) -> Contents:
    """Every row and index of every table, after the checks of open and of every block."""
    store.check()
    found: Contents = {}
    with store.read() as session:
        for name, table in session.state.tables.items():
            slots = table.live.to_slots()
            columns = [column.name for column in table.schema.attributes]
            values = session.fetch(name, slots, columns).fetchall()
            first = table.vectors["v"].data[slots, 0].tolist()
            known = sorted(zip(table.row_ids[slots].tolist(), values, first, strict=True))
            found[name] = {"rows": hash(repr(known)), "n": len(known), "indexes": sorted(table.indexes)}
            found[name] |= {"generation": table.generation.number, "slots": table.next_slot}
            for record in table.indexes.values():
                assert record.file is not None
                assert store.index_path(record.file) is not None, "a listed index has no file"
    return found


def run_operations(path: Path, report: Callable[[object], None]) -> None:
    store = Store.open(path, threads=1)
    for operation in OPERATIONS:
        operation(store)
        report(None)
    store.close()


def run_creation(path: Path, report: Callable[[object], None]) -> None:
    store = Store.open(path, threads=1)
    report(None)
    store.close()


def in_child(call: Callable[[Callable[[object], None]], None]) -> tuple[list[Any], int]:
    """Run `call` in a forked child; returns what it reported, and the signal or exit code it ended with."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        code = 1
        try:
            call(lambda value: os.write(write, json.dumps(value).encode() + b"\n") and None)
            code = 0
        except BaseException as error:
            os.write(write, json.dumps(f"{type(error).__name__}: {error}").encode() + b"\n")
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as pipe:
        reported = [json.loads(line) for line in pipe]
    return reported, os.waitpid(child, 0)[1]


def kill_at(step: int, torn: bool) -> None:
    """Kill this process at that step; `torn` writes half of the bytes first and needs a write step."""
    count = 0
    write = os.pwrite

    def write_half(fd: int, data: memoryview, at: int) -> int:
        write(fd, data[: len(data) // 2], at)
        return die()

    def hook(name: str, _path: str) -> None:
        nonlocal count
        count += 1
        if count == step and torn and name == "write":
            os.pwrite = write_half
        elif count == step:
            die()

    files.hook = hook


def die() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def steps_of(scenario: str, base: Path, work: Path) -> list[str]:
    """The names of a scenario's steps when nothing kills it."""

    def call(report: Callable[[object], None]) -> None:
        names: list[str] = []
        files.hook = lambda name, _path: names.append(name)
        RUNS[scenario](work, lambda _value: None)
        report(names)

    fresh(scenario, base, work)
    reported, status = in_child(call)
    assert status == 0, reported
    return list(reported[0])


def expected_contents(base: Path, work: Path) -> list[Contents]:
    """The contents before the first operation and after each."""
    shutil.copytree(base, work)

    def call(report: Callable[[object], None]) -> None:
        store = Store.open(work, threads=1)
        report(contents(store))
        for operation in OPERATIONS:
            operation(store)
            report(contents(store))
        store.close()

    reported, status = in_child(call)
    assert status == 0, reported
    shutil.rmtree(work)
    return reported


def look(path: Path, report: Callable[[object], None]) -> None:
    store = Store.open(path, threads=1)
    report(contents(store))
    named = {v.source.identity.file.hex for t in store.state.tables.values() for v in t.vectors.values()}
    assert {file.stem for file in (path / "vectors").iterdir()} == named, "a file that no table names"
    assert len(list((path / "index").iterdir())) == sum(len(t.indexes) for t in store.state.tables.values())
    with store.begin() as transaction:
        if "papers" in store.state.tables:
            transaction.insert("papers", rows(range(999_999, 1_000_000)))
    store.close()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "an unfinished creation"


RUNS: dict[str, Callable[[Path, Callable[[object], None]], None]] = {
    "create": run_creation,
    "commit": run_operations,
    "recover": run_operations,
}


def fresh(scenario: str, base: Path, work: Path) -> None:
    """Make `work` what the scenario starts from."""
    shutil.rmtree(work.parent, ignore_errors=True)
    work.parent.mkdir()
    if scenario != "create":
        shutil.copytree(base, work)


def attempt(scenario: str, work: Path, step: int, torn: bool) -> list[Any]:
    """Run the scenario, killed at a step; returns what it reported before."""

    def call(report: Callable[[object], None]) -> None:
        kill_at(step, torn)
        RUNS[scenario](work, report)

    reported, status = in_child(call)
    assert status == signal.SIGKILL, f"step {step} was not reached: {reported}"
    return reported


def recover_killed(work: Path, step: int) -> None:
    """Open what a kill left and be killed there too."""

    def call(_report: Callable[[object], None]) -> None:
        kill_at(step, torn=True)
        Store.open(work, threads=1).close()

    in_child(call)


def main(scenario: str, folder: Path) -> dict[str, Any]:
    base, work = folder / "base", folder / "work" / "db"
    made, status = in_child(lambda _report: make_base(base))
    assert status == 0, made
    states: list[Contents] = [{}, {}] if scenario == "create" else expected_contents(base, folder / "model")
    steps = steps_of(scenario, base, work)
    points = [(step, False) for step in range(1, len(steps) + 1)]
    torn = [(step, True) for step, name in enumerate(steps, 1) if name == "write"]
    points = points[::10] if scenario == "recover" else points + torn[::3]
    failures: list[str] = []
    for step, torn in points:
        fresh(scenario, base, work)
        returned = attempt(scenario, work, step, torn)
        if scenario == "recover":
            for again in (1, 3, 2):
                recover_killed(work, again)
        found, looked = in_child(lambda report: look(work, report))
        if looked != 0 or found[0] not in states[len(returned) : len(returned) + 2]:
            where = f"step {step} ({steps[step - 1]}{', torn' if torn else ''})"
            failures.append(f"{where}: {len(returned)} returned, found {found}")
    return {"points": len(points), "failures": failures}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
