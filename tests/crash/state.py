"""Any sequence of operations beside a plain model (model.py), with kills in between: hypothesis finds the sequence.

The database lives in a child process. Its end is planned for some later file call, by the shim, so it comes in the
middle of whatever is under way then, or of the recovery after another; what is found afterwards is what the model had
at the last commit, or has after the operation that was under way. Readers beside it, of what was published, and
backups are looked at by other processes.

    python tests/crash/run.py state --count 5000 --seed 1
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from kill import KILLS
from model import DIM, KEYS, KINDS, NUMBER, TEXT, VECTOR, Beside, Model, Real, Shown
from worker import Killed, Refused, Standby, Worker
from workload import connect

STEPS: Final = 25
PIECE: Final = 25  # sequences between two looks at the clock
TABLES: Final = ("a", "b", "c")
NAMES: Final = ("n", "m", "s", "r", "e", "f")

VALUES: Final = {
    NUMBER: st.none() | st.integers(-3, 3),
    TEXT: st.none() | st.sampled_from(["a", "b", "\u00e4"]),
    VECTOR: st.none() | st.lists(st.integers(-4, 4), min_size=DIM, max_size=DIM),
}
TYPES: Final = st.sampled_from(sorted(VALUES))
KEY: Final = st.integers(0, KEYS - 1)


def free(self: Machine) -> bool:
    return not self.in_transaction


def some(self: Machine) -> bool:
    return bool(self.model.tables)


class Machine(RuleBasedStateMachine):
    """A database and its model; `committed` is the model of the last commit."""

    root: ClassVar[Path]
    beside: ClassVar[Standby]  # a process that reads what was published, and backups
    sequences: ClassVar[int] = 0
    kills: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).sequences += 1
        self.folder = Path(tempfile.mkdtemp(dir=self.root))
        self.path = self.folder / "db"
        shutil.copytree(self.root / "empty", self.path)
        self.model = Model()
        self.committed = Model()
        self.in_transaction = False
        self.published: list[Shown] = []  # one of these, where there is one
        self.worker = self.start()
        self.worker.ask("ready")

    def start(self, at: int = 0) -> Worker:
        return Worker(partial(Real, self.path), self.folder, at)

    def teardown(self) -> None:
        self.worker.kill()
        shutil.rmtree(self.folder)

    # What is asked of both

    def perform(self, name: str, *given: Any) -> bool:
        """Do it in both and compare how they end; False where the database was killed, and has been recovered."""
        after = copy.deepcopy(self.model)
        expected = getattr(after, name)(*given)
        try:
            self.worker.ask(name, *given)
            refused = None
        except Refused as error:
            refused = str(error)
        except Killed:
            self.recover([self.committed] if self.in_transaction else [self.committed, after])
            return False
        assert refused == expected, f"{name} {given} ended with {refused}, expected {expected}"
        self.model = after
        if not self.in_transaction:
            self.committed = after
        return True

    def recover(self, allowed: list[Model]) -> None:
        """Open what a kill left: it is as one of the models says, and is taken to be so from now on."""
        type(self).kills += 1
        self.in_transaction = False
        self.worker = self.start()
        self.worker.ask("ready")
        found = self.worker.ask("look")
        left = next((model for model in allowed if model.shown() == found), None)
        assert left is not None, f"found {found}, allowed {[model.shown() for model in allowed]}"
        self.model = self.committed = left

    def elsewhere(self, path: Path) -> Shown:
        """What another process sees that opens a database to read it."""
        found: Shown = self.beside.ask("shown", str(path))
        return found

    # What is chosen

    def any_table(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.model.tables)))

    def any_rows(self, data: st.DataObject, table: str) -> list[dict[str, Any]]:
        columns = {name: VALUES[type_] for name, type_ in self.model.tables[table].columns.items()}
        rows = data.draw(st.dictionaries(KEY, st.fixed_dictionaries(columns), min_size=1, max_size=10))
        return [{"id": key, **row} for key, row in rows.items()]

    def free_names(self, table: str) -> list[str]:
        return [name for name in NAMES if name not in self.model.tables[table].columns]

    # Rows

    @precondition(some)
    @rule(data=st.data())
    def add(self, data: st.DataObject) -> None:
        table = self.any_table(data)
        self.perform("add", table, self.any_rows(data, table))

    @precondition(some)
    @rule(data=st.data())
    def upsert(self, data: st.DataObject) -> None:
        table = self.any_table(data)
        self.perform("upsert", table, self.any_rows(data, table))

    @precondition(some)
    @rule(data=st.data(), residue=st.integers(0, 2))
    def update(self, data: st.DataObject, residue: int) -> None:
        table = self.any_table(data)
        columns = self.model.tables[table].columns
        name = data.draw(st.sampled_from(sorted(columns)))
        self.perform("update", table, {name: data.draw(VALUES[columns[name]])}, residue)

    @precondition(some)
    @rule(data=st.data(), residue=st.integers(0, 2))
    def delete(self, data: st.DataObject, residue: int) -> None:
        self.perform("delete", self.any_table(data), residue)

    @precondition(some)
    @rule(data=st.data(), ids=st.lists(KEY, max_size=4))
    def delete_ids(self, data: st.DataObject, ids: list[int]) -> None:
        self.perform("delete_ids", self.any_table(data), ids)

    # Schemas

    @precondition(lambda self: len(self.model.tables) < len(TABLES))
    @rule(data=st.data(), types=st.lists(TYPES, max_size=3))
    def create_table(self, data: st.DataObject, types: list[str]) -> None:
        name = data.draw(st.sampled_from([name for name in TABLES if name not in self.model.tables]))
        self.perform("create_table", name, dict(zip(NAMES, [VECTOR, *types], strict=False)))

    @precondition(some)
    @rule(data=st.data())
    def drop_table(self, data: st.DataObject) -> None:
        self.perform("drop_table", self.any_table(data))

    @precondition(lambda self: 0 < len(self.model.tables) < len(TABLES))
    @rule(data=st.data())
    def rename_table(self, data: st.DataObject) -> None:
        new = data.draw(st.sampled_from([name for name in TABLES if name not in self.model.tables]))
        self.perform("rename_table", self.any_table(data), new)

    @precondition(some)
    @rule(data=st.data(), type_=TYPES)
    def add_column(self, data: st.DataObject, type_: str) -> None:
        table = self.any_table(data)
        if names := self.free_names(table):
            default = None if type_ == VECTOR else data.draw(VALUES[type_])
            self.perform("add_column", table, data.draw(st.sampled_from(names)), type_, default)

    @precondition(some)
    @rule(data=st.data())
    def drop_column(self, data: st.DataObject) -> None:
        table = self.any_table(data)
        contents = self.model.tables[table]
        vectors = contents.of_type(VECTOR)
        names = [name for name in contents.columns if vectors != [name]]
        if names:
            self.perform("drop_column", table, data.draw(st.sampled_from(names)))

    @precondition(some)
    @rule(data=st.data())
    def rename_column(self, data: st.DataObject) -> None:
        table = self.any_table(data)
        if names := self.free_names(table):
            old = data.draw(st.sampled_from(sorted(self.model.tables[table].columns)))
            self.perform("rename_column", table, old, data.draw(st.sampled_from(names)))

    # Indexes and files

    @precondition(lambda self: free(self) and some(self))
    @rule(data=st.data(), kind=st.sampled_from(sorted(KINDS)))
    def create_index(self, data: st.DataObject, kind: str) -> None:
        table = self.any_table(data)
        contents = self.model.tables[table]
        names = [name for name in ("i", "j", "k") if name not in contents.indexes]
        attributes = [] if (read := KINDS[kind][1]) is None else contents.of_type(read)
        if not names or (read is not None and not attributes):
            return
        columns = [] if kind == "attribute" else [data.draw(st.sampled_from(contents.of_type(VECTOR)))]
        columns += [data.draw(st.sampled_from(attributes))] if attributes else []
        if any(known == (kind, columns) for known in contents.indexes.values()):
            return
        self.perform("create_index", table, names[0], kind, columns)

    @precondition(lambda self: free(self) and any(t.indexes for t in self.model.tables.values()))
    @rule(data=st.data())
    def drop_index(self, data: st.DataObject) -> None:
        held = [(name, index) for name, table in self.model.tables.items() for index in table.indexes]
        self.perform("drop_index", *data.draw(st.sampled_from(sorted(held))))

    @precondition(lambda self: free(self) and some(self))
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        self.perform("compact", self.any_table(data))

    @precondition(free)
    @rule()
    def publish(self) -> None:
        known, new = self.published, self.committed.shown()
        if self.perform("publish"):
            self.published = [new]
            assert self.elsewhere(self.path) == new
        elif known:
            self.published = [*known, new]

    @precondition(lambda self: free(self) and len(self.published) == 1)
    @rule()
    def read_beside(self) -> None:
        assert self.elsewhere(self.path) == self.published[0]

    @precondition(free)
    @rule()
    def backup(self) -> None:
        copied = self.folder / "copy"
        if self.perform("backup", str(copied)):
            assert self.elsewhere(copied) == self.committed.shown()
        for left in self.folder.glob("copy*"):
            shutil.rmtree(left)

    # Transactions, and ends

    @precondition(free)
    @rule()
    def begin(self) -> None:
        try:
            self.worker.ask("begin")
        except Killed:
            self.recover([self.committed])
            return
        self.in_transaction = True

    @precondition(lambda self: self.in_transaction)
    @rule(commits=st.booleans())
    def finish(self, commits: bool) -> None:
        after = self.model if commits else self.committed
        try:
            self.worker.ask("commit" if commits else "rollback")
        except Killed:
            self.recover([self.committed, after])
            return
        self.in_transaction = False
        self.model = self.committed = after

    @precondition(free)
    @rule()
    def reopen(self) -> None:
        known, new = self.published, self.committed.shown()
        closed = self.perform("reopen")
        if known:  # then a close publishes
            self.published = [new] if closed else [*known, new]

    @rule(within=st.integers(1, 60), action=st.sampled_from(KILLS))
    def arm(self, within: int, action: int) -> None:
        self.worker.ask("arm", within, action)

    @rule(again=st.lists(st.integers(1, 30), max_size=2))
    def kill(self, again: list[int]) -> None:
        """Between two calls; and some of the openings that follow, at one of their own."""
        self.worker.kill()
        for at in again:
            opened = self.start(at)
            try:
                opened.ask("ready")
                opened.kill()
            except Killed:
                type(self).kills += 1
        self.recover([self.committed])

    @rule()
    def look(self) -> None:
        try:
            assert self.worker.ask("look") == self.model.shown()
        except Killed:
            self.recover([self.committed])


def main(folder: Path, count: int, seed_: int, seconds: float) -> dict[str, Any]:
    """Try `count` sequences, or as many as `seconds` allow, up to the first that the model does not agree with."""
    Machine.root = folder
    Machine.beside = Standby(Beside)
    connect(folder / "empty").close()  # creating is under test elsewhere
    end, piece = time.monotonic() + seconds, 0
    failures: list[str] = []
    while Machine.sequences < count and time.monotonic() < end and not failures:
        chosen = settings(
            max_examples=min(PIECE, count - Machine.sequences),
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(seed(seed_ * 1_000_000 + piece)(Machine), settings=chosen)
        except BaseException as error:
            failures += _told(error)
        piece += 1
    return {"sequences": Machine.sequences, "kills": Machine.kills, "failures": failures}


def _told(error: BaseException) -> list[str]:
    """What went wrong and the steps to it, of each of several."""
    if hasattr(error, "exceptions"):  # a group, which Python 3.10 lacks
        return [line for each in error.exceptions for line in _told(each)]
    return ["\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])]
