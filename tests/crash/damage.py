"""Change every byte of every kind of file, and cut every kind at every length; sampled where a file is long.

Opened and checked in full, the database holds what it held, or an error of vdb's own says what is damaged: no signal,
no other error, no wrong answer. An index file is never the reason of an error: what it says is built anew.

    python tests/crash/run.py damage --count 1000000
"""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING, Any, Final

from kill import Ground, demand
from shim import in_child
from workload import OPERATIONS, connect, contents

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALL_BYTES: Final = 10_000  # of a file up to this length every byte is changed, and every length is tried
BATCH: Final = 20  # attempts of one child
BEFORE_KILL: Final = ("create_table", "add_first", "build_graph", "delete_last", "add_one")


def prepare(ground: Ground) -> Any:
    """A database as a kill leaves it, so that there is a log of DuckDB's; returns what it holds."""
    ground.fresh(None)

    def call(report: Callable[[object], None]) -> None:
        db = connect(ground.work)
        for name in BEFORE_KILL:
            OPERATIONS[name](db)
        db.indexes.save()
        db.table("papers").update({"title": "in the log"}, where="id = 1")
        report(contents(db))

    return demand(in_child(call))[0]


def kinds(base: Path) -> dict[str, Path]:
    """A file of every kind that a database has, and what it is called here."""
    found = {file.name: file for file in base.iterdir() if file.is_file()}
    for folder in ("vectors", "index"):
        found[folder] = next((base / folder).iterdir())
    return {name: path.relative_to(base) for name, path in found.items()}


def places(length: int, chance: random.Random) -> list[tuple[str, int]]:
    """Where to change a byte, and where to cut."""
    offsets = range(length) if length <= ALL_BYTES else chance.sample(range(length), ALL_BYTES // 2)
    return [(verb, at) for at in offsets for verb in ("change", "cut")]


def damaged(original: bytes, verb: str, at: int, mask: int) -> bytes:
    """The bytes with one changed, or all from one on missing."""
    if verb == "cut":
        return original[:at]
    return original[:at] + bytes([original[at] ^ mask]) + original[at + 1 :]


class Victim:
    """One file of a database to be damaged over and over."""

    def __init__(self, base: Path, work: Path, file: Path, expected: Any) -> None:
        self._base = base
        self._work = work
        self._file = file
        self._original = (base / file).read_bytes()
        self._expected = expected

    def attempt(self, verb: str, at: int, mask: int) -> str | None:
        """Damage the file and open; returns what is wrong with what came of it."""
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._base, self._work)
        (self._work / self._file).write_bytes(damaged(self._original, verb, at, mask))
        try:
            with connect(self._work) as db:
                found = contents(db)
        except vdb.VdbError as error:
            is_index = self._file.parent.name == "index"
            return f"an index file stops it: {error}" if is_index else None
        return None if found == self._expected else f"silently found {found}"


def main(folder: Path, count: int, seed: int, seconds: float, first: bool = False) -> dict[str, Any]:
    """Damage every kind of file at every place, in an order the seed chooses, up to `count` or the `first` failure."""
    chance = random.Random(seed)
    ground = Ground(folder)
    expected = prepare(ground)
    base = folder / "base"
    shutil.copytree(ground.work, base)
    names = kinds(base)
    victims = {name: Victim(base, ground.work, file, expected) for name, file in names.items()}
    points = [(name, *place) for name, file in names.items() for place in places((base / file).stat().st_size, chance)]
    chance.shuffle(points)
    end, tried = time.monotonic() + seconds, dict.fromkeys(names, 0)
    failures: list[str] = []
    for begin in range(0, min(count, len(points)), BATCH):
        if time.monotonic() > end or (first and failures):
            break
        batch = points[begin : min(begin + BATCH, count)]

        def call(report: Callable[[object], None], batch: list[tuple[str, str, int]] = batch) -> None:
            for name, verb, at in batch:
                report([name, verb, at, victims[name].attempt(verb, at, chance.randrange(1, 256))])

        reported, status = in_child(call)
        if status != 0:
            failures.append(f"status {status} in {batch}: {reported}")
        else:
            failures += [f"{name}, {verb} at {at}: {wrong}" for name, verb, at, wrong in reported if wrong is not None]
        for name, *_ in batch:
            tried[name] += 1
    return {"tried": sum(tried.values()), "by file": tried, "points": len(points), "failures": failures}
