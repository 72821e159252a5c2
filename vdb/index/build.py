"""From a spec to an index in memory: what it leaves open is decided here, and every kind is made and loaded here."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from vdb import _core
from vdb.dtypes import shown
from vdb.errors import InvalidState, VdbError
from vdb.index.acorn import ACORN
from vdb.index.ivf_spec import IVFPQ, IVFS, IVFRaBitQ, check_rows
from vdb.index.label_spec import Label
from vdb.index.partial_spec import PARTIAL, Partial
from vdb.index.range_spec import Range
from vdb.index.spec import HNSW, Flat
from vdb.index.spectrum import rank_at_most, spectrum
from vdb.index.view import measurable
from vdb.index.walk_codes import NO_CODES, choose_walk_codes
from vdb.metrics.custom import CORE_NAME, CustomMetric
from vdb.types import METRICS, VectorColumn

if TYPE_CHECKING:
    from vdb.index.spec import Spec
    from vdb.storage.state import IndexRecord, TableState
    from vdb.types import FloatMatrix, Slots, TableSchema

Built: TypeAlias = _core.Hnsw | _core.Codes | _core.RangeGraph | _core.LabelGraph | _core.Ivf
_Kind: TypeAlias = type[HNSW | ACORN | Flat | Range | Label | IVFPQ | IVFRaBitQ]

SPECS: Final[tuple[_Kind, ...]] = (HNSW, ACORN, Flat, Range, Label, IVFPQ, IVFRaBitQ)
_KINDS: Final[dict[str, _Kind | type[Partial]]] = {kind.kind: kind for kind in (*SPECS, Partial)}
GRAPHS: Final = ("hnsw", "acorn")  # kinds of a graph over all rows, which any search may walk
TUNED: Final = (*GRAPHS, *IVFS)  # kinds that are repaired and renumbered
OVER_ATTRIBUTES: Final = ("range", "label", PARTIAL)  # kinds that go by an attribute, or a condition, too
MEASURED: Final = (*TUNED, *OVER_ATTRIBUTES)

# Options that came after the first indexes of a kind were listed: params may lack them.
_LATER: Final = {HNSW.kind: {"codes", "bits"}, ACORN.kind: {"codes", "bits"}, IVFPQ.kind: {"refine"}}

_SAMPLE_ROWS: Final = 8192  # that show whether a projection is narrower than a byte a dimension
_SAMPLE_VALUES: Final = 2**25  # at most, which is 128 MiB of float32: above 4,096 dimensions fewer rows have to do
_BYTES_PER_COORDINATE: Final = 4
_REPAIRS: Final = 2  # that a graph may need: one that has begun ends with the rows that were dead then


def settled(spec: Spec, state: TableState, column: str) -> Spec:
    """The spec with the codes that suit the vectors where it leaves them open; InvalidArgument where it cannot be."""
    if isinstance(spec, Range):
        spec.check(state.schema)
        return spec
    declared = state.schema.by_name[column]
    assert isinstance(declared, VectorColumn)
    metric = spec.metric or declared.metric
    if isinstance(spec, IVFPQ | IVFRaBitQ):
        name = f"{state.schema.name}.{column}"
        spec.check_column(name, declared.dim)
        check_rows(spec, name, measurable(state, column, metric).count)
        return spec
    if isinstance(spec, Label | Partial) or spec.codes != "auto":
        return spec
    if isinstance(metric, CustomMetric):
        return replace(spec, codes=NO_CODES.codes)
    sample = _sample(spec, state, column)
    if not isinstance(spec, Flat):
        row_bytes = state.vectors[column].data.dtype.itemsize * declared.dim
        chosen = choose_walk_codes(sample, row_bytes, metric, spec.seed)
        return replace(spec, codes=chosen.codes, bits=chosen.bits or None)
    # sq8 takes a byte a dimension and so does the narrowest dtype: what saves bytes beside one does beside the other.
    narrow = len(sample) > 0 and rank_at_most(sample, sample.shape[1] // _BYTES_PER_COORDINATE)
    return replace(spec, codes="projection" if narrow else "sq8")


def _sample(spec: HNSW | ACORN | Flat, state: TableState, column: str) -> FloatMatrix:
    """Rows as the codes will be trained on: of those that have a distance, at length 1 for cosine."""
    declared = state.schema.by_name[column]
    assert isinstance(declared, VectorColumn)
    metric = spec.metric or declared.metric
    slots = measurable(state, column, metric).to_slots()
    count = min(len(slots), _SAMPLE_ROWS, max(1, _SAMPLE_VALUES // declared.dim))
    slots = slots[np.sort(np.random.default_rng(spec.seed).choice(len(slots), count, replace=False))]
    vectors = state.vectors[column]
    sample: FloatMatrix = shown(vectors.data[slots], declared.dtype).astype(np.float32)
    if metric == "cosine":
        sample *= vectors.inverse_norms()[slots, None]
    return sample


def fault_of(record: IndexRecord, schema: TableSchema) -> str:
    """Why there can be no such index; empty where there can, or where only a newer vdb knows its kind."""
    kind, column = _KINDS.get(record.kind), schema.by_name[record.column]
    if kind is None:
        return ""
    if not isinstance(column, VectorColumn):
        return f"{record.column} is no vector column"
    names = {field.name for field in fields(kind)} - _LATER.get(record.kind, set())
    if missing := sorted(names - record.params.keys()):
        return f"it has no {', '.join(missing)}"
    attribute = record.params.get("attribute")
    if attribute is not None and attribute not in schema.by_name:
        return f"there is no column {attribute!r}"
    try:
        make(record, column.dim)
    except (VdbError, TypeError, ValueError) as error:
        return str(error)
    return ""


def make(record: IndexRecord, dim: int) -> Built:
    """The index of a record, of no rows yet."""
    name = str(record.params["metric"])
    metric = name if name in METRICS else CORE_NAME
    kind = _kind(record)
    # A graph listed before there were codes to walk by has none.
    open_codes = {"codes": "none"} if kind in (HNSW, ACORN) else {}
    spec = kind(**{**open_codes, **record.params, "metric": None})  # type: ignore[arg-type]
    if isinstance(spec, IVFPQ | IVFRaBitQ):
        return spec.make(dim, name)
    if isinstance(spec, Flat):
        return _core.Codes(dim, metric, spec.codes, spec.seed, spectrum=spectrum)
    options = (dim, metric, spec.M, spec.ef_construction, spec.seed)
    if isinstance(spec, Range):
        return _core.RangeGraph(*options)
    if isinstance(spec, Label):
        return _core.LabelGraph(*options, spec.min_rows)
    if isinstance(spec, Partial):
        return _core.LabelGraph(*options, min_rows=1)
    codes = None if spec.codes == "none" else spec.codes
    if isinstance(spec, ACORN):
        return _core.Hnsw(*options, codes=codes, bits=spec.bits or 0, gamma=spec.gamma, M_beta=spec.M_beta or spec.M)
    if spec.codes == "packed":
        return _core.Hnsw(*options, codes="rabitq", bits=1, packed=True)
    return _core.Hnsw(*options, codes=codes, bits=spec.bits or 0)


def load(record: IndexRecord, path: str) -> tuple[Built, _core.Cells | None]:
    """The index of a snapshot, and the cells that were saved with a graph."""
    kind = _kind(record)
    if kind is Flat:
        return _core.Codes.load(path, spectrum), None
    if kind is Range:
        return _core.RangeGraph.load(path), None
    if record.kind in IVFS:
        return _core.Ivf.load(path), None
    return (_core.LabelGraph.load(path), None) if kind in (Label, Partial) else _core.Hnsw.load_with_cells(path)


def save(built: Built, path: str, identity: bytes, cells: _core.Cells | None) -> None:
    """Write the snapshot of an index, with the cells of a graph."""
    if isinstance(built, _core.Hnsw):
        built.save(path, identity, cells)
    else:
        built.save(path, identity)


def can_move(record: IndexRecord) -> bool:
    """Whether `renumbered` may succeed; indexes of the other kinds are built anew."""
    return record.kind in TUNED


def renumbered(built: Built, new_slot_of: Slots, view: _core.VectorView, alive: _core.RowSet) -> Built | None:
    """The same index under other slots, in the same order; None where its kind is built anew instead.

    `new_slot_of` has one for each slot `built` covers, ABSENT_SLOT for those that are no more; `alive` are the others
    that have a distance. It is repaired first, in place, for a dead node takes the edges over it along.
    """
    graph: Any = built
    if not (hasattr(graph, "renumbered") and hasattr(graph, "repair")):
        return None
    for _ in range(_REPAIRS):
        if graph.size == alive.count:
            break
        graph.repair(view, alive)
    if graph.size != alive.count:
        return None
    moved: Built = graph.renumbered(new_slot_of, int(np.count_nonzero(new_slot_of != _core.ABSENT_SLOT)))
    return moved


def _kind(record: IndexRecord) -> _Kind | type[Partial]:
    kind = _KINDS.get(record.kind)
    if kind is None:
        raise InvalidState(
            f"Index {record.name} of table {record.table} is of kind {record.kind!r}, which this vdb does not know."
            " Fix: open the database with a newer vdb, or drop the index."
        )
    return kind
