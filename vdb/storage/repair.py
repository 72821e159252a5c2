"""Repairing what an open refuses (durability.md 4.4): what is sound is kept, what is lost is said before it goes.

Commits that a witness proves and the catalog lacks cannot be brought back, nor can damaged vectors: those rows stay,
without that vector. A damaged catalog is given up for that of a published snapshot; where there is none, restore a
backup. Originals go to `quarantine/`.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import duckdb
import numpy as np

from vdb import _core
from vdb.errors import Corrupted, FormatVersionError, InvalidState, NotFound
from vdb.storage import catalog, files, mend, rows
from vdb.storage.connection import Engine, duckdb_errors
from vdb.storage.files import File, io_errors
from vdb.storage.home import write_witness
from vdb.storage.layout import (
    WITNESS_SLOT_BYTES,
    WITNESS_SLOTS,
    Format,
    Layout,
    WitnessRecord,
    checked_path,
)
from vdb.storage.lock import DirectoryLock
from vdb.storage.recovery import load_rows, read_format, reading_catalog
from vdb.storage.snapshot import checked_catalog
from vdb.storage.stored import load_block_crcs, load_files, load_tables, load_views
from vdb.storage.vector_file import VectorFile, read_witnesses
from vdb.storage.vector_header import BLOCK_BYTES, DATA_OFFSET, WITNESS_OFFSET, check_header
from vdb.storage.verify import read_all
from vdb.types import DTYPES

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from vdb.storage.stored import StoredFile, StoredTable
    from vdb.types import Slots

_COPY_ROWS: Final = 1 << 14


@dataclass
class RepairReport:
    """What is wrong with a database and what was done about it.

    Attributes
    ----------
    findings : list of str
        Each thing that an open or `check` would refuse; empty where there is none.
    lost : list of str
        What cannot be brought back: commits, vectors of rows.
    applied : bool
        Whether the database was changed; it opens then.
    """

    findings: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    applied: bool = False


@dataclass(frozen=True)
class _Damage:
    """A vector file with the slots whose vectors are no more; those of the others go to a new file."""

    table: StoredTable
    file: StoredFile
    slots: Slots


@dataclass
class _Plan:
    """What is to be done with a catalog that DuckDB opens, once the steps are made or it is put in the old one's place.

    `seq` is the commit that it ends with.
    """

    seq: int
    damages: list[_Damage]
    steps: list[mend.Cut | mend.Restore] = field(default_factory=list)
    adopted: Path | None = None  # of a snapshot


def repair(path: str | os.PathLike[str], *, apply: bool = False, accept_loss: bool = False) -> RepairReport:
    """Say what is wrong with a closed database, and with `apply` put it right.

    Vectors that do not fit their checksums are taken out: their rows stay, with NULL there. Indexes are rebuilt
    when they are next needed.

    Raises
    ------
    InvalidArgument, NotFound, Locked
        The path can be none, there is no database, or it is open.
    InvalidState
        Something would be lost, and `accept_loss` does not allow it.
    FormatVersionError
        A newer vdb wrote it.
    Corrupted
        The catalog is damaged beyond repair.
    """
    root = checked_path(path)
    layout = Layout(root)
    with io_errors("repair", root), duckdb_errors(f"to repair {root}"):
        _demand_database(layout)
        lock = DirectoryLock.acquire(layout.lock, shared=False)
        try:
            report = RepairReport()
            database, makes_format = _of_small_files(layout, report)
            plan = _examined(layout, database, report)
            if report.findings and apply:
                if report.lost and not accept_loss:
                    raise InvalidState(
                        f"Repairing {root} gives up {'; '.join(report.lost)}."
                        " Fix: restore a backup, or accept the loss: accept_loss=True, --accept-loss."
                    )
                if makes_format:
                    files.remove(layout.format)
                    files.write_file(layout.format, Format(database, duckdb.__version__).encode())
                _change(layout, database, plan)
                report.applied = True
            return report
        finally:
            lock.release()


def _demand_database(layout: Layout) -> None:
    """NotFound where there is none: nothing is made in a folder that is not vdb's."""
    named = layout.format.exists() or layout.witness.exists()
    if not named or not (layout.catalog.exists() or layout.current.exists()):
        raise NotFound(f"There is no database at {layout.root}, or no catalog in it. Fix: restore it from a backup.")


def _examined(layout: Layout, database: UUID, report: RepairReport) -> _Plan:
    """Find what is wrong; nothing but `build/` is written to."""
    proven = mend.proven_seq(layout, database)
    plan = _chosen(layout, database, proven, report)
    if proven > plan.seq:
        report.lost.append(f"commits {plan.seq + 1} to {proven}")
    for damage in plan.damages:
        name = f"{damage.table.schema.name}.{damage.file.column}"
        path = layout.vector_file(damage.file.identity.file)
        report.findings.append(f"{path}, vectors of {name}, is damaged")
        if len(damage.slots):
            report.lost.append(f"{len(damage.slots)} vectors of {name}")
    return plan


