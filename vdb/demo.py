"""The main job on real data: build a database, search it with filters, show plans, latency and recall.

The papers come from a folder that is not part of the project; without it the handwritten digits that scikit-learn ships
stand in.
"""

from __future__ import annotations

import collections
import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vdb.errors import InvalidArgument, NotFound
from vdb.index.spec import HNSW
from vdb.opening import connect
from vdb.progress import progress_bar
from vdb.storage.parquet import read_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vdb.database import Database
    from vdb.query.result import Hits
    from vdb.table import Table
    from vdb.types import FloatMatrix

_FILES = ("papers.parquet", "vectors.f16.npy", "queries.f16.npy")
_BATCH = 10_000  # rows a commit
_K = 10
_TIMED_RUNS = 20
_RECALL_QUERIES = 50
_EF_SEARCH = 128


@dataclass(frozen=True)
class Question:
    """One search of the demo."""

    title: str
    where: str | None = None
    params: list[object] | None = None


@dataclass(frozen=True)
class Material:
    """What a demo shows: columns, vectors, queries, questions, and how to print a row."""

    name: str
    schema: dict[str, str]
    metric: Any
    columns: dict[str, npt.NDArray[Any]]
    vectors: FloatMatrix
    queries: FloatMatrix
    questions: list[Question]
    line: Callable[[dict[str, Any]], str]


def run_demo(data: Path | None, path: Path | None) -> None:
    """Build a database, in `path` or a temporary folder, and print what it answers.

    NotFound where `data` is given and lacks a file.
    """
    folder = _data_folder(data)
    material = _digits() if folder is None else _papers(folder)
    with tempfile.TemporaryDirectory(prefix="vdb-demo-") as temporary:
        place = path or Path(temporary) / "demo.vdb"
        with connect(place) as db:
            table = _build(db, material)
            answers = [_ask(table, material, question) for question in material.questions]
        _reopen(place, material, answers[0])


def _data_folder(data: Path | None) -> Path | None:
    if data is not None:
        missing = [name for name in _FILES if not (data / name).exists()]
        if missing:
            raise NotFound(f"{data} lacks {', '.join(missing)}. Fix: pass the folder of the arXiv set, or no --data.")
        return data
    for candidate in (os.environ.get("VDB_DATA"), "../shared/arxiv"):
        if candidate and all((Path(candidate) / name).exists() for name in _FILES):
            return Path(candidate)
    return None


def _papers(folder: Path) -> Material:
    with _said(f"reading the papers of {folder.name}"):
        columns = read_parquet(folder / "papers.parquet", order_by="row")
        vectors = _unit(np.load(folder / "vectors.f16.npy"))
        queries = _unit(np.load(folder / "queries.f16.npy"))
    if len(vectors) != len(columns["id"]):
        raise InvalidArgument(f"{folder} has {len(columns['id'])} papers and {len(vectors)} vectors.")
    author, papers = collections.Counter(name for names in columns["authors"] for name in names).most_common(1)[0]
    return Material(
        name="papers",
        schema={
            "id": "VARCHAR PRIMARY KEY",
            "title": "VARCHAR NOT NULL",
            "authors": "VARCHAR[]",
            "categories": "VARCHAR[]",
            "published": "DATE",
            "updated": "DATE",
            "embedding": f"FLOAT[{vectors.shape[1]}]",
        },
        metric="cosine",
        columns={name: columns[name] for name in ("id", "title", "authors", "categories", "published", "updated")},
        vectors=vectors,
        queries=queries,
        questions=[
            Question("the nearest papers to a query vector"),
            Question(
                "only papers of cs.LG since 2015",
                "list_contains(categories, ?) AND published >= ?",
                ["cs.LG", "2015-01-01"],
            ),
            Question(
                "only papers of June 2017",
                "published BETWEEN DATE '2017-06-01' AND DATE '2017-06-30'",
            ),
            Question(f"only papers by {author} ({papers} of them)", "list_contains(authors, ?)", [author]),
            Question("only papers published before the archive existed", "published < DATE '1986-01-01'"),
        ],
        line=lambda row: f"{row['published']}  {row['categories'][0]:<14.14} {' '.join(row['title'].split())[:70]}",
    )


