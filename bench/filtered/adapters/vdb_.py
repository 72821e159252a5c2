"""vdb as its users see it: a table in memory with every kind of index, `table.search(where=...)`, each strategy."""

from __future__ import annotations

import time
from typing import Any

import vdb
from bench.adapters.base import FloatVector, RowNumbers, installed_version
from bench.filtered.adapters.base import Effort, Sweep, TextPeer
from bench.filtered.adapters.vdb_plans import STAGES, STRATEGIES, forget, index_spec, make_table, opened
from bench.filtered.predicate import NO_FILTER, Inexpressible, Value
from bench.filtered.questions import FilteredData


class VdbFiltered(TextPeer):
    name = "vdb"
    version = installed_version("vdb")

    def build(self, data: FilteredData, threads: int) -> None:
        params = self.setup.params
        self.db = opened(threads)
        self.table = make_table(self.db, data, params.metric)
        for text in self.setup.indexes:
            began = time.perf_counter()
            info = self.table.create_index("embedding", index_spec(text, params), name=text.replace(":", "_"))
            self.parts[text] = {"seconds": time.perf_counter() - began, "bytes": info.memory_bytes}
        self.vector_bytes = data.vectors.nbytes

    def sweeps(self) -> dict[str, list[Sweep]]:
        return {f"vdb {name}": sweeps for name, sweeps in STRATEGIES.items()}

    def choose(self, method: str, effort: Effort) -> None:
        self.strategy = method.removeprefix("vdb ")
        percent = effort.get("recall_percent")
        self.options: dict[str, Any] = {"recall": percent / 100} if percent else dict(effort)

    def search(self, q: FloatVector, k: int, bound: tuple[str, list[Value]]) -> RowNumbers:
        where = () if bound[0] == NO_FILTER else bound
        try:
            hits = self.table.search(q, k, *where, strategy=self.strategy, **self.options)
        except vdb.InvalidArgument as error:
            raise Inexpressible(str(error).partition("\n")[0]) from error
        seen: Any = hits.plan
        self.done, self.stages = seen.plan.method.strategy, {s: getattr(seen.actuals, f"{s}_seconds") for s in STAGES}
        return hits.ids

    def forget(self) -> None:
        forget(self.db)

    def remember(self, bound: list[tuple[str, list[Value]]]) -> None:
        for text, values in bound:
            if text != NO_FILTER:
                self.table.count(text, values)  # the second time it is asked for, it is kept

    def memory_bytes(self) -> int:
        return sum(index.memory_bytes for index in self.table.list_indexes()) + self.vector_bytes

    def close(self) -> None:
        self.db.close()
