"""A session: statements one after the other, their settings, and what was compiled for texts seen before."""

from __future__ import annotations

import copy
from collections import OrderedDict
from contextlib import ExitStack
from functools import lru_cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vdb.errors import InvalidArgument, InvalidState, PredicateError
from vdb.index.place import Superseded
from vdb.query.source import fold
from vdb.sql import tree
from vdb.sql.catalogs import CATALOGS
from vdb.sql.compile import Compiler
from vdb.sql.explain import explained
from vdb.sql.found import Outdated
from vdb.sql.given import check_given, named
from vdb.sql.result import Result
from vdb.sql.search import Steps
from vdb.sql.settings import Settings
from vdb.sql.tokens import Script
from vdb.sql.verbs import HEADS, WRITES
from vdb.storage.rows import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vdb.query.syntax import Node
    from vdb.sql.engine import Engine
    from vdb.sql.steps import Compiled
    from vdb.sql.tokens import Statement
    from vdb.storage.session import Answer
    from vdb.storage.session import Statement as Open
    from vdb.storage.state import TableState
    from vdb.storage.store import WriteTransaction

_ATTEMPTS: Final = 10  # of a statement while tables are compacted under it
_KEPT: Final = 512  # compiled texts
_SHOWN: Final = "vdb_shown"
EXPLAIN: Final = "EXPLAIN"


