"""How much memory there is for this process, of the machine and of the control groups that Linux counts it in."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_GROUPS: Final = Path("/proc/self/cgroup")
_GROUP_ROOT: Final = Path("/sys/fs/cgroup")


def machine_bytes() -> int:
    """Memory that there is for this process: the machine's, or as much as its control groups let it have."""
    limits = (limit for group in control_groups() for limit in group.limits())
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits])


class ControlGroup(NamedTuple):
    """A group of processes of Linux whose memory is counted together, and the file that has its limit."""

    root: Path
    path: str  # below it
    limit: str

    @property
    def folder(self) -> Path:
        """Where its files are, as far as they are to be seen from here."""
        return self.root / self.path.lstrip("/")

    def limits(self) -> Iterator[int]:
        """Bytes that it may have, and those it is in, where they are limited."""
        for folder in (self.folder, *self.folder.parents):
            if folder.is_relative_to(self.root):
                with suppress(OSError, ValueError):  # "max"
                    yield int((folder / self.limit).read_text(encoding="ascii"))


def control_groups() -> list[ControlGroup]:
    """The groups of this process that have to do with memory, of both versions; none on other systems."""
    groups = []
    with suppress(OSError):
        for line in _GROUPS.read_text(encoding="ascii").splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                groups.append(ControlGroup(_GROUP_ROOT / "memory", path, "memory.limit_in_bytes"))
            elif not controllers:
                groups.append(ControlGroup(_GROUP_ROOT, path, "memory.max"))
    return groups
