"""Wrong calls of filtered search and its indexes, as in bad_input.py: the error, a pattern of its message, the call."""

from __future__ import annotations

import datetime

from bad_input import ONE, Case

import vdb

DAY = datetime.date(2020, 1, 1)


def forced(strategy: str, where: str) -> Case:
    """A strategy whose index the column lacks."""
    pattern = rf"strategy '{strategy}' cannot run: .*Fix: create_index\(column, .*or strategy='auto'"
    return vdb.InvalidArgument, pattern, lambda db, t: t.search([1, 2], column="c", where=where, strategy=strategy)


FILTERING: dict[str, Case] = {
    "text that is no number": (vdb.PredicateError, r"abc", lambda db, t: t.count("n = 'abc'")),
    "parameter that is no number": (vdb.PredicateError, r"abc", lambda db, t: t.count("n = ?", ["abc"])),
    "date beside a number": (vdb.PredicateError, r"n >= \?|DATE", lambda db, t: t.count("n >= ?", [DAY])),
    "texts around a number": (
        vdb.PredicateError,
        r"'?a'?",
        lambda db, t: t.search(ONE, column="e", where="n BETWEEN 'a' AND 'b'"),
    ),
    "list function of a number": (vdb.PredicateError, r"list_contains", lambda db, t: t.count("list_contains(n, 1)")),
    "range over a vector column": (
        vdb.InvalidArgument,
        r"items\.c is a vector column, which has no order; columns to order by: id, lang, n.*Fix",
        lambda db, t: t.create_index("e", vdb.Range("c")),
    ),
    "range over no column": (
        vdb.InvalidArgument,
        r"no column 'lagn' to order by.*Fix: name one, such as 'lang'",
        lambda db, t: t.create_index("e", vdb.Range("lagn")),
    ),
    "overlays of a value for each row": (
        vdb.InvalidArgument,
        r"items\.id has 20 values in 20 rows, and none of them in more than 1: .*min_rows=10 rows.*Fix",
        lambda db, t: t.create_index("e", vdb.Label("id", min_rows=10)),
    ),
    "overlays over a vector column": (
        vdb.InvalidArgument,
        r"items\.c is FLOAT\[2\], whose values are no labels; expected.*Fix",
        lambda db, t: t.create_index("e", vdb.Label("c")),
    ),
    "overlays over no column": (
        vdb.InvalidArgument,
        r"no column 'lagn'.*Did you mean 'lang'",
        lambda db, t: t.create_index("e", vdb.Label("lagn")),
    ),
    "M_beta of none": (
        vdb.InvalidArgument,
        r"M_beta must be an integer from 1 to .*got 0",
        lambda db, t: t.create_index("c", vdb.ACORN(gamma=2, M_beta=0)),
    ),
    "attribute index of a vector column": (
        vdb.InvalidArgument,
        r"vector column, which has no order.*Fix",
        lambda db, t: t.create_index("c", vdb.Attribute()),
    ),
    **{f"forced {one} without its index": forced(one, "n > 3") for one in ("range", "acorn", "codes", "post", "graph")},
    "forced label without its index": forced("label", "lang = 'en'"),
}
