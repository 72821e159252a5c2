"""Where a database lives, on disk or in memory: what a commit needs of it besides the catalog.

Commits, sessions and recovery speak to a `Home`; that a ":memory:" database has no files, lock or flushes is known
only here.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from vdb.storage import files, undo
from vdb.storage.files import File
from vdb.storage.layout import RESERVE_BYTES, WITNESS_SLOT_BYTES, WITNESS_SLOTS, Layout, WitnessRecord
from vdb.storage.vector_file import VectorFile
from vdb.storage.vectors import MemoryVectors, Vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from vdb.storage.lock import DirectoryLock
    from vdb.storage.manifest import Manifest
    from vdb.storage.vector_header import Identity
    from vdb.types import Durability

_LOW_BYTES: Final = 2 * RESERVE_BYTES  # below it a delete may need the reserve
_AMPLE_BYTES: Final = 8 * RESERVE_BYTES  # above it the reserve is made again


class Home(ABC):
    """The place of an open database."""

    path: Path | None
    uuid: uuid.UUID
    read_only: bool

    @abstractmethod
    def new_vectors(self, identity: Identity) -> Vectors:
        """Make the empty store of one vector column."""

    @abstractmethod
    def remove_vectors(self, vectors: Vectors) -> None:
        """Delete the vectors of a column that nothing names any more; existing views stay valid."""

    @abstractmethod
    def sync_vectors_directory(self) -> None:
        """Make the names of new vector files durable."""

    @abstractmethod
    def record(self, seq: int) -> None:
        """Finish a commit: make the catalog's file names durable, then let WITNESS tell of `seq`."""

    @abstractmethod
    def flush_witness(self, seq: int, clean: bool) -> None:
        """Write and flush WITNESS, at a checkpoint or when the database is closed."""

    @abstractmethod
    def leave_clean(self, seq: int) -> None:
        """Let WITNESS tell that the database was closed after commit `seq`, if it does not."""

    @abstractmethod
    def save_index(self, write: Callable[[Path], object]) -> str | None:
        """Let `write` make an index snapshot; returns its uuid once it is durable, None where nothing is kept."""

    @abstractmethod
    def index_path(self, file: str) -> Path | None:
        """The index snapshot of that uuid, None where there is none."""

    @abstractmethod
    def remove_index(self, file: str) -> None:
        """Delete an index snapshot that nothing names any more."""

    @abstractmethod
    def make_room(self) -> None:
        """On a full disk give up the reserve, so that deleting works."""

    @abstractmethod
    def restore_reserve(self) -> None:
        """Set the reserve aside again where there is room."""

    @abstractmethod
    def save_undo(self, blocks: Iterable[tuple[int, int]]) -> None:
        """Before a checkpoint: keep what it may write over, `blocks` (number, bytes) among it."""

    @abstractmethod
    def remove_undo(self) -> None:
        """After a checkpoint: that is of no more use."""

    @abstractmethod
    def log_bytes(self) -> int:
        """Length of DuckDB's log."""

    @abstractmethod
    def free_bytes(self) -> int:
        """Room left on the disk."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the files and the lock."""

    @abstractmethod
    def close_in_child(self) -> None:
        """In a forked child: close the inherited descriptors, which leaves the parent's lock alone."""


class MemoryHome(Home):
    """A database that ends with its handle."""

    def __init__(self) -> None:
        self.path = None
        self.uuid = uuid.uuid4()
        self.read_only = False

    def new_vectors(self, identity: Identity) -> Vectors:
        """Make the empty buffer of one vector column."""
        return MemoryVectors(identity)

    def remove_vectors(self, vectors: Vectors) -> None:
        """Leave the memory to existing views."""
        vectors.close(truncate=False)

    def sync_vectors_directory(self) -> None:
        """Nothing is durable."""

    def record(self, seq: int) -> None:
        """Nothing is durable."""

    def flush_witness(self, seq: int, clean: bool) -> None:
        """Nothing is durable."""

    def leave_clean(self, seq: int) -> None:
        """Nothing is durable."""

    def save_index(self, write: Callable[[Path], object]) -> str | None:  # noqa: ARG002
        """Keep nothing."""
        return None

    def index_path(self, file: str) -> Path | None:  # noqa: ARG002
        """Nothing was kept."""
        return None

    def remove_index(self, file: str) -> None:
        """Nothing was kept."""

    def make_room(self) -> None:
        """There is no disk."""

    def restore_reserve(self) -> None:
        """There is no disk."""

    def save_undo(self, blocks: Iterable[tuple[int, int]]) -> None:
        """There is no disk."""

    def remove_undo(self) -> None:
        """There is no disk."""

    def log_bytes(self) -> int:
        """Memory has no log."""
        return 0

    def free_bytes(self) -> int:
        """There is no disk."""
        return 0

    def close(self) -> None:
        """Memory goes with the handle."""

    def close_in_child(self) -> None:
        """Nothing is open."""


