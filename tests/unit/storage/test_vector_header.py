from __future__ import annotations

import struct
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vdb import _core
from vdb.errors import Corrupted, FormatVersionError
from vdb.storage.vector_header import PAGE_BYTES, Append, Identity, check_header

if TYPE_CHECKING:
    from vdb.types import Dtype

IDENTITY = Identity(uuid.UUID(int=1), uuid.UUID(int=2), table=3, column=4, dim=384, generation=5)
PATH = Path("x.vec")


def resealed(page: bytes) -> bytes:
    return page[:-4] + struct.pack("<I", _core.crc32c(page[:-4]))


def test_header_fields_are_where_format_md_says() -> None:
    page = IDENTITY.encode()
    assert len(page) == 4096
    assert page[:8] == b"VDBVEC\r\n"
    assert struct.unpack_from("<HHI", page, 8) == (1, 0, 0x0A0B0C0D)
    assert page[16:48] == uuid.UUID(int=1).bytes + uuid.UUID(int=2).bytes
    assert struct.unpack_from("<QII", page, 48) == (3, 4, 5)
    assert struct.unpack_from("<B3xI", page, 64) == (1, 384)
    assert struct.unpack_from("<QQI", page, 72) == (1536, 16384, 65536)
    assert page[92:4092] == bytes(4000)
    assert struct.unpack_from("<I", page, 4092)[0] == _core.crc32c(page[:4092])


@pytest.mark.parametrize(
    ("dtype", "number", "stride", "crc"),
    [
        ("float32", 1, 1536, "46b05d37"),
        ("float16", 2, 768, "43cc8678"),
        ("bfloat16", 3, 768, "8af09104"),
        ("int8", 4, 384, "ab2ce910"),
    ],
)
def test_golden_header_of_each_dtype(dtype: Dtype, number: int, stride: int, crc: str) -> None:
    page = replace(IDENTITY, dtype=dtype).encode()
    golden = (
        "5644425645430d0a"
        "01000000"
        "0d0c0b0a"
        "00000000000000000000000000000001"
        "00000000000000000000000000000002"
        "0300000000000000"
        "04000000"
        "05000000"
        f"{number:02x}000000"
        "80010000"
        f"{stride.to_bytes(8, 'little').hex()}"
        "0040000000000000"
        "00000100"
    )
    assert page[:92].hex() == golden
    assert page[4092:].hex() == crc


def test_one_good_copy_of_the_header_is_enough() -> None:
    page = IDENTITY.encode()
    check_header(bytes(PAGE_BYTES) + page, IDENTITY, PATH)
    check_header(page + bytes(PAGE_BYTES), IDENTITY, PATH)


@pytest.mark.parametrize("data", [b"", bytes(8192), b"\xff" * 8192, IDENTITY.encode()[:4000]])
def test_a_header_without_a_good_copy_is_corrupted(data: bytes) -> None:
    with pytest.raises(Corrupted, match="both copies fail"):
        check_header(data, IDENTITY, PATH)


@pytest.mark.parametrize("field", ["database", "file", "table", "column", "dim", "generation", "dtype"])
def test_a_header_of_other_vectors_is_corrupted(field: str) -> None:
    value = {"database": uuid.UUID(int=99), "file": uuid.UUID(int=99), "dtype": "float16"}.get(field, 99)
    with pytest.raises(Corrupted, match="other vectors"):
        check_header(IDENTITY.encode() * 2, replace(IDENTITY, **{field: value}), PATH)


def test_a_newer_major_version_is_refused_and_a_newer_minor_one_is_not() -> None:
    page = bytearray(IDENTITY.encode())
    page[10] = 1
    check_header(resealed(bytes(page)) * 2, IDENTITY, PATH)
    page[8] = 2
    with pytest.raises(FormatVersionError, match="has format 2"):
        check_header(resealed(bytes(page)) * 2, IDENTITY, PATH)


def test_witness_record_fields_are_where_format_md_says() -> None:
    data = Append(seq=9, last_seq=8, first_slot=100, rows=50, batch_crc=77).encode()
    assert len(data) == 64
    assert data[:8] == b"VDBAPP\r\n"
    assert struct.unpack_from("<QQQQI", data, 8) == (9, 8, 100, 50, 77)
    assert data[44:60] == bytes(16)
    assert struct.unpack_from("<I", data, 60)[0] == _core.crc32c(data[:60])


def test_every_changed_byte_of_a_witness_record_makes_it_void() -> None:
    record = Append(9, 8, 100, 50, 77)
    good = record.encode()
    assert Append.decode(good) == record
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 0x80
        assert Append.decode(bytes(bad)) is None, at
