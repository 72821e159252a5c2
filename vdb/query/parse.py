"""From a `where` text to a Predicate: parsed by DuckDB, confined by the gate, rendered by DuckDB, bound once.

A filter is code (`1=1); drop table t; select (1`), and DuckDB knows no privileges inside a process. So the user's text
is only ever parsed; what runs is what DuckDB writes from the checked tree, if it reads that as the same tree again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from vdb.errors import InvalidArgument, PredicateError
from vdb.query.bind import Rendered, bind, check_values, is_readable
from vdb.query.compile import condition_of
from vdb.query.condition import has_tree, lifted_in
from vdb.query.confine import confine
from vdb.query.parameters import Kinds, kinds_of, to_values
from vdb.query.placeholders import Placeholders
from vdb.query.shapes import Template, constants_of, holes_of
from vdb.query.source import Source
from vdb.query.syntax import read, render
from vdb.types import Predicate

if TYPE_CHECKING:
    from collections.abc import Hashable

    from vdb.query.condition import Condition
    from vdb.query.parameters import Values
    from vdb.query.shapes import Constants, Holes
    from vdb.types import TableSchema

T = TypeVar("T")

_CACHED: Final = 1_024
_KINDS_CACHED: Final = 64


@dataclass(frozen=True)
class _Parsed:
    rendered: Rendered
    placeholders: Placeholders
    columns: frozenset[str]
    depends_on_values: bool
    condition: Condition
    bound: set[Kinds] = field(default_factory=set)  # the kinds of values it is known to bind with

    @property
    def checks(self) -> Rendered:
        """What is to be checked of the values of its parameters, its own constants being fine."""
        findings = self.rendered.findings
        literals = [literal for literal in findings.literals if literal.parameter is not None]
        return replace(self.rendered, findings=replace(findings, literals=literals))


@dataclass(frozen=True)
class _Shape:
    """What predicates have in common that differ in their constants only; `texts` must be readable as these types."""

    parsed: _Parsed
    checks: Rendered
    template: Template
    texts: list[tuple[int, str]]

    def predicate(self, constants: Constants, values: Values) -> Predicate | None:
        """The one with these constants; None where a closer look is needed."""
        parsed, held = self.parsed, constants.values
        try:
            matched = parsed.placeholders.match(values)
            if parsed.depends_on_values:
                check_values(self.checks, matched)
        except PredicateError:  # which is to point at places of the text itself
            return None
        if kinds_of(matched) not in parsed.bound:
            return None
        if not all(is_readable(str(held[number]), kind) for number, kind in self.texts):
            return None
        return Predicate(self.template.filled(constants.tokens), matched, parsed.columns, parsed.condition, held)


def parse_predicate(text: str, parameters: object, schema: TableSchema) -> Predicate:
    """Read a boolean SQL expression over one table's columns.

    Parameters
    ----------
    text : str
        The expression, such as `year >= ? AND list_contains(tags, 'x')`: at most 8,192 characters, made of what
        `vdb.query.allow` names. A vector column can only be tested for NULL.
    parameters : sequence, mapping or None
        Values for `?` or `$1` in order, or for `$name` by name.
    schema : TableSchema
        The table.

    Returns
    -------
    Predicate
        SQL that can follow WHERE for the unaliased table, and exactly the values it binds. A row qualifies where it
        is TRUE, not where it is NULL.

    Raises
    ------
    PredicateError
        The text is not one boolean expression of that kind, or its parameters do not match.
    InvalidArgument
        The text is no string, or a value cannot be bound.

    Notes
    -----
    Thread-safe. A text seen before costs microseconds, a new one milliseconds.
    """
    if not isinstance(text, str):
        raise InvalidArgument(
            f"where is of type {type(text).__name__}; expected a string.\n  Fix: write SQL, as in where='year >= 2020'."
        )
    values = to_values(parameters)
    parsed = _texts.get(text, schema)
    constants = shape = None
    if parsed is None:
        constants = constants_of(text)
        if constants is not None:
            shape = _shapes.get(constants.shape, schema)
            found = None if shape is None else shape.predicate(constants, values)
            if found is not None:
                return found
        parsed = _parse(text, schema)
        _texts.put(text, schema, parsed)
    rendered = parsed.rendered
    matched = parsed.placeholders.match(values)
    if parsed.depends_on_values:
        check_values(rendered, matched)
    kinds = kinds_of(matched)
    if kinds not in parsed.bound:
        bind(rendered, matched)
        if len(parsed.bound) < _KINDS_CACHED:
            parsed.bound.add(kinds)
    if shape is not None and len(shape.parsed.bound) < _KINDS_CACHED:
        shape.parsed.bound.add(kinds)
    elif constants is not None and shape is None:
        _learn(constants, parsed, kinds)
    return Predicate(rendered.sql, matched, parsed.columns, parsed.condition)


class _Recent(Generic[T]):
    """What was found about texts and schemas lately. Schemas go by identity: comparing twenty columns takes longer."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, Hashable], tuple[TableSchema, T]] = {}
        self._lock = threading.Lock()

    def get(self, text: Hashable, schema: TableSchema) -> T | None:
        found = self._found.get((id(schema), text))
        return found[1] if found is not None and found[0] is schema else None

    def put(self, text: Hashable, schema: TableSchema, found: T) -> None:
        with self._lock:
            if len(self._found) >= _CACHED:
                del self._found[next(iter(self._found))]
            self._found[id(schema), text] = schema, found


_texts: Final[_Recent[_Parsed]] = _Recent()
_shapes: Final[_Recent[_Shape]] = _Recent()
_seen_once: Final[_Recent[bool]] = _Recent()  # shapes; False where no other text will be read by it


def _parse(text: str, schema: TableSchema, holes: Holes | None = None) -> _Parsed:
    source = Source(text, schema)
    root = read(source)
    findings = confine(root, source)
    sql, places = render(root, source)
    return _Parsed(
        Rendered(source, sql, places, findings),
        Placeholders(source, findings.parameters),
        frozenset(findings.columns),
        bool(findings.literals or findings.patterns),
        condition_of(root, schema, holes),
    )


def _learn(constants: Constants, parsed: _Parsed, kinds: Kinds) -> None:
    """Read the shape of a text that was read and bound, once a second one has it."""
    schema = parsed.rendered.source.schema
    wanted = _seen_once.get(constants.shape, schema)
    if not wanted:
        if wanted is None:
            _seen_once.put(constants.shape, schema, True)
        return
    shape = _shape_of(constants, parsed)
    if shape is None:
        _seen_once.put(constants.shape, schema, False)
    else:
        shape.parsed.bound.add(kinds)
        _shapes.put(constants.shape, schema, shape)


def _shape_of(constants: Constants, parsed: _Parsed) -> _Shape | None:
    """None where the constants of such texts are more than values of conditions that indexes answer."""
    stand_ins = constants.stand_ins()
    try:
        found = _parse(constants.text(stand_ins), parsed.rendered.source.schema, holes_of(stand_ins))
    except PredicateError:
        return None
    template = Template.of(found.rendered.sql, stand_ins)
    if template is None or template.filled(constants.tokens) != parsed.rendered.sql:
        return None
    if has_tree(found.condition) or sorted(lifted_in(found.condition)) != list(range(len(stand_ins))):
        return None
    numbers = {token[1:-1]: number for number, token in enumerate(stand_ins)}
    literals = found.rendered.findings.literals
    texts = [(numbers[one.text], one.type) for one in literals if one.text in numbers]
    fixed = [one for one in literals if one.parameter is None and one.text not in numbers]
    return None if fixed else _Shape(found, found.checks, template, texts)
