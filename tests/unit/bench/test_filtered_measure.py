from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filtered_data import clustered
from filtered_results import RESULT, made_result, point

from bench import ground_truth, report, result_file, workload
from bench.filtered import adapters, measure, store, summary, tables
from bench.filtered.adapters.base import FilteredPeer, Setup, TextPeer
from bench.filtered.adapters.numpy_ import NumpyGather
from bench.filtered.ask import Pass, Verdict, ask_by_text
from bench.filtered.predicate import Inexpressible
from bench.filtered.questions import Questioner, RowFinder

if TYPE_CHECKING:
    from pathlib import Path

CELLS = ("em", "random_10", "title_word")


class Exact(NumpyGather):
    """Right at the second of its efforts, and at the first for half of the queries; the third is never needed."""

    name = "exact"
    version = "1"
    built = 0

    def build(self, data, threads) -> None:
        super().build(data, threads)
        type(self).built += 1

    def sweeps(self):
        return {"exact": [[{"ef": 1}, {"ef": 2}, {"ef": 3}]]}

    def search(self, q, k, bound):
        right = self.effort["ef"] > 1 or q[0] > 0
        return super().search(q, k, bound) if right else bound[:1]


class Words(TextPeer):
    """Answers by text, says what its core took, cannot do a word in a title; its second method always fails."""

    name = "words"
    version = "2"

    def build(self, data, threads) -> None:
        self.data = data

    def sweeps(self):
        return {"vdb auto": [[{}]], "vdb scan": [[{"ef": 7}]], "broken": [[{}]]}

    def choose(self, method, effort) -> None:
        self.method = method

    def search(self, q, k, bound):
        if self.method == "broken":
            raise RuntimeError("out of order")
        if "ILIKE" in bound[0]:
            raise Inexpressible("words has no words")
        if self.method == "vdb scan" and bound[1] == [1]:
            raise Inexpressible("words has no one")
        self.stages, self.done = {"predicate": 5e-6, "plan": 1e-6, "search": 2e-6}, "graph"
        return np.argsort(-(self.data.vectors @ q))[:k]

    def memory_bytes(self) -> int:
        return 1


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> workload.FilteredWorkload:
    data = clustered(400, 12)
    monkeypatch.setattr(ground_truth, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(measure, "load", lambda name, rows, queries, warm: data)
    peers: dict[str, type[FilteredPeer]] = {"exact": Exact, "words": Words}
    monkeypatch.setattr(adapters, "PEERS", dict.fromkeys(peers, "") | {"absent": "absent:Absent"})
    make = adapters.make
    monkeypatch.setattr(
        adapters, "make", lambda name, setup: peers[name](setup) if name in peers else make(name, setup)
    )
    Exact.built = 0
    smoke = workload.read(workload.find("filtered_smoke"))
    assert isinstance(smoke, workload.FilteredWorkload)
    search = replace(smoke.search, cells=CELLS, repetitions=3, warm=2)
    return replace(smoke, peers=tuple(adapters.PEERS), data=replace(smoke.data, rows=400, queries=10), search=search)


def test_run_measures_every_cell_and_judges_the_answers(plan: workload.FilteredWorkload, tmp_path: Path) -> None:
    result = measure.run(plan, plan.peers, tmp_path / "r.json")
    assert list(result["cells"]) == list(CELLS)
    assert "absent" in result["skipped"]["absent"]
    for cell in CELLS:
        half, whole = result["cells"][cell]["peers"]["exact"]["exact"]["points"]
        assert half["effort"] == {"ef": 1}
        assert 0 < half["recall"] < 1
        assert half["short"] > 0
        assert (whole["recall"], whole["short"], whole["outside"], whole["asked"]) == (1.0, 0, 0, 10)
        assert len(whole["core"]["qps"]) == len(whole["text"]["qps"]) == 3
        assert whole["core"]["median_us"] <= whole["core"]["p95_us"] <= whole["core"]["p99_us"]
        assert half["text"] is None  # only settings that reach a floor are asked from the text
    (partly,) = result["cells"]["em"]["peers"]["words"]["vdb scan"]["points"]
    assert 0 < partly["refused"] < 10
    assert partly["short"] == 0  # a refused answer is not a short one
    words = result["cells"]["random_10"]["peers"]["words"]
    (point,) = words["vdb auto"]["points"]
    assert point["outside"] > 50  # it does not filter
    assert point["done"] == {"graph": 10}
    assert point["core"]["median_us"] == pytest.approx(3)
    assert point["stages_us"]["predicate"] == pytest.approx(5)
    assert point["text"]["median_us"] > 3
    assert words["broken"]["skipped"] == "failed: RuntimeError: out of order"
    assert result["cells"]["title_word"]["peers"]["words"]["vdb auto"]["skipped"] == "words has no words"


def test_where_there_is_no_predicate_nothing_is_looked_up(plan: workload.FilteredWorkload, tmp_path: Path) -> None:
    class Forbidden:
        def rows(self, sql, values):
            raise AssertionError(sql)

    data = clustered(400, 12)
    questioner = Questioner(data, "ip", RowFinder(data.attributes), 2, 5)
    peer = Exact(Setup(plan.index))
    peer.build(data, 1)
    peer.choose("exact", {"ef": 2})
    result = ask_by_text(peer, questioner.questions("all"), Forbidden(), plan.search)  # type: ignore[arg-type]
    assert len(result.answers) == 10
    with pytest.raises(AssertionError, match="number_of_sub_categories"):
        ask_by_text(peer, questioner.questions("em"), Forbidden(), plan.search)  # type: ignore[arg-type]


def test_run_goes_on_where_it_was_cut(plan: workload.FilteredWorkload, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    first = json.loads(json.dumps(measure.run(plan, ["exact"], path)))
    assert json.loads(path.read_text(encoding="utf-8")) == first
    both = measure.run(plan, ["exact", "words"], path)
    assert Exact.built == 1
    assert both["cells"]["em"]["peers"]["exact"] == first["cells"]["em"]["peers"]["exact"]
    assert "words" in both["cells"]["em"]["peers"]
    del first["cells"]["random_10"]
    path.write_text(json.dumps(first), encoding="utf-8")
    again = measure.run(plan, ["exact"], path)
    assert Exact.built == 2
    assert again["cells"]["em"]["peers"]["exact"] == first["cells"]["em"]["peers"]["exact"]
    assert "exact" in again["cells"]["random_10"]["peers"]


def test_results_of_another_plan_are_not_mixed(plan: workload.FilteredWorkload, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    measure.run(plan, ["exact"], path)
    other = replace(plan, search=replace(plan.search, seed=6))
    with pytest.raises(ValueError, match="results of another plan; --fresh begins anew"):
        measure.run(other, ["exact"], path)
    measure.run(other, ["exact"], path, fresh=True)
    with pytest.raises(ValueError, match="unknown peer 'nobody'"):
        measure.run(other, ["nobody"], path)


def test_setting_that_takes_too_long_is_cut(plan: workload.FilteredWorkload, tmp_path: Path) -> None:
    slow = replace(plan, search=replace(plan.search, cap_s=0.0, cells=("em",)))
    result = measure.run(slow, ["exact"], tmp_path / "r.json")
    (point,) = result["cells"]["em"]["peers"]["exact"]["exact"]["points"]
    assert point["asked"] == 1


def tried(effort: int, recall: float, us: float) -> measure.Point:
    made = Pass([np.arange(3)] * 2)
    return measure.Point({"ef": effort}, made, Verdict(recall, 0, 0), core=[[us * 1e-6] * 2])


def test_settings_that_may_be_the_best_at_a_floor_are_repeated() -> None:
    points = [tried(1, 0.8, 10), tried(2, 0.92, 20), tried(3, 0.96, 25), tried(4, 0.97, 27), tried(5, 0.995, 90)]
    chosen = measure._worthy(points, (0.9, 0.95, 0.99))
    assert [point.effort["ef"] for point in chosen] == [2, 3, 4, 5]
    assert [p.effort["ef"] for p in measure._worthy([tried(1, 0.96, 10), tried(2, 0.97, 20)], (0.95,))] == [1]
    assert measure._worthy(points[:1], (0.9,)) == []


def test_setting_measured_once_is_not_the_best_beside_those_repeated() -> None:
    once, often = point(0.96, 50), point(0.96, 100)
    often["core"]["qps"] = [9_000.0, 10_000.0, 11_000.0]
    assert summary.fastest([once, often], 0.95, "core") is often


def test_sweep_ends_where_it_is_far_behind_one_that_found_enough(
    plan: workload.FilteredWorkload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(method: measure.Method, effort: dict[str, int], *_: object) -> Pass:
        result = Pass([np.arange(3)] * 2)
        result.whole = [{"quick": 1e-4, "slow": 1e-4 * effort["ef"]}[method.name]] * 2
        return result

    recalls = iter([0.9, 0.95, 0.999, *[0.5] * 9])
    monkeypatch.setattr(measure, "_asked", asked)
    monkeypatch.setattr(measure, "judge", lambda *_: Verdict(next(recalls), 0, 0))
    sweep = [{"ef": ef} for ef in (1, 2, 4, 5, 6, 7)]
    methods = [measure.Method(name, Exact(None), [], [sweep]) for name in ("quick", "slow")]  # type: ignore[arg-type]
    for method in methods:
        measure._sweep(method, methods, None, plan.search)  # type: ignore[arg-type]
    assert [point.effort["ef"] for point in methods[0].points] == [1, 2, 4]  # then it had found enough
    assert [point.effort["ef"] for point in methods[1].points] == [1, 2, 4]  # four times as slow


def test_results_keep_the_points_that_are_shown() -> None:
    points = [
        point(0.80, 10, 20, effort={"ef": 1}),
        point(0.96, 50, 60, effort={"ef": 2}),
        point(0.96, 70, 80, effort={"ef": 3}),  # beaten
        point(0.90, 90, effort={"ef": 4}, short=1),
        point(0.97, 60, effort={"ef": 5}, stages_us={"plan": 1.0}),
        point(0.999, 300, 400, effort={"ef": 6}),
    ]
    kept = store.needed("graph", points, (0.95, 0.99))
    assert [each["effort"]["ef"] for each in kept] == [1, 2, 4, 5, 6]
    assert ["median_us" in each["core"] for each in kept] == [False, True, False, False, True]
    assert kept[0]["core"] == {"qps": [1e5]}
    assert kept[0]["text"] is None
    assert kept[1]["text"] == points[1]["text"]
    assert all("stages_us" not in each for each in kept)
    assert store.needed("graph", kept, (0.95, 0.99)) == kept
    auto = [point(0.5, 10, 20), point(0.99, 20, 30, effort={"ef": 1})]
    assert store.needed(summary.AUTO, auto, (0.95,)) == auto


def test_result_files_are_short(tmp_path: Path) -> None:
    content = {"floors": [0.9, 1 / 3], "whole": 123_456_789, "points": [{"words": "w" * 300, "qps": [1e5 / 3]}] * 3}
    path = tmp_path / "new" / "r.json"
    result_file.save(path, content)
    text = path.read_text(encoding="utf-8")
    assert json.loads(text)["floors"] == [0.9, 0.33333]
    assert json.loads(text)["points"][2]["qps"] == [33333.0]
    assert json.loads(text)["whole"] == 123_456_789
    assert len(text.splitlines()) == 9
    assert [each.name for each in path.parent.iterdir()] == ["r.json"]


def test_filtered_workloads_name_known_cells_peers_and_indexes() -> None:
    from bench.adapters.base import GraphParams
    from bench.filtered.adapters.vdb_plans import index_spec
    from bench.filtered.cells import CELLS as KNOWN

    filtered = ("filtered_384", "filtered_4096", "filtered_1m", "filtered_smoke")
    for name in (*filtered, "ivf_384", "ivf_4096", "ivf_1m", "ivf_smoke"):
        read = workload.read(workload.find(name))
        assert isinstance(read, workload.FilteredWorkload)
        assert read.name == name
        assert set(read.peers) <= set(adapters.PEERS)
        assert set(read.search.cells) <= set(KNOWN)
        assert name not in filtered or set(read.search.cells) == set(KNOWN) - {"all"}
        for text in read.indexes:
            index_spec(text, read.index)
    with pytest.raises(ValueError, match="unknown index 'tree'; expected one of hnsw"):
        index_spec("tree", GraphParams("ip"))


def test_best_setting_is_the_fastest_that_reaches_the_recall_and_refused_nothing() -> None:
    (compared,) = summary.comparisons(RESULT)
    assert compared.auto is not None
    assert (compared.auto.qps, compared.forced.method) == (10_000, "vdb graph")
    assert compared.forced_ratio == pytest.approx(0.95)
    assert compared.peer_ratio == pytest.approx(3.0)  # by the time of the core, which flat alone has
    assert compared.peer_text_ratio == pytest.approx(500 / 120)
    (latency,) = summary.latencies(RESULT)
    assert latency.text_ratio == pytest.approx(1.2)
    assert latency.is_bounded  # 300 us are within 1.3 times the 1,200 us of the scan
    assert summary.fastest(RESULT["cells"]["em"]["peers"]["vdb"]["vdb graph"]["points"], 0.99, "core") is None
    assert summary.geometric_mean([2.0, 8.0, None]) == pytest.approx(4.0)
    assert summary.geometric_mean([None]) is None


def test_tables_show_ratios_and_what_falls_short() -> None:
    text = report.text(RESULT)
    assert "| EM: number of sub-categories | 0.2500  | 10000" in text
    assert "10526 graph | 0.95 " in text
    assert "skipped lancedb: not here" in text
    assert tables.stages(RESULT)[1][1:] == ["graph 20", "-", "-", "7", "-"]
    slower = made_result(vdb_auto=[point(0.96, 200, 300)], vdb_scan=[point(1.0, 100)], flat=[point(1.0, 210, 900)])
    rows = tables.ratios(slower)
    assert rows[1][4:7] == ["0.50 !", "4762 flat", "1.05 !"]
    (row,) = tables.times(slower)[1:]
    assert row[7] == "no"  # 600 us are more than 1.3 times 300 and more than twice 200
    assert row[9] == "1.50 !"


def test_page_needs_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install -e '.[bench]'")
    path = tmp_path / "made.json"
    path.write_text(json.dumps(RESULT), encoding="utf-8")
    assert report.main([str(path), "--page"]) == 0
    names = {written.name for written in tmp_path.iterdir()}
    assert names == {"made.json", "made.html", "made_recall.png", "made_speed.png", "made_choices.png"}
    html = (tmp_path / "made.html").read_text(encoding="utf-8")
    assert "EM: number of sub-categories" in html
    assert (tmp_path / "made_recall.png").read_bytes().startswith(b"\x89PNG")
