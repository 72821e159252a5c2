"""After a kill at any step every returned operation is there, the one under way wholly or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMORY = Path("/dev/shm")  # a kill loses nothing the system was given, so where the files are does not matter


@pytest.mark.crash
@pytest.mark.parametrize(("scenario", "least"), [("create", 25), ("commit", 50), ("recover", 5)])
def test_a_kill_at_any_step_loses_nothing_that_returned(scenario: str, least: int, tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else tmp_path))
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(Path(__file__).with_name("driver.py")), scenario]
    try:
        done = subprocess.run([*command, str(folder)], capture_output=True, text=True, env=environment, check=False)
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["failures"] == []
    assert result["points"] >= least
