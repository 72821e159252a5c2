"""Publishing a commit for readers in other processes, and taking back what no reader uses (durability.md 5.4, 5.6).

A snapshot is a copy of the catalog and the names of vector and index files, which are never changed below their
published length. Renaming CURRENT is the publication point. A reader holds a shared lock on the PIN of its snapshot, so
one that nobody reads can be told, and its files are deleted once neither the catalog nor another snapshot names them.
"""

from __future__ import annotations

import fcntl
import uuid
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from vdb.errors import Corrupted, InvalidState
from vdb.storage import files
from vdb.storage.backup import copying
from vdb.storage.files import File, io_errors
from vdb.storage.home import DiskHome
from vdb.storage.manifest import Current, Manifest, crc_of
from vdb.storage.vector_file import VectorFile

if TYPE_CHECKING:
    from pathlib import Path

    from vdb.storage.handle import Handle
    from vdb.storage.layout import Layout
    from vdb.storage.state import DatabaseState


def publish(handle: Handle) -> int:
    """Make the newest commit the one that readers in other processes see; returns its sequence number.

    It takes a copy of the catalog. Commits go on meanwhile, but for those that change a schema. Readers keep what they
    have until they refresh. InvalidState inside a transaction, read-only and in memory; DiskFull leaves what was
    published before.
    """
    home = handle.home
    handle.check()
    if not isinstance(home, DiskHome) or home.read_only:
        raise InvalidState("Only a database on disk that is open for writing can be published. Fix: open it so.")
    if handle.own_transaction() is not None:
        raise InvalidState("A transaction is open in this thread. Fix: publish after the commit.")
    with io_errors("publish", home.layout.root), handle.publishing:
        handle.check()
        current = _current(home.layout)
        if current is not None and current.seq == handle.state.seq and current.name in home.published:
            return current.seq
        made = home.layout.snapshots / f"tmp-{uuid.uuid4().hex}"
        try:
            seq = _publish(handle, home, made)
        except BaseException:
            with suppress(OSError):
                files.remove_tree(made)
            raise
        finally:
            with suppress(OSError), handle.writing():  # what stays is taken away after the next publication
                _unpin(handle, home, made.name)
        with suppress(OSError), handle.writing():
            _collect(handle, home)
        return seq


def _publish(handle: Handle, home: DiskHome, made: Path) -> int:
    layout = home.layout
    files.make_directory(made)
    with copying(handle, home, lambda: _pin(handle, home, made.name)) as pinned:
        files.copy_open(home.catalog_file(), made / layout.catalog.name)
    with closing(File(made / layout.catalog.name, "read")) as catalog:
        manifest = replace(pinned, catalog_bytes=catalog.size, catalog_crc=crc_of(catalog))
    files.write_file(made / "MANIFEST", manifest.encode())
    files.write_file(made / "PIN", b"")
    files.sync_directory(made)
    name = f"s-{manifest.seq}-{uuid.uuid4().hex}"
    files.rename(made, layout.snapshots / name)
    files.sync_directory(layout.snapshots)
    home.published[name] = manifest
    temporary = layout.snapshots / "tmp-CURRENT"
    files.remove(temporary)
    files.write_file(temporary, Current(name, manifest.seq).encode())
    files.rename(temporary, layout.current)
    files.sync_directory(layout.snapshots)
    return manifest.seq


def _pin(handle: Handle, home: DiskHome, name: str) -> Manifest:
    """Under the writer mutex: keep the files of the newest commit though later ones drop them."""
    state = handle.state
    pinned = Manifest(home.uuid, state.seq, 0, 0, *_files_of(home, state))
    home.published[name] = pinned
    return pinned


def _unpin(handle: Handle, home: DiskHome, name: str) -> None:
    """Under the writer mutex: forget a snapshot, and delete what nothing else names."""
    manifest = home.published.pop(name, None)
    if manifest is None or handle.ended is not None:  # closed meanwhile: the next open sweeps
        return
    vectors, indexes = _files_of(home, handle.state)
    kept = {*vectors, *indexes}.union(*(other.names for other in home.published.values()))
    for file in sorted(manifest.names - kept):
        files.remove((home.layout.vectors if file.endswith(".vec") else home.layout.index) / file)


def load_published(home: DiskHome) -> bool:
    """At open: learn what is published and sweep unfinished publications; whether all of it could be read."""
    layout, known = home.layout, True
    for entry in sorted(layout.snapshots.iterdir()):
        if entry.name.startswith("tmp-"):
            files.remove_tree(entry) if entry.is_dir() else files.remove(entry)
        elif entry != layout.current:
            try:
                home.published[entry.name] = Manifest.read(entry / "MANIFEST")
            except (Corrupted, OSError):
                known = False
    return known


def _current(layout: Layout) -> Current | None:
    with suppress(Corrupted):  # then a new one takes its place
        return Current.read(layout)
    return None


def _files_of(home: DiskHome, state: DatabaseState) -> tuple[dict[str, int], dict[str, int]]:
    vectors, indexes = {}, {}
    for table in state.tables.values():
        for column in table.vectors.values():
            assert isinstance(column.source, VectorFile)
            vectors[column.source.path.name] = column.source.committed_bytes
        for record in table.all_indexes.values():
            path = None if record.file is None else home.index_path(record.file)
            if path is not None:
                indexes[path.name] = files.length(path)
    return vectors, indexes


def _collect(handle: Handle, home: DiskHome) -> None:
    """Delete the snapshots that nobody reads, but the current one; under the writer mutex."""
    layout, current = home.layout, _current(home.layout)
    for name in [name for name in home.published if current is None or name != current.name]:
        folder = layout.snapshots / name
        with suppress(FileNotFoundError), closing(File(folder / "PIN", "read")) as pin:
            try:
                fcntl.flock(pin.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            gone = layout.snapshots / f"tmp-{uuid.uuid4().hex}"
            files.rename(folder, gone)
            files.sync_directory(layout.snapshots)  # else a loss of power brings it back without its files
            files.remove_tree(gone)
        _unpin(handle, home, name)
