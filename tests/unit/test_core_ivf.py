"""Inverted files of the core, as Python calls them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vdb import _core
from vdb.errors import Corrupted, InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

DIM = 32
ROWS = 4000
KINDS: tuple[dict[str, Any], ...] = (
    {"codes": "pq"},
    {"codes": "pq", "nbits": 8, "m": 5},
    {"codes": "pq", "opq": True},
    {"codes": "rabitq"},
    {"codes": "rabitq", "bits": 4},
)


def clouds(n: int, seed: int) -> npt.NDArray[np.float32]:
    """Return rows of 50 clouds, the same for every seed."""
    centres = np.random.default_rng(0).normal(size=(50, DIM))
    rng = np.random.default_rng(seed)
    return (centres[rng.integers(0, 50, n)] + 0.4 * rng.normal(size=(n, DIM))).astype(np.float32)


def view_of(rows: npt.NDArray[np.float32], metric: str = "cosine") -> _core.VectorView:
    return _core.VectorView(rows, metric, _core.inverse_norms(rows))


def built(kind: dict[str, Any], view: _core.VectorView) -> _core.Ivf:
    index = _core.Ivf(view.dim, view.metric, **kind)
    index.extend(view)
    index.check()
    return index


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_answers_are_those_of_the_scan_where_all_is_read_and_near_them_where_little_is(
    kind: dict[str, Any], metric: str
) -> None:
    view, queries = view_of(clouds(ROWS, 1), metric), clouds(50, 2)
    index = built(kind, view)
    for rows in (None, _core.RowSet.from_slots(np.arange(0, ROWS, 9, dtype=np.uint32), ROWS)):
        truth, distances, _ = _core.scan(view, queries, 10, rows=rows)
        slots, found, stats = index.search(view, queries, 10, index.nlist, allowed=rows, pool=ROWS)
        assert np.array_equal(slots, truth)
        assert np.array_equal(found, distances)
        assert stats.estimates == (ROWS if rows is None else rows.count) * len(queries)
        slots, _, stats = index.search(view, queries, 10, 12, allowed=rows, threads=2)
        hits = [len(set(some) & set(most)) for some, most in zip(slots.tolist(), truth.tolist(), strict=True)]
        assert np.mean(hits) > 9
        assert stats.lists >= 12 * len(queries)
        assert stats.unfinished.size == 0


def test_an_index_says_what_it_is() -> None:
    view = view_of(clouds(ROWS, 1))
    index = _core.Ivf(DIM, "cosine", "pq", seed=3)
    assert (index.nlist, index.covered, index.size, index.record_bytes) == (0, 0, 0, 0)
    index.extend(view)
    assert (index.codes, index.nbits, index.m, index.opq, index.bits) == ("pq", 4, DIM // 4, False, 0)
    assert (index.metric, index.dim, index.covered, index.size, index.trained_on) == ("cosine", DIM, ROWS, ROWS, ROWS)
    assert index.record_bytes == DIM // 8 + 4 + 4
    assert index.list_sizes().sum() == ROWS
    assert index.list_sizes().size == index.nlist
    assert index.drift == 1.0
    assert index.memory_bytes > ROWS * index.record_bytes
    signs = built({"codes": "rabitq", "bits": 3, "nlist": 20}, view)
    assert (signs.codes, signs.bits, signs.nbits, signs.m) == ("rabitq", 3, 0, 0)
    assert signs.nlist >= 20


def test_growth_repair_new_numbers_and_snapshots(tmp_path: Path) -> None:
    rows = clouds(ROWS, 1)
    view, queries = view_of(rows), clouds(20, 2)
    index = _core.Ivf(DIM, "cosine", "rabitq", bits=2)
    index.extend(view_of(rows[:2500]))
    reports: list[tuple[int, int]] = []
    index.extend(view, progress=lambda done, total: reports.append((done, total)))
    assert reports[-1] == (1500, 1500)
    alive = _core.RowSet.from_bools(np.arange(ROWS) % 3 != 0)
    slices = 1
    while not index.repair(view, alive, steps=1000):
        slices += 1
    assert slices > 2
    assert index.size == alive.count
    index.save(str(tmp_path / "index"), b"of the test")
    loaded = _core.Ivf.load(str(tmp_path / "index"))
    assert loaded.identity == b"of the test"
    truth = _core.scan(view, queries, 10, rows=alive)[0]
    for each in (index, loaded):
        assert np.array_equal(each.search(view, queries, 10, 1000, allowed=alive, pool=ROWS)[0], truth)
    numbers = np.full(ROWS, _core.ABSENT_SLOT, np.uint32)
    numbers[alive.to_slots()] = np.arange(alive.count)
    kept = view_of(rows[alive.to_slots()])
    moved = loaded.renumbered(numbers, alive.count)
    moved.check()
    assert np.array_equal(moved.search(kept, queries, 10, 1000, pool=ROWS)[0], _core.scan(kept, queries, 10)[0])


def test_any_changed_byte_of_a_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index"
    built({"codes": "rabitq", "bits": 2}, view_of(clouds(200, 1))).save(str(path), b"")
    good = path.read_bytes()
    for at in range(0, len(good), 997):
        damaged = bytearray(good)
        damaged[at] ^= 0x40
        other = tmp_path / f"damaged{at}"
        other.write_bytes(damaged)
        with pytest.raises(Corrupted):
            _core.Ivf.load(str(other))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codes": "sq8"}, "expected pq or rabitq"),
        ({"codes": "pq", "nbits": 6}, "nbits must be 4 or 8"),
        ({"codes": "pq", "m": DIM + 1}, "m must be at most dim"),
        ({"codes": "rabitq", "bits": 0}, "bits must be from 1 to 8"),
        ({"codes": "rabitq", "nlist": 65_536}, "nlist must be at most 65535"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        _core.Ivf(DIM, "l2", **options)


def test_fewer_rows_than_lists_make_as_many_lists_as_rows() -> None:
    view = view_of(clouds(7, 1))
    index = built({"codes": "pq", "nlist": 100}, view)
    assert index.nlist == 7
    assert np.array_equal(index.search(view, clouds(3, 2), 7, 1)[0], _core.scan(view, clouds(3, 2), 7)[0])


def test_searches_go_on_while_another_thread_extends() -> None:
    rows = clouds(20_000, 1)
    queries = clouds(5, 2)
    index = built({"codes": "pq"}, view_of(rows[:5000]))
    truth = _core.scan(view_of(rows[:5000]), queries, 10)[0]
    writer = threading.Thread(target=lambda: index.extend(view_of(rows)))
    writer.start()
    while writer.is_alive():
        found = index.search(view_of(rows[:5000]), queries, 10, 1000, pool=20_000, limit=5000)[0]
        assert np.array_equal(found, truth)
    writer.join()
    assert index.covered == 20_000


def test_an_index_is_built_from_rows_in_order_and_measures_them_where_they_are(tmp_path: Path) -> None:
    rows, other = clouds(ROWS, 1), clouds(ROWS, 3)
    split = built({"codes": "rabitq"}, _core.VectorView(rows, "l2", in_order=other))
    built({"codes": "rabitq"}, _core.VectorView(other, "l2")).save(str(tmp_path / "whole"), b"")
    split.save(str(tmp_path / "split"), b"")
    assert (tmp_path / "split").read_bytes() == (tmp_path / "whole").read_bytes()
    view = _core.VectorView(rows, "l2", in_order=other)
    slots, distances, _ = split.search(view, rows[:20], 1, split.nlist, pool=ROWS)
    assert slots[:, 0].tolist() == list(range(20))
    assert not distances.any()
