"""Where the index manager keeps one index, and what it knows of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vdb.errors import InvalidState
from vdb.index.repair import Repair

if TYPE_CHECKING:
    from vdb.index.build import Built
    from vdb.index.recall import RecallCurve
    from vdb.metrics.custom import AnyMetric
    from vdb.storage.state import IndexRecord, TableState


class Superseded(InvalidState):
    """The table was compacted since that state; the search begins again on the newest one. No caller of vdb sees it."""


@dataclass
class Place:
    """The place of one index once somebody needed it.

    `metric` is None where its function has not been given; `rebuilt` says that the snapshot on disk is not of `built`.
    """

    metric: AnyMetric | None
    lock: threading.Lock = field(default_factory=threading.Lock)  # while it is loaded, built or repaired
    built: Built | None = None
    curve: RecallCurve | None = None
    measuring: threading.Lock = field(default_factory=threading.Lock)
    rebuilt: bool = False
    repair: Repair = field(default_factory=Repair)

    def put(self, built: Built, state: TableState) -> None:
        """Serve searches from now on; `built` was made of `state`."""
        self.repair.start_at(state)
        self.built = built

    def is_behind(self, record: IndexRecord) -> bool:
        """Whether the snapshot on disk lacks what is in memory."""
        if self.built is None:
            return False
        grown = record.file is None or self.built.covered > record.covers_slots
        return grown or self.rebuilt or self.repair.unsaved
