"""The cells of the filtered workload: what predicate each query gets, drawn with a seed of the cell's own.

EM, R and EMIS are those of the published arXiv sets (arXiv 2507.21989): their values are those of rows drawn at
random, so that a value is asked for as often as rows have it.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.filtered.predicate import (
    EVERYTHING,
    Between,
    Contains,
    Equal,
    Every,
    Predicate,
    Some,
    Substring,
    Without,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

WORD_LETTERS = 5  # of a word that titles are searched for, at least
CATEGORIES = 3  # of a disjunction
DRAWS = 1_000  # rows looked at for a value that serves


@dataclass
class Draw:
    """What the predicate of one query is drawn from; `nearest` is the row nearest to the query."""

    attributes: pa.Table
    dates: np.ndarray  # of every row, ascending
    nearest: int
    rng: np.random.Generator

    def of(self, column: str, row: int) -> Any:
        """One value of a row."""
        return self.attributes[column][row].as_py()

    def value(self, column: str) -> Any:
        """The value of a random row."""
        return self.of(column, int(self.rng.integers(len(self.attributes))))

    def element(self, column: str) -> str:
        """An element of the list of a random row."""
        values = self.value(column)
        return str(values[int(self.rng.integers(len(values)))])

    def window(self, share: float) -> tuple[int, int]:
        """First and last of a random run of row numbers that is a share of all."""
        rows = len(self.attributes)
        width = max(round(share * rows), 1)
        first = int(self.rng.integers(rows - width + 1))
        return first, first + width - 1


def _em(draw: Draw) -> Predicate:
    return Equal("number_of_sub_categories", draw.value("number_of_sub_categories"))


def _r(draw: Draw) -> Predicate:
    low, high = sorted((draw.value("update_date"), draw.value("update_date")))
    return Between("update_date", low, high)


def _emis(draw: Draw) -> Predicate:
    return Contains("main_categories", draw.element("main_categories"))


def _random(share: float) -> Callable[[Draw], Predicate]:
    return lambda draw: Between("lot", *draw.window(share))


def _own_category(draw: Draw) -> Predicate:
    return Equal("primary_category", draw.of("primary_category", draw.nearest))


def _outside_archive(draw: Draw) -> Predicate:
    archive = draw.of("primary_category", draw.nearest).partition(".")[0]
    return Every((Without("main_categories", archive), Between("lot", *draw.window(0.05))))


def _date_window(draw: Draw) -> Predicate:
    first, last = draw.window(0.01)
    return Between("update_date", int(draw.dates[first]), int(draw.dates[last]))


def _r_and_emis(draw: Draw) -> Predicate:
    return Every((_r(draw), _emis(draw)))


def _three_categories(draw: Draw) -> Predicate:
    chosen: dict[str, None] = {}
    for _ in range(DRAWS):
        chosen[draw.element("main_categories")] = None
        if len(chosen) == CATEGORIES:
            break
    return Some(tuple(Contains("main_categories", category) for category in chosen))


def _title_word(draw: Draw) -> Predicate:
    for _ in range(DRAWS):
        words = re.findall(rf"[A-Za-z]{{{WORD_LETTERS},}}", draw.value("title"))
        if words:
            return Substring("title", str(draw.rng.choice(words)).lower())
    raise ValueError(f"no title has a word of {WORD_LETTERS} letters; expected real or made attributes")


@dataclass(frozen=True)
class Cell:
    """A kind of predicate: its name, what it says in words, and how one is drawn."""

    name: str
    title: str
    draw: Callable[[Draw], Predicate]


CELLS = {
    cell.name: cell
    for cell in (
        Cell("all", "every row", lambda _: EVERYTHING),
        Cell("em", "EM: number of sub-categories", _em),
        Cell("r", "R: update date between those of two rows", _r),
        Cell("emis", "EMIS: main category", _emis),
        Cell("random_50", "random 50 %", _random(0.5)),
        Cell("random_10", "random 10 %", _random(0.1)),
        Cell("random_1", "random 1 %", _random(0.01)),
        Cell("random_0.1", "random 0.1 %", _random(0.001)),
        Cell("random_0.01", "random 0.01 %", _random(0.0001)),
        Cell("own_category", "primary category of the nearest paper", _own_category),
        Cell("outside_archive_5", "outside the nearest paper's archive, 5 %", _outside_archive),
        Cell("date_window_1", "1 % window of update date", _date_window),
        Cell("r_and_emis", "R and EMIS", _r_and_emis),
        Cell("three_categories", "three main categories by OR", _three_categories),
        Cell("title_word", "title ILIKE a word", _title_word),
    )
}


def draw_predicates(cell: Cell, attributes: pa.Table, nearest: np.ndarray, seed: int) -> list[Predicate]:
    """A predicate for each query, whose nearest rows are `nearest`, (nq,); the same for the same seed."""
    rng = np.random.default_rng([seed, zlib.crc32(cell.name.encode())])
    dates = np.sort(attributes["update_date"].to_numpy())
    return [cell.draw(Draw(attributes, dates, int(row), rng)) for row in nearest]
