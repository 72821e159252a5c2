"""The size of a regular expression grows with what it repeats."""

from __future__ import annotations

import pytest

from vdb.query.pattern import pattern_size


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 0),
        ("abc", 3),
        (r"\d{4}-\d{2}", 7),
        ("[a-z{9}]{3}", 3),
        ("[]x]{2}", 2),
        ("[[:alpha:]x]{2}", 2),
        ("(ab){3}", 6),
        ("(a{1,30}){1,30}", 900),
        ("((a{9}){9}){9}b", 730),
        ("a{2,}", 3),
        ("a{0}", 1),
        ("a{,5}", 5),
        (r"\pL{1,99}", 1_980),
        (r"\p{Greek}", 20),
        (r"\({3}", 3),
        (r"\Qa{9}\E", 8),
        ("a{99999999999999999999}", 10_000),
        ("(((", 0),
        (")))", 3),
        ("[", 1),
        ("\\", 1),
        ("{5}", 0),
    ],
)
def test_counted_repetitions_are_written_out(pattern: str, size: int) -> None:
    assert pattern_size(pattern) == size
