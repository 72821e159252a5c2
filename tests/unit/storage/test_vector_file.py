from __future__ import annotations

import errno
import os
import uuid
from typing import TYPE_CHECKING

import numpy as np
import pytest

from vdb import _core
from vdb.errors import Corrupted
from vdb.storage import vector_file
from vdb.storage.vector_file import VectorFile
from vdb.storage.vector_header import BLOCK_BYTES, DATA_OFFSET, Identity

if TYPE_CHECKING:
    from pathlib import Path

    from vdb.storage.vectors import Extent

DIM = 100  # 400 bytes: rows cross block borders
IDENTITY = Identity(uuid.uuid4(), uuid.uuid4(), 1, 0, DIM)


@pytest.fixture
def file(tmp_path: Path) -> VectorFile:
    return VectorFile.create(tmp_path / "f.vec", IDENTITY)


def rows(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)


def commit(file: VectorFile, values: np.ndarray, seq: int) -> list[int]:
    """Append and accept; returns the sealed CRCs."""
    file.append(values)
    file.seal(seq, seq - 1)
    crcs = list(file.segment().crcs)
    file.accept()
    return crcs


def reopened(file: VectorFile, committed: Extent | None = None, read_only: bool = False) -> VectorFile:
    return VectorFile.open(file.path, IDENTITY, file.committed if committed is None else committed, read_only)


def test_rows_are_read_back_after_a_reopen(file: VectorFile) -> None:
    commit(file, rows(1000), 1)
    file.close(truncate=True)
    again = reopened(file)
    assert np.array_equal(again.view(1000), rows(1000))
    again.close(truncate=True)


def test_a_view_is_valid_after_the_file_grew_and_after_it_was_closed(file: VectorFile) -> None:
    commit(file, rows(10), 1)
    view = file.view(10)
    for seq in range(2, 30):
        commit(file, rows(2000, seq), seq)
    file.close(truncate=True)
    assert np.array_equal(view, rows(10))


def test_growth_within_the_reserved_bytes_needs_no_new_map(file: VectorFile) -> None:
    commit(file, rows(10), 1)
    first = file.view(10)
    commit(file, rows(10, 2), 2)
    assert np.shares_memory(first, file.view(20))


def test_a_file_larger_than_half_of_memory_has_a_map_for_passes(
    file: VectorFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(file, rows(10), 1)
    small = file.view(10)
    assert np.shares_memory(file.in_order(small), small)
    monkeypatch.setattr(vector_file, "machine_bytes", lambda: 3 << 20)
    commit(file, rows(5000, 2), 2)
    view = file.view(5010)
    ahead = file.in_order(view)
    assert not np.shares_memory(ahead, view)
    assert np.array_equal(ahead, view)
    assert np.array_equal(file.in_order(small), rows(10))
    assert len(file.in_order(file.view(0))) == 0
    commit(file, rows(9000, 3), 3)
    assert np.array_equal(file.in_order(file.view(14_010)), np.concatenate([ahead, rows(9000, 3)]))
    file.close(truncate=True)
    assert file.in_order(view) is view
    assert np.array_equal(ahead[10:], rows(5000, 2))


def test_a_view_cannot_be_written(file: VectorFile) -> None:
    commit(file, rows(1), 1)
    with pytest.raises(ValueError, match="read-only"):
        file.view(1)[0, 0] = 1


def test_close_cuts_the_reserved_bytes(file: VectorFile) -> None:
    commit(file, rows(3), 1)
    assert file.path.stat().st_size >= DATA_OFFSET + (1 << 20)
    file.close(truncate=True)
    assert file.path.stat().st_size == DATA_OFFSET + 3 * 400


def test_checksums_do_not_depend_on_how_rows_were_appended(file: VectorFile) -> None:
    values = rows(1000)
    crcs = []
    for seq, (begin, end) in enumerate([(0, 1), (1, 164), (164, 165), (165, 700), (700, 1000)], start=1):
        file.append(values[begin:begin])
        crcs += commit(file, values[begin:end], seq)
    data = values.tobytes()
    blocks = [data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES)]
    assert crcs == [_core.crc32c(block) for block in blocks[:-1]]
    assert file.committed.open_crc == _core.crc32c(blocks[-1])
    file.check_blocks(crcs)


def test_rolled_back_rows_leave_no_trace_in_checksums(file: VectorFile) -> None:
    commit(file, rows(100), 1)
    file.append(rows(300, 5))
    file.roll_back()
    crcs = commit(file, rows(200, 6), 2)
    assert np.array_equal(file.view(300), np.concatenate([rows(100), rows(200, 6)]))
    file.check_blocks(crcs)


def test_a_flipped_bit_in_a_sealed_block_is_found_and_located(file: VectorFile) -> None:
    crcs = commit(file, rows(1000), 1)
    at = DATA_OFFSET + BLOCK_BYTES + 17
    _flip(file.path, at)
    with pytest.raises(Corrupted) as caught:
        file.check_blocks(crcs)
    assert caught.value.offset == DATA_OFFSET + BLOCK_BYTES
    assert caught.value.path == str(file.path)


def test_a_flipped_bit_in_the_open_block_is_found_at_open(file: VectorFile) -> None:
    commit(file, rows(3), 1)
    _flip(file.path, DATA_OFFSET + 500)
    with pytest.raises(Corrupted, match="damaged at byte 16384"):
        reopened(file)


def test_a_file_shorter_than_committed_is_corrupted(file: VectorFile) -> None:
    commit(file, rows(3), 1)
    file.close(truncate=True)
    os.truncate(file.path, DATA_OFFSET + 1199)
    with pytest.raises(Corrupted, match="17583 bytes; the catalog says 17584"):
        reopened(file)


def test_witness_records_alternate_and_tell_the_last_commit(file: VectorFile) -> None:
    for seq in (1, 2, 5):
        commit(file, rows(2, seq), seq)
    older, newest = file.witnesses()
    assert (older.seq, newest.seq, newest.last_seq) == (2, 5, 4)
    assert (newest.first_slot, newest.rows, newest.end) == (4, 2, 6)
    assert newest.batch_crc == _core.crc32c(rows(2, 5))
    commit(reopened(file), rows(1), 9)
    assert [record.seq for record in file.witnesses()] == [5, 9]


def test_a_full_disk_is_used_to_its_last_row(file: VectorFile, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = DATA_OFFSET + 400 * 10
    allocate = os.posix_fallocate

    def small_disk(fd: int, begin: int, length: int) -> None:
        if begin + length > limit:
            raise OSError(errno.ENOSPC, "No space left on device")
        allocate(fd, begin, length)

    monkeypatch.setattr(os, "posix_fallocate", small_disk)
    commit(file, rows(10), 1)
    with pytest.raises(OSError, match="No space left"):
        file.append(rows(1))
    file.roll_back()
    assert np.array_equal(file.view(10), rows(10))
    assert file.path.stat().st_size == limit


def test_a_read_only_file_ignores_its_tail(file: VectorFile) -> None:
    commit(file, rows(5), 1)
    size = file.path.stat().st_size
    reader = reopened(file, read_only=True)
    assert reader.has_tail
    assert np.array_equal(reader.view(5), rows(5))
    reader.close(truncate=False)
    assert file.path.stat().st_size == size


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
