"""A database as a plain model has it, dicts of rows without files or indexes, and the same operations by the real one.

Every operation stands twice, under one name: as a method of `Model`, and of `Real` by the public interface. What it is
given and what is shown in the end are JSON, for the real one lives in a process that may be killed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from workload import connect

import vdb

KEYS: Final = 24  # keys are 0 to 23
DIM: Final = 3
VECTOR: Final = f"FLOAT[{DIM}]"
NUMBER: Final = "INTEGER"
TEXT: Final = "VARCHAR"
KINDS: Final = {  # the strategy that goes by an index of that kind, and the type of the attribute it reads
    "hnsw": ("graph", None),
    "flat": ("scan", None),
    "ivfrabitq": ("ivf", None),
    "range": ("range", NUMBER),
    "label": ("auto", TEXT),
    "attribute": ("", NUMBER),
}

LABEL_ROWS: Final = 4  # that a value must have for an overlay
ROWS_PER_VALUE: Final = 10  # of a column where none has as many, for an index to be made at all

Row = dict[str, Any]
Shown = dict[str, dict[str, Any]]


@dataclass
class Contents:
    """A table: types by column, values by column of each key, and the kind of each index with the columns it reads."""

    columns: dict[str, str]
    rows: dict[int, Row] = field(default_factory=dict)
    indexes: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    def of_type(self, wanted: str) -> list[str]:
        return [name for name, type_ in self.columns.items() if type_ == wanted]


class Model:
    """What the tables hold. A method returns the name of the error that the real one raises, or None."""

    def __init__(self) -> None:
        self.tables: dict[str, Contents] = {}

    def shown(self) -> Shown:
        return {
            name: {
                "columns": ["id BIGINT", *(f"{column} {type_}" for column, type_ in table.columns.items())],
                "rows": {str(key): row for key, row in table.rows.items()},
                "indexes": {index: kind for index, (kind, _) in table.indexes.items()},
            }
            for name, table in self.tables.items()
        }

    def create_table(self, name: str, columns: dict[str, str]) -> None:
        self.tables[name] = Contents(dict(columns))

    def drop_table(self, name: str) -> None:
        del self.tables[name]

    def rename_table(self, name: str, new: str) -> None:
        self.tables[new] = self.tables.pop(name)

    def add_column(self, table: str, name: str, type_: str, default: object) -> None:
        found = self.tables[table]
        found.columns[name] = type_
        for row in found.rows.values():
            row[name] = default

    def drop_column(self, table: str, name: str) -> None:
        found = self.tables[table]
        del found.columns[name]
        for row in found.rows.values():
            del row[name]
        found.indexes = {index: known for index, known in found.indexes.items() if name not in known[1]}

    def rename_column(self, table: str, name: str, new: str) -> None:
        found = self.tables[table]

        def renamed(column: str) -> str:
            return new if column == name else column

        found.columns = {renamed(column): type_ for column, type_ in found.columns.items()}
        found.rows = {key: {renamed(c): value for c, value in row.items()} for key, row in found.rows.items()}
        found.indexes = {i: (kind, [renamed(c) for c in read]) for i, (kind, read) in found.indexes.items()}

    def add(self, table: str, rows: list[Row]) -> str | None:
        found = self.tables[table]
        if any(row["id"] in found.rows for row in rows):
            return "AlreadyExists"
        self.upsert(table, rows)
        return None

    def upsert(self, table: str, rows: list[Row]) -> None:
        found = self.tables[table]
        for row in rows:
            found.rows[row["id"]] = {column: row[column] for column in found.columns}

    def update(self, table: str, values: Row, residue: int) -> None:
        for key, row in self.tables[table].rows.items():
            if key % 3 == residue:
                row.update(values)

    def delete(self, table: str, residue: int) -> None:
        found = self.tables[table]
        found.rows = {key: row for key, row in found.rows.items() if key % 3 != residue}

    def delete_ids(self, table: str, ids: list[int]) -> None:
        found = self.tables[table]
        found.rows = {key: row for key, row in found.rows.items() if key not in ids}

    def create_index(self, table: str, name: str, kind: str, columns: list[str]) -> str | None:
        found = self.tables[table]
        if kind == "label":
            values = Counter(row[columns[1]] for row in found.rows.values() if row[columns[1]] is not None)
            rare = max(values.values(), default=0) < LABEL_ROWS <= len(found.rows)
            if rare and len(values) * ROWS_PER_VALUE > len(found.rows):
                return "InvalidArgument"
        found.indexes[name] = (kind, list(columns))
        return None

    def drop_index(self, table: str, name: str) -> None:
        del self.tables[table].indexes[name]

    def compact(self, table: str) -> None:
        """The same rows."""

    def reopen(self) -> None:
        """The same tables."""

    publish = backup = look = lambda self, *given: None


class Real:
    """The database, open for writing. Everything it is asked for is a method."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = connect(path)
        self._transaction: Any = None

    def look(self) -> Shown:
        return shown(self._db)

    def create_table(self, name: str, columns: dict[str, str]) -> None:
        self._db.create_table(name, {"id": "BIGINT PRIMARY KEY", **columns})

    def drop_table(self, name: str) -> None:
        self._db.drop_table(name)

    def rename_table(self, name: str, new: str) -> None:
        self._db.rename_table(name, new)

    def add_column(self, table: str, name: str, type_: str, default: object) -> None:
        self._db.add_column(table, name, type_, default=default)

    def drop_column(self, table: str, name: str) -> None:
        self._db.drop_column(table, name)

    def rename_column(self, table: str, name: str, new: str) -> None:
        self._db.rename_column(table, name, new)

    def add(self, table: str, rows: list[Row]) -> None:
        assert self._db.table(table).add(rows) == len(rows)

    def upsert(self, table: str, rows: list[Row]) -> None:
        assert self._db.table(table).upsert(rows) == len(rows)

    def update(self, table: str, values: Row, residue: int) -> None:
        self._db.table(table).update(values, where="id % 3 = ?", params=[residue])

    def delete(self, table: str, residue: int) -> None:
        self._db.sql(f"DELETE FROM {table} WHERE id % 3 = ?", [residue])

    def delete_ids(self, table: str, ids: list[int]) -> None:
        self._db.table(table).delete(ids=ids)

    def create_index(self, table: str, name: str, kind: str, columns: list[str]) -> None:
        specs = {
            "hnsw": lambda: vdb.HNSW(M=4, ef_construction=16, codes="none"),
            "flat": vdb.Flat,
            "ivfrabitq": lambda: vdb.IVFRaBitQ(bits=3),
            "range": lambda: vdb.Range(columns[1], M=4, ef_construction=16),
            "label": lambda: vdb.Label(columns[1], M=4, ef_construction=16, min_rows=LABEL_ROWS),
            "attribute": vdb.Attribute,
        }
        self._db.table(table).create_index(columns[0], specs[kind](), name=name)

    def drop_index(self, table: str, name: str) -> None:
        self._db.table(table).drop_index(name)

    def compact(self, table: str) -> None:
        self._db.table(table).compact()

    def publish(self) -> None:
        self._db.publish()

    def backup(self, path: str) -> None:
        self._db.backup(path)

    def reopen(self) -> None:
        self._db.close()
        self._db = connect(self._path)

    def begin(self) -> None:
        self._transaction = self._db.transaction()
        self._transaction.__enter__()

    def commit(self) -> None:
        self._transaction.__exit__(None, None, None)

    def rollback(self) -> None:
        error = ValueError("taken back")
        assert not self._transaction.__exit__(ValueError, error, None)


