"""Opening a database, and making one from a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdb.database import Database
from vdb.errors import InvalidArgument
from vdb.storage.layout import IN_MEMORY, checked_path
from vdb.storage.store import Store
from vdb.types import DURABILITIES

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from vdb.types import Durability


def connect(
    path: str | os.PathLike[str],
    *,
    read_only: bool = False,
    snapshot_only: bool = False,
    memory_limit: str | None = None,
    threads: int = 0,
    durability: Durability = "full",
) -> Database:
    """Open a database directory, or create it where there is none.

    Parameters
    ----------
    path : path-like
        The directory; ":memory:" for one that is gone when closed.
    read_only : bool
        Change nothing on disk; any number of processes may, beside a writer that has published (`Database.publish`).
        Where no writer is, the newest commit is seen: if it was not published, for the writer was killed after it, then
        no other writer can begin before this reader is closed.
    snapshot_only : bool
        With `read_only`: see what was published last, though there be later commits, and keep no writer from beginning.
    memory_limit : str, optional
        What the database may take, such as "2GB": a quarter of it is DuckDB's, the rest for indexes and, in memory, the
        vectors. OutOfMemory says what needs more, before it is taken; searches then do without an index they have no
        room for. Vectors in files are not counted: the system takes their pages back when it needs them. A file that is
        imported or exported takes as much as DuckDB's part beside it, at least 128 MB.
    threads : int
        For builds and batches of queries; 0: all.
    durability : {"full", "normal", "off"}
        What a commit that returned outlives. Every level: the end of the process, however it comes. "full": a loss of
        power too. "normal": that too on file systems with an ordered journal (ext4, XFS), for a flush less; elsewhere
        the last commits may be missing, which the next open then says. "off": nothing is flushed, and after a loss of
        power all may be lost; for what can be made again.

    Raises
    ------
    Locked
        Another process has it open; the message names it.
    NotFound
        Read-only, and there is no database; or, with `snapshot_only`, nothing was published.
    InvalidArgument
        The path is a file or another directory.
    Corrupted
        A file is damaged (MetadataLost and FormatVersionError are such errors). An index file never is the reason.

    Examples
    --------
    >>> import vdb
    >>> with vdb.connect(":memory:") as db:
    ...     items = db.create_table("items", {"id": "BIGINT PRIMARY KEY", "embedding": "FLOAT[2]"})
    ...     items.add([{"id": 1, "embedding": [0, 1]}, {"id": 2, "embedding": [3, 4]}])
    ...     items.search([0, 0], k=1).to_dicts()
    2
    [{'id': 1, '_distance': 1.0}]
    """
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 0:
        raise InvalidArgument(f"threads must be 0 (all) or a positive integer, got {threads!r}.")
    if durability not in DURABILITIES:
        raise InvalidArgument(f"durability must be one of {', '.join(DURABILITIES)}, got {durability!r}.")
    place = None if path == IN_MEMORY else checked_path(path)
    if not snapshot_only:
        return Database(Store.open(place, read_only, memory_limit, threads or None, durability), threads)
    if not read_only or place is None:
        raise InvalidArgument("snapshot_only is for readers of a directory.\n  Fix: pass read_only=True with it.")
    return Database(Store.open_snapshot(place, memory_limit, threads or None), threads)


def restore(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Make a database at `path` from a backup, or any closed database, after checking every byte of it.

    AlreadyExists where something is at `path`, NotFound or Corrupted where `source` is no sound database. Nothing is
    left of a restore that failed, and `source` is not changed. `progress` is called with bytes copied and bytes in all.
    """
    with connect(source, read_only=True) as backup:
        backup.check()
        backup.backup(path, progress=progress)
