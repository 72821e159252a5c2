"""The gate on counters: what got worse is named, what is as it was passes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench import counters

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = {"walk": {"recall": 0.95, "distances": 100.0, "bytes": 1000.0}, "scan": {"refined": 10.0}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, ""),
        ({"recall": 0.945, "distances": 104.0, "bytes": 1010.0}, ""),
        ({"recall": 1.0, "distances": 10.0, "bytes": 1.0}, ""),
        ({"recall": 0.93}, "walk: recall was 0.95, is 0.93; find out why"),
        ({"distances": 106.0}, "walk: distances was 100, is 106"),
        ({"bytes": 1030.0}, "walk: bytes was 1000, is 1030"),
        ({"hops": 1.0}, "walk: hops was 0, is 1"),
    ],
)
def test_what_got_worse_is_named(change: dict, message: str) -> None:
    found = {"walk": KNOWN["walk"] | change, "scan": KNOWN["scan"]}
    assert [message in line for line in counters.failures(found, KNOWN)] == ([True] if message else [])


def test_what_is_new_or_gone_is_named() -> None:
    assert "scan is in the baseline and was not measured" in counters.failures({"walk": KNOWN["walk"]}, KNOWN)[0]
    assert "new is not in the baseline" in counters.failures(KNOWN | {"new": {}}, KNOWN)[0]


def test_gate_fails_and_passes_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(counters, "measured", lambda: KNOWN)
    path = tmp_path / "baseline.json"
    assert counters.main(["--baseline", str(path)]) == 2
    assert "run with --write" in capsys.readouterr().err
    assert counters.main(["--baseline", str(path), "--write"]) == 0
    assert counters.main(["--baseline", str(path)]) == 0
    worse = KNOWN | {"scan": {"refined": 20.0}}
    path.write_text(json.dumps(worse), encoding="utf-8")
    assert counters.main(["--baseline", str(path)]) == 0
    assert "10 (0.500)" in capsys.readouterr().out
    path.write_text(json.dumps(KNOWN | {"scan": {"refined": 5.0}}), encoding="utf-8")
    assert counters.main(["--baseline", str(path)]) == 1


def test_committed_baseline_is_of_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "ROWS", 600)
    monkeypatch.setattr(counters, "QUERIES", 20)
    found = counters.measured()
    assert set(found) == set(json.loads(counters.BASELINE.read_text(encoding="utf-8")))
    assert all(figures.get("recall", 1) > 0.5 for figures in found.values())
    assert found["hnsw, ef 32"]["distances"] < found["hnsw, ef 128"]["distances"]
