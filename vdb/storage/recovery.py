"""Opening a database directory, after a clean close or a crash (durability.md 4.3).

First everything is checked and nothing touched: a catalog that is older than a witness says must not cost the vectors
that prove it. Then what an unfinished commit left behind is cut off or deleted. Each step can be repeated.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from vdb._core import RowSet
from vdb.errors import Corrupted, FormatVersionError
from vdb.storage import catalog, files, mend, rows
from vdb.storage.buffers import Growing
from vdb.storage.connection import Engine, wrapped
from vdb.storage.files import File
from vdb.storage.handle import Handle
from vdb.storage.home import DiskHome
from vdb.storage.layout import FORMAT_MINOR, Format, Layout
from vdb.storage.manifest import Current
from vdb.storage.memory import Account, duckdb_part
from vdb.storage.publish import load_published
from vdb.storage.report import RecoveryReport, metadata_lost
from vdb.storage.state import DatabaseState, Generation, TableState, VectorState
from vdb.storage.stored import load_files, load_tables, load_views
from vdb.storage.vector_file import VectorFile

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator
    from pathlib import Path

    from vdb.storage.lock import DirectoryLock
    from vdb.storage.stored import StoredTable
    from vdb.types import Durability

_NETWORK: Final = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How a database is opened."""

    read_only: bool = False
    memory_limit: int | None = None  # bytes
    threads: int | None = None
    durability: Durability = "full"

    @property
    def duckdb_memory(self) -> int | None:
        """DuckDB's part of the limit."""
        return None if self.memory_limit is None else duckdb_part(self.memory_limit)


def open_directory(layout: Layout, lock: DirectoryLock, options: Options) -> Handle:
    """Open the database whose lock is held; on an error everything but the lock is closed again."""
    format_ = read_format(layout, options.read_only)
    _warn_on_network(layout.root)
    home = DiskHome(layout, format_.database, lock, options.read_only, options.durability)
    engine: Engine | None = None
    opened: list[VectorFile] = []
    try:
        swept = 0 if options.read_only else _sweep_temporary(layout)
        if not layout.catalog.exists():
            raise _corrupted(layout.catalog, "it is missing")
        log_bytes = home.log_bytes()
        engine, mended = _open_catalog(layout, format_.database, options)
        handle = _load(home, engine, opened, Account(options.memory_limit))
        handle.recovery = replace(
            handle.recovery,
            was_clean=home.was_clean and log_bytes == 0,
            log_bytes=log_bytes,
            swept_files=handle.recovery.swept_files + swept,
            mended=mended,
        )
    except BaseException:
        if engine is not None:
            engine.close()
        for file in opened:
            file.close(truncate=False)
        home.close()
        raise
    return handle


def _open_catalog(layout: Layout, database: uuid.UUID, options: Options) -> tuple[Engine, tuple[str, ...]]:
    def open_engine(path: Path) -> Engine:
        return Engine.open(path, options.read_only, options.duckdb_memory, options.threads, options.durability)

    if options.read_only:
        return open_engine(layout.catalog), ()
    engine, mended = mend.open_catalog(layout, database, open_engine)
    if layout.undo.exists():  # of a checkpoint that was finished, or taken back
        files.remove(layout.undo)
    return engine, mended


def _load(home: DiskHome, engine: Engine, opened: list[VectorFile], memory: Account) -> Handle:
    cursor = engine.cursor()
    with reading_catalog(home.layout.catalog):
        seq = catalog.last_seq(cursor)
        tables = {}
        for stored in load_tables(cursor):
            tables[stored.schema.name] = load_table(home, cursor, stored, opened)
        views = load_views(cursor)
    proven, attempted = _check_witnesses(home, seq, opened)
    cut = swept = 0
    if not home.read_only:
        cut = sum(_cut_tail(home.layout, cursor, file) for file in opened)
        swept = _sweep_unnamed(home, tables) if load_published(home) else 0
    handle = Handle(home, engine, DatabaseState(seq, tables, views), attempted, memory)
    handle.recovery = RecoveryReport(seq=seq, proven_seq=max(seq, proven), cut_bytes=cut, swept_files=swept)
    return handle


