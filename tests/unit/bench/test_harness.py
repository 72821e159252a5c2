"""The modules for ann-benchmarks and big-ann-benchmarks, run from their configurations as those harnesses do."""

from __future__ import annotations

import importlib
import json
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the harness hands words over as a sparse matrix")
pytest.importorskip("pyarrow", reason="pip install -e '.[bench]'")

from scipy.sparse import csr_matrix

from bench import datasets

if TYPE_CHECKING:
    from pathlib import Path

HARNESS = datasets.ROOT / "bench" / "harness"
ROWS, DIM, WORDS, K = 1_500, 24, 30, 10


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(2)
    centres = rng.standard_normal((20, DIM))
    return (centres[rng.integers(20, size=ROWS + 40)] + 0.5 * rng.standard_normal((ROWS + 40, DIM))).astype(np.float32)


def exact(rows: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    if metric == "angular":
        return np.argsort(-(rows @ query) / np.linalg.norm(rows, axis=1), kind="stable")
    return np.argsort(np.square(rows - query).sum(axis=1), kind="stable")


def braces(text: str) -> list[dict]:
    """The groups of arguments in a configuration, which are JSON, or YAML's short form of it."""
    found = re.findall(r"\{[^{}]*\}", text)
    return [json.loads(each if '"' in each else re.sub(r"([A-Za-z_]\w*)", r'"\1"', each)) for each in found]


@pytest.mark.parametrize("metric", ["angular", "euclidean"])
def test_ann_benchmarks_runs_the_module(vectors: np.ndarray, metric: str) -> None:
    text = (HARNESS / "ann_benchmarks" / "config.yml").read_text(encoding="utf-8")
    assert re.search(r"constructor: (\w+)", text)[1] == "Vdb"
    efforts = [[int(value) for value in line.split(",")] for line in re.findall(r"query_args: \[\[([\d, ]+)\]\]", text)]
    groups = braces(text)
    assert [group["index"] for group in groups] == ["HNSW", "HNSW", "HNSW", "IVFRaBitQ"]
    module = importlib.import_module("bench.harness.ann_benchmarks.module")
    rows, queries = vectors[:ROWS], vectors[ROWS:]
    for group, harder in ((groups[0], efforts[0][-1]), (groups[-1], efforts[1][-1])):
        algo = module.Vdb(metric, group)
        assert algo.get_memory_usage() > 0  # the harness asks before and after
        algo.fit(rows)
        for effort in (efforts[0][0], harder):
            algo.set_query_arguments(effort)
            assert str(effort) in str(algo)
            single = [algo.query(query, K) for query in queries]
        assert all(len(answer) == len(set(answer.tolist())) == K for answer in single)
        algo.batch_query(queries, K)
        assert np.array_equal(algo.get_batch_results(), np.array(single))
        truth = [exact(rows, query, metric)[:K] for query in queries]
        found = np.mean([np.isin(a, t).mean() for a, t in zip(single, truth, strict=True)])
        assert found > 0.99
        assert algo.get_additional()["index_bytes"] > 0
        algo.done()


def test_ann_benchmarks_is_told_what_it_asked_wrong() -> None:
    module = importlib.import_module("bench.harness.ann_benchmarks.module")
    with pytest.raises(ValueError, match=r"metric 'jaccard' and index 'HNSW' are not both known; .*correct config.yml"):
        module.Vdb("jaccard", {"index": "HNSW"})


class Filtered:
    """A data set as the harness has them: vectors of bytes, the words of rows and of queries as sparse matrices."""

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        self.rows = rng.integers(0, 256, (ROWS, DIM), dtype=np.uint8)
        self.queries = rng.integers(0, 256, (40, DIM), dtype=np.uint8)
        has = rng.random((ROWS, WORDS)) < np.linspace(0.5, 0.002, WORDS)
        wants = np.zeros((40, WORDS), bool)
        for at, row in enumerate(rng.integers(ROWS, size=40)):
            held = np.flatnonzero(has[row])
            wants[at, rng.choice(held, min(len(held), 1 + at % 2), replace=False)] = True
        wants[39] = False
        wants[39, -1] = True  # fewer rows than are asked for
        self.words, self.wanted = csr_matrix(has.astype(np.float32)), csr_matrix(wants.astype(np.float32))

    def get_dataset(self) -> np.ndarray:
        return self.rows

    def get_dataset_metadata(self) -> csr_matrix:
        return self.words


def test_big_ann_runs_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Filtered()
    harness = ModuleType("benchmark.datasets")
    harness.DATASETS = {"random-filter-s": lambda: source}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "benchmark", ModuleType("benchmark"))
    monkeypatch.setitem(sys.modules, "benchmark.datasets", harness)
    module = importlib.import_module("bench.harness.big_ann.module")
    text = (HARNESS / "big_ann" / "config.yaml").read_text(encoding="utf-8")
    params, *efforts = braces(text.partition("yfcc-10M")[0])
    params |= {"folder": str(tmp_path), "threads": 2}
    monkeypatch.setattr(module, "COMMIT_ROWS", 400)
    algo = module.Vdb("euclidean", params)
    assert not algo.load_index("random-filter-s")
    assert algo.get_memory_usage() > 0
    algo.fit("random-filter-s")
    check_answers(algo, source, efforts)
    algo.done()
    again = module.Vdb("euclidean", params)
    assert again.load_index("random-filter-s")
    check_answers(again, source, efforts[-1:])
    again.query(source.queries, K)
    assert np.isin(again.get_results()[3], exact(source.rows.astype(float), source.queries[3], "euclidean")[:K]).all()
    folder, prefix, parts = again.index_files_to_store("random-filter-s")
    assert (tmp_path / prefix).is_dir()
    assert (folder, parts) == (str(tmp_path), [])
    again.done()


def check_answers(algo, source: Filtered, efforts: list[dict]) -> None:
    has, wanted = source.words.toarray() > 0, source.wanted.toarray() > 0
    for effort in efforts:
        algo.set_query_arguments(effort)
        algo.filtered_query(source.queries, source.wanted, K)
        found = algo.get_results()
        assert found.shape == (40, K)
        assert algo.get_additional()["index_bytes"] > 0
        assert "recall" in str(algo)
        recalls = []
        for answer, wants, query in zip(found, wanted, source.queries, strict=True):
            order = exact(source.rows.astype(float), query, "euclidean")
            truth = order[has[order][:, wants].all(axis=1)][:K]
            answer = answer[answer >= 0]
            assert len(answer) == len(truth)
            assert has[answer][:, wants].all()
            recalls.append(np.isin(answer, truth).mean())
        assert np.mean(recalls) > 0.95
