"""Which function runs which statement: by its first word, or by the type of its tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vdb.sql.alter import alter
from vdb.sql.control import begin, commit, explain, needless, pragma, reset, rollback, set_, show, unsupported
from vdb.sql.copying import copy
from vdb.sql.create import create
from vdb.sql.delete import delete
from vdb.sql.drop import drop
from vdb.sql.insert import insert
from vdb.sql.merge import merge
from vdb.sql.pivot import pivot
from vdb.sql.update import update

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from vdb.query.syntax import Node
    from vdb.sql.result import Result
    from vdb.sql.session import Session
    from vdb.sql.tokens import Statement

    Act: TypeAlias = Callable[[Session, Statement, Mapping[str, object]], Result]
    Write: TypeAlias = Callable[[Session, Node, Mapping[str, object]], Result]

_UNSUPPORTED: Final = [
    "attach",
    "detach",
    "use",
    "call",
    "export",
    "import",
    "prepare",
    "execute",
    "comment",
]
HEADS: Final[dict[str, Act]] = {
    **dict.fromkeys(_UNSUPPORTED, unsupported),
    "begin": begin,
    "start": begin,
    "commit": commit,
    "end": commit,
    "rollback": rollback,
    "abort": rollback,
    "create": create,
    "alter": alter,
    "merge": merge,
    "pivot": pivot,
    "drop": drop,
    "copy": copy,
    "explain": explain,
    "pragma": pragma,
    "set": set_,
    "reset": reset,
    "show": show,
    "install": needless,
    "load": needless,
    "checkpoint": needless,
    "vacuum": needless,
    "analyze": needless,
}
WRITES: Final[dict[str, Write]] = {
    "INSERT_QUERY_NODE": insert,
    "UPDATE_QUERY_NODE": update,
    "DELETE_QUERY_NODE": delete,
}
