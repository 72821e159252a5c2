"""UNIQUE against a dictionary: what two rows would share is refused, by whichever write, and nothing else is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

import pytest

import vdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

Values: TypeAlias = "tuple[int | None, str | None, int | None]"
Model: TypeAlias = "dict[int, Values]"

STEPS = 160
CREATE = """CREATE TABLE t (id BIGINT PRIMARY KEY, a INTEGER UNIQUE, "b ""x" VARCHAR, c INTEGER, e FLOAT[2],
    CONSTRAINT pairs UNIQUE (c, "b ""x"))"""


def holds(model: Model) -> bool:
    singles = Counter(a for a, _, _ in model.values() if a is not None)
    pairs = Counter((b, c) for _, b, c in model.values() if b is not None and c is not None)
    return all(count == 1 for count in [*singles.values(), *pairs.values()])


def drawn(rng: np.random.Generator) -> Values:
    a, b, c = (int(n) for n in rng.integers(0, [40, 4, 12]))
    return (a if a < 30 else None), ("xyz"[b] if b < 3 else None), (c if c < 10 else None)


def columns(rows: Model) -> dict[str, object]:
    a, b, c = zip(*rows.values(), strict=True)
    return {"id": list(rows), "a": list(a), 'b "x': list(b), "c": list(c), "e": [[1.0, 2.0]] * len(rows)}


def step(db: vdb.Database, model: Model, rng: np.random.Generator) -> tuple[Callable[[], object], Model]:
    """A write, and the rows there are if it succeeds."""
    table = db.table("t")
    kind, ids = rng.integers(0, 7), sorted(model)
    some = {int(i) for i in rng.choice(ids, min(len(ids), 2), replace=False)} if ids else set()
    listed = f"id IN ({', '.join(map(str, some)) or -1})"
    if kind < 2:
        new = {max(ids, default=0) + 1 + i: drawn(rng) for i in range(int(rng.integers(1, 4)))}
        return (lambda: table.add(columns(new))), model | new
    if kind == 2:
        new = {i: drawn(rng) for i in [*some, max(ids, default=0) + 1]}
        return (lambda: table.upsert(columns(new))), model | new
    if kind == 3:
        a = drawn(rng)[0]
        changed = {i: (a, *model[i][1:]) for i in some}
        return (lambda: table.update({"a": a, "e": [3, 4]}, where=listed)), model | changed
    if kind == 4:  # every row takes the value of another
        moved = {i: (None if a is None else 29 - a, b, c) for i, (a, b, c) in model.items()}
        return (lambda: db.sql("UPDATE t SET a = 29 - a")), moved
    if kind == 5:
        left = {i: values for i, values in model.items() if i not in some}
        return (lambda: table.delete(listed)), left
    new = {i: drawn(rng) for i in some}

    def replace() -> None:
        with db.transaction():
            table.delete(listed)
            if new:
                table.add(columns(new))

    return replace, {**{i: values for i, values in model.items() if i not in some}, **new}


def test_what_two_rows_would_share_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    model: Model = {}
    refused = 0
    db = vdb.connect(tmp_path / "d")
    db.sql(CREATE)
    for number in range(STEPS):
        if number % 50 == 49:
            db.table("t").compact()
            db.close()
            db = vdb.connect(tmp_path / "d")
        write, after = step(db, model, rng)
        if holds(after):
            write()
            model = after
        else:
            refused += 1
            with pytest.raises(vdb.AlreadyExists, match=r"two rows with .* UNIQUE (t_a_unique|pairs) allows"):
                write()
        found = db.sql('SELECT id, a, "b ""x", c FROM t ORDER BY id').fetchall()
        assert found == [(i, *model[i]) for i in sorted(model)]
    assert 20 < refused < STEPS - 40
    db.close()
