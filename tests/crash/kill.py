"""Kill -9 before, after and in the middle of every file call of every operation, and look at what is left.

Each attempt is a forked child that works on a copy of a database. What is found afterwards must be what was there
before the operation or after it: after it, where it returned. Some attempts kill the recovery as well, twice.

    python tests/crash/run.py kill --count 10000 --seed 1
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from shim import Action, Kind, Shim, in_child, read_tape, was_killed
from worker import Killed, Standby
from workload import OPERATIONS, connect, contents, use

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS = (Action.KILL_BEFORE, Action.KILL_MIDDLE, Action.KILL_AFTER)


@dataclass(frozen=True)
class Scenario:
    """An operation with the database it begins with, its calls, and what is there before and after it."""

    name: str
    base: Path | None  # None: the operation creates the database
    calls: list[Kind]
    before: Any
    after: Any

    def points(self) -> list[tuple[int, Action]]:
        """Every call with every way to be killed at it."""
        numbered = enumerate(self.calls, 1)
        return [(n, a) for n, kind in numbered for a in KILLS if a != Action.KILL_MIDDLE or kind == Kind.WRITE]


class Ground:
    """A folder with the databases that operations begin with, and a work place; one look in so many opens it twice."""

    reopened: ClassVar[int] = 1

    def __init__(self, folder: Path) -> None:
        self.shim = Shim()
        self.folder = folder
        self.work = folder / "work" / "db"
        self.mended = 0  # opens that mended what DuckDB refused
        self._looks = itertools.count()
        self._looker = Standby(partial(Looker, self.work))

    def scenarios(self) -> list[Scenario]:
        """Creation, then every operation after the ones before it."""
        base = before = None
        made = []
        for name in ("create", *OPERATIONS):
            made.append(self._scenario(name, base, before))
            before = made[-1].after
            base = self.folder / f"after-{name}"
            shutil.copytree(self.work, base)
        return made

    def fresh(self, base: Path | None) -> None:
        """Make the work place what an operation begins with."""
        shutil.rmtree(self.work.parent, ignore_errors=True)
        self.work.parent.mkdir()
        if base is not None:
            shutil.copytree(base, self.work, copy_function=given)

    def perform(self, name: str, report: Callable[[object], None]) -> None:
        """Open, run an operation, report that it returned, close."""
        db = connect(self.work)
        if name in OPERATIONS:
            OPERATIONS[name](db)
        report("returned")
        db.close()

    def watched(self, name: str, at: int, action: Action, error: int = 0) -> Callable[[Callable[[object], None]], None]:
        """A call for `in_child` that performs an operation with a plan."""

        def call(report: Callable[[object], None]) -> None:
            self.shim.plan(at, action, error)
            self.shim.start(self.work.parent)
            self.perform(name, report)

        return call

    def look(self) -> Any:
        """What is in the work place, taken to be left by a crash, or what went wrong in finding out.

        One process looks at one state after the other, and where something goes wrong another at the next.
        """
        try:
            found, mended = self._looker.ask("look", next(self._looks) % self.reopened == 0)
        except (AssertionError, Killed) as error:
            return {"failed": str(error).strip().rpartition("\n")[2]}
        self.mended += mended
        return found

    def _scenario(self, name: str, base: Path | None, before: Any) -> Scenario:
        self.fresh(base)
        tape = self.folder / "tape"

        def call(report: Callable[[object], None]) -> None:
            with tape.open("wb") as file:
                self.shim.start(self.work.parent, file.fileno())
                self.perform(name, report)

        demand(in_child(call))
        calls = [made.kind for made in read_tape(tape)]
        return Scenario(name, base, calls, before, self._looker.ask("peek"))


class Looker:
    """A process that looks at states, one after the other. Its methods are asked for by `Worker`."""

    def __init__(self, work: Path) -> None:
        self._work = work

    def look(self, reopens: bool) -> tuple[Any, int]:
        """Everything in the database and how much was mended; it took writes, was closed, and perhaps opened again."""
        try:
            return self._look(reopens)
        except vdb.VdbError as error:
            raise AssertionError(f"{type(error).__name__}: {error}") from error

    def peek(self) -> Any:
        """Everything in a database that was closed."""
        with connect(self._work, read_only=True) as db:
            return contents(db)

    def _look(self, reopens: bool) -> tuple[Any, int]:
        with connect(self._work) as db:
            found = contents(db)
            mended = len(db.recovery_report().mended)
            use(db)
        strays = [entry.name for entry in self._work.parent.iterdir() if entry != self._work]
        assert not strays, f"left behind: {strays}"
        if reopens:
            assert self.peek() == found  # what the close published, if there was a publication
        return found, mended


def given(source: str, target: str) -> None:
    """A file of a database to begin with: a copy, or the same file where it is one that never changes."""
    unchanging = source.endswith((".idx", "RESERVE", "MANIFEST")) or "/snapshots/s-" in source
    os.link(source, target) if unchanging else shutil.copyfile(source, target)


def demand(result: tuple[list[Any], int]) -> list[Any]:
    """The reports of a child that must not fail."""
    reported, status = result
    assert status == 0, reported
    return reported


def attempt(ground: Ground, scenario: Scenario, at: int, action: Action, again: int = 0) -> str | None:
    """Kill an operation, and the recovery at its call `again` twice; returns what is wrong with what is left."""
    ground.fresh(scenario.base)
    reported, status = in_child(ground.watched(scenario.name, at, action))
    if not was_killed(status):
        return f"was not killed: {reported}"
    for number in (again, again + 1) if again else ():
        in_child(ground.watched("reopen", number, Action.KILL_MIDDLE))
    found = ground.look()
    allowed = [scenario.after] if reported else [scenario.before or {}, scenario.after]
    return None if found in allowed else f"{len(reported)} returned, found {found}, allowed {allowed}"


def main(folder: Path, count: int, seed: int, seconds: float) -> dict[str, Any]:
    """Kill `count` times, or as often as `seconds` allow."""
    chance = random.Random(seed)
    ground = Ground(folder)
    scenarios = ground.scenarios()
    points = [(scenario, *point) for scenario in scenarios for point in scenario.points()]
    chance.shuffle(points)
    end, kills, recoveries = time.monotonic() + seconds, 0, 0
    failures: list[str] = []
    while kills < count and time.monotonic() < end:
        scenario, at, action = points[kills % len(points)]
        again = chance.randrange(1, 12) if chance.random() < 0.1 else 0
        wrong = attempt(ground, scenario, at, action, again)
        if wrong is not None:
            failures.append(f"{scenario.name}, call {at} ({scenario.calls[at - 1].name}), {action.name}: {wrong}")
        kills, recoveries = kills + 1, recoveries + 2 * (again > 0)
    return {"kills": kills, "kills of recovery": recoveries, "points": len(points), "failures": failures}
