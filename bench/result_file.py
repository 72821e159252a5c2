"""How result files are written: whole or not at all, what fits on a line on one line, figures of five digits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = 600
DIGITS = 5


def save(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Write a file, whole or not at all, and return what is in it."""
    short: dict[str, Any] = _rounded(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".new")
    written.write_text(_text(short) + "\n", encoding="utf-8")
    written.replace(path)
    return short


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _text(value: Any, depth: int = 0) -> str:
    line = json.dumps(value)
    if not value or not isinstance(value, dict | list) or len(line) + depth <= WIDTH:
        return line
    before = "\n" + " " * (depth + 1)
    if isinstance(value, list):
        return f"[{','.join(before + _text(each, depth + 1) for each in value)}\n{' ' * depth}]"
    fields = (f"{before}{json.dumps(key)}: {_text(each, depth + 1)}" for key, each in value.items())
    return f"{{{','.join(fields)}\n{' ' * depth}}}"
