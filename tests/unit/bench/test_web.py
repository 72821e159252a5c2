"""The page of results: what is on it, and that a browser draws every plot of it without an error."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

import pytest
from filtered_results import RESULT, made_result, point

from bench import run, workload
from bench.filtered import summary
from bench.web import browser, figures
from bench.web.page import page

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = {"processor": "p & q", "cores": 2, "memory": "25000000 kB", "libraries": {"numpy": "2"}}


def unfiltered() -> dict:
    plan = run.asdict(workload.read(workload.find("smoke")))
    sweep = [
        {"effort": effort, "recall": recall, "single_qps": [qps, qps + 1]}
        for effort, recall, qps in ((10, 0.8, 900.0), (20, 0.93, 500.0), (40, 0.99, 200.0))
    ]
    points = [p | {"batch_recall": p["recall"], "batch_qps": p["single_qps"]} for p in sweep]
    peer = {"version": "1", "build_s": 2.0, "memory_bytes": 3_000_000, "resident_bytes": 1_000, "sweep": points}
    return {"workload": plan, "machine": MACHINE, "peers": {"vdb": peer, "hnswlib": peer}, "skipped": {"x": "x: <no>"}}


def solo() -> dict:
    plan = run.asdict(workload.read(workload.find("filtered_smoke"))) | {"kind": "solo", "floor": 0.95}
    sizes = {"build_peak_bytes": 3e8, "index_bytes": 1e8, "query_peak_bytes": 2e8}
    peer = {"version": "1", "build_s": 2.0, "cells": {"em": {"vdb auto": {"text": {"qps": [100.0]}}}}} | sizes
    return {"workload": plan, "machine": MACHINE, "peers": {"vdb": peer, "numpy": peer}, "skipped": {}}


def scaling() -> dict:
    plan = run.asdict(workload.read(workload.find("scaling"))) | {"kind": "scaling", "floor": 0.95}
    values = {"build_s": {"10000": 1.0, "100000": 12.0}, "query_s em": {"10000": 1e-5, "100000": 2e-5}}
    slopes = {"build_s": 1.08, "query_s em": 0.30}
    return {"workload": plan, "machine": MACHINE, "peers": {"vdb": values}, "exponents": {"vdb": slopes}}


def every_kind() -> list[dict]:
    filtered = copy.deepcopy(RESULT)
    filtered["cells"]["random_1"] = filtered["cells"]["em"] | {"share": 0.01}
    return [filtered | {"machine": MACHINE}, unfiltered(), solo(), scaling()]


def test_page_needs_nothing_else_and_says_what_made_it() -> None:
    whole = page(every_kind())
    for outside in ("http:", "https:", "src=", "@import", "url("):
        assert outside not in whole.replace("http://www.w3.org/2000/svg", "")
    for command in ("run.py filtered_smoke", "run.py smoke", "solo.py filtered_smoke", "scale.py scaling"):
        assert f"python bench/{command}" in whole
    assert "p &amp; q" in whole
    assert "x: &lt;no&gt;" in whole
    assert "numpy 2" in whole
    assert "2 cores, 25.0 GB of memory" in whole
    tables = [line for line in whole.splitlines() if line.startswith("<details")]
    opened = [line for line in tables if line.startswith("<details open>")]
    assert len(opened) == len(every_kind())  # the first of each result
    assert "<summary>At recall 0.95: queries a second with the row set known" in opened[0]
    assert "<td>vdb</td><td>2.0</td><td>1</td><td>10000 / 8333</td>" in opened[0]
    assert "<summary>Build and memory</summary>" in opened[1]
    assert "<summary>QPS at recall, one query per call; x = ratio to hnswlib in the same repetition</summary>" in whole
    assert "<summary>each peer alone in a process;" in opened[2]


def test_plots_have_the_points_that_were_measured() -> None:
    titles = {plot["title"]: plot for result in every_kind() for plot in figures.of(result)}
    em = titles["EM: number of sub-categories; 25 % of the rows pass"]
    series = {each["name"]: each["points"] for each in em["series"]}
    assert series["vdb graph"] == [(0.94, 20_000.0, "defaults"), (0.97, pytest.approx(1e6 / 95), "defaults")]
    assert "vdb label" not in series  # it refused questions
    (grid,) = (plot for plot in titles.values() if plot["kind"] == "grid")
    assert [row["name"].split()[0] for row in grid["rows"]] == ["random", "EM:"]  # by selectivity
    assert grid["columns"] == ["graph", "scan", "label", "auto"]
    assert grid["rows"][0]["values"] == [1.0, pytest.approx(95 / 400, abs=1e-3), None, 0.95]
    assert grid["rows"][0]["chosen"] == [1.0, 0.0, 0.0, 0]
    growth = {each["name"] for each in titles["Build, against the rows"]["series"]}
    assert growth == {"vdb", "vdb: rows^1.08"}
    words = (
        "Speed at recall 0.95 against selectivity, from the text of the predicate; random filters are joined by lines"
    )
    assert {each["name"] for each in titles[words]["series"]} == {"vdb auto", "flat", "slow"}
    assert [each["hidden"] for each in em["series"]] == [name not in ("vdb auto", "flat", "slow") for name in series]
    speeds = titles["EM: number of sub-categories: queries a second at recall 0.95, from the text of the predicate"]
    assert speeds["bars"] == [
        ("vdb auto", pytest.approx(1e6 / 120)),
        ("slow", 2000.0),
        ("flat", pytest.approx(1e6 / 900)),
    ]
    assert titles["Most resident while searching"]["units"] == ["", "bytes"]
    with pytest.raises(ValueError, match="kind 'other' cannot be drawn; expected one of filtered, solo"):
        figures.of({"workload": {"kind": "other"}})


def test_verdict_counts_the_cells_where_the_planner_is_first() -> None:
    first, core, text, forced = summary.verdict(RESULT)
    assert first == "Without vdb, 2 methods are first somewhere: flat, slow."
    assert core.startswith("The planner is first in 1 of 1 cells at recall 0.95, row set known")
    assert text.endswith("(geometric mean of the ratios 4.17).")
    assert forced.endswith("(geometric mean of the ratios 0.95); behind vdb graph in em by 1.05.")
    slow = made_result(vdb_auto=[point(0.96, 200, 300)], flat=[point(1.0, 100, 900)])
    assert "first in 0 of 1 cells" in summary.verdict(slow)[1]
    short = made_result(vdb_auto=[point(0.9, 20, 30)], flat=[point(1.0, 100, 900)])
    assert summary.verdict(short)[1] == (
        "The planner is first in 0 of 1 cells at recall 0.95, row set known, beside the peers; behind flat in em, "
        "where it does not find that much."
    )


def test_what_a_browser_leaves_of_a_broken_page_is_reported() -> None:
    sound = '<html data-drawn="1"><body><svg class="plot"><circle class="mark" cx="3.5" cy="4"></circle></svg></body>'
    assert browser.problems_of(sound) == []
    assert browser.problems_of(sound.replace(' data-drawn="1"', "")) == ["the script did not come to its end"]
    assert browser.problems_of(sound.replace('"mark"', '"x"')) == ["plot 0 has no marks"]
    assert browser.problems_of(sound.replace('"1"', '"2"')) == ["2 plots were to be drawn, 1 are there"]
    assert browser.problems_of(sound.replace("3.5", "NaN")) == ["a mark has the place cx=NaN"]
    assert browser.problems_of(sound.replace("<html", '<html data-errors="x is not defined"'))[0].startswith("a script")


@pytest.fixture(scope="module")
def chromium() -> None:
    if browser.find() is None:
        pytest.skip("no chromium on this machine; Debian: apt-get install chromium")


@pytest.mark.slow
@pytest.mark.usefixtures("chromium")
def test_browser_draws_every_plot_without_an_error(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(every_kind()), encoding="utf-8")
    assert browser.problems(path) == []
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("const KINDS =", "nothing.at.all(); const KINDS ="), encoding="utf-8")
    found = browser.problems(path)
    assert any("nothing is not defined" in line for line in found)
    assert "the script did not come to its end" in found
    brought = text[text.index('id="plots">') + len('id="plots">') : text.index("</script>\n<script>")]
    plots = json.loads(brought)
    plots[0]["series"] = [{"name": "none", "points": [], "own": False}]
    path.write_text(text.replace(brought, json.dumps(plots[:1])), encoding="utf-8")
    assert any("plot 0 has no marks" in line for line in browser.problems(path))
