"""Kill -9 before, after and in the middle of every file call of every operation, and look at what is left.

Each attempt is a forked child that works on a copy of a database. What is found afterwards must be what was there
before the operation or after it: after it, where it returned. Some attempts kill the recovery as well, twice.

    python tests/crash/run.py kill --count 10000 --seed 1
"""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shim import Action, Kind, Shim, in_child, read_tape, was_killed
from workload import OPERATIONS, connect, contents, use

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
    """A folder with the databases that operations begin with, and a work place."""

    def __init__(self, folder: Path) -> None:
        self.shim = Shim()
        self.folder = folder
        self.work = folder / "work" / "db"
        self.mended = 0  # opens that mended what DuckDB refused

    def scenarios(self) -> list[Scenario]:
        """Creation, then every operation after the ones before it."""
        base = None
        made = []
        for name in ("create", *OPERATIONS):
            made.append(self._scenario(name, base))
            following = self.folder / f"after-{name}"
            shutil.copytree(self.work, following)
            base = following
        return made

    def fresh(self, base: Path | None) -> None:
        """Make the work place what an operation begins with."""
        shutil.rmtree(self.work.parent, ignore_errors=True)
        self.work.parent.mkdir()
        if base is not None:
            shutil.copytree(base, self.work)

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
        """What is in the work place, taken to be left by a crash, or what went wrong in finding out."""
        found, status = in_child(self._look)
        if status != 0:
            return {"failed": found[-1] if found else status}
        self.mended += found[1]
        return found[0]

    def _look(self, report: Callable[[object], None]) -> None:
        with connect(self.work) as db:
            found = contents(db)
            report(found)
            report(len(db.recovery_report().mended))
            use(db)
        strays = [entry.name for entry in self.work.parent.iterdir() if entry != self.work]
        assert not strays, f"left behind: {strays}"
        with connect(self.work, read_only=True) as db:  # what the close published, if there was a publication
            assert contents(db) == found

    def _scenario(self, name: str, base: Path | None) -> Scenario:
        self.fresh(base)
        before = None if base is None else self._contents()
        tape = self.folder / "tape"

        def call(report: Callable[[object], None]) -> None:
            with tape.open("wb") as file:
                self.shim.start(self.work.parent, file.fileno())
                self.perform(name, report)

        demand(in_child(call))
        calls = [made.kind for made in read_tape(tape)]
        return Scenario(name, base, calls, before, self._contents())

    def _contents(self) -> Any:
        def call(report: Callable[[object], None]) -> None:
            with connect(self.work, read_only=True) as db:
                report(contents(db))

        return demand(in_child(call))[0]


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
