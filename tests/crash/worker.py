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

    The shim watches `folder`, and acts at the call `at` of what `make` does where that is not 0.
    """

    def __init__(self, make: Callable[[], Any], folder: Path, at: int = 0) -> None:
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
            self._let_go()
            status = os.waitpid(self._child, 0)[1]
            assert was_killed(status), f"{name} ended the process with status {status}"
            raise Killed
        outcome, value = json.loads(line)
        assert outcome != "failed", value
        if outcome == "refused":
            raise Refused(value)
        return value

    def kill(self) -> None:
        """End it, wherever it is."""
        os.kill(self._child, 9)
        self._let_go()
        os.waitpid(self._child, 0)

    def _let_go(self) -> None:
        os.close(self._ask)
        self._answers.close()


class Killed(Exception):
    """The child was killed before it answered."""


class Refused(Exception):
    """The child's call raised an error of vdb's; its name is the argument."""


def _serve(make: Callable[[], Any], folder: Path, at: int, asked: int, answer: int) -> None:
    try:
        shim = Shim()
        shim.plan(at or -1, Action.KILL_MIDDLE)
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
