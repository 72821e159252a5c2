"""vdb's table in the filtered bench, its indexes, and what is tried of each strategy."""

from __future__ import annotations

from typing import Any

import vdb
from bench.adapters.base import GraphParams
from bench.attributes import COLUMNS
from bench.filtered.adapters.base import Sweep
from bench.filtered.questions import FilteredData
from vdb.database import Database
from vdb.query.execute import Executor
from vdb.query.resolve import Resolver
from vdb.storage.store import Store
from vdb.types import Metric

ACORN = {"M": 32, "gamma": 12, "M_beta": 64}  # the authors' parameters
EFS: Sweep = [{"ef_search": ef} for ef in (10, 16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256, 512)]
RECALLS: Sweep = [{"recall_percent": percent} for percent in (85, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99)]
NPROBES: Sweep = [{"nprobe": lists} for lists in (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)]
AT_DEFAULTS: Sweep = [{}]
LISTS: dict[str, tuple[Any, str]] = {"ivfpq": (vdb.IVFPQ, "nbits"), "ivfrabitq": (vdb.IVFRaBitQ, "bits")}
STAGES = ("parse", "predicate", "plan", "search")
STRATEGIES = {
    "auto": [AT_DEFAULTS, EFS, RECALLS],
    "scan": [AT_DEFAULTS],
    "codes": [AT_DEFAULTS],
    "graph": [EFS],
    "post": [EFS],
    "acorn": [EFS],
    "range": [EFS],
    "label": [EFS],
    "ivf": [NPROBES, RECALLS],
}


def opened(threads: int) -> Database:
    """A database in memory, DuckDB on one thread, as every peer."""
    return Database(Store.open(None, False, None, 1), threads)


def forget(db: Database) -> None:
    """What was read of predicates and planned before."""
    db.resolver = Resolver(db.store, db.attributes)
    db.executor = Executor(db.store, db.indexes, db.resolver, threads=1)


def make_table(db: vdb.Database, data: FilteredData, metric: Metric, rows: int | None = None) -> vdb.Table:
    """A table of the attributes and vectors, of the first `rows` where a number is given."""
    types = {name: kind + " PRIMARY KEY" * (name == "row") for name, kind in COLUMNS.items()}
    types["embedding"] = f"FLOAT[{data.vectors.shape[1]}]"
    table = db.create_table("papers", types, metric=metric)
    table.add(data.attributes.slice(0, rows), embedding=data.vectors[:rows])
    return table


def index_spec(text: str, params: GraphParams) -> Any:
    """The index that a workload calls so, as `range:update_date`, or `ivfrabitq:2` for so many bits."""
    kind, _, column = text.partition(":")
    if kind in LISTS:
        make, bits = LISTS[kind]
        return make(**({bits: int(column)} if column else {}))
    options = {"flat": {}, "acorn": ACORN}.get(kind, {"M": params.M, "ef_construction": params.ef_construction})
    names = {"hnsw": "HNSW", "flat": "Flat", "acorn": "ACORN", "range": "Range", "label": "Label"}
    if kind not in names:
        known = ", ".join((*names, *LISTS))
        raise ValueError(f"unknown index {text!r}; expected one of {known}, with :column where it has one")
    return getattr(vdb, names[kind])(*([column] if column else []), **options)
