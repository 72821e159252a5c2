"""What statements need of the database they run in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from vdb.attributes.keeper import Attributes
    from vdb.index.manager import IndexManager
    from vdb.query.execute import Executor
    from vdb.query.resolve import Resolver
    from vdb.storage.compact import Compaction
    from vdb.storage.stop import Stops
    from vdb.storage.store import Store, WriteTransaction


class Engine(Protocol):
    """A database: `vdb.database.Database` is one."""

    store: Store
    attributes: Attributes
    indexes: IndexManager
    resolver: Resolver
    executor: Executor
    stops: Stops

    def writing(self, table: str) -> AbstractContextManager[WriteTransaction]:
        """The open transaction of this thread, or one of its own around the block; then the table's indexes follow."""

    def transaction(self) -> AbstractContextManager[object]:
        """A transaction around a block."""

    def drop_table(self, name: str) -> None:
        """Drop a table with its rows, vectors and indexes."""

    def compact(self, table: str) -> Compaction:
        """Give back the room of deleted rows."""

    def check(self) -> list[str]:
        """Compare every vector with its checksum."""
