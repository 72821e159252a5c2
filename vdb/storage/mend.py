"""Mending a catalog that DuckDB refuses after a loss of power, where certainly nothing committed is lost by it.

Two things the disk may legally hold then make DuckDB refuse: a log whose last, unflushed entries arrived out of order
(durability.md F6), and a checkpoint cut short while it wrote over a block or a header (`undo`). Those entries belong to
a commit that never returned, and UNDO has what the checkpoint wrote over. What is to be changed is first tried on a
copy, must reach every commit that a witness proves, and the bytes it replaces are kept in `quarantine/`.
"""

from __future__ import annotations

import re
import uuid
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vdb.errors import Corrupted
from vdb.storage import catalog, files, undo
from vdb.storage.connection import Engine
from vdb.storage.files import File
from vdb.storage.home import Witness
from vdb.storage.manifest import Current
from vdb.storage.vector_file import read_witnesses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vdb.storage.layout import Layout
    from vdb.storage.undo import Piece

_BAD_ENTRY: Final = re.compile(r"Corrupt WAL file: entry at byte position (\d+)")
_BAD_BLOCK: Final = re.compile(r"in block at location \d+")
_ATTEMPTS: Final = 8  # each cuts the log shorter


@dataclass(frozen=True)
class Cut:
    """Cut the log at a byte."""

    length: int

    def make(self, copy_of: Callable[[Path], Path], layout: Layout, saved: Path | None) -> str:
        """Do it to the file that `copy_of` gives, and say what was done; the original goes to `saved`."""
        path = copy_of(layout.log)
        with closing(File(path, "write")) as file:
            if saved is not None:
                _keep(saved, file.read_at(self.length, file.size - self.length))
            file.truncate(self.length)
            file.sync(metadata=True)
        return f"{layout.log}: entries from byte {self.length} on, which no commit had flushed, were cut off"


@dataclass(frozen=True)
class Restore:
    """Put back what an unfinished checkpoint wrote over."""

    pieces: list[Piece]

    def make(self, copy_of: Callable[[Path], Path], layout: Layout, saved: Path | None) -> str:
        """As `Cut.make`."""
        with closing(File(copy_of(layout.catalog), "write")) as file:
            if saved is not None:
                _keep(saved, b"".join(file.read_at(piece.offset, len(piece.data)) for piece in self.pieces))
            for piece in self.pieces:
                file.write_at(piece.offset, piece.data)
            file.sync(metadata=True)
        return f"{layout.catalog}: what an unfinished checkpoint wrote over was put back"


def open_catalog(
    layout: Layout, database: uuid.UUID, open_engine: Callable[[Path], Engine]
) -> tuple[Engine, tuple[str, ...]]:
    """Open the catalog and say how it was mended, if it was; Corrupted where it is damaged beyond that."""
    try:
        return open_engine(layout.catalog), ()
    except Corrupted as refusal:
        with rehearsed(layout, database, refusal) as tried:
            if tried is None or catalog.last_seq(tried[0].cursor()) < proven_seq(layout, database):
                raise
            steps = tried[1]
    said = []
    for step in steps:
        saved = layout.quarantine / f"{uuid.uuid4().hex}.bytes"
        said.append(f"{step.make(lambda path: path, layout, saved)}; the bytes are in {saved}")
    return open_engine(layout.catalog), tuple(said)


def proven_seq(layout: Layout, database: uuid.UUID) -> int:
    """The newest commit that WITNESS, CURRENT or a vector file proves; 0 where none does."""
    found = [0]
    with suppress(Corrupted):  # what is published is derived
        current = Current.read(layout)
        found.append(0 if current is None else current.seq)
    if layout.witness.exists():
        with closing(Witness(layout.witness, database, read_only=True)) as witness:
            found.append(witness.seq)
    for path in sorted(layout.vectors.glob("*.vec")):
        with closing(File(path, "read")) as file:
            found += [record.last_seq for record in read_witnesses(file) if record is not None]
    return max(found)


def _planned(layout: Layout, database: uuid.UUID, refusal: Corrupted) -> Cut | Restore | None:
    """What may make DuckDB accept the catalog it refused with that reason."""
    reason = str(refusal.found)
    entry = _BAD_ENTRY.search(reason)
    if entry is not None:
        return Cut(int(entry[1]))
    pieces = undo.load(layout.undo, database) if _BAD_BLOCK.search(reason) else []
    fits = all(piece.offset + len(piece.data) <= files.length(layout.catalog) for piece in pieces)
    return Restore(pieces) if pieces and fits else None


@contextmanager
def rehearsed(
    layout: Layout, database: uuid.UUID, refusal: Corrupted
) -> Iterator[tuple[Engine, list[Cut | Restore]] | None]:
    """A copy of the catalog, opened, and the steps that made DuckDB accept it; None where none do."""
    folder = layout.build / uuid.uuid4().hex
    files.make_missing((layout.build, folder))
    with ExitStack() as held:
        held.callback(files.remove_tree, folder)
        for path in (layout.catalog, layout.log):
            if path.exists():
                files.copy(path, folder / path.name)
        found = _tried(layout, database, refusal, folder)
        if found is not None:
            held.callback(found[0].close)
        yield found


def _tried(
    layout: Layout, database: uuid.UUID, refusal: Corrupted, folder: Path
) -> tuple[Engine, list[Cut | Restore]] | None:
    steps: list[Cut | Restore] = []
    while len(steps) < _ATTEMPTS and (step := _planned(layout, database, refusal)) is not None:
        if step in steps:
            return None
        steps.append(step)
        step.make(lambda path: folder / path.name, layout, None)
        try:
            return Engine.open(folder / layout.catalog.name), steps
        except Corrupted as further:
            refusal = further
    return None


def _keep(path: Path, data: bytes) -> None:
    files.write_file(path, data)
    files.sync_directory(path.parent)
