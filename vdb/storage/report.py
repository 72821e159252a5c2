"""What opening a database had to put in order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecoveryReport:
    """What the open found of the time before, and did about it.

    Attributes
    ----------
    seq : int
        The newest commit.
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
    was_clean: bool = True
    log_bytes: int = 0
    cut_bytes: int = 0
    swept_files: int = 0
    mended: tuple[str, ...] = ()
