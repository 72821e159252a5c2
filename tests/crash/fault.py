"""Let every file call of every operation fail: once or from then on, with EIO or a full disk, or write only a half.

The operation returns or raises an error of vdb's own, never another one, a signal or a hang. A full disk leaves reads
working in the same process. What is there afterwards is what was there before the operation, or after it where it
returned; an error in between may have come too late to take it back (`CommitOutcomeUnknown`).
A database on a medium that takes no writes is opened read-only without a call that would change a file.

    python tests/crash/run.py fault --count 100000
"""

from __future__ import annotations

import errno
import random
import time
from typing import TYPE_CHECKING, Any

from kill import Ground, Scenario
from shim import Action, in_child
from workload import OPERATIONS, connect, contents

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAULTS = (
    (Action.FAIL_ONCE, errno.EIO),
    (Action.FAIL_ONCE, errno.ENOSPC),
    (Action.FAIL_ON, errno.EIO),
    (Action.FAIL_ON, errno.ENOSPC),
    (Action.SHORT, 0),
)


def attempt(ground: Ground, scenario: Scenario, at: int, action: Action, error: int) -> tuple[bool, str | None]:
    """Whether the fault happened, and what is wrong with what came of it."""
    ground.fresh(scenario.base)

    def call(report: Callable[[object], None]) -> None:
        ground.shim.plan(at, action, error)
        ground.shim.start(ground.work.parent)
        report(_outcome(ground, scenario, error))
        report(ground.shim.fired)

    reported, status = in_child(call)
    if status != 0:
        return True, f"ended with status {status}: {reported}"
    outcome, fired = reported
    found = ground.look()
    allowed = [scenario.after] if outcome == "returned" else [scenario.before or {}, scenario.after]
    wrong = None if found in allowed else f"{outcome}, found {found}, allowed {allowed}"
    return fired > 0, wrong


def _outcome(ground: Ground, scenario: Scenario, error: int) -> str:
    """Perform the operation; `returned`, or the name of the error of vdb's that it raised."""
    try:
        db = connect(ground.work)
    except vdb.VdbError as raised:
        return type(raised).__name__
    outcome = "returned"
    try:
        if scenario.name in OPERATIONS:
            OPERATIONS[scenario.name](db)
    except vdb.VdbError as raised:
        outcome = type(raised).__name__
        if error == errno.ENOSPC and not db.store.closed:
            assert contents(db) in (scenario.before, scenario.after), f"after {outcome} reads are wrong"
    try:
        db.close()
    except vdb.VdbError as raised:
        outcome = type(raised).__name__
    return outcome


def read_only(ground: Ground, scenario: Scenario) -> str | None:
    """What is wrong with opening a database on a medium that takes no writes; it is to change no file at all."""
    ground.fresh(scenario.base)

    def call(report: Callable[[object], None]) -> None:
        ground.shim.plan(1, Action.FAIL_ON, errno.EROFS)
        ground.shim.start(ground.work.parent)
        with connect(ground.work, read_only=True) as db:
            report(contents(db))
        report(ground.shim.count)

    reported, status = in_child(call)
    right = status == 0 and reported == [scenario.before, 0]
    return None if right else f"{scenario.name}, read-only before it: {reported}, expected {scenario.before}"


def main(folder: Path, count: int, seed: int, seconds: float) -> dict[str, Any]:
    """Try every fault at every call, in an order the seed chooses, but not more than `count` or for longer."""
    ground = Ground(folder)
    scenarios = ground.scenarios()
    points = [
        (scenario, at, *fault) for scenario in scenarios for at in range(1, len(scenario.calls) + 1) for fault in FAULTS
    ]
    random.Random(seed).shuffle(points)
    end, tried, happened = time.monotonic() + seconds, 0, 0
    opened = [scenario for scenario in scenarios if scenario.base is not None]
    failures = [wrong for scenario in opened if (wrong := read_only(ground, scenario)) is not None]
    for scenario, at, action, error in points[:count]:
        if time.monotonic() > end:
            break
        fired, wrong = attempt(ground, scenario, at, action, error)
        tried, happened = tried + 1, happened + fired
        if wrong is not None:
            kind = f"{action.name} {errno.errorcode.get(error, '')}"
            failures.append(f"{scenario.name}, call {at} ({scenario.calls[at - 1].name}), {kind}: {wrong}")
    return {
        "tried": tried,
        "faults": happened,
        "opened read-only": len(opened),
        "points": len(points),
        "failures": failures,
    }