@contextmanager
def reading_catalog(path: Path) -> Iterator[None]:
    """Corrupted where DuckDB cannot read what the body asks of the catalog, or that contradicts itself."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException) as error:
        raise wrapped(error, f"to read {path}") from error
    except (duckdb.Error, ValueError) as error:
        raise _corrupted(path, str(error)) from error


def load_table(
    home: DiskHome, cursor: duckdb.DuckDBPyConnection, stored: StoredTable, opened: list[VectorFile]
) -> TableState:
    """The state of a table of the catalog; files that were opened for it are added to `opened`, at an error too.

    ValueError where the catalog contradicts itself, Corrupted where a file does not fit it.
    """
    schema, n = stored.schema, stored.next_slot
    sources = {}
    for file in load_files(cursor, home.uuid, stored):  # before anything is made of n slots: n is what the files hold
        path = home.layout.vector_file(file.identity.file)
        if not path.exists():
            raise _corrupted(path, "it is missing")
        source = VectorFile.open(path, file.identity, file.extent, home.read_only)
        source.flushes = home.flushes
        opened.append(source)
        sources[file.column] = source
    loaded = load_rows(cursor, stored)
    row_ids: Growing[np.int64] = Growing(np.int64)
    ids = np.full(n, -1, np.int64)
    ids[loaded.slots] = loaded.row_ids
    row_ids.write(0, ids)
    vectors = {}
    for column in schema.vectors:
        source = sources[column.name]
        vectors[column.name] = VectorState(source, source.view(n), _present(loaded, column.name, n))
    return TableState(
        id=stored.id,
        schema=schema,
        next_slot=n,
        live=RowSet.from_slots(loaded.slots, n),
        row_ids=row_ids.view(n),
        next_row_id=stored.next_row_id,
        vectors=vectors,
        indexes={},
        row_id_buffer=row_ids,
        generation=Generation(stored.generation),
    ).with_indexes(stored.indexes)


def load_rows(cursor: duckdb.DuckDBPyConnection, stored: StoredTable) -> rows.LoadedRows:
    """What memory keeps of the rows of a table; ValueError where they contradict the catalog."""
    loaded = rows.load(cursor, stored.schema)
    _check_rows(cursor, stored, loaded)
    return loaded


def _check_rows(cursor: duckdb.DuckDBPyConnection, stored: StoredTable, loaded: rows.LoadedRows) -> None:
    name, n = stored.schema.name, len(loaded.slots)
    if n != stored.live_rows:
        raise ValueError(f"table {name} has {n} rows, {stored.live_rows} were committed")
    if n and int(loaded.slots.max()) >= stored.next_slot:
        raise ValueError(f"table {name} has slot {loaded.slots.max()}, {stored.next_slot} were given out")
    if _has_duplicate(loaded.slots):
        raise ValueError(f"table {name} has two rows in one slot")
    if _has_duplicate(loaded.row_ids):
        raise ValueError(f"table {name} has two rows of one row id")
    if stored.schema.key is not None and stored.schema.integer_key is None:
        distinct = rows.count_distinct_keys(cursor, stored.schema)
        if distinct != n:
            raise ValueError(f"table {name} has {distinct} different keys in {n} rows")


def _has_duplicate(values: npt.NDArray[np.integer[Any]]) -> bool:
    if bool((values[1:] > values[:-1]).all()):  # the common order, in a tenth of the time of the sort
        return False
    ordered = np.sort(values)
    return bool((ordered[1:] == ordered[:-1]).any())


def _present(loaded: rows.LoadedRows, column: str, n: int) -> RowSet | None:
    marks = loaded.present.get(column)
    if marks is None or bool(marks.all()):
        return None
    missing = RowSet.from_slots(loaded.slots[~marks], n)
    return RowSet.all(n) - missing


def _check_witnesses(home: DiskHome, seq: int, opened: list[VectorFile]) -> tuple[int, int]:
    """The last proven commit and the last attempted one; MetadataLost where the catalog lacks the former."""
    proven, attempted, by = home.witnessed_seq, max(seq, home.witnessed_seq), home.layout.witness
    with suppress(Corrupted):  # what is published is derived; the next publication replaces it
        current = Current.read(home.layout)
        if current is not None and current.seq > proven:
            proven, attempted, by = current.seq, max(attempted, current.seq), home.layout.current
    for file in opened:
        for record in file.witnesses():
            attempted = max(attempted, record.seq)
            if record.last_seq > proven:
                proven, by = record.last_seq, file.path
    if proven > seq:
        lost = metadata_lost(home.layout.catalog, seq, proven, str(by))
        if not home.read_only:
            raise lost
        _log.warning("%s", lost)
    return proven, attempted


def _cut_tail(layout: Layout, cursor: duckdb.DuckDBPyConnection, file: VectorFile) -> int:
    """Cut what no commit names off a file; returns how many bytes that were."""
    if not file.has_tail:
        return 0
    records = file.witnesses()
    if records and records[-1].end > file.committed.slots and catalog.has_commit(cursor, records[-1].seq):
        saved = layout.quarantine / f"{file.path.name}.tail"
        files.remove(saved)
        files.write_file(saved, file.tail())
        raise Corrupted(
            f"{file.path} holds rows of commit {records[-1].seq}, which the catalog has without them."
            f" They were copied to {saved}. Fix: restore the database from a backup.",
            path=file.path,
            section="tail",
            offset=file.committed_bytes,
            expected=records[-1].end,
            found=file.committed.slots,
        )
    before = file.size
    file.cut_tail()
    return before - file.size


def _sweep_temporary(layout: Layout) -> int:
    files.make_missing(layout.directories)  # what copies a database may leave empty directories out
    found = [*layout.build.iterdir(), *layout.index.glob("*.tmp")]
    for path in found:
        _remove(path)
    return len(found)


def _sweep_unnamed(home: DiskHome, tables: dict[str, TableState]) -> int:
    layout = home.layout
    published = {name for manifest in home.published.values() for name in manifest.names}
    named = {layout.vector_file(v.source.identity.file) for t in tables.values() for v in t.vectors.values()}
    named |= {layout.index_file(i.file) for t in tables.values() for i in t.all_indexes.values() if i.file is not None}
    unnamed = [
        path
        for path in (*layout.vectors.iterdir(), *layout.index.iterdir())
        if path not in named and path.name not in published
    ]
    for path in unnamed:
        _log.info("deleting %s: no table names it", path)
        _remove(path)
    return len(unnamed)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        files.remove_tree(path)
    else:
        files.remove(path)


def read_format(layout: Layout, read_only: bool) -> Format:
    """What FORMAT says; Corrupted where it is missing or damaged, FormatVersionError where this vdb may not open it."""
    if not layout.format.exists():
        raise _corrupted(layout.format, "it is missing")
    file = File(layout.format, "read")
    try:
        found = Format.decode(file.read_at(0, file.size), layout.format)
    finally:
        file.close()
    if found.minor > FORMAT_MINOR and not read_only:
        raise FormatVersionError(
            f"{layout.root} was written by a newer vdb (format {found.major}.{found.minor})."
            " Fix: upgrade vdb, or open with read_only=True.",
            path=layout.format,
            section="version",
            expected=FORMAT_MINOR,
            found=found.minor,
        )
    return found


def _warn_on_network(root: Path) -> None:
    kind = files.file_system(root)
    if kind in _NETWORK:
        _log.warning("%s is on a network file system (%s): locks and flushes may not hold there", root, kind)


def _corrupted(path: Path, what: str) -> Corrupted:
    return Corrupted(
        f"{path} does not fit its database: {what}. Nothing was changed. Fix: restore the database from a backup.",
        path=path,
        section="contents",
        found=what,
    )
