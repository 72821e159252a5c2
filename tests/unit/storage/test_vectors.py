from __future__ import annotations

import uuid

import numpy as np
import pytest

from vdb.storage.vector_header import Identity
from vdb.storage.vectors import MemoryVectors

DIM = 3


@pytest.fixture
def vectors() -> MemoryVectors:
    return MemoryVectors(Identity(uuid.uuid4(), uuid.uuid4(), 1, 0, DIM))


def rows(*values: float) -> np.ndarray:
    return np.repeat(np.array(values, np.float32)[:, None], DIM, axis=1)


def test_a_view_is_valid_after_later_appends(vectors: MemoryVectors) -> None:
    vectors.append(rows(1, 2))
    view = vectors.view(2)
    for value in range(500):
        vectors.append(rows(value))
    assert view.tolist() == rows(1, 2).tolist()


def test_missing_vectors_are_zeros(vectors: MemoryVectors) -> None:
    vectors.append(rows(1))
    vectors.append_missing(2)
    assert vectors.view(3).tolist() == rows(1, 0, 0).tolist()
    vectors.append_missing(0)
    assert vectors.pending.slots == 3


def test_rolled_back_rows_are_written_over(vectors: MemoryVectors) -> None:
    vectors.append(rows(1))
    vectors.accept()
    vectors.append(rows(2, 3))
    vectors.roll_back()
    vectors.append(rows(4))
    assert vectors.pending.slots == 2
    assert vectors.view(2).tolist() == rows(1, 4).tolist()


def test_inverse_norms_follow_the_rows(vectors: MemoryVectors) -> None:
    vectors.append(rows(1, 2))
    vectors.accept()
    first = vectors.inverse_norms(vectors.view(2))
    np.testing.assert_allclose(first, 1 / (np.array([1, 2]) * np.sqrt(DIM)), rtol=1e-6)
    vectors.append(rows(4))
    np.testing.assert_allclose(vectors.inverse_norms(vectors.view(3))[2], 0.25 / np.sqrt(DIM), rtol=1e-6)


def test_inverse_norms_of_rolled_back_rows_are_forgotten(vectors: MemoryVectors) -> None:
    vectors.append(rows(1))
    vectors.accept()
    vectors.append(rows(2))
    vectors.inverse_norms(vectors.view(2))
    vectors.roll_back()
    vectors.append(rows(5))
    np.testing.assert_allclose(vectors.inverse_norms(vectors.view(2))[1], 0.2 / np.sqrt(DIM), rtol=1e-6)
