from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest

from vdb import _core
from vdb.errors import Corrupted
from vdb.storage import undo
from vdb.storage.layout import Format, Layout
from vdb.storage.manifest import Current, Manifest
from vdb.storage.sealed import seal, unseal

if TYPE_CHECKING:
    from pathlib import Path

DATABASE = uuid.UUID(int=7)
VECTORS = f"{3:032x}.vec"
MANIFEST = {
    "database": DATABASE.hex,
    "seq": 4,
    "catalog_bytes": 5,
    "catalog_crc": 6,
    "vectors": {VECTORS: 16_384},
    "indexes": {f"{4:032x}.idx": 5_000},
}
FORMAT = {"database": DATABASE.hex, "duckdb": "2.0.0", "major": 1, "minor": 0}
CURRENT = {"name": f"s-4-{5:032x}", "seq": 4}

# What json can say where a number, a text or an object is expected.
WRONG = [None, True, -1, 1.5, 1e400, 1 << 80, "x", "s-../..", "s-4-\0", [], [1], {}, {"a": 1}]


def with_crc(line: bytes) -> bytes:
    return line + f"{_core.crc32c(line):08x}\n".encode()


def test_fields_are_read_as_written() -> None:
    fields = unseal(seal(MANIFEST))
    assert fields.uuid("database") == DATABASE
    assert fields.number("seq") == 4
    assert fields.sizes("vectors", re.compile(r".*\.vec")) == {VECTORS: 16_384}
    with pytest.raises(ValueError, match=VECTORS):
        fields.sizes("vectors", re.compile("x"))


@pytest.mark.parametrize("line", [b"", b"\n", b"1\n", b"{\n", b"\xff\n", b"[" * 100_000 + b"\n", b"9" * 10_000 + b"\n"])
def test_a_line_that_is_no_object_is_refused_though_its_crc_is_right(line: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        unseal(with_crc(line))
    with pytest.raises(Corrupted):
        Format.decode(with_crc(line), tmp_path)
    path = tmp_path / "MANIFEST"
    path.write_bytes(with_crc(line))
    with pytest.raises(Corrupted):
        Manifest.read(path)


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_field_of_another_kind_is_refused_though_the_crc_is_right(wrong: object, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.snapshots.mkdir()
    for key in FORMAT:
        if key != "duckdb" or not isinstance(wrong, str):
            with pytest.raises(Corrupted):
                Format.decode(seal({**FORMAT, key: wrong}), tmp_path)
    for key in MANIFEST:
        if key not in ("vectors", "indexes") or wrong != {}:
            (tmp_path / "MANIFEST").write_bytes(seal({**MANIFEST, key: wrong}))
            with pytest.raises(Corrupted):
                Manifest.read(tmp_path / "MANIFEST")
    for key in CURRENT:
        layout.current.write_bytes(seal({**CURRENT, key: wrong}))
        with pytest.raises(Corrupted):
            Current.read(layout)


@pytest.mark.parametrize("seq", [5, "9" * 400, "", "x"])
def test_the_folder_of_a_snapshot_is_named_by_its_commit(seq: object, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.snapshots.mkdir()
    layout.current.write_bytes(seal({**CURRENT, "name": f"s-{seq}-{9:032x}"}))
    with pytest.raises(Corrupted):
        Current.read(layout)


@pytest.mark.parametrize(
    "name", ["../x.vec", f"../{VECTORS}", "/etc/passwd", VECTORS + "\0", VECTORS + "\n", "catalog"]
)
def test_a_manifest_names_files_of_the_database_only(name: str, tmp_path: Path) -> None:
    path = tmp_path / "MANIFEST"
    path.write_bytes(seal(MANIFEST))
    assert Manifest.read(path).names == {VECTORS, f"{4:032x}.idx"}
    path.write_bytes(seal({**MANIFEST, "vectors": {name: 1}}))
    with pytest.raises(Corrupted):
        Manifest.read(path)


def test_an_undo_with_fewer_pieces_than_it_says_is_none(tmp_path: Path) -> None:
    path = tmp_path / "UNDO"
    head = b"VDBUND\r\n" + DATABASE.bytes
    piece = (12_288).to_bytes(8, "little") + (5).to_bytes(4, "little") + b"12345"

    def load(body: bytes) -> list[undo.Piece]:
        path.write_bytes(body + _core.crc32c(body).to_bytes(4, "little"))
        return undo.load(path, DATABASE)

    assert load(head + (1).to_bytes(4, "little") + piece) == [undo.Piece(12_288, b"12345")]
    for count, pieces in ((0xFFFFFFFF, piece), (2, piece), (2, piece + piece[:5]), (1, piece[:-1]), (0, piece)):
        assert load(head + count.to_bytes(4, "little") + pieces) == []
