"""A workload as its TOML file states it: which data, which parameters, which peers, how often."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from bench.adapters.base import GraphParams
from bench.datasets import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


@dataclass(frozen=True)
class DataChoice:
    """A data set of data/registry.toml, cut to its first rows and queries."""

    name: str
    rows: int
    queries: int


@dataclass(frozen=True)
class SearchPlan:
    """Every effort is measured in every repetition; `recall_floors` are reported by interpolation."""

    k: int
    efforts: tuple[int, ...]
    repetitions: int
    recall_floors: tuple[float, ...]


@dataclass(frozen=True)
class FilteredPlan:
    """How the questions of every cell are asked; `seed` draws them.

    `warm` more questions come before each sweep and are not measured. A setting whose questions take more than `cap_s`
    is cut there, and no harder one of that sweep is tried, as none is beyond a recall of `enough`. `from_text`: peers
    that are handed the row set are timed from the text of the predicate as well.
    """

    k: int
    cells: tuple[str, ...]
    repetitions: int
    recall_floors: tuple[float, ...]
    warm: int = 10
    cap_s: float = 20.0
    enough: float = 0.998
    seed: int = 5
    from_text: bool = True


@dataclass(frozen=True)
class FilteredWorkload:
    """A comparison of peers by filtered search.

    `indexes` are those of vdb's table; `together` is how many peers are in memory at a time, 0 for all of them.
    """

    name: str
    peers: tuple[str, ...]
    together: int
    data: DataChoice
    index: GraphParams
    indexes: tuple[str, ...]
    build_threads: int
    search: FilteredPlan


@dataclass(frozen=True)
class Workload:
    """A comparison of peers that share data, graph parameters and search plan."""

    name: str
    peers: tuple[str, ...]
    reference: str
    data: DataChoice
    index: GraphParams
    build_threads: int
    search: SearchPlan


def read(path: Path) -> Workload | FilteredWorkload:
    """Read a workload file; ValueError names the file and the key that is missing or unknown."""
    alike = "hnsw_100k"
    try:
        raw = toml(path)
        if raw.get("kind") == "filtered":
            alike = "filtered_384"
            return _filtered(raw)
        return _unfiltered(raw)
    except KeyError as error:
        raise ValueError(f"{path}: the key {error} is missing; compare bench/workloads/{alike}.toml") from error
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def toml(path: Path) -> dict[str, Any]:
    """What a TOML file says; TOMLDecodeError, a ValueError, where it is none."""
    return dict(tomllib.loads(path.read_text(encoding="utf-8")))


def _unfiltered(raw: dict[str, Any]) -> Workload:
    index = dict(raw["index"])
    return Workload(
        name=raw["name"],
        peers=tuple(raw["peers"]),
        reference=raw["reference"],
        data=_section(DataChoice, "data", raw["data"]),
        build_threads=index.pop("build_threads"),
        index=_section(GraphParams, "index", index),
        search=_section(SearchPlan, "search", raw["search"]),
    )


def _filtered(raw: dict[str, Any]) -> FilteredWorkload:
    index = dict(raw["index"])
    return FilteredWorkload(
        name=raw["name"],
        peers=tuple(raw["peers"]),
        together=raw["together"],
        data=_section(DataChoice, "data", raw["data"]),
        build_threads=index.pop("build_threads"),
        indexes=tuple(index.pop("vdb")),
        index=_section(GraphParams, "index", index),
        search=_section(FilteredPlan, "search", raw["search"]),
    )


def find(name: str) -> Path:
    """Resolve a workload given as a path, a path below bench/, or a bare name."""
    bench = ROOT / "bench"
    for path in (Path(name), bench / name, bench / "workloads" / f"{name}.toml"):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in (bench / "workloads").glob("*.toml")))
    raise ValueError(f"no workload {name!r}; expected a TOML file or one of {known}")


def _section(kind: type[T], name: str, values: dict[str, Any]) -> T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := set(values) - known:
        raise ValueError(f"[{name}] has unknown keys {sorted(unknown)}; expected {sorted(known)}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
