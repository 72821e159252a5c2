"""Makes a folder of the published layout from the real papers: vectors, attributes, filters, exact neighbours.

Filters are drawn as those of the paper are, with the values of rows drawn at random. A file is written beside its
name and then named, so that a run that was cut goes on with the file it was at.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from bench import attributes, ground_truth
from bench.fanns import layout, lines
from bench.fanns.vecs import write_fvecs, write_ivecs
from bench.filtered.cells import CELLS, draw_predicates
from bench.filtered.predicate import to_sql
from bench.filtered.questions import RowFinder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.fanns.sources import Rows, Source
    from bench.filtered.predicate import Predicate

SEED = 5  # of the filters
MASK_BYTES = 256 << 20  # of the rows that are allowed to some queries at a time
FILTERED_BY = ("number_of_sub_categories", "update_date", "main_categories")


@dataclass(frozen=True)
class Maker:
    """Writes the files of one folder, each as far as it is not there."""

    source: Source
    folder: Path
    queries: int
    seed: int = SEED
    depth: int = ground_truth.DEPTH

    def run(self) -> layout.Layout:
        """Write what is missing. ValueError where the folder holds another set."""
        self._begin()
        papers = attributes.papers()
        of = self._papers_of_rows()
        self._write(layout.VECTORS, self._vectors)
        self._write(layout.ATTRIBUTES, lambda path: lines.write_lines(path, self._described(papers, of)))
        self._write(layout.QUERIES, lambda path: write_fvecs(path, [self.source.queries(self.queries)]))
        finder = RowFinder(_numbered(papers.select(FILTERED_BY).take(of)))
        try:
            drawn = self._filters(papers, of)
            for name, predicates in drawn.items():
                self._write(layout.FILTER_FILES[name], partial(_write_filters, predicates))
            for name, file in layout.TRUTHS.items():
                self._write(file, partial(self._write_truth, drawn.get(name), finder))
        finally:
            finder.close()
        return layout.Layout(self.folder)

    def _begin(self) -> None:
        wanted: dict[str, Any] = asdict(self.source) | {
            "queries": self.queries,
            "dim": self.source.dim,
            "filter_seed": self.seed,
            "depth": self.depth,
            "made_by": "bench/data.py, from the real papers of data/README.md",
        }
        path = self.folder / layout.ORIGIN
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found != wanted:
                raise ValueError(f"{path} says {found}; expected {wanted}; name another folder, or remove this one")
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise ValueError(
                f"{self.folder} holds files and no {layout.ORIGIN}; expected an empty folder; name another"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        path = self.folder / name
        if not path.exists():
            unfinished = path.with_name(f".{name}.partial")
            write(unfinished)
            unfinished.replace(path)

    def _vectors(self, path: Path) -> None:
        with tqdm(total=self.source.rows, unit="row", desc=layout.VECTORS) as bar:

            def parts() -> Iterator[Any]:
                for part, _ in self.source.chunks():
                    yield part
                    bar.update(len(part))

            write_fvecs(path, parts())

    def _papers_of_rows(self) -> Rows:
        """(rows,) the paper whose attributes each row has."""
        return np.concatenate([papers for _, papers in self.source.narrow_chunks()])

    def _described(self, papers: pa.Table, of: Rows) -> Iterator[dict[str, Any]]:
        unknown = [name for name in lines.ATTRIBUTES.names if name not in papers.column_names]
        nothing = dict.fromkeys(unknown)
        for begin in range(0, len(of), 1 << 14):
            for values in papers.take(of[begin : begin + (1 << 14)]).to_pylist():
                yield {name: (nothing | values)[name] for name in lines.ATTRIBUTES.names}

    def _filters(self, papers: pa.Table, of: Rows) -> dict[str, list[Predicate]]:
        known = papers.select(FILTERED_BY).take(of).combine_chunks()
        unused = np.zeros(self.queries, np.int64)  # EM, R and EMIS do not ask for the nearest row
        return {name: draw_predicates(CELLS[name], known, unused, self.seed) for name in lines.FILTERS}

    def _write_truth(self, asked: list[Predicate] | None, finder: RowFinder, path: Path) -> None:
        write_ivecs(path, self._truth(asked, finder))

    def _truth(self, asked: list[Predicate] | None, finder: RowFinder) -> Iterator[Rows]:
        """The nearest rows of each query among those that its predicate allows."""
        made = layout.Layout(self.folder)
        vectors, queries = made.vectors.mapped(), made.queries.head(self.queries)
        block = max(MASK_BYTES // len(vectors), 1)
        for begin in tqdm(range(0, self.queries, block), unit="block", desc="exact neighbours"):
            masks = None if asked is None else _masks(asked[begin : begin + block], finder, len(vectors))
            part = queries[begin : begin + block]
            truth = ground_truth.exact_neighbors(vectors, part, layout.METRIC, self.depth, masks)
            yield from (row[row >= 0] for row in truth.rows)


def _write_filters(predicates: list[Predicate], path: Path) -> None:
    lines.write_lines(path, map(lines.filter_values, predicates))


def _masks(asked: list[Predicate], finder: RowFinder, rows: int) -> ground_truth.RowMasks:
    masks = np.zeros((len(asked), rows), np.bool_)
    for mask, predicate in zip(masks, asked, strict=True):
        mask[finder.rows(*to_sql(predicate))] = True
    return masks


def _numbered(table: pa.Table) -> pa.Table:
    return table.append_column("row", pa.array(np.arange(len(table))))
