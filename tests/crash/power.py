"""Cut the power at every point of the recorded calls, and look at what the disk may hold then.

All operations are recorded once, one after the other. Each state is a point on the tape, a model of the disk and a
choice of what had reached it (disk.py); opened, it must hold every row of every operation that had returned.
A part that wants to see one kind of loss looks behind the calls on some files only, or at one of the models (`Aim`).

    python tests/crash/run.py power --count 20000 --seed 1
"""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from disk import Disk, Model
from kill import Ground, demand
from shim import Kind, in_child, read_tape
from workload import OPERATIONS, connect, contents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shim import Call

EVERY = 3  # operations after which the database is closed and opened again
PASS = 200  # points looked at each time the tape is followed


@dataclass(frozen=True)
class Aim:
    """What is looked at: points behind calls on files, or folders, whose name ends so; models of the disk."""

    ending: str = ""
    models: tuple[Model, ...] = tuple(Model)

    def points(self, tape: list[Call]) -> list[int]:
        """How many calls were made, at each point; 0 is before the first."""
        return [n for n in range(len(tape) + 1) if not self.ending or (n and tape[n - 1].path.endswith(self.ending))]


@dataclass
class Recording:
    """What was done to an empty folder, and what the database held after each mark on the tape."""

    tape: list[Call]
    states: list[Any]


def record(ground: Ground) -> Recording:
    """Create a database and run every operation on it; mark n says that n of them have returned."""
    ground.fresh(None)
    tape = ground.folder / "tape"

    def call(report: Callable[[object], None]) -> None:
        with tape.open("wb") as file:
            ground.shim.start(ground.work.parent, file.fileno())
            report({})
            db = connect(ground.work)
            for number, operation in enumerate(OPERATIONS.values(), 1):
                operation(db)
                ground.shim.mark(number)
                report(contents(db))
                if number % EVERY == 0:
                    db.close()
                    db = connect(ground.work)
            db.close()

    states = demand(in_child(call))
    return Recording(list(read_tape(tape)), states)


def main(
    folder: Path, count: int, seed: int, seconds: float, first: bool = False, aim: Aim | None = None
) -> dict[str, Any]:
    """Look at `count` states, or as many as `seconds` allow, or up to the `first` failure; the seed chooses which."""
    chance = random.Random(seed)
    ground = Ground(folder)
    recording = record(ground)
    aim = aim or Aim()
    points = aim.points(recording.tape)
    end, done = time.monotonic() + seconds, 0
    failures: list[str] = []
    while done < count and time.monotonic() < end and not (first and failures):
        disks = [Disk(ground.work.parent, model) for model in aim.models]
        at = returned = 0
        for point in sorted(chance.sample(points, min(len(points), count - done, PASS))):
            for call in recording.tape[at:point]:
                returned = call.size if call.kind == Kind.MARK else returned
                for disk in disks:
                    disk.follow(call)
            at = point
            disk = chance.choice(disks)
            wrong = _look(ground, disk, chance, recording.states[returned : returned + 2])
            if wrong is not None:
                failures.append(
                    f"call {point} of {len(recording.tape)}, {disk.model.value}, {returned} returned: {wrong}"
                )
            done += 1
            if time.monotonic() > end or (first and failures):
                break
    return {"states": done, "mended": ground.mended, "points": len(points), "failures": failures}


def _look(ground: Ground, disk: Disk, chance: random.Random, allowed: list[Any]) -> str | None:
    shutil.rmtree(ground.work.parent, ignore_errors=True)
    disk.survivor(ground.work.parent, chance)
    found = ground.look()
    return None if found in allowed else f"found {found}, allowed {allowed}"