def _chosen(layout: Layout, database: UUID, proven: int, report: RepairReport) -> _Plan:
    """What is to be done with the catalog as it is; with one that keeps the most commits, where that cannot stay.

    Corrupted where there is none.
    """
    try:
        plan = _plan_of(layout, database, layout.catalog)
    except FormatVersionError:
        raise
    except Corrupted as refusal:
        report.findings.append(f"{layout.catalog}: {refusal.found}")
        plans = [*_mended(layout, database, refusal), *_published(layout, database)]
        if not plans:
            raise
    else:
        if plan.seq >= proven:
            return plan
        report.findings.append(f"{layout.catalog} ends with commit {plan.seq}; commit {proven} is proven")
        plans = [plan, *_published(layout, database)]
    return max(plans, key=lambda plan: (plan.adopted is None or not plan.damages, plan.seq))


def _mended(layout: Layout, database: UUID, refusal: Corrupted) -> Iterator[_Plan]:
    """The catalog that DuckDB refused, as far as its log is sound, or before a checkpoint that was cut short."""
    with mend.rehearsed(layout, database, refusal) as tried, suppress(Corrupted):
        if tried is not None:
            engine, steps = tried
            yield replace(_read(layout, database, engine.cursor()), steps=steps)


def _published(layout: Layout, database: UUID) -> Iterator[_Plan]:
    """The catalogs of the published snapshots."""
    for folder in sorted(layout.snapshots.glob("s-*")):
        with suppress(Corrupted):
            _, path = checked_catalog(layout, folder, database)
            yield replace(_plan_of(layout, database, path), adopted=path)


def _plan_of(layout: Layout, database: UUID, path: Path) -> _Plan:
    with closing(Engine.open(path, read_only=True)) as engine:
        return _read(layout, database, engine.cursor())


def _read(layout: Layout, database: UUID, cursor: duckdb.DuckDBPyConnection) -> _Plan:
    """Read all of a catalog as an open and a check do; Corrupted where they would refuse it."""
    damages = []
    with reading_catalog(layout.catalog):
        read_all(cursor)
        load_views(cursor)
        for table in load_tables(cursor):
            load_rows(cursor, table)
            for stored in load_files(cursor, database, table):
                damage = _damage_of(layout, cursor, table, stored)
                if damage is not None:
                    damages.append(damage)
        return _Plan(catalog.last_seq(cursor), damages)


def _of_small_files(layout: Layout, report: RepairReport) -> tuple[UUID, bool]:
    """Whose database it is, which FORMAT and WITNESS both tell; and whether FORMAT is to be made again."""
    database: UUID | None = None
    try:
        database = read_format(layout, read_only=False).database
    except FormatVersionError:  # nothing is known of what would be sound there
        raise
    except Corrupted:
        report.findings.append(f"{layout.format} is missing or damaged")
    known = set()
    if layout.witness.exists():
        with closing(File(layout.witness, "read")) as file:
            slots = [file.read_at(slot * WITNESS_SLOT_BYTES, WITNESS_SLOT_BYTES) for slot in range(WITNESS_SLOTS)]
        known = {record.database for slot in slots if (record := WitnessRecord.decode(slot)) is not None}
    if database is not None and database not in known:
        report.findings.append(f"{layout.witness} is missing or damaged")
    if database is None and len(known) != 1:
        raise Corrupted(
            f"{layout.format} and {layout.witness} are both damaged. Fix: restore the database from a backup.",
            path=layout.format,
        )
    return database or known.pop(), database is None


