"""Change every byte of every kind of file, and cut every kind at every length; sampled where a file is long.

Opened and checked in full, the database holds what it held, or an error of vdb's own says what is damaged: no signal,
no other error, no wrong answer. What is derived, an index or what was published, is never the reason of an error. The
header of a file of vectors is there twice; where both copies are damaged, an error must say so.

    python tests/crash/run.py damage --count 1000000
"""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from kill import Ground, demand, given
from shim import Action, Kind, in_child, read_tape
from workload import OPERATIONS, connect, contents

import vdb
from vdb.storage.vector_header import PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

ALL_BYTES: Final = 10_000  # of a file up to this length every byte is changed, and every length is tried
BATCH: Final = 250  # attempts of one child
BEFORE_KILL: Final = ("create_table", "add_first", "build_graph", "delete_last", "add_one")


@dataclass(frozen=True)
class Victim:
    """A file, below a database that begins with it. What reads beside a writer also opens it."""

    base: Path
    file: Path
    is_published: bool = False

    @property
    def is_derived(self) -> bool:
        """Whether a writer can do without it."""
        return self.is_published or self.file.parent.name == "index"


def prepare(ground: Ground) -> tuple[Any, dict[str, Victim]]:
    """What a database holds, and a file of every kind that it has in one of three states."""
    ground.fresh(None)

    def fill(report: Callable[[object], None]) -> None:
        db = connect(ground.work)
        for name in BEFORE_KILL:
            OPERATIONS[name](db)
        db.indexes.save()
        db.table("papers").update({"title": "in the log"}, where="id = 1")
        report(contents(db))

    expected = demand(in_child(fill))[0]
    killed = kept(ground, "killed")  # with a log of DuckDB's
    victims = {file.name: Victim(killed, Path(file.name)) for file in killed.iterdir() if file.is_file()}
    for folder in ("vectors", "index"):
        victims[folder] = Victim(killed, next((killed / folder).iterdir()).relative_to(killed))
    checkpoint = cut_checkpoint(ground, killed)
    victims["UNDO"] = Victim(checkpoint, Path("UNDO"))

    def publish(report: Callable[[object], None]) -> None:
        with connect(ground.work) as db:
            db.publish()
            report(contents(db))

    ground.fresh(killed)
    assert demand(in_child(publish)) == [expected]
    settled = kept(ground, "settled")
    published = sorted(path for path in settled.glob("snapshots/**/*") if path.is_file() and path.name != "PIN")
    victims |= {f"published {path.name}": Victim(settled, path.relative_to(settled), True) for path in published}
    return expected, victims


def kept(ground: Ground, name: str) -> Path:
    """A copy of the work place."""
    return Path(shutil.copytree(ground.work, ground.folder / name))


def cut_checkpoint(ground: Ground, base: Path) -> Path:
    """What a kill leaves within the first write over the catalog, by the checkpoint of a close."""
    tape = ground.folder / "tape"

    def close(report: Callable[[object], None]) -> None:
        with tape.open("wb") as file:
            ground.shim.start(ground.work.parent, file.fileno())
            ground.perform("reopen", report)

    ground.fresh(base)
    demand(in_child(close))
    calls = list(read_tape(tape))
    saved = next(n for n, call in enumerate(calls) if call.path.endswith("/UNDO"))
    catalog = str(ground.work / "catalog.duckdb")
    first = next(n for n, call in enumerate(calls) if n > saved and call.kind == Kind.WRITE and call.path == catalog)
    ground.fresh(base)
    in_child(ground.watched("reopen", first + 1, Action.KILL_MIDDLE))
    return kept(ground, "checkpoint")


