"""Short forms of the crash programme: some of every part, chosen by a fixed seed. README.md has the long ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")


@pytest.mark.crash
@pytest.mark.parametrize(
    ("part", "count"),
    [("kill", 24), ("power", 40), ("fault", 20), ("damage", 80), ("state", 4), ("readers", 12), ("soak", 12)],
)
def test_nothing_that_returned_is_lost(part: str, count: int) -> None:
    command = [sys.executable, str(RUN), part, "--count", str(count), "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert result["failures"] == []
    assert done.returncode == 0, done.stderr
    assert sum(value for value in result.values() if isinstance(value, int)) >= count
