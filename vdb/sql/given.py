"""The values a caller gives with a statement, under the names that its parameters have in the tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vdb.errors import InvalidArgument
from vdb.query.source import fold
from vdb.sql import tree


def named(parameters: object) -> dict[str, object]:
    """Parameters under the names their statement has for them."""
    if parameters is None:
        return {}
    if isinstance(parameters, Mapping):
        return {tree.PARAMETER + fold(str(name)): value for name, value in parameters.items()}
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, (Sequence, np.ndarray)):
        raise InvalidArgument(
            f"params is a {type(parameters).__name__}; expected a list for ? or a dict for $name.\n"
            "  Fix: wrap a single value, [value]."
        )
    return {f"{tree.PARAMETER}{i + 1}": value for i, value in enumerate(parameters)}


def check_given(wanted: Sequence[str], values: Mapping[str, object]) -> None:
    """Refuse values that are missing or have no place."""
    shown = [f"${name.removeprefix(tree.PARAMETER)}" for name in wanted]
    missing = [name for name, key in zip(shown, wanted, strict=True) if key not in values]
    if missing:
        given = ", ".join(f"${name.removeprefix(tree.PARAMETER)}" for name in values) or "none"
        raise InvalidArgument(
            f"no value for {', '.join(missing)}; the statement asks for {', '.join(shown)}, params has {given}.\n"
            "  Fix: pass a value for each placeholder."
        )
    surplus = [name for name in values if name not in wanted]
    if surplus:
        raise InvalidArgument(
            f"params has {len(surplus)} more than the statement asks for ({', '.join(shown) or 'none'}).\n"
            "  Fix: leave the surplus out, or write ? or $name where the value belongs."
        )
