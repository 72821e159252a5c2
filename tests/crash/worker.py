"""A forked child that does what it is asked, one thing after the other, until it ends or is killed."""

from __future__ import annotations

import json
import os
import traceback
from typing import TYPE_CHECKING, Any

from shim import Action, Shim, send, was_killed

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Worker:
    """The child. `make` makes, there, the object whose methods it runs.

    The shim watches `folder`, where there is one, and acts at the call `at` of what `make` does where that is not 0.
    """

    def __init__(self, make: Callable[[], Any], folder: Path | None = None, at: int = 0) -> None:
        asked, self._ask = os.pipe()
        answers, answer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._ask)
            os.close(answers)
            _serve(make, folder, at, asked, answer)
        os.close(asked)
        os.close(answer)
        self._answers = os.fdopen(answers)

    def ask(self, name: str, *given: Any) -> Any:
        """What the method returned, its error as `Refused`, or `Killed`. The first one asked for is "ready"."""
        send(self._ask, [name, *given])
        line = self._answers.readline()
        if not line:
            status = self._reap()
            assert was_killed(status), f"{name} ended the process with status {status}"
            raise Killed
        outcome, value = json.loads(line)
        assert outcome != "failed", value
        if outcome == "refused":
            raise Refused(value)
        return value

    def kill(self) -> None:
        """End it, wherever it is; nothing where it has ended."""
        if not self._answers.closed:
            os.kill(self._child, 9)
            self._reap()

    def _reap(self) -> int:
        os.close(self._ask)
        self._answers.close()
        return os.waitpid(self._child, 0)[1]


class Standby:
    """A worker that is there from the first question on; where one fails, the next is asked of another."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._worker: Worker | None = None

    def ask(self, name: str, *given: Any) -> Any:
        """As `Worker.ask`."""
        if self._worker is None:
            self._worker = Worker(self._make)
            self._worker.ask("ready")
        try:
            return self._worker.ask(name, *given)
        except BaseException:
            self._worker.kill()
            self._worker = None
            raise


class Killed(Exception):
    """The child was killed before it answered."""


class Refused(Exception):
    """The child's call raised an error of vdb's; its name is the argument."""


def _serve(make: Callable[[], Any], folder: Path | None, at: int, asked: int, answer: int) -> None:
    try:
        shim = Shim()
        shim.plan(at or -1, Action.KILL_MIDDLE)
        if folder is not None:
            shim.start(folder)
        served: Any = None
        with os.fdopen(asked) as lines:
            for line in lines:
                name, *given = json.loads(line)
                if name == "ready":
                    served = make()
                    value = None
                elif name == "arm":
                    value = shim.plan(shim.count + given[0], Action(given[1]))
                else:
                    try:
                        value = getattr(served, name)(*given)
                    except vdb.VdbError as error:
                        send(answer, ["refused", type(error).__name__])
                        continue
                send(answer, ["returned", value])
    except BaseException:
        send(answer, ["failed", traceback.format_exc()])
    finally:
        os._exit(0)
