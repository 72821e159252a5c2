from __future__ import annotations

import numpy as np
import pytest

from vdb.storage.buffers import Growing


def test_a_view_keeps_its_rows_when_the_buffer_grows() -> None:
    rows: Growing[np.int64] = Growing(np.int64)
    rows.write(0, np.arange(3))
    view = rows.view(3)
    for n in range(3, 2000, 7):
        rows.write(n, np.arange(n, n + 7))
    assert view.tolist() == [0, 1, 2]
    assert rows.view(100).tolist() == list(range(100))


def test_a_view_cannot_be_written() -> None:
    rows: Growing[np.float32] = Growing(np.float32, (2,))
    rows.write(0, np.ones((3, 2), np.float32))
    with pytest.raises(ValueError, match="read-only"):
        rows.view(3)[0, 0] = 5


def test_rows_can_be_written_again_from_a_shorter_length() -> None:
    rows: Growing[np.int64] = Growing(np.int64)
    rows.write(0, np.array([1, 2, 3]))
    rows.write(1, np.array([9]))
    assert rows.view(2).tolist() == [1, 9]
