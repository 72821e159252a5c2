"""What memory a process may have, by the machine and by its control groups."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from vdb.storage import available

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(available, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(available, "_GROUP_ROOT", tmp_path / "fs")
    return tmp_path


def grouped(root: Path, lines: str, limits: dict[str, str]) -> None:
    (root / "cgroup").write_text(lines)
    for name, limit in limits.items():
        path = root / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(limit)


def test_without_control_groups_it_is_the_memory_of_the_machine(root: Path) -> None:
    assert available.machine_bytes() == MACHINE
    grouped(root, "0::/\n", {"memory.max": "max\n"})
    assert available.machine_bytes() == MACHINE


def test_the_least_limit_of_a_group_and_of_those_it_is_in_holds(root: Path) -> None:
    grouped(root, "0::/a/b\n", {"a/memory.max": "3000000\n", "a/b/memory.max": "max\n"})
    assert available.machine_bytes() == 3_000_000
    grouped(root, "0::/a/b\n", {"a/b/memory.max": "2000000\n"})
    assert available.machine_bytes() == 2_000_000


def test_groups_of_the_first_version_are_found_below_their_controller(root: Path) -> None:
    lines = "9:name=systemd:/s\n4:cpu,memory:/in\n0::/\n"
    grouped(root, lines, {"memory/in/memory.limit_in_bytes": "1000000\n", "memory/memory.limit_in_bytes": "9" * 19})
    assert available.machine_bytes() == 1_000_000


def test_a_group_that_cannot_be_seen_from_here_has_no_limit(root: Path) -> None:
    grouped(root, "0::/../elsewhere\n", {})
    assert available.machine_bytes() == MACHINE
