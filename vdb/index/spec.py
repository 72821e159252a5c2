"""What a user may ask of an index: each option with its least, default and greatest value and one sentence.

A spec is checked when it is made, so a wrong option is an error where it was written.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from vdb.errors import InvalidArgument
from vdb.metrics.custom import AnyMetric, CustomMetric, name_of
from vdb.types import METRICS, Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vdb.index.acorn import ACORN
    from vdb.index.ivf_spec import IVFPQ, IVFRaBitQ
    from vdb.index.label_spec import Label
    from vdb.index.partial_spec import Partial
    from vdb.index.range_spec import Range


@dataclass(frozen=True, slots=True)
class Option:
    """The range of one integer option."""

    least: int
    default: int
    greatest: int
    meaning: str
    auto: bool = False  # may be AUTO instead, and is by default


AUTO: Final = "auto"

_M: Final = Option(2, 16, 1024, "edges a new node makes; up to twice as many stay on the lowest level")
_EF_CONSTRUCTION: Final = Option(1, 200, 100_000, "candidates kept while a new node looks for its edges")
_SEED: Final = Option(0, 42, 2**63 - 1, "of the levels; the same seed and rows give the same graph")
_SAMPLE_SEED: Final = Option(0, 42, 2**63 - 1, "of the samples of rows that choose and train the codes")
CODES: Final = ("auto", "sq8", "projection")  # of a Flat
WALK_CODES: Final = ("auto", "none", "rabitq", "sq8", "packed")
_BITS: Final = Option(1, 1, 8, "of a dimension; more rank better and are read for longer")
EF_SEARCH: Final = Option(1, 64, 2**31 - 1, "candidates kept while searching; more find more and take longer")


@dataclass(frozen=True)
class HNSW:
    """Hierarchical navigable small world graph (Malkov and Yashunin, TPAMI 2018).

    Parameters
    ----------
    metric : {"l2", "cosine", "ip"}, CustomMetric or None
        What it is built for; None takes the column's metric.
    M : int
        2 to 1024: edges a new node makes; up to twice as many stay on the lowest level.
    ef_construction : int
        1 to 100,000: candidates kept while a new node looks for its edges.
    seed : int
        Of the levels and of the codes; the same seed and rows give the same graph.
    codes : {"auto", "none", "rabitq", "sq8", "packed"}
        What a walk reads at each step instead of the vector. "rabitq" keeps a few bits of a random rotation for each
        dimension (Gao and Long, SIGMOD 2024), "sq8" a byte, "none" no codes. "packed" keeps in each node a bit for each
        dimension of all its neighbours (SymphonyQG: Gou et al., SIGMOD 2025), which takes several times the memory, and
        "rabitq" of one bit beside it for searches with a selective predicate. What a walk finds is measured on the
        vectors, so distances are exact either way. "auto" takes the fewest bits that rank a sample of the rows well
        enough, and none where a vector is hardly longer than its code or the metric is written in Python;
        `list_indexes()` says which. It is chosen once, from the rows there are.
    bits : int or None
        1 to 8 for "rabitq", 1 where it is None.

    Raises
    ------
    InvalidArgument
        An option is out of range, or `bits` is given for codes that have none.
    """

    metric: AnyMetric | None = None
    M: int = _M.default
    ef_construction: int = _EF_CONSTRUCTION.default
    seed: int = _SEED.default
    codes: str = "auto"
    bits: int | None = None

    kind: ClassVar[str] = "hnsw"
    walk_codes: ClassVar[tuple[str, ...]] = WALK_CODES
    options: ClassVar[Mapping[str, Option]] = {"M": _M, "ef_construction": _EF_CONSTRUCTION, "seed": _SEED}

    def __post_init__(self) -> None:
        check_graph(self)

    def params(self, metric: Metric) -> dict[str, int | float | str]:
        """Everything that decides the graph, `metric` standing in for None."""
        return params_of(self, metric)


@dataclass(frozen=True)
class Flat:
    """Codes beside the vectors: an exact search that reads a fraction of the bytes.

    A code comes with an interval that surely holds the true distance, so only the few rows whose interval reaches
    among the k nearest are read as vectors: the answer is that of the scan without an index.

    Searches use codes that are shorter than the vectors; where they are not, as bytes beside a TINYINT column,
    `explain()` says so.

    Parameters
    ----------
    metric : {"l2", "cosine", "ip"} or None
        What it is built for; None takes the column's metric.
    codes : {"auto", "sq8", "projection"}
        "sq8" keeps a byte per dimension with a step of its own for each row (LVQ-8: Aguerrebere et al., VLDB 2023):
        the dimensions rounded up to a multiple of 64, and 16 bytes. "projection" keeps float32 coordinates along the
        directions that a sample spans, which is less where the vectors have a low rank, as those of models that end
        in a wide linear layer do. "auto" looks at a sample and takes the smaller; `list_indexes()` says which. It is
        chosen once, from the rows there are ("sq8" where there are none): create the index after loading, or drop and
        create it again.
    seed : int
        Of the samples of rows that choose and train the codes. Codes trained on few rows are trained again when there
        are more, so they depend on the commits the rows came in as well; answers do not.

    Raises
    ------
    InvalidArgument
        An option is out of range.
    """

    metric: Metric | None = None
    codes: str = "auto"
    seed: int = _SEED.default

    kind: ClassVar[str] = "flat"

    def __post_init__(self) -> None:
        if isinstance(self.metric, CustomMetric):
            raise _codes_of_custom(self.metric, "create an HNSW(metric=...), or no index: a scan needs none.")
        if self.metric is not None:
            check_metric(self.metric)
        _check_codes(self.codes, CODES)
        object.__setattr__(self, "seed", check_option("seed", self.seed, _SAMPLE_SEED))

    def params(self, metric: Metric) -> dict[str, int | float | str]:
        """Everything that decides the codes, `metric` standing in for None."""
        return params_of(self, metric)


GraphSpec: TypeAlias = "HNSW | ACORN"
Spec: TypeAlias = "GraphSpec | Flat | Range | Label | Partial | IVFPQ | IVFRaBitQ"
Progress: TypeAlias = "Callable[[int, int], None] | None"  # called with what is done and with all there is to do


def check_graph(spec: GraphSpec) -> None:
    """Check what specs of graphs have in common, and settle `codes` and `bits` as far as the spec decides them."""
    if isinstance(spec.metric, CustomMetric):
        if spec.codes not in ("auto", "none"):
            raise _codes_of_custom(spec.metric, "codes='none', or leave codes out.")
        object.__setattr__(spec, "codes", "none")
    elif spec.metric is not None:
        check_metric(spec.metric)
    for name, option in spec.options.items():
        object.__setattr__(spec, name, check_option(name, getattr(spec, name), option))
    _check_codes(spec.codes, spec.walk_codes)
    if spec.codes == "rabitq":
        object.__setattr__(spec, "bits", check_option("bits", spec.bits or _BITS.default, _BITS))
    elif spec.bits:
        raise InvalidArgument(
            f"bits={spec.bits!r} is for codes='rabitq', got codes={spec.codes!r}.\n"
            "  Fix: pass codes='rabitq', or leave bits out."
        )
    else:
        object.__setattr__(spec, "bits", 0)


def params_of(spec: Spec, metric: Metric) -> dict[str, int | float | str]:
    """Every option of a spec, `metric` standing in where it has none."""
    return {field.name: getattr(spec, field.name) for field in fields(spec)} | {
        "metric": name_of(spec.metric or metric)
    }


def _codes_of_custom(metric: CustomMetric, remedy: str) -> InvalidArgument:
    return InvalidArgument(
        f"codes know l2, cosine and ip, not a metric written in Python, got {metric.name!r}.\n  Fix: {remedy}"
    )


def _check_codes(codes: object, known: tuple[str, ...]) -> None:
    if codes not in known:
        raise InvalidArgument(
            f"unknown codes {codes!r}; expected one of {', '.join(known)}.\n"
            "  Fix: pass one of them, or leave it out for 'auto'."
        )


def check_metric(metric: object) -> Metric:
    """The built-in metric of that name, InvalidArgument where there is none."""
    for known in METRICS:
        if metric == known:
            return known
    raise InvalidArgument(f"unknown metric {metric!r}; expected one of {', '.join(METRICS)}.")


def check_option(name: str, value: object, option: Option) -> int:
    """`value` as an int within the option's range, InvalidArgument where it is not one; AUTO is none."""
    number = check_integer(name, value)
    if not option.least <= number <= option.greatest:
        either, default = (f"{AUTO!r} or ", "") if option.auto else ("", f"; {option.default} by default")
        raise InvalidArgument(
            f"{name} must be {either}an integer from {option.least:,} to {option.greatest:,}, got {number}.\n"
            f"  {name}: {option.meaning}{default}."
        )
    return number


def check_name(what: str, value: object) -> str:
    """`value` where it is a string with something in it."""
    if isinstance(value, str) and value.strip():
        return value
    raise InvalidArgument(f"{what} must be a name, got {value!r}.\n  Fix: pass a string that is not empty.")


def check_progress(progress: object) -> None:
    """InvalidArgument where progress cannot be told."""
    if progress is not None and not callable(progress):
        raise InvalidArgument(f"progress must be callable, got {progress!r}.\n  Fix: pass f(done, total), or None.")


def check_integer(name: str, value: object) -> int:
    """`value` as an int; bools and floats are refused."""
    if not isinstance(value, bool):
        try:
            return value.__index__()  # type: ignore[attr-defined, no-any-return]
        except AttributeError:
            pass
    raise InvalidArgument(f"{name} must be an integer, got {value!r}.")
