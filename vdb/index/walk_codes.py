"""Which codes a graph is walked by, where the user leaves it open: the shortest that rank a sample well enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vdb import _core

if TYPE_CHECKING:
    from vdb.types import FloatMatrix, Metric, Slots

# A code that takes more than this share of a vector saves too little: a step of a walk costs more than its bytes.
_GREATEST_SHARE: Final = 1 / 3
_LEAST_ROW_BYTES: Final = 512  # of a vector that is worth a code: shorter ones come in a few cache lines themselves
# Rows that a choice is measured on; with fewer, the width alone decides.
_LEAST_ROWS: Final = 512
_QUERIES: Final = 64
_NEAREST: Final = 10
_SHORTLIST: Final = 2 * _NEAREST  # more and more of them would have to be measured on vectors
_GOOD_RECALL: Final = 0.98  # of the nearest within the shortlist
_RABITQ_BITS: Final = (1, 2, 4)
_WIDE: Final = 256  # dimensions from which a bit each ranks well on every set measured (bench/README.md)


class WalkCodes(NamedTuple):
    """A kind of codes and the bits of a dimension, 0 where the kind has no choice."""

    codes: str
    bits: int


NO_CODES: Final = WalkCodes("none", 0)


def choose_walk_codes(sample: FloatMatrix, row_bytes: int, metric: Metric, seed: int) -> WalkCodes:
    """The codes for vectors of `row_bytes`, of which `sample` (n, dim) are some, of length 1 for cosine."""
    n, dim = sample.shape
    affordable = [
        choice
        for choice in (*(WalkCodes("rabitq", bits) for bits in _RABITQ_BITS), WalkCodes("sq8", 0))
        if row_bytes >= _LEAST_ROW_BYTES and _record_bytes(choice, dim) <= _GREATEST_SHARE * row_bytes
    ]
    if not affordable:
        return NO_CODES
    if n < _LEAST_ROWS:
        return affordable[0] if dim >= _WIDE else NO_CODES
    sample = np.ascontiguousarray(sample)
    queries = np.ascontiguousarray(sample[:: max(1, n // _QUERIES)][:_QUERIES])
    truth = _true_nearest(sample, queries, metric)
    for choice in affordable:
        if _recall(sample, queries, truth, (choice, metric, seed)) >= _GOOD_RECALL:
            return choice
    return NO_CODES


def code_bytes(codes: str, bits: int, dim: int) -> int | None:
    """About the bytes of a record: the codes and their factors. None where there are no codes."""
    if codes == NO_CODES.codes:
        return None
    return _record_bytes(WalkCodes(codes, 1 if codes == "packed" else bits), dim)


def _record_bytes(choice: WalkCodes, dim: int) -> int:
    return dim * (choice.bits or 8) // 8 + 16


def _true_nearest(sample: FloatMatrix, queries: FloatMatrix, metric: Metric) -> Slots:
    view = _core.VectorView(sample, "l2" if metric == "l2" else "ip")
    slots, _, _ = _core.scan(view, queries, _NEAREST)
    return slots


def _recall(sample: FloatMatrix, queries: FloatMatrix, truth: Slots, how: tuple[WalkCodes, Metric, int]) -> float:
    choice, metric, seed = how
    codes = _core.Codes(sample.shape[1], "l2" if metric == "l2" else "ip", choice.codes, seed, choice.bits)
    codes.extend(_core.VectorView(sample, codes.metric))
    estimates, _ = codes.estimate(queries)
    shortlist = np.argpartition(estimates, _SHORTLIST, axis=1)[:, :_SHORTLIST]
    return float(np.mean([np.isin(found, near).mean() for found, near in zip(truth, shortlist, strict=True)]))
