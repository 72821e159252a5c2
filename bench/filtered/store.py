"""The result file of a filtered workload: written after every cell, so that a run that was cut goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench import machine, result_file
from bench.filtered import summary

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bench.workload import FilteredWorkload

PARTS: tuple[summary.Part, ...] = ("core", "text")


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
        """Keep what tables and plots show of what a peer did in a cell."""
        kept = self.content["cells"].setdefault(cell, about | {"peers": {}})
        floors = self.content["workload"]["search"]["recall_floors"]
        kept["peers"][peer] = {
            name: found | {"points": needed(name, found["points"], floors)} for name, found in measured.items()
        }

    def save(self) -> None:
        """Write the file, whole or not at all."""
        self.content = result_file.save(self.path, self.content)


def needed(method: str, points: list[dict[str, Any]], floors: Iterable[float]) -> list[dict[str, Any]]:
    """The points of a method that tables and plots show: whole where it is at its best for a floor, else its speed.

    Those are the best at the floors, the ones that nothing beats, the one of the most recall, those at the defaults,
    and all that refused a question or gave a wrong answer.
    """
    best = {id(summary.fastest(points, floor, part)) for floor in {*floors, summary.FLOOR} for part in PARTS}
    best |= {id(point) for point in points if not point["effort"]}
    kept = []
    for point in points:
        own = _speed(point)
        is_beaten = any(p["recall"] >= point["recall"] and _speed(p) > own for p in points)
        is_wrong = any(point[what] for what in ("refused", "short", "outside"))
        if id(point) in best:
            kept.append(point if method == summary.AUTO else _without(point, "stages_us"))
        elif is_wrong or not is_beaten or point is max(points, key=lambda p: p["recall"]):
            part: summary.Part = "core" if point["core"] else "text"
            speeds = {"core": None, "text": None} | {part: {"qps": [summary.speed(point, part)]}}
            kept.append(_without(point, "stages_us", "done") | speeds)
    return kept


def _without(point: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in point.items() if name not in names}


def _speed(point: dict[str, Any]) -> float:
    return summary.speed(point, "core") or summary.speed(point, "text")
