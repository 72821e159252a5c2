"""What follows a commit: indexes are brought along, and tables whose slots are mostly dead are compacted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from vdb.errors import VdbError
from vdb.storage.compact import Compaction, is_worthwhile
from vdb.storage.stop import held_off

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdb.database import Database
    from vdb.storage.state import TableState
    from vdb.storage.store import WriteTransaction

_log = logging.getLogger(__name__)
_MORE_DEAD: Final = 2  # times as many dead slots as when compacting failed, before it is tried again by itself


class Upkeep:
    """Keeps the indexes and files of one database in step with its commits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._failed_with: dict[int, int] = {}  # dead slots of a table, by id, when compacting it failed

    def after_commit(self, *tables: str) -> None:
        """Let the indexes follow, and compact those of the tables whose slots are mostly dead.

        The commit stands whatever happens here: what cannot be compacted is logged and left until more has died.
        """
        database = self._database
        with held_off():
            database.attributes.follow(*tables)
            database.indexes.follow(*tables)
            for state in [database.store.state.tables.get(name) for name in tables]:
                if state is not None and self._is_due(state):
                    self._try_to_compact(state)

    def compact(
        self, transaction: WriteTransaction, table: str, progress: Callable[[int, int], None] | None = None
    ) -> Compaction:
        """Compact a table, its indexes with it, and commit; the transaction is good for nothing else."""
        database = self._database
        before = transaction.state.table(table)
        try:
            done = transaction.compact(table, progress)
            if done.dead_slots:
                database.indexes.move(transaction, before)
            transaction.commit()
        except BaseException:
            database.indexes.discard(before)
            raise
        database.attributes.follow(table)
        database.indexes.follow(table)
        database.executor.forget_older()
        return done

    def _try_to_compact(self, state: TableState) -> None:
        name = state.schema.name
        try:
            with self._database.store.begin() as transaction:
                if self._is_due(transaction.state.table(name)):  # else another thread was first
                    self.compact(transaction, name)
        except (VdbError, OSError, MemoryError) as error:
            self._failed_with[state.id] = state.dead_slots
            _log.warning("table %s was not compacted: %s", name, error)

    def _is_due(self, table: TableState) -> bool:
        return is_worthwhile(table) and table.dead_slots > _MORE_DEAD * self._failed_with.get(table.id, 0)