def places(data: bytes, chance: random.Random) -> list[tuple[str, int]]:
    """Where to change a byte, and where to cut. Of the places in a long file half are bytes that are not zero."""
    if len(data) <= ALL_BYTES:
        return [(verb, at) for at in range(len(data)) for verb in ("change", "cut")]
    used = np.flatnonzero(np.frombuffer(data, np.uint8)).tolist()
    chosen = {*chance.sample(used, min(len(used), ALL_BYTES // 4)), *chance.sample(range(len(data)), ALL_BYTES // 4)}
    return [(verb, at) for at in sorted(chosen) for verb in ("change", "cut")]


def damaged(original: bytes, verb: str, at: int, mask: int) -> bytes:
    """The bytes with one changed, in its copy too for "both", or all from one on missing."""
    if verb == "cut":
        return original[:at]
    changed = bytearray(original)
    changed[at] ^= mask
    if verb == "both":
        changed[at + PAGE_BYTES] ^= mask
    return bytes(changed)


class Attempts:
    """Damages the files of a database over and over."""

    def __init__(self, work: Path, expected: Any, victims: dict[str, Victim]) -> None:
        self._work = work
        self._expected = expected
        self._victims = victims
        self.originals = {name: (victim.base / victim.file).read_bytes() for name, victim in victims.items()}

    def make(self, name: str, verb: str, at: int, mask: int) -> str | None:
        """Damage a file and open; returns what is wrong with what came of it."""
        victim = self._victims[name]
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(victim.base, self._work, copy_function=given)
        (self._work / victim.file).unlink()
        (self._work / victim.file).write_bytes(damaged(self.originals[name], verb, at, mask))
        wrongs = [self._open(victim, read_only) for read_only in ((True, False) if victim.is_published else (False,))]
        if verb == "both" and wrongs == [None]:
            return "it was not noticed that both copies of the header are damaged"
        return next((wrong for wrong in wrongs if wrong), None)

    def _open(self, victim: Victim, read_only: bool) -> str | None:
        """What is wrong; empty where an error says what is damaged, None where nothing does."""
        try:
            with connect(self._work, read_only=read_only) as db:
                found = contents(db)
        except vdb.VdbError as error:
            return f"a file that is not needed stops it: {error}" if victim.is_derived and not read_only else ""
        return None if found == self._expected else f"silently found {found}"


@dataclass(frozen=True)
class Aim:
    """Which damages are tried: those of one file, and of one verb, or all."""

    file: str = ""
    verb: str = ""


def main(
    folder: Path, count: int, seed: int, seconds: float, first: bool = False, aim: Aim | None = None
) -> dict[str, Any]:
    """Damage every kind of file at every place, in an order the seed chooses, up to `count` or the `first` failure."""
    chance = random.Random(seed)
    ground = Ground(folder)
    attempts = Attempts(ground.work, *prepare(ground))
    found = [(name, *place) for name, data in attempts.originals.items() for place in places(data, chance)]
    found += [("vectors", "both", at) for at in range(PAGE_BYTES)]
    aim = aim or Aim()
    points = [
        (name, verb, at, chance.randrange(1, 256))
        for name, verb, at in found
        if aim.file in ("", name) and aim.verb in ("", verb)
    ]
    chance.shuffle(points)
    end, tried = time.monotonic() + seconds, dict.fromkeys(attempts.originals, 0)
    failures: list[str] = []
    done = 0
    while done < min(count, len(points)) and time.monotonic() < end and not (first and failures):
        batch = points[done : min(done + BATCH, count)]

        def call(report: Callable[[object], None], batch: list[tuple[str, str, int, int]] = batch) -> None:
            for name, verb, at, mask in batch:
                try:
                    wrong = attempts.make(name, verb, at, mask)
                except Exception as error:
                    wrong = f"{type(error).__name__}: {error}"
                report(wrong)
                if time.monotonic() > end or (first and wrong is not None):
                    return

        reported, status = in_child(call)
        if status != 0:
            failures.append(f"status {status} at {batch[len(reported)]}")
        for (name, verb, at, _), wrong in zip(batch, reported, strict=False):
            tried[name] += 1
            if wrong is not None:
                failures.append(f"{name}, {verb} at {at}: {wrong}")
        done += len(reported) + (status != 0)
    return {"tried": sum(tried.values()), "by file": tried, "points": len(points), "failures": failures}
