"""The jsonl files of the published layout: the attributes of the rows in batches, and what each query filters by.

Every line is checked against what the layout says of it; a `BadFile` names the file and the line, counted from 1.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bench.fanns.vecs import AGAIN, BadFile
from bench.filtered.predicate import Between, Contains, Equal, Predicate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXTS = pa.list_(pa.string())
ATTRIBUTES = pa.schema(
    {
        "submitter": pa.string(),
        "has_comments": pa.bool_(),
        "main_categories": TEXTS,
        "sub_categories": TEXTS,
        "number_of_main_categories": pa.int32(),
        "number_of_sub_categories": pa.int32(),
        "license": pa.string(),
        "number_of_versions": pa.int32(),
        "update_date": pa.int32(),  # days since 1970-01-01
        "authors": TEXTS,
        "number_of_authors": pa.int32(),
    }
)
LISTS = tuple(field.name for field in ATTRIBUTES if field.type == TEXTS)
SPELLINGS = {"has_comment": "has_comments"}  # one of the sources calls it so
KEYS = {"em": ("label",), "r": ("range_start", "range_end"), "emis": ("label",)}  # of the line of a query
FILTERS = tuple(KEYS)


def attribute_batches(path: Path, rows: int, batch_rows: int, first: int = 0) -> Iterator[pa.Table]:
    """The attributes of rows `first` to `rows`, at most so many at a time; BadFile where a line is wrong or missing."""
    with _opened(path) as file:
        if sum(1 for _ in islice(file, first)) < first:
            raise _short(path, first, rows)
        for begin in range(first, rows, batch_rows):
            lines = list(islice(file, min(batch_rows, rows - begin)))
            if len(lines) < min(batch_rows, rows - begin):
                raise _short(path, begin + len(lines), rows)
            yield _table(path, begin, lines)


def count_lines(path: Path) -> int:
    """How many lines the file has."""
    with _opened(path) as file:
        return sum(1 for _ in file)


def predicates(path: Path, name: str, queries: int) -> list[Predicate]:
    """The filter of each query, by the name of the file's kind: em, r or emis."""
    with _opened(path) as file:
        lines = list(islice(file, queries))
    if len(lines) < queries:
        raise _short(path, len(lines), queries)
    return [_predicate(path, at, name, line) for at, line in enumerate(lines, 1)]


def write_lines(path: Path, values: Iterator[dict[str, Any]]) -> None:
    """One object a line."""
    with path.open("w", encoding="utf-8") as file:
        for each in values:
            file.write(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n")


def filter_values(predicate: Predicate) -> dict[str, Any]:
    """What the line of a query says for its predicate."""
    if isinstance(predicate, Between):
        return {"range_start": predicate.low, "range_end": predicate.high}
    if isinstance(predicate, Equal | Contains):
        return {"label": predicate.value}
    raise ValueError(f"{predicate} is none of EM, R and EMIS; expected an equality, a range or an element")


def _predicate(path: Path, at: int, name: str, line: str) -> Predicate:
    values = _object(path, at, line, KEYS[name])
    kind = str if name == "emis" else int
    for key in KEYS[name]:
        if not isinstance(values[key], kind) or isinstance(values[key], bool):
            raise BadFile(f"{path}: line {at} has {key} {values[key]!r}; expected {kind.__name__}. {AGAIN}")
    if name == "r":
        return Between("update_date", values["range_start"], values["range_end"])
    if name == "em":
        return Equal("number_of_sub_categories", values["label"])
    return Contains("main_categories", values["label"])


def _table(path: Path, begin: int, lines: list[str]) -> pa.Table:
    objects = [_object(path, begin + at, line, ATTRIBUTES.names) for at, line in enumerate(lines, 1)]
    for at, each in enumerate(objects, begin + 1):
        if any(isinstance(each[name], str) for name in LISTS):  # Arrow would take it for a list of letters
            _check_types(path, at, each)
    try:
        return pa.Table.from_pylist(objects, ATTRIBUTES)
    except (pa.ArrowException, OverflowError):
        for at, each in enumerate(objects, begin + 1):
            _check_types(path, at, each)
        raise


def _check_types(path: Path, at: int, values: dict[str, Any]) -> None:
    for field in ATTRIBUTES:
        if not _fits(values[field.name], field):
            raise BadFile(
                f"{path}: line {at} has {field.name} {values[field.name]!r:.60}; expected {field.type}. {AGAIN}"
            )


def _fits(value: Any, field: pa.Field) -> bool:
    if field.name in LISTS and isinstance(value, str):
        return False
    try:
        pa.array([value], field.type)
    except (pa.ArrowException, OverflowError):
        return False
    return True


def _object(path: Path, at: int, line: str, keys: tuple[str, ...] | list[str]) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadFile(f"{path}: line {at} is no JSON: {error.msg} at column {error.colno}. {AGAIN}") from error
    if not isinstance(values, dict):
        raise BadFile(f"{path}: line {at} is {line.strip():.60}; expected an object with {', '.join(keys)}. {AGAIN}")
    values = {SPELLINGS.get(key, key): value for key, value in values.items()}
    missing = [key for key in keys if key not in values]
    if missing:
        raise BadFile(f"{path}: line {at} has no {', '.join(missing)}; expected {', '.join(keys)}. {AGAIN}")
    return values


def _short(path: Path, lines: int, wanted: int) -> BadFile:
    return BadFile(f"{path}: ends after line {lines}; expected {wanted}, one for each vector it belongs to. {AGAIN}")


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise BadFile(f"{path}: no such file; expected one of the published layout. {AGAIN}")
    return path.open(encoding="utf-8")
