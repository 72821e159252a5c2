"""A disk that has been given writes and flushes: what may be on it when the power goes (run on a tape of shim.py).

What a flush covered is there. Of the rest each 4 KiB page of a file holds any of its versions, or is torn at a sector
between two of them; the length of a file is any it had; names follow one of two models. `JOURNAL`: directory changes
reach the disk in order, and the flush of anything takes all earlier ones along (ext4, XFS). `STRICT`: only the flush of
a directory makes its names durable, and any of the others may be missing, though those of one name stay in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, TypeAlias

from shim import Call, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

PAGE: Final = 4096
SECTOR: Final = 512


class Model(Enum):
    """How names reach the disk."""

    JOURNAL = "journal"
    STRICT = "strict"


@dataclass
class FileNode:
    """A file: what is on the disk for certain, what programs see, and the versions of pages in between."""

    flushed: bytearray = field(default_factory=bytearray)
    seen: bytearray = field(default_factory=bytearray)
    versions: dict[int, list[bytes]] = field(default_factory=dict)  # of each page written since the last flush
    lengths: list[int] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        """Overwrite or extend."""
        end = offset + len(data)
        if end > len(self.seen):
            self.resize(end)
        self.seen[offset:end] = data
        for page in range(offset // PAGE, -(-end // PAGE)):
            self._keep(page)

    def resize(self, size: int) -> None:
        """Cut, or extend with zeros."""
        if size < len(self.seen):
            del self.seen[size:]
            if size % PAGE:
                self._keep(size // PAGE)
            for page in range(-(-size // PAGE), -(-len(self.flushed) // PAGE)):
                self.versions.setdefault(page, []).append(b"")
        else:
            self.seen.extend(bytes(size - len(self.seen)))
        self.lengths.append(size)

    def flush(self) -> None:
        """Everything is on the disk."""
        self.flushed[:] = self.seen
        self.versions.clear()
        self.lengths.clear()

    def _keep(self, page: int) -> None:
        self.versions.setdefault(page, []).append(bytes(self.seen[page * PAGE : (page + 1) * PAGE]))

    def survivor(self, chance: Random, luck: float) -> bytes:
        """What the disk may hold: each page any of its versions, the newest with probability `luck`."""
        if not self.versions and not self.lengths:
            return bytes(self.flushed)
        length = chance.choice([len(self.flushed), *self.lengths]) if chance.random() > luck else len(self.seen)
        result = bytearray(max(length, len(self.flushed), len(self.seen)))
        result[: len(self.flushed)] = self.flushed
        for page, versions in self.versions.items():
            begin = page * PAGE
            older = bytes(result[begin : begin + PAGE])
            known = [older, *(version.ljust(len(older), b"\0")[: len(older)] for version in versions)]
            chosen = len(versions) if chance.random() < luck else chance.randrange(len(known))
            content = known[chosen]
            if chosen and chance.random() < 0.1:
                cut = SECTOR * chance.randrange(PAGE // SECTOR + 1)
                content = content[:cut] + known[chosen - 1][cut:]
            result[begin : begin + len(content)] = content
        return bytes(result[:length])


@dataclass
class Folder:
    """A directory: the names programs see and those on the disk for certain."""

    seen: dict[str, Node] = field(default_factory=dict)
    flushed: dict[str, Node] = field(default_factory=dict)


Node: TypeAlias = "FileNode | Folder"


@dataclass
class Change:
    """A change of names that is not on the disk for certain; None takes a name away."""

    names: list[tuple[Folder, str, Node | None]]


class Disk:
    """Everything below the folder `root`, which begins empty."""

    def __init__(self, root: Path, model: Model) -> None:
        self._root = PurePosixPath(root)
        self.model = model
        self._changes: list[Change] = []
        self._top = Folder()

    def follow(self, call: Call) -> None:
        """Do what a call of the tape did."""
        if call.kind == Kind.MARK or call.path.endswith(" (deleted)"):
            return
        if call.kind in (Kind.CREATE, Kind.MKDIR):
            self._rename([(*self._place(call.path), FileNode() if call.kind == Kind.CREATE else Folder())])
        elif call.kind in (Kind.UNLINK, Kind.RMDIR):
            self._rename([(*self._place(call.path), None)])
        elif call.kind == Kind.RENAME:
            folder, name = self._place(call.path)
            self._rename([(*self._place(call.other), folder.seen[name]), (folder, name, None)])
        elif call.kind == Kind.SYNC:
            self._flush(self._find(call.path))
        else:
            self._write(self._find(call.path), call)

    def survivor(self, into: Path, chance: Random) -> None:
        """Write what the disk may hold after a loss of power to the folder `into`, which is made."""
        top = self._names(chance)
        luck = chance.choice([0.0, 0.5, 0.5, 0.9, 1.0])  # nothing newer, a mixture, or all but some pages
        _write_out(top, self._top, into, lambda file: file.survivor(chance, luck))

    def _names(self, chance: Random) -> dict[int, dict[str, Node]]:
        """The entries of each folder, by its identity."""
        entries = {id(folder): dict(folder.flushed) for folder in _folders(self._top, self._changes)}
        keep = chance.choice([0.0, 0.5, 0.9, 1.0])
        tainted: set[tuple[int, str]] = set()
        count = chance.randrange(len(self._changes) + 1)
        for number, change in enumerate(self._changes):
            touched = {(id(folder), name) for folder, name, _ in change.names}
            kept = number < count if self.model == Model.JOURNAL else chance.random() <= keep
            if not kept or touched & tainted:
                tainted |= touched
                continue
            for folder, name, node in change.names:
                _set(entries[id(folder)], name, node)
        return entries

    def _place(self, path: str) -> tuple[Folder, str]:
        relative = PurePosixPath(path).relative_to(self._root)
        folder = self._top
        for part in relative.parts[:-1]:
            inner = folder.seen[part]
            assert isinstance(inner, Folder)
            folder = inner
        return folder, relative.name

    def _find(self, path: str) -> Node:
        if PurePosixPath(path) == self._root:
            return self._top
        folder, name = self._place(path)
        return folder.seen[name]

    def _rename(self, names: list[tuple[Folder, str, Node | None]]) -> None:
        for folder, name, node in names:
            _set(folder.seen, name, node)
        self._changes.append(Change(names))

    def _flush(self, node: Node) -> None:
        if isinstance(node, FileNode):
            node.flush()
        if self.model == Model.JOURNAL:
            self._settle(self._changes)
        elif isinstance(node, Folder):
            self._settle([c for c in self._changes if any(folder is node for folder, _, _ in c.names)])

    def _settle(self, changes: list[Change]) -> None:
        wanted = {id(change) for change in changes}
        names: set[tuple[int, str]] = set()
        settled: set[int] = set()
        for change in reversed(self._changes):  # what is on the disk brings along what was done to its names before
            touched = {(id(folder), name) for folder, name, _ in change.names}
            if id(change) in wanted or touched & names:
                settled.add(id(change))
                names |= touched
        for change in [change for change in self._changes if id(change) in settled]:
            for folder, name, node in change.names:
                _set(folder.flushed, name, node)
        self._changes = [change for change in self._changes if id(change) not in settled]

    def _write(self, node: Node, call: Call) -> None:
        assert isinstance(node, FileNode)
        if call.kind == Kind.WRITE:
            node.write(call.offset, call.data)
        elif call.kind == Kind.TRUNCATE or call.size > len(node.seen):
            node.resize(call.size)


def _set(entries: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


def _folders(top: Folder, changes: list[Change]) -> list[Folder]:
    """Every folder that a surviving name may lead to."""
    found: dict[int, Folder] = {}
    waiting = [top, *(node for change in changes for folder, _, node in change.names if isinstance(node, Folder))]
    waiting += [folder for change in changes for folder, _, _ in change.names]
    while waiting:
        folder = waiting.pop()
        if id(folder) not in found:
            found[id(folder)] = folder
            nodes = [*folder.seen.values(), *folder.flushed.values()]
            waiting += [node for node in nodes if isinstance(node, Folder)]
    return list(found.values())


def _write_out(
    entries: dict[int, dict[str, Node]], folder: Folder, into: Path, content: Callable[[FileNode], bytes]
) -> None:
    into.mkdir()
    for name, node in entries[id(folder)].items():
        if isinstance(node, Folder):
            _write_out(entries, node, into / name, content)
        else:
            (into / name).write_bytes(content(node))
