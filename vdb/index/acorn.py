"""What a user may ask of an ACORN graph; checked when it is made, as the other specs are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from vdb.errors import InvalidArgument
from vdb.index.spec import Option, check_graph, check_option, params_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdb.metrics.custom import AnyMetric
    from vdb.types import Metric

_MOST_CANDIDATES: Final = 16_384  # gamma * M, HnswParams::kMaxCandidates
_M: Final = Option(2, 32, 1024, "neighbours a walk meets at a node, at most twice as many on the lowest level")
_GAMMA: Final = Option(1, 12, _MOST_CANDIDATES // 2, "times M, the neighbours a new node finds, to choose among them")
_EF_CONSTRUCTION: Final = Option(1, 40, 100_000, "candidates kept while a new node looks for its edges")
_SEED: Final = Option(0, 42, 2**63 - 1, "of the levels; the same seed and rows give the same graph")


@dataclass(frozen=True)
class ACORN:
    """ACORN-gamma (Patel et al., SIGMOD 2024): a graph for searches with a predicate, whatever that will be.

    A node has so many neighbours that those which satisfy a predicate still make a graph, down to about 1/gamma of the
    rows; below, a search may end early, and is finished by the scan. It takes several times the edges and the time to
    build of an HNSW.

    Parameters
    ----------
    metric : {"l2", "cosine", "ip"}, CustomMetric or None
        What it is built for; None takes the column's metric.
    M : int
        2 to 1024: neighbours a walk meets at a node; up to twice as many on the lowest level.
    gamma : int
        From 1, and gamma * M at most 16,384: a new node looks for gamma * M neighbours. Edges to those that two hops
        lead to are left out on the lowest level. 1 is the build of ACORN-1.
    M_beta : int or None
        1 to gamma * M: the nearest neighbours on the lowest level, of which none is left out; None is M. More take
        memory and spare hops.
    ef_construction : int
        1 to 100,000: candidates kept while a new node looks for its edges; at least gamma * M are.
    seed : int
        Of the levels and of the codes; the same seed and rows give the same graph.
    codes : {"auto", "none", "rabitq", "sq8"}
        What a walk reads at each step instead of the vector, as for `HNSW`.
    bits : int or None
        1 to 8 for "rabitq", 1 where it is None.

    Raises
    ------
    InvalidArgument
        An option is out of range, or `bits` is given for codes that have none.
    """

    metric: AnyMetric | None = None
    M: int = _M.default
    gamma: int = _GAMMA.default
    M_beta: int | None = None
    ef_construction: int = _EF_CONSTRUCTION.default
    seed: int = _SEED.default
    codes: str = "auto"
    bits: int | None = None

    kind: ClassVar[str] = "acorn"
    walk_codes: ClassVar[tuple[str, ...]] = ("auto", "none", "rabitq", "sq8")
    options: ClassVar[Mapping[str, Option]] = {
        "M": _M,
        "gamma": _GAMMA,
        "ef_construction": _EF_CONSTRUCTION,
        "seed": _SEED,
    }

    def __post_init__(self) -> None:
        check_graph(self)
        most = _MOST_CANDIDATES // self.M
        if self.gamma > most:
            raise InvalidArgument(
                f"gamma must be at most {most:,} where M is {self.M}, got {self.gamma}: gamma * M is at most"
                f" {_MOST_CANDIDATES:,}.\n  Fix: pass a smaller gamma, such as 1/s for predicates that a share s of"
                " the rows satisfies, or a smaller M."
            )
        beta = Option(1, self.M, self.gamma * self.M, "nearest neighbours of which none is left out, up to gamma * M")
        object.__setattr__(self, "M_beta", self.M if self.M_beta is None else check_option("M_beta", self.M_beta, beta))

    def params(self, metric: Metric) -> dict[str, int | float | str]:
        """Everything that decides the graph, `metric` standing in for None."""
        return params_of(self, metric)
