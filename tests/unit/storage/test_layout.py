from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from vdb.errors import Corrupted, FormatVersionError
from vdb.storage.layout import Format, Layout, WitnessRecord
from vdb.storage.sealed import seal

DATABASE = uuid.UUID(int=7)
PATH = Path("db/FORMAT")


def test_format_is_read_as_written() -> None:
    written = Format(DATABASE, "2.0.0")
    assert Format.decode(written.encode(), PATH) == written


@pytest.mark.parametrize("at", [0, 10, 40, -2])
def test_a_changed_byte_of_format_is_noticed(at: int) -> None:
    data = bytearray(Format(DATABASE, "2.0.0").encode())
    data[at] ^= 1
    with pytest.raises(Corrupted, match="FORMAT is damaged"):
        Format.decode(bytes(data), PATH)


@pytest.mark.parametrize("data", [b"", b"\n", b"{}\n"])
def test_a_cut_format_is_corrupted(data: bytes) -> None:
    with pytest.raises(Corrupted):
        Format.decode(data, PATH)


def test_a_newer_major_version_is_refused_by_name() -> None:
    with pytest.raises(FormatVersionError, match=r"format 2\.0; this vdb reads format 1\.x"):
        Format.decode(Format(DATABASE, "2.0.0", major=2).encode(), PATH)


def test_a_newer_format_need_have_nothing_else_in_common() -> None:
    with pytest.raises(FormatVersionError):
        Format.decode(seal({"major": 2, "minor": 0}), PATH)


def test_witness_is_read_as_written() -> None:
    record = WitnessRecord(DATABASE, 123, clean=True)
    assert WitnessRecord.decode(record.encode().ljust(4096, b"\0")) == record


def test_every_changed_byte_of_a_witness_makes_it_void() -> None:
    good = WitnessRecord(DATABASE, 123, clean=False).encode()
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 0x10
        assert WitnessRecord.decode(bytes(bad)) is None, at


@pytest.mark.parametrize("data", [b"", bytes(20), bytes(4096)])
def test_an_empty_or_short_witness_is_void(data: bytes) -> None:
    assert WitnessRecord.decode(data) is None


def test_file_names_are_uuids() -> None:
    layout = Layout(Path("db"))
    assert layout.vector_file(DATABASE) == Path("db/vectors") / f"{DATABASE.hex}.vec"
    assert layout.index_file("ab") == Path("db/index/ab.idx")
