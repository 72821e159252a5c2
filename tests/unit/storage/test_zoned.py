"""Times with a zone as Python's, by every way that hands out rows, with pytz or without."""

from __future__ import annotations

import datetime as dt
import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from vdb.storage import zoned

if TYPE_CHECKING:
    from collections.abc import Sequence

    import vdb

INSTANT = dt.datetime(2020, 1, 1, 9, 30, 0, 123456, tzinfo=dt.timezone.utc)


@pytest.fixture(autouse=True)
def without_pytz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def events(db: vdb.Database) -> vdb.Database:
    table = db.create_table("events", {"id": "BIGINT PRIMARY KEY", "moment": "TIMESTAMPTZ", "e": "FLOAT[2]"})
    local = INSTANT.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30)))
    table.add([{"id": 1, "moment": local, "e": [1, 0]}, {"id": 2, "moment": None, "e": [0, 1]}])
    return db


def test_rows_of_a_statement(events: vdb.Database) -> None:
    wanted = [(1, INSTANT, INSTANT), (2, None, None)]
    statement = "SELECT id, moment, moment FROM events WHERE id < ? ORDER BY e <-> [1, 0]"
    result = events.sql(statement, [3])
    assert result.columns == ["id", "moment", "moment"]
    assert result.fetchall() == wanted
    assert list(events.sql(statement, [3])) == wanted
    assert events.sql(statement, [3]).fetchone() == wanted[0]
    with events.transaction():
        events.table("events").delete(ids=[2])
        assert events.sql(statement, [3]).fetchall() == wanted[:1]


def test_a_result_stays_that_of_its_moment(events: vdb.Database) -> None:
    result = events.sql("SELECT moment FROM events ORDER BY id")
    events.table("events").delete(where="TRUE")
    assert result.fetchall() == [(INSTANT,), (None,)]


def test_other_results_are_read_as_they_are() -> None:
    def description(*types: str) -> Sequence[Sequence[Any]]:
        return [("c", type_, None) for type_ in types]

    assert zoned.lacks_python_form(description("BIGINT", "TIMESTAMP WITH TIME ZONE"))
    assert not zoned.lacks_python_form(description("TIMESTAMP", "TIME WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE[]"))
