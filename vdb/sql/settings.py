"""What `SET` sets: how hard statements search."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from vdb.errors import InvalidArgument
from vdb.index.recall import check_recall
from vdb.index.spec import EF_SEARCH, check_option
from vdb.query.request import STRATEGIES
from vdb.storage.schema import did_you_mean

# The names other products give the same settings, and those of theirs that need nothing here.
_ALIASES: Final = {"hnsw_ef_search": "ef_search", "hnsw.ef_search": "ef_search"}
_NEEDLESS: Final = frozenset(
    {
        "hnsw_enable_experimental_persistence",
        "hnsw_prefilter",
        "hnsw.iterative_scan",
        "hnsw.max_scan_tuples",
        "ivfflat.probes",
        "ivfflat.iterative_scan",
    }
)
MEANINGS: Final = {
    "ef_search": "candidates an index keeps while it searches",
    "recall": "share of the true neighbours to find, in place of ef_search",
    "strategy": "how nearest rows are found: auto takes the cheapest",
}


@dataclass
class Settings:
    """The settings of one session."""

    ef_search: int | None = None
    recall: float | None = None
    strategy: str = "auto"

    def put(self, name: str, value: Any) -> None:
        """Set one, or with None set it back; InvalidArgument where there is none of that name or value."""
        name = name.lower()
        if name in _NEEDLESS:
            return
        name = _ALIASES.get(name, name)
        known = [field.name for field in fields(self)]
        if name not in known:
            raise InvalidArgument(
                f"there is no setting {name!r}; expected one of {', '.join(known)}.\n"
                f"  Fix: set one of them; DuckDB's own are for vdb.connect.{did_you_mean(name, known)}"
            )
        if value is None:
            setattr(self, name, getattr(type(self), name))
        elif name == "ef_search":
            self.ef_search, self.recall = check_option("ef_search", value, EF_SEARCH), None
        elif name == "recall":
            self.recall, self.ef_search = check_recall(value), None
        elif value in STRATEGIES:
            self.strategy = value
        else:
            raise InvalidArgument(
                f"unknown strategy {value!r}; expected one of {', '.join(STRATEGIES)}.\n  Fix: SET strategy = 'auto'."
            )

    def rows(self) -> list[tuple[str, str, str]]:
        """Name, value and meaning of each."""
        return [(field.name, str(getattr(self, field.name)), MEANINGS[field.name]) for field in fields(self)]
