"""What opening a database had to put in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdb.errors import MetadataLost

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class RecoveryReport:
    """What the open found of the time before, and did about it.

    Attributes
    ----------
    seq : int
        The newest commit.
    proven_seq : int
        The newest one that a witness proves: later than `seq` where commits are lost, which only a read-only open lets
        pass.
    was_clean : bool
        Whether the database was closed after it, rather than killed.
    log_bytes : int
        Of DuckDB's log that were replayed.
    cut_bytes : int
        Of reserved room and unfinished appends that were cut off vector files.
    swept_files : int
        Files of unfinished commits, compactions and index builds that were deleted.
    mended : tuple of str
        What DuckDB refused after a loss of power and was put right, with the place of the original bytes.
    """

    seq: int = 0
    proven_seq: int = 0
    was_clean: bool = True
    log_bytes: int = 0
    cut_bytes: int = 0
    swept_files: int = 0
    mended: tuple[str, ...] = ()

    def demand_all(self, catalog: Path) -> None:
        """MetadataLost where commits are lost."""
        if self.proven_seq > self.seq:
            raise metadata_lost(catalog, self.seq, self.proven_seq)


def metadata_lost(catalog: Path, seq: int, proven: int, by: str = "a witness") -> MetadataLost:
    """What to raise where a catalog ends with commit `seq` and a later one is proven."""
    return MetadataLost(
        f"{catalog} ends with commit {seq}; {by} proves commit {proven}. Nothing was changed. Fix: restore a backup,"
        " open with read_only=True to export what is left, or repair it and accept the loss.",
        path=catalog,
        section="commits",
        expected=proven,
        found=seq,
    )
