"""Peers in processes of their own, the greedy search for their best settings, and how what they take grows."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn ships make_blobs")
pytest.importorskip("pyarrow", reason="attributes are Arrow tables; pip install -e '.[bench]'")
pytest.importorskip("threadpoolctl", reason="pip install -e '.[bench]'")

from bench import ground_truth, scale, solo, workload
from bench.filtered import greedy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("needed", range(14))
def test_greedy_finds_the_first_setting_that_is_enough(needed: int) -> None:
    sweep = [{"ef": at} for at in range(13)]
    tried: list[int] = []

    def try_(effort: dict[str, int]) -> greedy.Tried:
        tried.append(effort["ef"])
        return greedy.Tried(effort, 0.95 if effort["ef"] >= needed else 0.5, 1000 / (1 + effort["ef"]))

    found = greedy.first_reaching(sweep, try_, 0.95)
    if needed == len(sweep):
        assert found is None
    else:
        assert found is not None
        assert found.effort == {"ef": needed}
    assert len(tried) <= 8
    assert len(set(tried)) == len(tried)


def test_greedy_takes_the_fastest_of_the_sweeps_and_stops_where_it_takes_too_long() -> None:
    def try_(effort: dict[str, int]) -> greedy.Tried:
        enough = effort["probes"] * effort["factor"] >= 12
        return greedy.Tried(effort, 1.0 if enough else 0.1, 100 / effort["probes"] - effort["factor"])

    sweeps = [[{"probes": probes, "factor": factor} for probes in range(1, 20)] for factor in (1, 2, 6)]
    found = greedy.fastest(sweeps, try_, 0.95)
    assert found is not None
    assert found.effort == {"probes": 2, "factor": 6}
    asked = []

    def slow(effort: dict[str, int]) -> greedy.Tried:
        asked.append(effort)
        return greedy.Tried(effort, 0.1, 1.0, cut=True)

    assert greedy.fastest(sweeps[:1], slow, 0.95) is None
    assert len(asked) == 1


@pytest.fixture(scope="module")
def plan() -> workload.FilteredWorkload:
    smoke = workload.read(workload.find("filtered_smoke"))
    assert isinstance(smoke, workload.FilteredWorkload)
    search = replace(smoke.search, cells=("em", "emis"), repetitions=2, warm=2)
    return replace(smoke, indexes=("hnsw",), data=replace(smoke.data, rows=600, queries=6), search=search)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_peers_are_measured_in_processes_of_their_own(
    plan: workload.FilteredWorkload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground_truth, "CACHE", tmp_path / "cache")
    monkeypatch.setitem(solo.adapters.PEERS, "absent", "absent:Absent")
    apart: list[str] = []
    measure = solo.measured_apart

    def counted(task: solo.Task) -> dict:
        apart.append(task.peer)
        return measure(task)

    monkeypatch.setattr(solo, "measured_apart", counted)
    path = tmp_path / "r.json"
    result = solo.run(plan, ["vdb"], solo.SoloFile(path, plan, 0.9))
    result = solo.run(plan, ["vdb", "numpy", "absent"], solo.SoloFile(path, plan, 0.9))
    assert apart == ["vdb", "numpy", "absent"]  # vdb was there
    assert "absent" in result["skipped"]["absent"]
    assert json.loads(path.read_text(encoding="utf-8")) == result
    own, peer = result["peers"]["vdb"], result["peers"]["numpy"]
    for found, method in ((own, "vdb auto"), (peer, "numpy")):
        assert found["libraries_bytes"] < found["build_peak_bytes"]
        assert found["index_bytes"] > 0
        assert found["query_peak_bytes"] > found["libraries_bytes"]
        for cell in ("em", "emis"):
            assert list(found["cells"][cell]) == [method]
            kept = found["cells"][cell][method]
            assert kept["recall"] >= 0.9
            for part in ("core", "text"):
                assert len(kept[part]["qps"]) == 2
                assert kept[part]["p50_us"] <= kept[part]["p95_us"] <= kept[part]["p99_us"]
    shown = solo.text(result)
    assert "| numpy" in shown
    assert "skipped absent" in shown
    with pytest.raises(ValueError, match="results of another plan; --fresh begins anew"):
        solo.SoloFile(path, plan, 0.95)
    with pytest.raises(ValueError, match="unknown peer 'nobody'"):
        solo.run(plan, ["nobody"], solo.SoloFile(path, plan, 0.9))


def test_growth_is_fitted_over_all_sizes(tmp_path: Path) -> None:
    plan = workload.read(workload.find("scaling"))
    assert isinstance(plan, workload.FilteredWorkload)
    assert scale.sizes_of(workload.find("scaling"))[0] == plan.data.rows
    for rows in (1_000, 10_000, 100_000):
        sized = replace(plan, name=f"scaling_{rows}", data=replace(plan.data, rows=rows))
        kept = solo.SoloFile(tmp_path / f"scaling_{rows}.json", sized, 0.95)
        timed = {"qps": [1e6 / np.sqrt(rows)], "p50_us": 1.0}
        kept.content["peers"]["vdb"] = {
            "build_s": 1e-4 * rows**1.1,
            "build_peak_bytes": 1e6,
            "index_bytes": 100 * rows,
            "query_peak_bytes": 1e6,
            "cells": {"em": {"vdb auto": {"text": timed}}, "r": {"vdb auto": {"tried": 3}}},
        }
        kept.save()
    result = scale.gathered("scaling", tmp_path)
    assert list(result["peers"]["vdb"]["build_s"]) == ["1000", "10000", "100000"]
    slopes = result["exponents"]["vdb"]
    assert slopes["build_s"] == pytest.approx(1.1, rel=1e-4)
    assert slopes["index_bytes"] == pytest.approx(1)
    assert slopes["query_s em"] == pytest.approx(0.5, rel=1e-4)
    assert slopes["build_peak_bytes"] == pytest.approx(0, abs=1e-9)
    assert "query_s r" not in slopes  # the floor was not reached
    assert "| exponent | 1.10" in scale.text(result)
    assert scale.exponent({"1000": 2.0}) is None
    with pytest.raises(ValueError, match="no file other_"):
        scale.gathered("other", tmp_path)
    (tmp_path / "plain.toml").write_text("sizes = 3", encoding="utf-8")
    with pytest.raises(ValueError, match="has sizes 3; expected a list of rows"):
        scale.sizes_of(tmp_path / "plain.toml")
