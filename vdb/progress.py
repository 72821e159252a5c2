"""A progress bar for the command line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress_bar(what: str, unit: str = "row") -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal where tqdm is installed; `advance(done, total)`, which is yielded, moves it."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda _done, _total: None
        return
    with tqdm(desc=what, unit=unit, unit_scale=True, disable=None, leave=False) as bar:

        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield advance
