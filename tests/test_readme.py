"""The README's examples run as printed, and the commands it names exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
TIME_LIMIT_S = 240


def blocks(*languages: str) -> list[str]:
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    return [body for language, body in BLOCK.findall(text) if language in languages]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_readme_shows_python_and_commands() -> None:
    assert blocks("python"), "README.md has no ```python example"
    assert blocks("bash", "sh", "console"), "README.md has no ```bash block with the commands"


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_example_of_the_readme_runs(number: int, tmp_path: Path) -> None:
    import vdb

    script = tmp_path / "example.py"
    script.write_text(blocks("python")[number], encoding="utf-8")
    package_parent = str(Path(vdb.__file__).resolve().parent.parent)
    paths = [package_parent, os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{script.read_text()}\n{done.stdout}\n{done.stderr}"


def test_make_commands_of_the_readme_are_targets() -> None:
    text = README.read_text(encoding="utf-8")
    named = {target for body in blocks("bash", "sh", "console") for target in re.findall(r"\bmake ([a-z][\w-]*)", body)}
    named |= set(re.findall(r"`make ([a-z][\w-]*)`", text))
    assert named, "README.md names no make command"
    assert named <= make_targets(), f"not in the Makefile: {sorted(named - make_targets())}"


def test_scripts_of_the_readme_exist() -> None:
    scripts = {path for body in blocks("bash", "sh", "console") for path in re.findall(r"python3? (\S+\.py)", body)}
    missing = [path for path in sorted(scripts) if not (ROOT / path).exists()]
    assert not missing, f"README.md runs scripts that do not exist: {missing}"
