"""Leave out one flush, checksum or step of the protocol at a time: a part of the programme must fail each time.

What no part notices is either not needed or not tested; it is listed as a failure here.

    python tests/crash/run.py mutate
    python tests/crash/run.py mutate --count 1 --seed 3
"""

from __future__ import annotations

import re
import time
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import damage
import power
from disk import Model
from shim import in_child

from vdb.storage import commit, files, mend, recovery, undo, vector_file
from vdb.storage.files import File

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STATES = 1500  # looked at before a mutation counts as not noticed
SHOWN = 200  # letters of what was wrong
NEVER = re.compile("(?!)")  # is found nowhere

Part: TypeAlias = "Callable[..., dict[str, Any]]"


def no_flush_of(ending: str) -> Callable[[], None]:
    """Leave out every flush of files whose name ends so."""

    def mutate() -> None:
        sync = File.sync

        def sync_others(file: File, metadata: bool = False) -> None:
            if not file.path.name.endswith(ending):
                sync(file, metadata)

        File.sync = sync_others  # type: ignore[method-assign]

    return mutate


def no_flush_in(pattern: str) -> Callable[[], None]:
    """Leave out every flush of directories whose name is like that."""

    def mutate() -> None:
        sync = files.sync_directory

        def sync_others(path: Path) -> None:
            if not fnmatchcase(path.name, pattern):
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


def power_at(ending: str) -> Part:
    """The loss of power behind calls on some files."""
    return partial(power.main, aim=power.Aim(ending))


def damage_to(file: str, verb: str) -> Part:
    """Damage of one kind to one file."""
    return partial(damage.main, aim=damage.Aim(file, verb))


STRICT: Part = partial(power.main, aim=power.Aim(models=(Model.STRICT,)))
MUTATIONS: dict[str, tuple[Part, Callable[[], None]]] = {
    "vectors are not flushed": (power.main, no_flush_of(".vec")),
    "the catalog commits before the vectors are flushed": (power_at(".wal"), commit_first),
    "the directory is not flushed after a commit": (STRICT, no_flush_in("db")),
    "the directory of new vector files is not flushed": (STRICT, no_flush_in("vectors")),
    "the parent of a new database is not flushed": (STRICT, no_flush_in("work")),
    "the folders of a new database are not flushed": (STRICT, no_flush_in("db.tmp-*")),
    "FORMAT is not flushed": (power.main, no_flush_of("FORMAT")),
    "what a checkpoint writes over is not kept": (
        power_at("/db/catalog.duckdb"),
        put(undo, "save", lambda *_given: None),
    ),
    "what a checkpoint writes over is not flushed": (power_at("/db/catalog.duckdb"), no_flush_of("UNDO")),
    "a log DuckDB refuses is not cut": (power_at(".wal"), put(mend, "_BAD_ENTRY", NEVER)),
    "what a checkpoint wrote over is not put back": (power_at("/db/catalog.duckdb"), put(mend, "_BAD_BLOCK", NEVER)),
    "headers of vector files are not checked": (
        damage_to("vectors", "both"),
        put(vector_file, "check_header", lambda *_given: None),
    ),
    "vectors are not checked": (
        damage_to("vectors", "change"),
        put(vector_file.VectorFile, "_check_crc", lambda *_given: None),
    ),
    "witnesses are not asked": (
        damage_to("catalog.duckdb.wal", "cut"),
        put(recovery, "_check_witnesses", lambda _home, seq, _opened: (seq, seq)),
    ),
}


def main(folder: Path, count: int, seed: int, seconds: float) -> dict[str, Any]:
    """Try `count` mutations, beginning with the one of number `seed`; `seconds` is for all of them."""
    end, noticed, failures = time.monotonic() + seconds, {}, []  # the first thing that was wrong, by what was left out
    first = (seed - 1) % len(MUTATIONS)
    chosen = list(MUTATIONS.items())[first:][:count]
    for number, (name, (part, mutate)) in enumerate(chosen):
        place = folder / str(number)
        place.mkdir()

        def call(report: Any, part: Any = part, mutate: Any = mutate, place: Path = place) -> None:
            mutate()
            report(part(place, STATES, seed, min(end - time.monotonic(), 120.0), first=True))

        reported, status = in_child(call)
        if status == 0 and reported[0]["failures"]:
            noticed[name] = reported[0]["failures"][0][:SHOWN]
        else:
            failures.append(f"nothing notices that {name}: {reported}")
    return {"mutations": len(chosen), "noticed": len(noticed), "by": noticed, "failures": failures}
