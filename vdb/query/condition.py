"""What a predicate asks, as values: conditions on single columns that attribute indexes may answer, joined by logic.

Each is TRUE, FALSE or NULL for a row. What no index knows is an `Other`, the syntax tree of it, for DuckDB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdb.query.syntax import Node

Sign: TypeAlias = Literal["=", "<", "<=", ">", ">="]

_INVERSE: Final[dict[Sign, Sign]] = {"<": ">=", ">=": "<", ">": "<=", "<=": ">"}


@dataclass(frozen=True, slots=True)
class Given:
    """A constant as a Python value."""

    value: object


@dataclass(frozen=True, slots=True)
class Named:
    """The value of a parameter."""

    parameter: str


@dataclass(frozen=True, slots=True)
class Lifted:
    """The constant of that number in `Predicate.constants`, or its negative."""

    number: int
    negative: bool = False


@dataclass(slots=True)
class Tree:
    """A part of the syntax tree that DuckDB may be asked.

    `rendered` is its SQL and the names of the parameters in it, in the order of their numbers, once somebody needed it.
    """

    node: Node
    rendered: tuple[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Computed:
    """An expression without columns, which DuckDB computes."""

    tree: Tree


Value: TypeAlias = Given | Named | Lifted | Computed


@dataclass(frozen=True, slots=True)
class Fixed:
    """TRUE, FALSE or NULL, whatever the row."""

    truth: bool | None


@dataclass(frozen=True, slots=True)
class Null:
    """`column IS NULL`."""

    column: str


@dataclass(frozen=True, slots=True)
class Compare:
    """`column sign value`."""

    column: str
    sign: Sign
    value: Value


@dataclass(frozen=True, slots=True)
class Same:
    """`column IS NOT DISTINCT FROM value`."""

    column: str
    value: Value


@dataclass(frozen=True, slots=True)
class Among:
    """`column IN (values)`; `of_list` where these are the items of a list, whose NULLs are equal to nothing.

    With a tree the one value may be a text instead, of which the column would be a part.
    """

    column: str
    values: tuple[Value, ...]
    of_list: bool = False
    tree: Tree | None = None


@dataclass(frozen=True, slots=True)
class Has:
    """The list in `column` has one of the values, or all of them; `of_list` as in Among."""

    column: str
    values: tuple[Value, ...]
    every: bool = False
    of_list: bool = False


@dataclass(frozen=True, slots=True)
class Begins:
    """The text in `column` begins with `value`; or is LIKE it, which an index knows of some patterns only."""

    column: str
    value: Value
    is_pattern: bool
    tree: Tree


Term: TypeAlias = Null | Compare | Same | Among | Has | Begins


@dataclass(frozen=True, slots=True)
class Negation:
    """NOT of a condition."""

    condition: Condition


class Parts(NamedTuple):
    """What has to hold, all of it, by how it is found; conditions with the truth they have to have.

    Attributes
    ----------
    spans : tuple
        Columns and what they are compared with: a span of values each.
    others : tuple
        What other conditions indexes are asked for.
    asked : tuple
        What DuckDB is needed for.
    """

    spans: tuple[tuple[str, tuple[tuple[Sign, Value], ...]], ...]
    others: tuple[tuple[Condition, bool], ...]
    asked: tuple[tuple[Condition, bool], ...]


@dataclass(frozen=True, slots=True)
class Junction:
    """AND of conditions, or OR of them.

    Attributes
    ----------
    parts : tuple
        The same conditions without Negations and Junctions of this kind, each with the truth it has to have.
    all_of : Parts
        What all has to hold for an AND to be TRUE, and for an OR to be FALSE.
    asks, can_fail : bool
        Whether there are such Others among them.
    """

    conditions: tuple[Condition, ...]
    is_and: bool
    tree: Tree
    parts: tuple[tuple[Condition, bool], ...]
    all_of: Parts
    asks: bool
    can_fail: bool


@dataclass(frozen=True, slots=True)
class Is:
    """Whether a condition is TRUE, FALSE or NULL, which is never NULL itself."""

    condition: Condition
    truth: bool | None


@dataclass(frozen=True, slots=True)
class Other:
    """What only DuckDB can answer.

    Attributes
    ----------
    can_fail : bool
        Whether some row might make it an error: then nothing but the whole predicate may be asked, as DuckDB may look
        at fewer rows for that.
    """

    tree: Tree
    can_fail: bool


Condition: TypeAlias = Fixed | Term | Negation | Junction | Is | Other


def asks(condition: Condition) -> bool:
    """Whether DuckDB is needed for it, whatever the values."""
    while isinstance(condition, (Negation, Is)):
        condition = condition.condition
    return condition.asks if isinstance(condition, Junction) else isinstance(condition, Other)


def can_fail(condition: Condition) -> bool:
    """Whether some row might make a part of it that DuckDB is needed for an error."""
    while isinstance(condition, (Negation, Is)):
        condition = condition.condition
    return condition.can_fail if isinstance(condition, (Junction, Other)) else False


def junction(conditions: tuple[Condition, ...], is_and: bool, tree: Tree) -> Junction:
    """AND of conditions, or OR of them, made of a tree."""
    parts: list[tuple[Condition, bool]] = []
    for condition in conditions:
        part, wanted = bare(condition, True)
        if isinstance(part, Junction) and part.is_and == (is_and == wanted):
            parts += [(inner, truth == wanted) for inner, truth in part.parts]
        else:
            parts.append((part, wanted))
    all_of = _parts_of([(part, wanted == is_and) for part, wanted in parts])
    failing = any(map(can_fail, conditions))
    return Junction(conditions, is_and, tree, tuple(parts), all_of, len(all_of.asked) > 0, failing)


def parts_of(condition: Condition, truth: bool) -> Parts:
    """What has to hold for a condition to be TRUE, or FALSE."""
    condition, truth = bare(condition, truth)
    if isinstance(condition, Junction) and condition.is_and == truth:
        return condition.all_of
    return _parts_of([(condition, truth)])


def _parts_of(parts: list[tuple[Condition, bool]]) -> Parts:
    spans: dict[str, list[tuple[Sign, Value]]] = {}
    others = []
    for part, wanted in parts:
        sign = None
        if isinstance(part, Compare):
            sign = part.sign if wanted else _INVERSE.get(part.sign)
        if isinstance(part, Compare) and sign is not None:
            spans.setdefault(part.column, []).append((sign, part.value))
        else:
            others.append((part, wanted))
    return Parts(
        tuple((column, tuple(compared)) for column, compared in spans.items()),
        tuple(pair for pair in others if not asks(pair[0])),
        tuple(pair for pair in others if asks(pair[0])),
    )


def bare(condition: Condition, truth: bool) -> tuple[Condition, bool]:
    """A condition without the Negations around it, and the truth it then has to have."""
    while isinstance(condition, Negation):
        condition, truth = condition.condition, not truth
    return condition, truth


def has_tree(condition: Condition) -> bool:
    """Whether DuckDB might be asked about a part of it, rather than about all of it or nothing."""
    return any(
        isinstance(leaf, (Begins, Other))
        or (isinstance(leaf, Among) and leaf.tree is not None)
        or any(isinstance(value, Computed) for value in _values(leaf))
        for leaf in _leaves(condition)
    )


def lifted_in(condition: Condition) -> list[int]:
    """The numbers of the constants in it."""
    return [value.number for leaf in _leaves(condition) for value in _values(leaf) if isinstance(value, Lifted)]


def _leaves(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, (Negation, Is)):
        yield from _leaves(condition.condition)
    elif isinstance(condition, Junction):
        for inner in condition.conditions:
            yield from _leaves(inner)
    else:
        yield condition


def _values(leaf: Condition) -> tuple[Value, ...]:
    if isinstance(leaf, (Compare, Same, Begins)):
        return (leaf.value,)
    return leaf.values if isinstance(leaf, (Among, Has)) else ()
