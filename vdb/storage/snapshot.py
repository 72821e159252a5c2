"""Opening a published snapshot, beside a writer or without one (durability.md 5.3, 5.5)."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

import duckdb

from vdb.errors import Corrupted, InvalidState, Locked, NotFound
from vdb.storage import catalog
from vdb.storage.connection import Engine
from vdb.storage.files import File
from vdb.storage.handle import Handle
from vdb.storage.home import DiskHome, Witness
from vdb.storage.lock import DirectoryLock, HeldHere
from vdb.storage.manifest import Current, Manifest, crc_of
from vdb.storage.memory import Account
from vdb.storage.recovery import load_table, read_format
from vdb.storage.state import DatabaseState
from vdb.storage.stored import load_tables, load_views

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from vdb.storage.layout import Layout
    from vdb.storage.recovery import Options
    from vdb.storage.vector_file import VectorFile

_ATTEMPTS: Final = 10  # each fails only if a snapshot is replaced and collected between two calls


class SnapshotHome(DiskHome):
    """A published snapshot of a database directory, held by a shared lock on its PIN."""

    def __init__(
        self, layout: Layout, database: uuid.UUID, catalog: Path, pin: DirectoryLock, options: Options
    ) -> None:
        self.options = options
        self.layout = layout
        self.path = layout.root
        self.uuid = database
        self.read_only = True
        self.flushes = False
        self._lock = pin
        self.catalog_path = catalog
        self._catalog = None

    def log_bytes(self) -> int:
        """The log beside the live catalog is not this one's."""
        return 0

    def _close_files(self) -> None:  # it has no WITNESS
        if self._catalog is not None:
            self._catalog.close()


def open_current(layout: Layout, options: Options) -> Handle | None:
    """Open the newest published snapshot, None where there is none; Corrupted where a file does not fit it.

    FormatVersionError where it is of a format that this vdb does not read.
    """
    for _ in range(_ATTEMPTS):
        current = Current.read(layout)
        if current is None:
            return None
        folder = layout.snapshots / current.name
        pin = _pinned(folder)
        if pin is not None:
            try:
                return _open(layout, folder, pin, options)
            except BaseException:
                pin.release()
                raise
    raise InvalidState(f"Snapshots of {layout.root} follow one another faster than one can be opened. Fix: try again.")


def open_settled(layout: Layout, options: Options) -> Handle | None:
    """Open the newest snapshot where no commit came after it and the database was closed; None where it is not so."""
    with suppress(Corrupted):  # then the database itself is opened
        current = Current.read(layout)
        if current is not None:
            manifest = Manifest.read(layout.snapshots / current.name / "MANIFEST")
            with closing(Witness(layout.witness, manifest.database, read_only=True)) as witness:
                settled = witness.clean and witness.seq == current.seq
            return open_current(layout, options) if settled else None
    return None


def in_place_of(handle: Handle, layout: Layout, options: Options) -> Handle:
    """The newest snapshot for a reader of the database itself that sees no more: a writer may begin beside it."""
    try:
        with suppress(Corrupted):
            current = Current.read(layout)
            found = open_current(layout, options) if current is not None and current.seq == handle.state.seq else None
            if found is not None:
                handle.close()
                return found
    except BaseException:
        handle.close()
        raise
    return handle


def open_newer(layout: Layout, options: Options, seq: int) -> Handle | None:
    """Open the newest snapshot where it is of a later commit than `seq`."""
    current = Current.read(layout)
    return None if current is None or current.seq <= seq else open_current(layout, options)


def _pinned(folder: Path) -> DirectoryLock | None:
    """A shared lock on the snapshot's PIN; None where the snapshot is being collected, or was."""
    path = folder / "PIN"
    try:
        pin = DirectoryLock.acquire(path, shared=True)
    except HeldHere:
        raise
    except (NotFound, Locked):
        return None
    if pin.is_of(path):
        return pin
    pin.release()
    return None


def _open(layout: Layout, folder: Path, pin: DirectoryLock, options: Options) -> Handle:
    manifest, path = checked_catalog(layout, folder, read_format(layout, read_only=True).database)
    home = SnapshotHome(layout, manifest.database, path, pin, options)
    engine = Engine.open(path, True, options.duckdb_memory, options.threads)
    opened: list[VectorFile] = []
    try:
        cursor = engine.cursor()
        seq = catalog.last_seq(cursor)
        if seq != manifest.seq:
            raise _unfit(path, f"it holds commit {seq}, not {manifest.seq}")
        tables = {}
        for stored in load_tables(cursor):
            tables[stored.schema.name] = load_table(home, cursor, stored, opened)
        views = load_views(cursor)
    except BaseException as error:
        engine.close()
        for source in opened:
            source.close(truncate=False)
        if isinstance(error, (duckdb.Error, ValueError)):
            raise _unfit(path, str(error)) from error
        raise
    return Handle(home, engine, DatabaseState(seq, tables, views), seq, Account(options.memory_limit))


def checked_catalog(layout: Layout, folder: Path, database: uuid.UUID) -> tuple[Manifest, Path]:
    """The manifest and the catalog of a snapshot; Corrupted where they do not fit, or are another database's."""
    manifest, path = Manifest.read(folder / "MANIFEST"), folder / layout.catalog.name
    if manifest.database != database:
        raise _unfit(path, f"it is of database {manifest.database.hex}, not {database.hex}")
    if not path.exists():
        raise _unfit(path, "it is missing")
    with closing(File(path, "read")) as file:
        if file.size != manifest.catalog_bytes or crc_of(file) != manifest.catalog_crc:
            raise _unfit(path, "it is not what was published")
    return manifest, path


def _unfit(path: Path, what: str) -> Corrupted:
    return Corrupted(
        f"The snapshot {path} does not fit its manifest: {what}. Fix: publish again with the writer.",
        path=path,
        section="snapshot",
        found=what,
    )
