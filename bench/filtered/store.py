"""The result file of a filtered workload: written after every cell, so that a run that was cut goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench import machine

if TYPE_CHECKING:
    from pathlib import Path

    from bench.workload import FilteredWorkload


class ResultFile:
    """What was measured so far; a (cell, peer) pair is there as a whole or not at all.

    ValueError where the file holds the results of another plan, unless it is to begin anew.
    """

    def __init__(self, path: Path, plan: FilteredWorkload, *, fresh: bool = False) -> None:
        self.path = path
        wanted = json.loads(json.dumps({"kind": "filtered"} | asdict(plan)))
        if fresh or not path.exists():
            self.content: dict[str, Any] = {"workload": wanted, "builds": {}, "cells": {}, "skipped": {}}
        else:
            self.content = json.loads(path.read_text(encoding="utf-8"))
            if self.content.get("workload") != wanted:
                raise ValueError(f"{path} has the results of another plan; --fresh begins anew, --out names another")
        self.content["machine"] = machine.describe()

    def missing(self, peer: str, cells: tuple[str, ...]) -> list[str]:
        """The cells that the peer has not been measured in."""
        known = self.content["cells"]
        return [cell for cell in cells if peer not in known.get(cell, {}).get("peers", {})]

    def add(self, cell: str, about: dict[str, Any], peer: str, measured: dict[str, Any]) -> None:
        """Keep what a peer did in a cell."""
        kept = self.content["cells"].setdefault(cell, about | {"peers": {}})
        kept["peers"][peer] = measured

    def save(self) -> None:
        """Write the file, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial.json")
        partial.write_text(_written(self.content) + "\n", encoding="utf-8")
        partial.replace(self.path)


def _written(value: Any, depth: int = 0) -> str:
    """JSON with a line for each setting of a method, so that two files can be compared."""
    if not isinstance(value, dict | list) or not value or _is_flat(value):
        return json.dumps(value, separators=(", ", ":"))
    inner = " " * (depth + 1)
    if isinstance(value, list):
        lines = [inner + _written(each, depth + 1) for each in value]
        return "[\n" + ",\n".join(lines) + f"\n{' ' * depth}]"
    lines = [f"{inner}{json.dumps(key)}: {_written(each, depth + 1)}" for key, each in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{' ' * depth}}}"


def _is_flat(value: dict[str, Any] | list[Any]) -> bool:
    """Whether a value is a setting, or holds nothing that holds more."""
    each = value.values() if isinstance(value, dict) else value
    return (isinstance(value, dict) and "effort" in value) or not any(isinstance(one, dict | list) for one in each)
