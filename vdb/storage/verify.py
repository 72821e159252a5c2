"""Reading all that a commit has, to find what rot has done to it: each value of the catalog, and each vector.

DuckDB and vdb compare what they read with its checksum; an open reads what it needs. Vectors that a compaction is about
to copy are checked by it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from vdb.errors import Corrupted
from vdb.storage.home import DiskHome
from vdb.storage.read import read
from vdb.storage.recovery import reading_catalog
from vdb.storage.rows import quoted
from vdb.storage.stored import load_block_crcs, load_extent
from vdb.storage.vector_file import VectorFile
from vdb.storage.vector_header import BLOCK_BYTES

if TYPE_CHECKING:
    import duckdb

    from vdb.storage.handle import Handle
    from vdb.storage.read import Reader
    from vdb.storage.vectors import Vectors


def check(handle: Handle) -> None:
    """Read every value and every vector of the newest commit; Corrupted names the first that is damaged.

    MetadataLost where a later one is proven. Commits go on meanwhile.
    """
    home = handle.home
    if not isinstance(home, DiskHome):
        return
    handle.recovery.demand_all(home.catalog_path)
    while not _is_checked(handle, home):  # else a commit replaced files between two lines
        pass


def check_source(cursor: duckdb.DuckDBPyConnection, source: Vectors) -> None:
    """Compare the committed bytes of one column; Corrupted where one differs."""
    if not isinstance(source, VectorFile):
        return
    try:
        blocks = source.committed.slots * source.identity.stride // BLOCK_BYTES
        crcs = load_block_crcs(cursor, source.identity.file, blocks)
    except ValueError as error:
        raise Corrupted(
            f"The checksums of {source.path} do not fit it: {error}. Fix: restore the database from a backup.",
            path=source.path,
            section="contents",
            found=str(error),
        ) from error
    source.check_blocks(crcs)


def read_all(cursor: duckdb.DuckDBPyConnection) -> None:
    """Let DuckDB read every value of every table, which compares each block with its checksum."""
    tables = cursor.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()
    for schema, table in tables:
        cursor.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {quoted(schema)}.{quoted(table)}").fetchall()


def _is_checked(handle: Handle, home: DiskHome) -> bool:
    """False where a file of the session's state is gone: a later commit has others."""
    with ExitStack() as held:
        reader = held.enter_context(read(handle))
        held.enter_context(reading_catalog(home.catalog_path))
        sources = _opened(reader, held)
        if sources is None:
            return False
        read_all(reader.cursor)
        for source in sources:
            check_source(reader.cursor, source)
    return True


def _opened(reader: Reader, held: ExitStack) -> list[VectorFile] | None:
    """The vector files of a session's state, opened for it: the handle's own grow and go with later commits."""
    opened = []
    for table in reader.state.tables.values():
        for source in (column.source for column in table.vectors.values()):
            assert isinstance(source, VectorFile)
            extent = load_extent(reader.cursor, source.identity.file)
            try:
                opened.append(VectorFile.open(source.path, source.identity, extent, read_only=True))
            except FileNotFoundError:
                if source.closed:
                    return None
                raise
            held.callback(opened[-1].close, truncate=False)
    return opened
