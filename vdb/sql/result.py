"""What a statement returns: rows in the forms of DuckDB's results, to be read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from vdb.errors import InvalidState
from vdb.query.export import arrow_table, package
from vdb.storage.zoned import fetch_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vdb.storage.session import Answer

T = TypeVar("T")


class Result:
    """The rows of one statement, or how many it wrote.

    Rows are read once: all of them in one form (`df`, `arrow`, `pl`, `fetchnumpy`), or one after the other. They are
    those of the moment the statement ran, however late they are read; closing the database ends that.

    Attributes
    ----------
    rowcount : int
        Rows written, -1 where the statement wrote none.
    """

    def __init__(self, answer: Answer | None, rowcount: int = -1, plan: Callable[[], str] = str) -> None:
        self._answer = answer
        self._rows: Iterator[tuple[Any, ...]] | None = None
        self._plan = plan
        self.rowcount = rowcount

    @property
    def description(self) -> list[tuple[Any, ...]] | None:
        """Name and type of each column, and five times None, as DB-API has it; None where there are no rows."""
        return None if self._answer is None else self._answer.description

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [column[0] for column in self.description or []]

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, None behind the last."""
        return next(self._each(), None)

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        """The next `size` rows, fewer at the end."""
        rows = self._each()
        return [row for _, row in zip(range(size), rows, strict=False)]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that are left."""
        return list(self._each())

    def fetchnumpy(self) -> dict[str, Any]:
        """An array for each column."""
        return self._whole(lambda found: found.fetchnumpy())

    def df(self) -> Any:
        """A pandas.DataFrame; InvalidState where pandas is not installed."""
        package("pandas")
        return self._whole(lambda found: found.df())

    def arrow(self) -> Any:
        """A pyarrow.Table; InvalidState where pyarrow is not installed."""
        package("pyarrow")
        return self._whole(arrow_table)

    def pl(self) -> Any:
        """A polars.DataFrame; InvalidState where polars or pyarrow is not installed."""
        polars = package("polars")
        return polars.from_arrow(self.arrow())

    def explain(self) -> str:
        """How its nearest rows were found; empty where it looked for none."""
        return self._plan()

    def close(self) -> None:
        """Forget the rows that were not read; a second call does nothing."""
        if self._answer is not None:
            self._answer.close()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._each()

    def __repr__(self) -> str:
        if self._answer is None:
            return f"<vdb result: {self.rowcount} rows written>" if self.rowcount >= 0 else "<vdb result: nothing>"
        return f"<vdb result: {', '.join(self.columns)}>"

    def _each(self) -> Iterator[tuple[Any, ...]]:
        if self._rows is None:
            self._rows = iter(self._whole(fetch_all))
        return self._rows

    def _whole(self, take: Callable[[Any], T]) -> T:
        if self._answer is None:
            raise InvalidState("This statement returns no rows. Fix: ask for its rowcount, or write RETURNING.")
        return self._answer.read(take)