def _digits() -> Material:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise NotFound(
            "no data: neither ../shared/arxiv nor scikit-learn's digits are here. Fix: pip install scikit-learn,"
            " or pass --data with the folder of the arXiv set."
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    rows = 1_500  # the others are the queries
    ink = pixels.sum(axis=1)
    return Material(
        name="digits",
        schema={"id": "BIGINT PRIMARY KEY", "label": "INTEGER", "ink": "DOUBLE", "pixels": "FLOAT[64]"},
        metric="l2",
        columns={"id": np.arange(rows), "label": labels[:rows], "ink": ink[:rows]},
        vectors=pixels[:rows].astype(np.float32),
        queries=pixels[rows:].astype(np.float32),
        questions=[
            Question("the nearest digits to a query image"),
            Question("only threes", "label = ?", [3]),
            Question("only even digits", "label % 2 = 0"),
            Question("only faint sevens and ones", "label IN (1, 7) AND ink < 300"),
            Question("only elevens", "label = 11"),
        ],
        line=lambda row: f"digit {row['label']}  ink {row['ink']:.0f}",
    )


def _unit(half: npt.NDArray[Any]) -> FloatMatrix:
    matrix = half.astype(np.float32)  # float16 rounding moved the norms by up to 0.0005
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix


def _build(db: Database, material: Material) -> Table:
    n = len(material.vectors)
    table = db.create_table(material.name, material.schema, metric=material.metric)
    vector = table.schema.vectors[0].name
    began = time.perf_counter()
    with progress_bar("loading rows") as advance:
        for begin in range(0, n, _BATCH):
            part = slice(begin, min(begin + _BATCH, n))
            rows = {name: values[part] for name, values in material.columns.items()}
            table.add(rows, **{vector: material.vectors[part]})
            advance(part.stop, n)
    print(f"loaded {n:,} rows in {time.perf_counter() - began:.1f} s, {-(-n // _BATCH)} commits")
    began = time.perf_counter()
    with progress_bar("building HNSW") as advance:
        info = table.create_index(spec=HNSW(M=16, ef_construction=200), progress=advance)
    seconds = time.perf_counter() - began
    print(f"built {info.name} in {seconds:.1f} s, {info.memory_bytes / 1e6:.1f} MB beside the vectors")
    return table


def _ask(table: Table, material: Material, question: Question) -> list[Any]:
    """Answer and print one question; returns the ids it found."""
    query = material.queries[0]

    def search(**options: Any) -> Hits:
        return table.search(query, _K, question.where, question.params, ef_search=_EF_SEARCH, **options)

    hits = search()
    times = []
    for _ in range(_TIMED_RUNS):
        began = time.perf_counter()
        search()
        times.append(time.perf_counter() - began)
    print(f"\n{question.title}")
    if question.where is not None:
        print(f"  where {question.where}" + (f"  with {question.params}" if question.params else ""))
    rows = hits.to_dicts()
    for row in rows:
        print(f"  {row['_distance']:.4f}  {material.line(row)}")
    if not rows:
        print("  no row satisfies this")
    for line in hits.explain().splitlines():
        print(f"  | {line}")
    print(f"  median latency {np.median(times) * 1e3:.2f} ms, recall@{_K} {_recall(table, material, question):.3f}")
    return list(hits.ids)


def _recall(table: Table, material: Material, question: Question) -> float:
    """Share of the true nearest that the plan finds, over several queries; a tie with the last one counts."""
    queries = material.queries[:_RECALL_QUERIES]
    found = table.search(queries, _K, question.where, question.params, ef_search=_EF_SEARCH)
    exact = table.search(queries, _K, question.where, question.params, strategy="scan")
    if not exact.distances.size:
        return 1.0
    kth = np.where(np.isfinite(exact.distances), exact.distances, -np.inf).max(axis=1)
    true = np.isfinite(exact.distances).sum()
    return float((found.distances <= kth[:, None]).sum() / true) if true else 1.0


def _reopen(place: Path, material: Material, before: list[Any]) -> None:
    began = time.perf_counter()
    with connect(place) as db:
        seconds = time.perf_counter() - began
        again = db.table(material.name).search(material.queries[0], _K, ef_search=_EF_SEARCH)
        same = "the same" if list(again.ids) == before else "another"
        print(f"\nreopened in {seconds * 1e3:.0f} ms: {same} answer to the first question")


@contextmanager
def _said(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - began:.1f} s")
