"""Comparing committed vectors with their checksums: all of them on demand, and those a compaction is about to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdb.errors import Corrupted
from vdb.storage.stored import load_block_crcs
from vdb.storage.vector_file import VectorFile

if TYPE_CHECKING:
    import duckdb

    from vdb.storage.handle import Handle
    from vdb.storage.vectors import Vectors


def check_vectors(handle: Handle) -> None:
    """Compare every committed vector byte with its checksum; Corrupted names the first that differs."""
    cursor = handle.engine.cursor()
    names = list(handle.state.tables)
    while names:
        table = handle.state.tables.get(names[-1])
        sources = [] if table is None else [column.source for column in table.vectors.values()]
        if all(_is_good(cursor, source) for source in sources):
            names.pop()


def check_source(cursor: duckdb.DuckDBPyConnection, source: Vectors) -> None:
    """Compare the committed bytes of one column; Corrupted where one differs."""
    if not isinstance(source, VectorFile):
        return
    try:
        crcs = load_block_crcs(cursor, source.identity.file)
    except ValueError as error:
        raise Corrupted(
            f"The checksums of {source.path} do not fit it: {error}. Fix: restore the database from a backup.",
            path=source.path,
            section="contents",
            found=str(error),
        ) from error
    source.check_blocks(crcs)


def _is_good(cursor: duckdb.DuckDBPyConnection, source: Vectors) -> bool:
    """False where the file was let go meanwhile: its table was dropped or compacted, and has others."""
    try:
        check_source(cursor, source)
    except (Corrupted, OSError):
        if isinstance(source, VectorFile) and source.closed:
            return False
        raise
    return not (isinstance(source, VectorFile) and source.closed)
