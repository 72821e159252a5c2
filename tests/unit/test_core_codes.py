"""Codes of the core beside other threads."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from vdb import _core

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

HELD_SECONDS = 2.0  # how long a call that keeps the interpreter lock would stop the others
STEP_SECONDS = 0.01


class Axes(NamedTuple):
    basis: npt.NDArray[np.float32]
    lossless: bool


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that makes its reader wait")
def test_other_threads_run_while_a_file_of_codes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "codes"
    os.mkfifo(path)
    outcome: list[BaseException] = []

    def load() -> None:
        try:
            _core.Codes.load(str(path), lambda sample: Axes(sample, lossless=False))
        except BaseException as error:
            outcome.append(error)

    reader = threading.Thread(target=load)
    command = ["sh", "-c", f'sleep {HELD_SECONDS}; printf nothing > "$1"', "sh", str(path)]
    with subprocess.Popen(command):
        began = time.monotonic()
        reader.start()
        time.sleep(STEP_SECONDS)
        ran_again = time.monotonic() - began
        reader.join()
    assert ran_again < HELD_SECONDS / 2
    assert [isinstance(error, OSError) for error in outcome] == [True]  # it is no file of codes


def test_other_threads_run_while_codes_estimate() -> None:
    rows = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)
    codes = _core.Codes(64, "l2")
    codes.extend(_core.VectorView(rows, "l2"))
    span: list[float] = []

    def estimate() -> None:
        span.append(time.monotonic())
        codes.estimate(rows[:600])
        span.append(time.monotonic())

    worker = threading.Thread(target=estimate)
    worker.start()
    seen = []
    while len(span) < 2:
        seen.append(time.monotonic())
        time.sleep(0)
    worker.join()
    begin, end = span
    middle = [moment for moment in seen if begin + (end - begin) / 4 < moment < end - (end - begin) / 4]
    assert middle
