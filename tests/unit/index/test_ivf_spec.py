"""Options of inverted files: what they take, what each mistake says, and that nothing is lost by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vdb
from vdb.index.ivf_spec import AUTO

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, DIM = 60, 6
KINDS = (vdb.IVFPQ, vdb.IVFRaBitQ)


@pytest.fixture
def table() -> Iterator[vdb.Table]:
    with vdb.connect(":memory:") as db:
        x = np.random.default_rng(0).normal(size=(ROWS, DIM))
        yield db.create_table("t", {"id": np.arange(ROWS)}, e=x, key="id")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in kind.options])
def test_both_ends_of_a_range_are_allowed_and_what_is_beyond_is_refused(kind: Any, name: str) -> None:
    option = kind.options[name]
    for value in (option.least, option.greatest):
        assert getattr(kind(**{name: value}), name) == value
    for value in (option.least - 1, option.greatest + 1):
        with pytest.raises(vdb.InvalidArgument, match=rf"{name} must be .*{option.least:,} to .*, got {value}"):
            kind(**{name: value})
    for value in (2.0, None, True, "2", "AUTO"):
        with pytest.raises(vdb.InvalidArgument, match=f"{name} must be an integer, got"):
            kind(**{name: value})


def test_what_is_left_open_stays_so_and_params_make_the_spec_again() -> None:
    for spec in (vdb.IVFPQ(), vdb.IVFRaBitQ(), vdb.IVFPQ(7, 3, 8, opq=True, refine=False, metric="ip", seed=1)):
        again = type(spec)(**spec.params("l2"))  # type: ignore[arg-type]
        assert again == type(spec)(**{**spec.params("l2"), "metric": spec.metric or "l2"})  # type: ignore[arg-type]
    assert (vdb.IVFPQ().nlist, vdb.IVFPQ().m, vdb.IVFRaBitQ().nlist) == (AUTO, AUTO, AUTO)
    assert vdb.IVFPQ(nlist=np.int16(8)) == vdb.IVFPQ(nlist=8)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vdb.IVFPQ(nbits=6), r"nbits must be 4 or 8, got 6\.\n  Fix: 4 for"),
        (lambda: vdb.IVFPQ(nbits=True), r"nbits must be 4 or 8, got True"),
        (lambda: vdb.IVFPQ(nbits="8"), r"nbits must be 4 or 8, got '8'"),
        (lambda: vdb.IVFPQ(opq=1), r"opq must be True or False, got 1\.\n  Fix"),
        (lambda: vdb.IVFPQ(refine="no"), r"refine must be True or False, got 'no'\.\n  Fix"),
        (lambda: vdb.IVFPQ(metric="L2"), r"unknown metric 'L2'"),
        (lambda: vdb.IVFRaBitQ(bits=9), r"bits must be an integer from 1 to 8, got 9"),
    ],
)
def test_wrong_option_is_an_error_where_it_is_written(make: Any, message: str) -> None:
    with pytest.raises(vdb.InvalidArgument, match=message):
        make()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (vdb.IVFPQ(nlist=ROWS + 1), r"nlist=61 lists need as many rows to train on, and t\.e has 60 .*\n  Fix"),
        (vdb.IVFRaBitQ(nlist=1000), r"nlist=1,000 lists need .* t\.e has 60 vectors.*\n  Fix"),
        (vdb.IVFPQ(m=DIM + 1), r"m=7 sub-quantisers need .* t\.e has 6; expected 1 to 6\.\n  Fix"),
    ],
)
def test_what_does_not_suit_the_table_is_refused_and_nothing_is_lost(table: vdb.Table, spec: Any, message: str) -> None:
    with pytest.raises(vdb.InvalidArgument, match=message):
        table.create_index("e", spec)
    assert table.list_indexes() == []
    assert len(table.search(np.ones(DIM), 5)) == 5


def test_rotation_of_very_long_vectors_is_refused(table: vdb.Table) -> None:
    del table
    with vdb.connect(":memory:") as db:
        wide = db.create_table("w", {"id": np.arange(3)}, e=np.eye(3, 1025), key="id")
        with pytest.raises(
            vdb.InvalidArgument, match=r"opq is for up to 1,024 dimensions, and w\.e has 1,025\.\n  Fix"
        ):
            wide.create_index("e", vdb.IVFPQ(opq=True))


def test_dimension_that_is_no_multiple_of_m_is_padded(table: vdb.Table) -> None:
    info = table.create_index("e", vdb.IVFPQ(nlist=4, m=4))
    assert (info.lists, info.params["m"], info.covered) == (4, 4, ROWS)
    exact = table.search(np.ones(DIM), 9, strategy="scan").ids
    assert table.search(np.ones(DIM), 9, strategy="ivf", nprobe=4).ids.tolist() == exact.tolist()


def test_metric_written_in_python_is_refused() -> None:
    pytest.importorskip("numba", reason="metrics in Python are compiled by numba")
    metric = vdb.metric(lambda a, b, dim: abs(a[0] - b[0]), "first")
    for kind in KINDS:
        with pytest.raises(vdb.InvalidArgument, match=r"inverted lists know l2, cosine and ip, .*got 'first'\.\n  Fix"):
            kind(metric=metric)  # type: ignore[arg-type]
