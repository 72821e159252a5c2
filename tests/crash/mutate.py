"""Leave out one flush, checksum or step of the protocol at a time: a part of the programme must fail each time.

What no part notices is either not needed or not tested; it is listed as a failure here.

    python tests/crash/run.py mutate
    python tests/crash/run.py mutate --count 1 --seed 3
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import damage
import power
from shim import in_child

from vdb.storage import commit, files, mend, recovery, undo, vector_file
from vdb.storage.files import File

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STATES = 1500  # looked at before a mutation counts as not noticed


def no_flush_of(ending: str) -> Callable[[], None]:
    """Leave out every flush of files whose name ends so."""

    def mutate() -> None:
        sync = File.sync

        def sync_others(file: File, metadata: bool = False) -> None:
            if not file.path.name.endswith(ending):
                sync(file, metadata)

        File.sync = sync_others  # type: ignore[method-assign]

    return mutate


def no_flush_in(name: str) -> Callable[[], None]:
    """Leave out every flush of directories of that name."""

    def mutate() -> None:
        sync = files.sync_directory

        def sync_others(path: Path) -> None:
            if path.name != name:
                sync(path)

        files.sync_directory = sync_others  # type: ignore[assignment]

    return mutate


def put(owner: Any, name: str, value: object) -> Callable[[], None]:
    """Put something else in the place of a function."""
    return lambda: setattr(owner, name, value)


def commit_first() -> None:
    """Let the catalog commit before the vectors are flushed."""
    seal, finish = vector_file.VectorFile.seal, commit._finish
    waiting: list[tuple[Any, int, int]] = []
    vector_file.VectorFile.seal = lambda file, *seqs: waiting.append((file, *seqs))  # type: ignore[method-assign]

    def finish_late(*given: Any) -> None:
        while waiting:
            seal(*waiting.pop())
        finish(*given)

    commit._finish = finish_late


MUTATIONS: dict[str, tuple[Callable[..., dict[str, Any]], Callable[[], None]]] = {
    "vectors are not flushed": (power.main, no_flush_of(".vec")),
    "the catalog commits before the vectors are flushed": (power.main, commit_first),
    "the directory is not flushed after a commit": (power.main, no_flush_in("db")),
    "the directory of new vector files is not flushed": (power.main, no_flush_in("vectors")),
    "the parent of a new database is not flushed": (power.main, no_flush_in("work")),
    "what a checkpoint writes over is not kept": (power.main, put(undo, "save", lambda *_given: None)),
    "what a checkpoint writes over is not flushed": (power.main, no_flush_of("UNDO")),
    "a log DuckDB refuses is not cut": (power.main, put(mend, "_planned", lambda *_given: None)),
    "headers of vector files are not checked": (damage.main, put(vector_file, "check_header", lambda *_given: None)),
    "vectors are not checked": (damage.main, put(vector_file.VectorFile, "_check_crc", lambda *_given: None)),
    "witnesses are not asked": (damage.main, put(recovery, "_check_witnesses", lambda _home, seq, _opened: seq)),
}


def main(folder: Path, count: int, seed: int, seconds: float) -> dict[str, Any]:
    """Try `count` mutations, beginning with the one of number `seed`; `seconds` is for all of them."""
    end, noticed, failures = time.monotonic() + seconds, {}, []
    first = (seed - 1) % len(MUTATIONS)
    for number, (name, (part, mutate)) in enumerate(list(MUTATIONS.items())[first:][:count]):
        place = folder / str(number)
        place.mkdir()

        def call(report: Any, part: Any = part, mutate: Any = mutate, place: Path = place) -> None:
            mutate()
            report(part(place, STATES, seed, min(end - time.monotonic(), 120.0), first=True))

        reported, status = in_child(call)
        caught = status == 0 and bool(reported[0]["failures"])
        noticed[name] = caught
        if not caught:
            failures.append(f"nothing notices that {name}: {reported}")
    return {"mutations": len(noticed), "noticed": sum(noticed.values()), "failures": failures}
