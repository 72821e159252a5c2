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
from vdb.storage.connection import Engine, duckdb_errors
from vdb.storage.files import io_errors
from vdb.storage.home import write_reserve, write_witness
from vdb.storage.layout import Format, Layout
from vdb.storage.lock import DirectoryLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MARK: Final = ".tmp-"
_TEMPORARY: Final = re.compile(r"\.tmp-[0-9a-f]{32}")


def create(root: Path) -> DirectoryLock:
    """Create an empty database at `root`, a free name or an empty directory, and return its lock.

    AlreadyExists where something else took the name meanwhile.
    """
    return build(root, _fill)


def build(root: Path, fill: Callable[[Layout], None]) -> DirectoryLock:
    """Let `fill` make the files of a database beside `root`, rename it there, and return its lock; as `create`."""
    built = Layout(root.with_name(f"{root.name}{_MARK}{uuid.uuid4().hex}"))
    with io_errors("create", root), duckdb_errors(f"to create {root}"):
        files.make_directory(built.root)
        lock: DirectoryLock | None = None
        try:
            lock = DirectoryLock.acquire(built.lock, shared=False)
            fill(built)
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
                _remove_unlocked(path)
                continue
            lock = DirectoryLock.acquire(path / "LOCK", shared=False)
            files.remove_tree(path)
            lock.release()


def _remove_unlocked(path: Path) -> None:
    """Delete a creation that has no LOCK: cut short before its first file, or by a loss of power that spared others."""
    layout = Layout(path)
    known = {layout.format, layout.witness, layout.reserve, layout.catalog, layout.log, *layout.directories}
    held = set(path.iterdir())
    if held and held <= known:
        files.remove_tree(path)
    else:
        path.rmdir()  # anything else in it is not ours


def _fill(built: Layout) -> None:
    database = uuid.uuid4()
    for directory in built.directories:
        files.make_directory(directory)
    files.write_file(built.format, Format(database, duckdb.__version__).encode())
    write_witness(built, database, 0)
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