class Session:
    """Runs SQL for one user of a database. Any thread may use it; transactions belong to the thread that began them.

    `before_write` is called before each INSERT, UPDATE, DELETE and COPY FROM.
    """

    def __init__(self, engine: Engine, before_write: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.before_write = before_write
        self.settings = Settings()
        self._begun: tuple[WriteTransaction | None, ExitStack] = (None, ExitStack())
        self._compiled: OrderedDict[str, Compiled] = OrderedDict()
        self._lock = Lock()

    def run(self, text: str, parameters: object = None, timeout: float | None = None) -> Result:
        """Run one statement, or several, and return the result of the last, which the parameters belong to.

        InvalidArgument where one is no SQL, is not supported or does not fit its parameters, QueryTimeout where they
        all, and reading the result, take more than `timeout` seconds.
        """
        if not isinstance(text, str):
            raise InvalidArgument(f"a statement is a string, got {type(text).__name__}.\n  Fix: pass SQL.")
        statements = _script(text).statements
        if not statements:
            raise InvalidArgument("there is no statement.\n  Fix: pass SQL, as in 'SELECT 1'.")
        values = named(parameters)
        with self.engine.stops.running(timeout):
            for statement in statements[:-1]:
                self._run(statement, {}).close()
            return self._run(statements[-1], values)

    def begin(self) -> None:
        """Begin a transaction, which lasts until what `taken` returns is closed."""
        stack = ExitStack()
        stack.enter_context(self.engine.transaction())
        self._begun = (self.engine.store.transaction, stack)

    def taken(self) -> ExitStack | None:
        """The transaction that SQL began in this thread, to be ended by the caller; None where there is none."""
        transaction, stack = self._begun
        if transaction is None or transaction is not self.engine.store.transaction:
            return None
        self._begun = (None, ExitStack())
        return stack

    def _run(self, statement: Statement, values: Mapping[str, object]) -> Result:
        act = HEADS.get(statement.head)
        if act is not None:
            return act(self, statement, values)
        text = statement.text
        if text in self._compiled:
            return self.query(text, statement, values)
        node = tree.parse(statement)
        write = WRITES.get(node["type"])
        if write is None:
            return self.query(text, statement, values, node)
        check_given(tree.parameters_of(node), values)
        self.before_write()
        return write(self, node, values)

    def query(
        self, text: str, source: Statement, values: Mapping[str, object], node: Node | None = None, prefix: str = ""
    ) -> Result:
        """Run a query; `node` is its tree where it is at hand, `prefix` EXPLAIN or EXPLAIN ANALYZE, if that is asked.

        EXPLAIN resolves conditions and query vectors and makes the plans, but searches and measures nothing.
        """
        for _ in range(_ATTEMPTS):
            with self.engine.store.statement() as statement:
                known = self._compiled.get(text)
                compiled = self._known(text, source, values, statement, node)
                node = None  # it was changed
                try:
                    steps = self._carried_out(compiled, statement, values, rehearses=prefix == EXPLAIN)
                except (Outdated, Superseded):
                    continue
                except PredicateError:  # a `where` does not take these values; DuckDB may
                    self._compiled.pop(text, None)
                    if compiled is not known or statement.failed:
                        raise
                    continue
                bound = steps.bound(compiled.final)
                plan = partial(explained, steps.plans, compiled.notes)
                if not prefix:
                    return Result(statement.answer(compiled.final.sql, bound), plan=plan)
                rows = statement.ask(f"{prefix} {compiled.final.sql}", bound).fetchall()
                if plan():
                    rows.insert(0, ("vector_plan", plan()))
                return Result(self.shown(statement, ("explain_key", "explain_value"), rows), plan=plan)
        raise InvalidState("The tables are compacted faster than a statement runs. Fix: try again.")

    def prepared(self, statement: Open, query: Node, values: Mapping[str, object]) -> tuple[str, Any]:
        """The SQL and the values of a query that is part of a write, whose steps have been carried out."""
        compiled = Compiler(statement, statement.state, values).compiled(query)
        steps = self._carried_out(compiled, statement, values)
        return compiled.final.sql, steps.bound(compiled.final)

    def described(self, statement: Open, query: Node, values: Mapping[str, object]) -> list[tuple[str, str]]:
        """The names and types of a query's columns."""
        final, bound = self.prepared(statement, copy.deepcopy(query), values)
        found = statement.ask(f"SELECT * FROM ({final}\n) LIMIT 0", bound).description
        return [(column[0], str(column[1])) for column in found]

    def table(self, name: str) -> TableState:
        """A table by its name in any case of letters; NotFound where there is none."""
        state = self.engine.store.state
        known = next((own for own in state.tables if fold(own) == fold(name)), name)
        if known not in state.tables and any(fold(own) == fold(name) for own in state.views):
            raise InvalidArgument(f"{name} is a view, which has no rows of its own.\n  Fix: name the table it reads.")
        return state.table(known)

    def shown(self, statement: Open, names: Sequence[str], rows: Sequence[Sequence[object]]) -> Answer:
        """Rows of texts as the answer of a statement."""
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        arrays = {name: np.array(column, object) for name, column in zip(names, columns, strict=True)}
        statement.bind(_SHOWN, arrays)
        wanted = ", ".join(f"CAST({quoted(name)} AS VARCHAR) AS {quoted(name)}" for name in names)
        return statement.answer(f"SELECT {wanted} FROM {_SHOWN}")

    def _carried_out(
        self, compiled: Compiled, statement: Open, values: Mapping[str, object], *, rehearses: bool = False
    ) -> Steps:
        steps = Steps(self.engine, statement, values, self.settings)
        act = steps.rehearse if rehearses else steps.run
        for name in compiled.catalogs:
            statement.bind(name, CATALOGS[name](self))
        for use in compiled.uses:
            act(use)
        return steps

    def _known(
        self, text: str, source: Statement, values: Mapping[str, object], statement: Open, node: Node | None
    ) -> Compiled:
        found = self._compiled.get(text)
        if found is not None and found.is_of(statement.state):
            if found.parameters != values.keys():
                check_given(tuple(found.parameters), values)
            return found
        node = tree.parse(source) if node is None else node
        check_given(tree.parameters_of(node), values)
        found = Compiler(statement, statement.state, values).compiled(node)
        with self._lock:
            self._compiled[text] = found
            while len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        return found


@lru_cache(maxsize=512)
def _script(text: str) -> Script:
    return Script(text)
