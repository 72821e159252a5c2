"""The bench of an inverted file over more vectors than memory, small: what a process may have is never exceeded."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.datasets import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ROWS, LIMIT_MB = 120_000, 320

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc and takes pages back by madvise")


@pytest.mark.slow
def test_index_is_built_and_searched_by_processes_that_are_held_to_a_limit(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "bench" / "ivf_memory.py"), "--data", "noise", "--nlist", "64"]
    command += ["--rows", str(ROWS), "--limit-mb", str(LIMIT_MB), "--folder", str(tmp_path / "d")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["build"]["lists"] >= 64
    assert found["search"]["recall"] >= 0.9
    for step in ("build", "search"):
        held = found[step]
        assert held["anonymous_at_most_mb"] < LIMIT_MB, step
        if held["held_by"] == "cgroup":
            assert held["at_most_mb"] <= LIMIT_MB, step
        else:  # pages come back within a moment
            assert held["drops"] > 0 or held["at_most_mb"] < LIMIT_MB, step