class Beside:
    """A process that opens databases to read them."""

    def shown(self, path: str) -> Shown:
        with connect(Path(path), read_only=True) as db:
            return shown(db)


def shown(db: vdb.Database) -> Shown:
    """Every row, column and index as `Model.shown` has them; fails where a checksum or an index is wrong."""
    assert db.check() == []
    found: Shown = {}
    for name in db.tables():
        table = db.table(name)
        columns = [column.name for column in table.schema.columns]
        rows = table.get(list(range(KEYS)), select=columns).to_dicts()
        assert len(rows) == len(table) == table.count("TRUE")
        infos = table.list_indexes()
        for info in infos:
            _check_index(table, info, rows)
        found[name] = {
            "columns": [f"{column.name} {column.type}" for column in table.schema.columns],
            "rows": {str(row.pop("id")): {c: _plain(value) for c, value in row.items()} for row in rows},
            "indexes": {info.name: info.kind for info in infos},
        }
    return found


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _check_index(table: vdb.Table, info: vdb.IndexInfo, rows: list[Row]) -> None:
    """The scan answers as Python does, every row that is to be found, the nearest first; an index as the scan does."""
    if info.kind == "attribute":
        known = [row[info.column] for row in rows]
        assert table.count(f"{info.column} >= 0") == sum(value is not None and value >= 0 for value in known)
        return
    strategy, read = KINDS[info.kind]
    attribute = info.params.get("attribute")
    where = None if read is None else f"{attribute} >= -2" if read == NUMBER else f"{attribute} = 'a'"
    for query in ([0, 0, 0], [1, -2, 3]):
        far = {row["id"]: _distance(row[info.column], query) for row in rows if _passes(row, info.column, attribute)}
        exact = table.search(query, KEYS, where, column=info.column, strategy="scan").ids.tolist()
        assert sorted(exact) == sorted(far), "the scan finds other rows"
        assert [far[key] for key in exact] == sorted(far.values()), "the scan has them in another order"
        if exact:
            found = table.search(query, KEYS, where, column=info.column, strategy=strategy).ids.tolist()
            assert found == exact, f"{info.kind} {info.name} answers otherwise than the scan"


def _passes(row: Row, column: str, attribute: Any) -> bool:
    """Whether a row has a vector and, of the attribute where there is one, what the index is asked for."""
    value = 0 if attribute is None else row[attribute]
    return row[column] is not None and value is not None and (value == "a" if isinstance(value, str) else value >= -2)


def _distance(vector: Any, query: list[int]) -> int:
    return sum((int(a) - b) ** 2 for a, b in zip(vector, query, strict=True))
