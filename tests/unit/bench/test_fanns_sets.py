"""Sets of the published layout: made from the real papers, fetched, streamed into a database, asked by the bench."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="attributes are Arrow tables; pip install -e '.[bench]'")
pytest.importorskip("tqdm", reason="pip install -e '.[bench]'")

import vdb
from bench import attributes, data, datasets, ground_truth
from bench.fanns import fetch, layout, lines, load, vecs
from bench.fanns.layout import Layout
from bench.fanns.make import Maker
from bench.fanns.sources import Source
from bench.filtered import questions
from bench.filtered.predicate import to_sql

if TYPE_CHECKING:
    from pathlib import Path

ROWS, QUERIES, DIM = 400, 12, 16


def made(folder: Path, rows: int = ROWS, dim: int = DIM) -> Layout:
    """A set of made vectors and attributes with its exact neighbours."""
    rng = np.random.default_rng(3)
    folder.mkdir()
    described = attributes.made(rng.integers(10, size=rows)).drop_columns(["row", "lot", "title", "primary_category"])
    nothing = {"submitter": None, "license": None, "number_of_versions": None, "authors": ["A"]}
    lines.write_lines(folder / layout.ATTRIBUTES, (nothing | row for row in described.to_pylist()))
    parts = (datasets.unit_rows(rng.standard_normal((min(5_000, rows - at), dim))) for at in range(0, rows, 5_000))
    vecs.write_fvecs(folder / layout.VECTORS, parts)
    vecs.write_fvecs(folder / layout.QUERIES, [datasets.unit_rows(rng.standard_normal((QUERIES, dim)))])
    values: dict[str, list[dict[str, Any]]] = {
        "em": [{"label": 1 + at % 2} for at in range(QUERIES)],
        "r": [{"range_start": 12_000, "range_end": 12_100 + 300 * at} for at in range(QUERIES)],
        "emis": [{"label": f"a{at % 5}"} for at in range(QUERIES)],
    }
    for name, each in values.items():
        lines.write_lines(folder / layout.FILTER_FILES[name], iter(each))
    whole = Layout(folder)
    with vdb.connect(":memory:") as db:
        table = load.fill(db, whole)
        for name, file in layout.TRUTHS.items():
            asked = [None] * QUERIES if name == layout.ALL else [to_sql(each) for each in whole.filters(name)]
            found = [
                table.search(query, 100, *(where or ())).ids
                for query, where in zip(whole.queries.head(), asked, strict=True)
            ]
            vecs.write_ivecs(folder / file, found)
    return whole


@pytest.fixture
def made_set(tmp_path: Path) -> Layout:
    return made(tmp_path / "made")


def test_set_is_checked_from_end_to_end(made_set: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["check", str(made_set.folder)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["dim"], said["queries"]) == (ROWS, DIM, QUERIES)
    assert said["neighbours_a_query"]["all"] == 100
    assert said["neighbours_a_query"]["r"] < 100  # lists have the lengths they have
    found = made_set.truth("r")
    counted = [len(each) for each in made_set.truth_rows("r")]
    assert (found.rows >= 0).sum(axis=1).tolist() == counted
    assert all(np.all(np.diff(row[:n]) >= 0) for row, n in zip(found.distances, counted, strict=True))


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        (layout.QUERIES, lambda rows: rows[:, :8], "byte 0 says 8 dimensions, .*database_vectors.fvecs has 16"),
        (layout.VECTORS, lambda rows: rows[:-1], "line 400 is one too many of 400; expected 399"),
    ],
)
def test_files_that_do_not_fit_each_other_are_named(made_set: Layout, file: str, damage, message: str) -> None:
    path = made_set.folder / file
    rows = damage(vecs.Fvecs.open(path).head())
    vecs.write_fvecs(path, [rows])
    for name in layout.TRUTHS.values():
        vecs.write_ivecs(made_set.folder / name, [np.array([0])] * QUERIES)
    with pytest.raises(vecs.BadFile, match=message):
        Layout(made_set.folder).check()


def test_truth_of_too_few_queries_is_named(made_set: Layout) -> None:
    vecs.write_ivecs(made_set.folder / layout.TRUTHS["em"], [np.array([1])] * 3)
    with pytest.raises(vecs.BadFile, match=r"ground_truth_em.ivecs: ends after list 3; expected 12, one a query"):
        Layout(made_set.folder).truth("em")


def test_load_goes_on_where_it_was_cut(made_set: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vecs, "CHUNK_BYTES", 64 * 4 * (DIM + 1))
    with vdb.connect(tmp_path / "d.vdb") as db:
        assert len(load.fill(db, made_set, 100)) == 100
        table = load.fill(db, made_set)
        assert len(table) == ROWS
        hits = table.search(made_set.queries.head()[3], 10, *to_sql(made_set.filters("emis")[3]))
        assert hits.ids.tolist() == made_set.truth_rows("emis")[3][:10].tolist()
        (stored,) = table.get([399], select=["submitter", "authors", "update_date", "embedding"])
        expected = next(made_set.attributes(1, 399)).to_pylist()[0]
        assert stored["authors"] == expected["authors"]
        assert stored["update_date"] == expected["update_date"]
        with pytest.raises(ValueError, match="has 400 rows, 401 were asked for"):
            load.fill(db, made_set, 401)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_set_is_streamed_in_bounded_memory(tmp_path: Path) -> None:
    rows, dim = 40_000, 1_536  # 234 MB of vectors
    folder = made(tmp_path / "made", 200, dim).folder
    rng = np.random.default_rng(1)
    line = (folder / layout.ATTRIBUTES).read_text(encoding="utf-8").splitlines(keepends=True)[0]
    (folder / layout.ATTRIBUTES).write_text(line * rows, encoding="utf-8")
    parts = (rng.standard_normal((2_000, dim), dtype=np.float32) for _ in range(rows // 2_000))
    vecs.write_fvecs(folder / layout.VECTORS, parts)
    command = [sys.executable, str(datasets.ROOT / "bench" / "data.py"), "load", str(folder), str(tmp_path / "d.vdb")]
    done = subprocess.run([*command, "--limit-mb", "600"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["rows"] == rows
    grown_mb = said["anonymous_at_most_mb"] - said["resident_at_first_mb"]
    assert grown_mb < 0.4 * (rows * dim * 4 >> 20)


@pytest.mark.usefixtures("arxiv")
@pytest.mark.parametrize("name", ["arxiv", "grown"])
def test_set_made_from_papers_has_their_attributes_filters_and_neighbours(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    words = ["make", name, "--rows", "3000", "--queries", "20", "--folder", str(folder)]
    assert data.main(words) == 0
    whole = Layout(folder)
    papers = attributes.papers()
    of = np.concatenate([each for _, each in Source.of(name, 3_000).narrow_chunks()])
    rows = next(whole.attributes(3_000)).to_pylist()
    for at in (0, 1_234, 2_999):
        paper = {key: papers[key][int(of[at])].as_py() for key in ("main_categories", "authors", "update_date")}
        assert {key: rows[at][key] for key in paper} == paper
        assert (rows[at]["submitter"], rows[at]["license"], rows[at]["number_of_versions"]) == (None, None, None)
    allowed = np.array(
        [[row["number_of_sub_categories"] == each.value for row in rows] for each in whole.filters("em")]
    )
    expected = ground_truth.exact_neighbors(whole.vectors.head(), whole.queries.head(), "l2", 100, allowed)
    assert [each.tolist() for each in whole.truth_rows("em")] == [row[row >= 0].tolist() for row in expected.rows]
    within = whole.filters("r")[7]
    passing = {at for at, row in enumerate(rows) if within.low <= row["update_date"] <= within.high}
    assert len(whole.truth_rows("r")[7]) == min(100, len(passing))
    assert set(whole.truth_rows("r")[7].tolist()) <= passing


@pytest.mark.usefixtures("arxiv")
def test_making_goes_on_where_it_was_cut_and_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    first = Maker(Source.of("grown_lifted", 600), tmp_path / "first", 5).run()
    assert first.vectors.dim == datasets.LIFTED_DIM
    again = Maker(Source.of("grown_lifted", 600), tmp_path / "again", 5)
    again.run()
    for cut in (layout.FILES[::2], layout.FILES[1::2]):
        for file in cut:
            (tmp_path / "again" / file).unlink()
        again.run()
    for file in layout.FILES:
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "first" / file).read_bytes(), file
    with pytest.raises(ValueError, match=r"origin.json says .*; expected .*; name another folder"):
        Maker(Source.of("grown_lifted", 600, seed=8), tmp_path / "first", 5).run()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match=r"holds files and no origin.json"):
        Maker(Source.of("arxiv", 600), tmp_path / "other", 5).run()


def test_bench_asks_the_filters_of_the_set(made_set: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ground_truth, "CACHE", tmp_path / "cache")
    held = questions.load(str(made_set.folder), ROWS, 10, warm=6)  # four more than the set has
    assert len(held.dataset.queries) == 16
    assert np.array_equal(held.dataset.queries[12:], held.vectors[:4])
    finder = questions.RowFinder(held.attributes)
    asked = questions.Questioner(held, "l2", finder, 6, 5).questions("emis")
    finder.close()
    assert asked.predicates == made_set.filters("emis")[:10]
    for found, expected in zip(asked.truth.rows, made_set.truth_rows("emis"), strict=False):
        assert found[found >= 0].tolist() == expected[: questions.TRUTH_DEPTH].tolist()


class Hub(ModuleType):
    """huggingface_hub, serving a folder; a download may be cut, or bring other bytes."""

    def __init__(self, folder: Path) -> None:
        super().__init__("huggingface_hub")
        self.folder, self.fetched, self.fails, self.spoils = folder, [], "", ""
        self.HfApi = lambda: self

    def dataset_info(self, repository: str, *, files_metadata: bool, timeout: float) -> SimpleNamespace:
        assert (repository, files_metadata) == ("SPCL/arxiv-for-fanns-small", True)
        listed = []
        for name in layout.FILES:
            content = (self.folder / name).read_bytes()
            large = {"sha256": hashlib.sha256(content).hexdigest()} if name.endswith("vecs") else None
            small = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
            listed.append(SimpleNamespace(rfilename=name, size=len(content), lfs=large, blob_id=small))
        return SimpleNamespace(siblings=[*listed, SimpleNamespace(rfilename="README.md")], sha="abc")

    def hf_hub_download(self, repository: str, name: str, *, repo_type: str, revision: str, local_dir: Path) -> None:
        assert (repo_type, revision) == ("dataset", "abc")
        if name == self.fails:
            raise ConnectionError("the line was cut")
        self.fetched.append(name)
        (local_dir / name).write_bytes((self.folder / name).read_bytes()[: -4 if name == self.spoils else None])


def test_set_is_fetched_checked_and_gone_on_with(
    made_set: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(made_set.folder)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setenv("VDB_FANNS", str(tmp_path / "home"))
    hub.fails = layout.QUERIES
    assert data.main(["fetch", "small"]) == 2
    said = capsys.readouterr().err
    assert "ConnectionError: the line was cut; expected huggingface.co within reach; try again" in said
    assert hub.fetched == [layout.VECTORS, layout.ATTRIBUTES]
    hub.fails, hub.spoils = "", layout.TRUTHS["r"]
    with pytest.raises(vecs.BadFile, match=r"ground_truth_r.ivecs: not the checksum"):
        fetch.fetch("small")
    assert hub.fetched.count(layout.VECTORS) == 1  # what is whole stays
    hub.spoils = ""
    assert data.main(["fetch", "small"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == ROWS
    assert load.find("fanns_small").check()["queries"] == QUERIES


def test_fetching_without_library_network_or_room_says_what_to_do(
    made_set: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(datasets.MissingDataset, match=r"not installed; pip install huggingface_hub, or fetch it where"):
        fetch.fetch("small", tmp_path / "f")
    hub = Hub(made_set.folder)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    with pytest.raises(datasets.MissingDataset, match=r"takes .* more bytes, .* has 10; name another folder"):
        fetch.fetch("small", tmp_path / "f")
    with pytest.raises(ValueError, match="unknown size 'huge'; expected one of small, medium, large"):
        fetch.fetch("huge")
    monkeypatch.setenv("VDB_FANNS", str(tmp_path / "nowhere"))
    with pytest.raises(datasets.MissingDataset, match=r"no folder .*python bench/data.py fetch large"):
        load.find("fanns_large")
