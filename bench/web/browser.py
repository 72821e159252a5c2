"""Looks at a page in headless chromium: errors of its scripts, and plots with nothing in them.

python bench/web/browser.py build/report.html --picture build/report.png
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_S = 120
OPTIONS = (
    "--headless",
    "--no-sandbox",  # a container's root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
    "--window-size=1400,2400",
)


def find() -> str | None:
    """The browser of this machine, if there is one; Debian's package is called chromium."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def problems(page: Path) -> list[str]:
    """What a browser finds wrong with a page: nothing, where every script ran and every plot has marks."""
    document, log = _opened(page, ["--dump-dom"])
    found = [line for line in log.splitlines() if "CONSOLE" in line and re.search(r"Uncaught|Error", line)]
    return found + problems_of(document)


def picture(page: Path, path: Path) -> None:
    """A PNG of the top of the page."""
    _opened(page, [f"--screenshot={path}"])


def problems_of(document: str) -> list[str]:
    """The same of a document as it stands after its scripts have run."""
    seen = _Plots()
    seen.feed(document)
    found = [f"a script failed: {seen.errors}"] if seen.errors else []
    if seen.drawn is None:
        found.append("the script did not come to its end")
    elif int(seen.drawn) != len(seen.marks):
        found.append(f"{seen.drawn} plots were to be drawn, {len(seen.marks)} are there")
    found += [f"plot {at} has no marks" for at, marks in enumerate(seen.marks) if not marks]
    return found + [f"a mark has the place {place}" for place in seen.misplaced]


class _Plots(HTMLParser):
    """Counts the marks of each plot."""

    def __init__(self) -> None:
        super().__init__()
        self.errors = ""
        self.drawn: str | None = None
        self.marks: list[int] = []
        self.misplaced: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        given = {name: value or "" for name, value in attrs}
        classes = given.get("class", "").split()
        if tag == "html":
            self.errors, self.drawn = given.get("data-errors", ""), given.get("data-drawn")
        elif tag == "svg" and "plot" in classes:
            self.marks.append(0)
        elif "mark" in classes and self.marks:
            self.marks[-1] += 1
            self.misplaced += [f"{name}={given[name]}" for name in ("cx", "cy", "x", "y") if _is_nowhere(given, name)]


def _is_nowhere(given: dict[str, str], name: str) -> bool:
    return name in given and not re.fullmatch(r"-?\d+(\.\d+)?", given[name])


def _opened(page: Path, options: list[str]) -> tuple[str, str]:
    browser = find()
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(NAMES)} is installed; Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, *OPTIONS, f"--user-data-dir={profile}", *options, page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return done.stdout, done.stderr


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--picture", type=Path, help="a PNG of its top")
    options = parser.parse_args(arguments)
    found = problems(options.page)
    print("\n".join(found) or "nothing is wrong")
    if options.picture:
        picture(options.page, options.picture)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
