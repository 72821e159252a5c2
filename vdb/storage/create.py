"""Making a database: built whole under a temporary name beside its place, then renamed there (durability.md 4.1).

DuckDB cannot open a file whose first writes were cut short, so no half-made database ever has the final name.
"""

from __future__ import annotations

import errno
import re
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import duckdb

from vdb.errors import AlreadyExists, Locked
from vdb.storage import catalog, files
from vdb.storage.connection import Engine
from vdb.storage.files import io_errors
from vdb.storage.home import write_reserve
from vdb.storage.layout import WITNESS_SLOT_BYTES, WITNESS_SLOTS, Format, Layout, WitnessRecord
from vdb.storage.lock import DirectoryLock

if TYPE_CHECKING:
    from pathlib import Path

_MARK: Final = ".tmp-"
_TEMPORARY: Final = re.compile(r"\.tmp-[0-9a-f]{32}")


def create(root: Path) -> DirectoryLock:
    """Create an empty database at `root`, a free name or an empty directory, and return its lock.

    AlreadyExists where something else took the name meanwhile.
    """
    database = uuid.uuid4()
    built = Layout(root.with_name(f"{root.name}{_MARK}{database.hex}"))
    with io_errors("create", root):
        files.make_directory(built.root)
        lock: DirectoryLock | None = None
        try:
            lock = DirectoryLock.acquire(built.lock, shared=False)
            _fill(built, database)
            _install(built.root, root)
        except BaseException:
            with suppress(OSError):
                files.remove_tree(built.root)
            if lock is not None:
                lock.release()
            raise
        files.sync_directory(root.parent)
    return lock


def sweep_unfinished(root: Path) -> None:
    """Delete what creations of `root` left behind that no longer hold their lock."""
    for path in root.parent.glob(f"{_glob_safe(root.name)}{_MARK}*"):
        if not _TEMPORARY.fullmatch(path.name[len(root.name) :]):
            continue
        with suppress(Locked, OSError):
            if not (path / "LOCK").exists():
                path.rmdir()  # killed before its first file; anything else in it is not ours
                continue
            lock = DirectoryLock.acquire(path / "LOCK", shared=False)
            files.remove_tree(path)
            lock.release()


def _fill(built: Layout, database: uuid.UUID) -> None:
    for directory in built.directories:
        files.make_directory(directory)
    files.write_file(built.format, Format(database, duckdb.__version__).encode())
    witness = WitnessRecord(database, 0, clean=True).encode()
    files.write_file(built.witness, witness.ljust(WITNESS_SLOT_BYTES * WITNESS_SLOTS, b"\0"))
    write_reserve(built)
    engine = Engine.open(built.catalog)
    try:
        catalog.create(engine.cursor())
        engine.checkpoint()
    finally:
        engine.close()
    files.sync_path(built.catalog)
    for directory in (*built.directories, built.root):
        files.sync_directory(directory)


def _install(built: Path, root: Path) -> None:
    try:
        files.rename(built, root)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise AlreadyExists(
            f"Something else was created at {root} meanwhile. Fix: connect again to open it."
        ) from error


def _glob_safe(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