class DiskHome(Home):
    """A database directory under its lock."""

    def __init__(
        self, layout: Layout, database: uuid.UUID, lock: DirectoryLock, read_only: bool, durability: Durability
    ) -> None:
        self.layout = layout
        self.path = layout.root
        self.uuid = database
        self.read_only = read_only
        self.flushes = durability != "off"
        self._flushes_names = durability == "full"
        self.published: dict[str, Manifest] = {}  # by the name of the snapshot
        self._lock = lock
        self._witness = Witness(layout.witness, database, read_only)
        self.catalog_path = layout.catalog
        self._catalog: File | None = None  # closed after DuckDB has closed it: closing one drops DuckDB's own lock

    @property
    def witnessed_seq(self) -> int:
        """The newest commit WITNESS proves; 0 where it proves none."""
        return self._witness.seq

    @property
    def was_clean(self) -> bool:
        """Whether WITNESS says that the database was closed after its newest commit."""
        return self._witness.clean

    def catalog_file(self) -> File:
        """The catalog for reading, while DuckDB does not write; only `close` may close it."""
        if self._catalog is None:
            self._catalog = File(self.catalog_path, "read")
        return self._catalog

    def new_vectors(self, identity: Identity) -> Vectors:
        """Make the file of one vector column."""
        made = VectorFile.create(self.layout.vector_file(identity.file), identity)
        made.flushes = self.flushes
        return made

    def remove_vectors(self, vectors: Vectors) -> None:
        """Delete the file."""
        vectors.close(truncate=False)
        self._remove(self.layout.vector_file(vectors.identity.file))

    def sync_vectors_directory(self) -> None:
        """Flush `vectors/`."""
        if self.flushes:
            files.sync_directory(self.layout.vectors)

    def record(self, seq: int) -> None:
        """Flush the directory, then write WITNESS, which is flushed at the next checkpoint."""
        if self._flushes_names:
            files.sync_directory(self.layout.root)
        self._witness.write(seq, clean=False)

    def flush_witness(self, seq: int, clean: bool) -> None:
        """Flush the directory, write WITNESS and flush it."""
        if self.flushes:
            files.sync_directory(self.layout.root)
        self._witness.write(seq, clean)
        if self.flushes:
            self._witness.sync()

    def leave_clean(self, seq: int) -> None:
        """Write and flush WITNESS unless it says so."""
        if not self._witness.clean or self._witness.seq != seq:
            self.flush_witness(seq, clean=True)

    def save_index(self, write: Callable[[Path], object]) -> str | None:
        """Write under a temporary name, flush, rename, flush `index/`."""
        name = uuid.uuid4().hex
        final = self.layout.index_file(name)
        temporary = final.with_suffix(".tmp")
        try:
            write(temporary)
            if self.flushes:
                files.sync_path(temporary)
            files.rename(temporary, final)
            if self.flushes:
                files.sync_directory(self.layout.index)
        except BaseException:
            with suppress(OSError):
                files.remove(temporary)
            raise
        return name

    def index_path(self, file: str) -> Path | None:
        """Look in `index/`."""
        path = self.layout.index_file(file)
        return path if path.exists() else None

    def remove_index(self, file: str) -> None:
        """Delete the file."""
        self._remove(self.layout.index_file(file))

    def _remove(self, path: Path) -> None:
        if not any(path.name in manifest.names for manifest in tuple(self.published.values())):
            with suppress(OSError):  # the next open sweeps what stays
                files.remove(path)

    def make_room(self) -> None:
        """Delete RESERVE where little room is left."""
        if self.layout.reserve.exists() and files.free_bytes(self.layout.root) < _LOW_BYTES:
            files.remove(self.layout.reserve)

    def restore_reserve(self) -> None:
        """Write RESERVE where it is missing and there is room."""
        if not self.layout.reserve.exists() and files.free_bytes(self.layout.root) > _AMPLE_BYTES:
            with suppress(OSError):
                write_reserve(self.layout)

    def save_undo(self, blocks: Iterable[tuple[int, int]]) -> None:
        """Write UNDO and flush it."""
        if self.flushes:
            undo.save(self.layout, self.uuid, self.catalog_file(), blocks)

    def remove_undo(self) -> None:
        """Delete UNDO."""
        with suppress(OSError):  # the next checkpoint or open does
            files.remove(self.layout.undo)

    def log_bytes(self) -> int:
        """Ask the system: a file of DuckDB's is never opened here."""
        return files.length(self.layout.log)

    def free_bytes(self) -> int:
        """Ask the file system."""
        return files.free_bytes(self.layout.root)

    def close(self) -> None:
        """Close the files, release the lock."""
        self._close_files()
        self._lock.release()

    def close_in_child(self) -> None:
        """Close them, without releasing the lock."""
        self._close_files()
        self._lock.close_in_child()

    def _close_files(self) -> None:
        if self._catalog is not None:
            self._catalog.close()
        self._witness.close()


class Witness:
    """The file WITNESS: two slots written alternately, so that a torn write leaves the other one."""

    def __init__(self, path: Path, database: uuid.UUID, read_only: bool) -> None:
        self._database = database
        self._file = File(path, "read" if read_only else "write")
        slots = [self._file.read_at(slot * WITNESS_SLOT_BYTES, WITNESS_SLOT_BYTES) for slot in range(WITNESS_SLOTS)]
        found = [WitnessRecord.decode(slot) for slot in slots]
        known = [
            (-1, False) if record is None or record.database != database else (record.seq, record.clean)
            for record in found
        ]
        self.seq, self.clean = max((0, False), *known)
        self._newest = known.index(max(known))

    def write(self, seq: int, clean: bool) -> None:
        """Write over the older slot."""
        slot = (self._newest + 1) % WITNESS_SLOTS
        self._file.write_at(slot * WITNESS_SLOT_BYTES, WitnessRecord(self._database, seq, clean).encode())
        self._newest, self.seq, self.clean = slot, seq, clean

    def sync(self) -> None:
        """Flush it."""
        self._file.sync()

    def close(self) -> None:
        """Close it."""
        self._file.close()


def write_witness(layout: Layout, database: uuid.UUID, seq: int) -> None:
    """Make the WITNESS of a database that was closed after commit `seq`."""
    record = WitnessRecord(database, seq, clean=True).encode()
    files.write_file(layout.witness, record.ljust(WITNESS_SLOT_BYTES * WITNESS_SLOTS, b"\0"))


def write_reserve(layout: Layout) -> None:
    """Make RESERVE: real blocks, given up when a delete finds the disk full."""
    files.write_file(layout.reserve, bytes(RESERVE_BYTES))
