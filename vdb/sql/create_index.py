"""CREATE INDEX ... USING kind (columns) WITH (options) WHERE condition, as DuckDB's vss and pgvector spell it too."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from vdb.errors import InvalidArgument
from vdb.index.build import SPECS
from vdb.index.label_spec import Label
from vdb.index.range_spec import Range
from vdb.query.wanted import check_condition, partial_index
from vdb.sql.result import Result
from vdb.sql.staging import target_column
from vdb.storage.schema import did_you_mean
from vdb.storage.unique import unique_record
from vdb.types import VectorColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdb.index.spec import Spec
    from vdb.sql.session import Session
    from vdb.sql.tokens import Reader
    from vdb.storage.state import IndexRecord
    from vdb.types import TableSchema

_ATTRIBUTE: Final = frozenset({"", "attribute", "art", "btree", "sorted", "bitmap", "labels"})
_OPERATOR_CLASSES: Final = {"vector_l2_ops": "l2", "vector_cosine_ops": "cosine", "vector_ip_ops": "ip"}
_METRICS: Final = {"l2sq": "l2"}
_KINDS: Final = {"ivfflat": "ivfrabitq"}  # of pgvector; what comes nearest to it here
_BY_KIND: Final = {spec.kind: spec for spec in SPECS}
_OPTIONS: Final = {"lists": "nlist"}
_NEEDLESS: Final = frozenset({"ef_search", "m0"})  # options of others: SET ef_search, and M says how many edges
_OF_ATTRIBUTE: Final = (Range, Label)
_MOST_COLUMNS: Final = 2


def create_index(session: Session, reader: Reader, unique: bool) -> Result:
    """Run what follows CREATE INDEX."""
    lenient = reader.take("if", "not", "exists")
    name = None if reader.peek() == "on" else reader.name("the name of the index")
    reader.expect("on")
    table = session.table(reader.table())
    schema = table.schema
    if unique:
        record = unique_of(reader, schema, column_list(reader), name)
        if not reader.done:
            raise reader.error("expected the end: a UNIQUE index has no kind, options or condition")
        if not (lenient and record.name in table.all_indexes):
            session.engine.attributes.put(record)
        return Result(None)
    kind = reader.name("a kind of index").lower() if reader.take("using") else ""
    columns, metric = _columns(reader, schema)
    if kind == "diskann":
        kind = "hnsw" if len(columns) == 1 else "label"
    kind = _KINDS.get(kind, kind)
    options = _options(reader)
    where = reader.rest() if reader.take("where") else None
    reader.end()
    if name is not None and lenient and name in table.all_indexes:
        return Result(None)
    if kind in _ATTRIBUTE and not isinstance(schema.by_name[columns[0]], VectorColumn):
        if len(columns) > 1 or options:
            raise InvalidArgument(
                f"an index of attributes has one column and no options, got {', '.join([*columns, *options])}.\n"
                "  Fix: create one for each column."
            )
        check_condition(schema, where)
        session.engine.attributes.create(schema.name, columns[0], name)
        return Result(None)
    if metric and options.setdefault("metric", metric) != metric:
        raise InvalidArgument(
            f"the operator class says {metric}, WITH says {options['metric']}.\n  Fix: leave one of them out."
        )
    spec = _spec(kind or "hnsw", columns, options)
    if where is not None:
        spec = partial_index(schema, spec, where)
    session.engine.indexes.create(schema.name, columns[0], spec, name)
    return Result(None)


def column_list(reader: Reader) -> list[str]:
    """Names between brackets."""
    reader.expect("(")
    names = [reader.name("a column")]
    while not reader.take(")"):
        reader.expect(",")
        names.append(reader.name("a column"))
    return names


def unique_of(reader: Reader, schema: TableSchema, columns: Sequence[str], name: str | None) -> IndexRecord:
    """The record of a UNIQUE over columns of a table. InvalidArgument where one is of vectors, or comes twice."""
    found = [target_column(schema, column) for column in columns]
    for column in found:
        if isinstance(schema.by_name[column], VectorColumn) or found.count(column) > 1:
            why = "comes twice" if found.count(column) > 1 else "is a vector column"
            raise reader.error(f"UNIQUE of {schema.name}.{column}, which {why}", "Fix: name attributes, each once.")
    return unique_record(schema.name, found, name)


def _columns(reader: Reader, schema: TableSchema) -> tuple[list[str], str]:
    """The columns between brackets, and the metric that an operator class of pgvector says."""
    reader.expect("(")
    columns: list[str] = []
    metric = ""
    while True:
        columns.append(target_column(schema, reader.name("a column")))
        if reader.peek() not in (",", ")"):
            word = reader.name("an operator class").lower()
            metric = _OPERATOR_CLASSES.get(word, "")
            if not metric:
                raise reader.error(
                    f"there is no operator class {word}", f"Fix: one of {', '.join(_OPERATOR_CLASSES)}, or none."
                )
        if reader.take(")"):
            return columns, metric
        reader.expect(",")


def _options(reader: Reader) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if reader.take("with"):
        reader.expect("(")
        while not reader.take(")"):
            name = reader.name("an option")
            reader.expect("=")
            options[name] = reader.value("a value")
            reader.take(",")
    return options


def _spec(kind: str, columns: list[str], options: dict[str, Any]) -> Spec:
    spec = _BY_KIND.get(kind)
    if spec is None:
        known = ", ".join(known.upper() for known in _BY_KIND)
        raise InvalidArgument(
            f"there is no index of kind {kind.upper()}; expected {known}, or none for an attribute.\n"
            f"  Fix: USING one of them.{did_you_mean(kind, list(_BY_KIND))}"
        )
    needed = _MOST_COLUMNS if spec in _OF_ATTRIBUTE else 1
    if len(columns) != needed:
        wanted = "the vectors and an attribute" if needed == _MOST_COLUMNS else "the vectors"
        raise InvalidArgument(
            f"USING {kind.upper()} takes {wanted} between brackets, got {', '.join(columns)}.\n"
            "  Fix: USING RANGE (vectors, attribute), USING LABEL (vectors, attribute), USING HNSW (vectors)."
        )
    known_options = [name for name in inspect.signature(spec).parameters if name != "attribute"]
    folded = {name.lower(): name for name in known_options}
    given: dict[str, Any] = {}
    for name, value in options.items():
        own = folded.get(_OPTIONS.get(name.lower(), name.lower()))
        if own is not None:
            given[own] = _METRICS.get(value, value) if own == "metric" else value
        elif name.lower() not in _NEEDLESS:
            raise InvalidArgument(
                f"USING {kind.upper()} has no option {name!r}; options: {', '.join(known_options)}.\n"
                f"  Fix: use one of them.{did_you_mean(name, known_options)}"
            )
    if needed == _MOST_COLUMNS:
        given["attribute"] = columns[1]
    return spec(**given)