def _damage_of(
    layout: Layout, cursor: duckdb.DuckDBPyConnection, table: StoredTable, stored: StoredFile
) -> _Damage | None:
    """What of a vector file does not fit the catalog, None where all does; `slots` are those that had a vector."""
    path = layout.vector_file(stored.identity.file)
    bad = np.zeros(stored.extent.slots, np.bool_)
    is_sound = path.exists()
    if is_sound:
        with closing(File(path, "read")) as file:
            try:
                check_header(file.read_at(0, WITNESS_OFFSET), stored.identity, path)
            except FormatVersionError:
                raise
            except Corrupted:
                is_sound = False
            for begin, end in _bad_ranges(cursor, file, stored):
                bad[begin // stored.identity.stride : -(-end // stored.identity.stride)] = True
    else:
        bad[:] = True
    if is_sound and not bad.any():
        return None
    having = rows.slots_with(cursor, table.schema, stored.column)
    return _Damage(table, stored, np.sort(having[bad[having]]))


def _bad_ranges(cursor: duckdb.DuckDBPyConnection, file: File, stored: StoredFile) -> list[tuple[int, int]]:
    """The blocks of the data that do not fit their checksums, as first byte and the byte behind the last."""
    try:
        crcs = load_block_crcs(cursor, stored.identity.file, stored.bytes // BLOCK_BYTES)
    except ValueError:
        return [(0, stored.bytes)]
    found = []
    for block, crc in enumerate([*crcs, stored.extent.open_crc]):
        begin, end = block * BLOCK_BYTES, min(stored.bytes, (block + 1) * BLOCK_BYTES)
        data = file.read_at(DATA_OFFSET + begin, end - begin)
        if len(data) < end - begin or _core.crc32c(data) != crc:
            found.append((begin, end))
    return found


def _change(layout: Layout, database: UUID, plan: _Plan) -> None:
    files.make_missing(layout.directories)
    if plan.adopted is not None:
        _adopt(layout, plan.adopted)
    for step in plan.steps:
        step.make(lambda path: path, layout, layout.quarantine / f"{uuid4().hex}.bytes")
    seq = 1 + max(plan.seq, mend.proven_seq(layout, database), _attempted(layout))
    with closing(Engine.open(layout.catalog)) as engine:
        cursor = engine.cursor()
        cursor.execute("BEGIN")
        for damage in plan.damages:
            _replace(layout, cursor, damage, (seq, plan.seq))
        catalog.add_commit(cursor, seq)
        files.sync_directory(layout.vectors)
        cursor.execute("COMMIT")
        engine.checkpoint()
    files.remove(layout.witness)
    write_witness(layout, database, seq)
    for damage in plan.damages:
        path = layout.vector_file(damage.file.identity.file)
        if path.exists():
            files.rename(path, layout.quarantine / path.name)
    for directory in (layout.quarantine, layout.vectors, layout.root):
        files.sync_directory(directory)


def _adopt(layout: Layout, source: Path) -> None:
    """Put a copy of a snapshot's catalog in place of the one there is, which goes to quarantine with its log.

    The log goes first: with another catalog than its own it would be replayed. Cut short there, it is repeated.
    """
    name = uuid4().hex
    made = layout.build / f"{name}.duckdb"
    files.copy(source, made)
    if layout.catalog.exists():
        files.copy(layout.catalog, layout.quarantine / f"{name}.duckdb")
    if layout.log.exists():
        files.rename(layout.log, layout.quarantine / f"{name}.wal")
    for directory in (layout.quarantine, layout.root):
        files.sync_directory(directory)
    files.rename(made, layout.catalog)
    files.remove(layout.undo)
    files.sync_directory(layout.root)


def _attempted(layout: Layout) -> int:
    """The newest commit that was begun, as far as vector files know."""
    found = [0]
    for path in sorted(layout.vectors.glob("*.vec")):
        with closing(File(path, "read")) as file:
            found += [record.seq for record in read_witnesses(file) if record is not None]
    return max(found)


def _replace(layout: Layout, cursor: duckdb.DuckDBPyConnection, damage: _Damage, seqs: tuple[int, int]) -> None:
    """Copy the sound vectors of a file to a new one and let the catalog name it; `seqs` as for `VectorFile.seal`."""
    old = damage.file.identity
    identity = replace(old, file=uuid4())
    memory = DTYPES[old.dtype].memory
    lost = np.zeros(damage.file.extent.slots, np.bool_)
    lost[damage.slots] = True
    path = layout.vector_file(old.file)
    source = File(path, "read") if path.exists() else None
    with ExitStack() as held:
        made = VectorFile.create(layout.vector_file(identity.file), identity)
        held.callback(made.close, truncate=False)
        if source is not None:
            held.callback(source.close)
        for begin in range(0, len(lost), _COPY_ROWS):
            n = min(_COPY_ROWS, len(lost) - begin)
            data = b"" if source is None else source.read_at(DATA_OFFSET + begin * old.stride, n * old.stride)
            vectors = np.frombuffer(data.ljust(n * old.stride, b"\0"), memory).reshape(n, old.dim).copy()
            vectors[lost[begin : begin + n]] = 0
            made.append(vectors)
        made.seal(*seqs)
        catalog.replace_file(cursor, old.file, identity)
        catalog.update_segment(cursor, identity.file, made.segment())
    if len(damage.slots):
        catalog.allow_null(cursor, damage.table.id, damage.file.column)
        rows.clear_vectors(cursor, damage.table.schema, damage.file.column, damage.slots)
