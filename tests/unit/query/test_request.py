"""A search as the caller words it becomes a request, or one error."""

from __future__ import annotations

import numpy as np
import pytest

from vdb.errors import DimensionMismatch, InvalidArgument, PredicateError
from vdb.query.request import SearchOptions, choose_column, make_request, parse_where, shown_columns
from vdb.storage.schema import parse_schema

ONE = parse_schema("t", {"id": "BIGINT PRIMARY KEY", "n": "INTEGER", "e": "FLOAT[3]"})
TWO = parse_schema("u", {"n": "INTEGER", "a": "FLOAT[3]", "b": "FLOAT[2]"}, {"b": "cosine"})
BARE = parse_schema("v", {"e": "FLOAT[3]"})


def test_defaults_are_the_only_vector_column_its_metric_and_every_attribute() -> None:
    request = make_request(ONE, [1, 2, 3], 5, SearchOptions())
    assert request.column is ONE.by_name["e"]
    assert (request.k, request.metric, request.strategy, request.is_batch) == (5, "l2", "auto", False)
    assert request.predicate is None
    assert request.ef_search is None
    assert request.columns == ("id", "n")
    assert request.queries.dtype == np.float32
    assert request.queries.tolist() == [[1, 2, 3]]


def test_matrix_is_a_batch_even_of_one() -> None:
    assert make_request(ONE, [[1, 2, 3]], 5, SearchOptions()).is_batch


def test_float32_query_is_not_copied() -> None:
    query = np.ones(3, np.float32)
    assert np.shares_memory(make_request(ONE, query, 5, SearchOptions()).queries, query)


def test_everything_asked_for_is_kept() -> None:
    options = SearchOptions("n = ?", [4], "a", ["n", "a"], "ip", 99, "scan")
    request = make_request(TWO, [1, 2, 3], np.int8(7), options)  # type: ignore[arg-type]
    assert (request.k, request.metric, request.ef_search, request.strategy) == (7, "ip", 99, "scan")
    assert type(request.k) is int
    assert request.predicate is not None
    assert request.predicate.parameters == (4,)
    assert request.columns == ("n", "a")


def test_zero_query_is_refused_under_cosine_only() -> None:
    zero = SearchOptions(column="b")
    with pytest.raises(InvalidArgument, match="the query is a zero vector"):
        make_request(TWO, [0, 0], 1, zero)
    with pytest.raises(InvalidArgument, match="query 2 is a zero vector"):
        make_request(TWO, [[1, 0], [0, 1], [0, 0]], 1, zero)
    make_request(TWO, [0, 0], 1, SearchOptions(column="b", metric="l2"))
    make_request(TWO, [0, 1e-44], 1, zero)


@pytest.mark.parametrize("k", [0, -1, 1.0, "1", None, True, [1]])
def test_k_is_a_positive_integer(k: object) -> None:
    with pytest.raises(InvalidArgument, match="k must be"):
        make_request(ONE, [1, 2, 3], k, SearchOptions())  # type: ignore[arg-type]


@pytest.mark.parametrize("recall", [0, -0.1, 1.01, 95, float("nan"), "0.9", True, [0.9]])
def test_recall_is_a_share_above_zero(recall: object) -> None:
    with pytest.raises(InvalidArgument, match=r"recall must be a number above 0 and at most 1, got"):
        make_request(ONE, [1, 2, 3], 1, SearchOptions(recall=recall))  # type: ignore[arg-type]


def test_recall_and_effort_together_are_refused_with_both_values() -> None:
    for name in ("ef_search", "nprobe"):
        with pytest.raises(InvalidArgument, match=rf"both recall=0\.95 and {name}=80.*\n.*Fix: pass recall="):
            make_request(ONE, [1, 2, 3], 1, SearchOptions(recall=0.95, **{name: 80}))


@pytest.mark.parametrize("nprobe", [0, -1, 1.0, "8", True])
def test_nprobe_is_a_positive_integer_beyond_every_list_too(nprobe: object) -> None:
    assert make_request(ONE, [1, 2, 3], 1, SearchOptions(nprobe=2**70)).nprobe == 2**31 - 1
    with pytest.raises(InvalidArgument, match=r"nprobe must be .*got"):
        make_request(ONE, [1, 2, 3], 1, SearchOptions(nprobe=nprobe))  # type: ignore[arg-type]


def test_recall_is_kept_as_a_float() -> None:
    assert make_request(ONE, [1, 2, 3], 1, SearchOptions()).recall is None
    recall = make_request(ONE, [1, 2, 3], 1, SearchOptions(recall=1)).recall
    assert (recall, type(recall)) == (1.0, float)


def test_wrong_dimension_names_both() -> None:
    with pytest.raises(DimensionMismatch, match=r"2 values; u\.a is FLOAT\[3\]"):
        make_request(TWO, [1, 2], 1, SearchOptions(column="a"))


def test_column_is_chosen_by_name_or_because_it_is_alone() -> None:
    assert choose_column(ONE, None).name == "e"
    assert choose_column(TWO, "b").name == "b"
    with pytest.raises(InvalidArgument, match="several vector columns: a, b"):
        choose_column(TWO, None)
    for name in ("n", "c"):
        with pytest.raises(
            InvalidArgument, match=rf"'{name}' is not a vector column of table u\. Vector columns: a, b"
        ):
            choose_column(TWO, name)


def test_shown_columns_are_the_selected_ones_in_their_order() -> None:
    assert shown_columns(TWO, ["b", "n"]) == ("b", "n")
    assert shown_columns(TWO, ("n",)) == ("n",)
    assert shown_columns(TWO, []) == ()
    assert shown_columns(TWO, None) == ("n",)
    assert shown_columns(BARE, None) == ("_row_id",)
    assert shown_columns(BARE, ["_row_id", "e"]) == ("_row_id", "e")


@pytest.mark.parametrize("select", ["n", 5, ["m"], [5], [["n"]], [None], ["_slot"], ["_distance"]])
def test_selection_of_anything_else_is_refused(select: object) -> None:
    with pytest.raises(InvalidArgument):
        shown_columns(ONE, select)  # type: ignore[arg-type]


def test_values_without_a_predicate_are_an_error_unless_there_are_none() -> None:
    for params in ([1], (1,), {"a": 1}, np.ones(2), 5):
        with pytest.raises(PredicateError, match="no where that uses them"):
            parse_where(None, params, ONE)
    for nothing in (None, [], (), {}):
        assert parse_where(None, nothing, ONE) is None
