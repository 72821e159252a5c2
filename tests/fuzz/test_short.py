"""Short forms of the fuzzers of Python code, by a fixed seed; that of the C++ loaders is index/hostile_test.cpp."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")


@pytest.mark.parametrize(("target", "count"), [("records", 4000), ("predicates", 1500)])
def test_what_is_forged_is_refused_or_harmless(target: str, count: int) -> None:
    command = [sys.executable, str(RUN), target, "--count", str(count), "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert result["failures"] == []
    assert result["executions"] == count
    assert result["kept"] > 20  # it finds new ways
    assert done.returncode == 0
