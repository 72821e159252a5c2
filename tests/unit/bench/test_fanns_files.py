"""The files of the published layout: what is read is what was written, and what is wrong is named with its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="attributes are Arrow tables; pip install -e '.[bench]'")

from bench.fanns import lines, vecs
from bench.fanns.vecs import BadFile, Fvecs
from bench.filtered.predicate import Between, Contains, Equal

if TYPE_CHECKING:
    from pathlib import Path

ROW = {
    "submitter": "A. Noether",
    "has_comments": True,
    "main_categories": ["math"],
    "sub_categories": ["math.AC", "math.RA"],
    "number_of_main_categories": 1,
    "number_of_sub_categories": 2,
    "license": None,
    "number_of_versions": 3,
    "update_date": 14_000,
    "authors": ["A. Noether"],
    "number_of_authors": 1,
}


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((300, 24)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(vecs, "CHUNK_BYTES", 100 * 25 * 4)  # of a hundred rows
    written = tmp_path / "v.fvecs"
    assert vecs.write_fvecs(written, [vectors[:7], vectors[7:]]) == len(vectors)
    return written


def test_vectors_are_read_in_chunks_as_they_were_written(path: Path, vectors: np.ndarray) -> None:
    file = Fvecs.open(path)
    assert (file.rows, file.dim) == vectors.shape
    assert path.read_bytes()[:100] == np.int32(24).tobytes() + vectors[0].tobytes()
    parts = list(file.chunks(50, 290))
    assert [len(part) for part in parts] == [100, 100, 40]
    assert np.array_equal(np.concatenate(parts), vectors[50:290])
    assert np.array_equal(file.head(), vectors)
    assert np.array_equal(file.mapped()[[3, 299]], vectors[[3, 299]])


def test_lists_of_any_length_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "truth.ivecs"
    lists = [np.array([4, 0, 9]), np.array([], np.int64), np.array([9])]
    vecs.write_ivecs(path, lists)
    assert path.stat().st_size == 4 * (3 + 4)
    assert [each.tolist() for each in vecs.read_ivecs(path, 10)] == [[4, 0, 9], [], [9]]


def damaged(path: Path, at: int, value: int) -> Path:
    content = bytearray(path.read_bytes())
    content[at : at + 4] = np.int32(value).tobytes()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:-8]),
            r"vector 299 begins at byte 29900 and has 92 of the 100",
        ),
        (lambda path: path.write_bytes(b""), "0 bytes; expected vectors"),
        (lambda path: path.unlink(), "no such file"),
        (lambda path: damaged(path, 0, -3), "byte 0 says -3 dimensions; expected 1 to"),
        (lambda path: damaged(path, 150 * 100, 23), "vector 150 at byte 15000 has 23 dimensions; expected 24"),
        (lambda path: damaged(path, 150 * 100 + 8, 0x7FC00000), "vector 150 at byte 15000 has a value that is not fin"),
    ],
)
def test_damaged_vectors_are_named_with_row_and_byte(path: Path, damage, message: str) -> None:
    damage(path)
    with pytest.raises(BadFile, match=message) as caught:
        Fvecs.open(path).head()
    assert str(path) in str(caught.value)
    assert "Fetch or make the file again" in str(caught.value)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, 90, "list 0 at byte 0 says 90 values; expected at most the 6 that follow"),
        (0, -1, "list 0 at byte 0 says -1 values"),
        (8, 10, "list 0 has 10 at byte 8; expected a row of the database, 0 to 9"),
        (24, -2, "list 2 has -2 at byte 24"),
    ],
)
def test_neighbours_out_of_range_are_named_with_query_and_byte(
    tmp_path: Path, at: int, value: int, message: str
) -> None:
    path = tmp_path / "truth.ivecs"
    vecs.write_ivecs(path, [np.array([4, 0, 9]), np.array([], np.int64), np.array([9])])
    with pytest.raises(BadFile, match=message):
        vecs.read_ivecs(damaged(path, at, value), 10)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadFile, match="truncated: 27 bytes"):
        vecs.read_ivecs(path, 10)


def written(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_attributes_come_in_batches_and_either_spelling(tmp_path: Path) -> None:
    other = {("has_comment" if key == "has_comments" else key): value for key, value in ROW.items()}
    path = written(tmp_path / "a.jsonl", [ROW | {"update_date": day} for day in range(4)] + [other])
    batches = list(lines.attribute_batches(path, 5, 2, first=1))
    assert [len(batch) for batch in batches] == [2, 2]
    assert batches[0]["update_date"].to_pylist() == [1, 2]
    assert batches[1].to_pylist()[1] == ROW
    assert batches[0].schema == lines.ATTRIBUTES


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW, ROW], "ends after line 2; expected 3, one for each vector"),
        ([ROW, {"submitter": "x"}, ROW], "line 2 has no has_comments, main_categories"),
        ([ROW, ROW, ROW | {"update_date": "2020-01-01"}], "line 3 has update_date '2020-01-01'; expected int32"),
        ([ROW, ROW | {"main_categories": "math"}, ROW], "line 2 has main_categories 'math'; expected list"),
        ([ROW, [1], ROW], r"line 2 is \[1\]; expected an object"),
    ],
)
def test_wrong_attributes_are_named_with_the_line(tmp_path: Path, rows: list, message: str) -> None:
    path = written(tmp_path / "a.jsonl", rows)
    with pytest.raises(BadFile, match=message) as caught:
        list(lines.attribute_batches(path, 3, 2))
    assert str(path) in str(caught.value)


def test_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"label": 1}\n{"label": \n', encoding="utf-8")
    with pytest.raises(BadFile, match=r"line 2 is no JSON: .* at column"):
        lines.predicates(path, "em", 2)
    with pytest.raises(BadFile, match="ends after line 2; expected 4"):
        lines.predicates(path, "em", 4)


def test_filters_are_what_the_paper_says_they_are(tmp_path: Path) -> None:
    asked = {
        "em": ({"label": 3}, Equal("number_of_sub_categories", 3)),
        "r": ({"range_start": 3, "range_end": 9}, Between("update_date", 3, 9)),
        "emis": ({"label": "math"}, Contains("main_categories", "math")),
    }
    for name, (line, predicate) in asked.items():
        path = written(tmp_path / f"{name}.jsonl", [line])
        assert lines.predicates(path, name, 1) == [predicate]
        assert lines.filter_values(predicate) == line
    with pytest.raises(BadFile, match="line 1 has label 'math'; expected int"):
        lines.predicates(path, "em", 1)
    with pytest.raises(BadFile, match="line 1 has no range_start, range_end"):
        lines.predicates(path, "r", 1)
