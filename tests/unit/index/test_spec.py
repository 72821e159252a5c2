"""HNSW options: their ranges, defaults, and what a wrong one says."""

from __future__ import annotations

import numpy as np
import pytest

from vdb.errors import InvalidArgument
from vdb.index.spec import EF_SEARCH, HNSW, Option, check_integer, check_metric, check_name, check_option


def test_defaults_are_those_of_the_options() -> None:
    spec = HNSW()
    assert (spec.metric, spec.M, spec.ef_construction, spec.seed) == (None, 16, 200, 42)
    for name, option in HNSW.options.items():
        assert getattr(spec, name) == option.default
        assert option.least <= option.default <= option.greatest
        assert option.meaning
    assert EF_SEARCH.least <= EF_SEARCH.default <= EF_SEARCH.greatest


@pytest.mark.parametrize("name", HNSW.options)
def test_both_ends_of_a_range_are_allowed_and_what_is_beyond_is_refused(name: str) -> None:
    option = HNSW.options[name]
    for value in (option.least, option.greatest):
        assert getattr(HNSW(**{name: value}), name) == value
    for value in (option.least - 1, option.greatest + 1):
        with pytest.raises(InvalidArgument, match=rf"{name} must be an integer from {option.least:,} to .*got {value}"):
            HNSW(**{name: value})


@pytest.mark.parametrize("value", [16.0, "16", None, True, [16]])
def test_option_that_is_no_integer_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument, match="M must be an integer, got"):
        HNSW(M=value)  # type: ignore[arg-type]


def test_numpy_integer_becomes_an_int() -> None:
    spec = HNSW(M=np.int16(8))  # type: ignore[arg-type]
    assert spec.M == 8
    assert type(spec.M) is int
    assert spec == HNSW(M=8)


@pytest.mark.parametrize("metric", ["L2", "euclidean", "", 2])
def test_unknown_metric_lists_the_known_ones(metric: object) -> None:
    with pytest.raises(InvalidArgument, match=r"unknown metric .*expected one of l2, cosine, ip"):
        HNSW(metric=metric)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        check_metric(metric)


def test_params_take_the_metric_of_the_column_where_none_is_given() -> None:
    assert HNSW(M=4).params("ip") == {
        "metric": "ip",
        "M": 4,
        "ef_construction": 200,
        "seed": 42,
        "codes": "auto",
        "bits": 0,
    }
    assert HNSW(metric="l2").params("ip")["metric"] == "l2"


def test_params_make_the_spec_again() -> None:
    spec = HNSW("cosine", 5, 6, 7)
    assert HNSW(**spec.params("l2")) == spec  # type: ignore[arg-type]


def test_option_message_says_what_it_means_and_its_default() -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_option("x", 9, Option(1, 2, 3, "does things"))
    assert str(caught.value) == "x must be an integer from 1 to 3, got 9.\n  x: does things; 2 by default."


def test_integers_of_any_type_are_integers_and_nothing_else_is() -> None:
    assert check_integer("k", np.uint64(2**63)) == 2**63
    for value in (1.0, "1", None, False, np.float32(1), np.bool_(True)):
        with pytest.raises(InvalidArgument, match="k must be an integer"):
            check_integer("k", value)


def test_name_is_a_string_with_something_in_it() -> None:
    assert check_name("a table", "t") == "t"
    for value in ("", "  ", None, 5, b"t"):
        with pytest.raises(InvalidArgument, match="a table must be a name"):
            check_name("a table", value)
