"""The tables of a filtered result, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.filtered import summary
from bench.filtered.cells import CELLS
from bench.filtered.summary import AUTO, FLOOR
from bench.report import markdown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.filtered.summary import Best, Part

Table = list[list[str]]


def sections(result: dict[str, Any]) -> Iterator[tuple[str, Table]]:
    """Every table of a result with its title; the first row of a table is its heading."""
    yield (
        f"At recall {FLOOR}: queries a second with the row set known, and from the text of the predicate",
        overview(result),
    )
    yield "Build and memory", builds(result)
    parts = index_parts(result)
    if len(parts) > 1:
        yield "Indexes by themselves: seconds of training and encoding, bytes a row beside the vectors", parts
    yield (
        f"vdb's own choice at recall {FLOOR}: beside its best forced plan and the best peer, queries a second",
        ratios(result),
    )
    yield f"Times of vdb's own choice at recall {FLOOR}, microseconds a query", times(result)
    yield f"Stages of vdb's own choice at recall {FLOOR}, median microseconds", stages(result)
    for floor in result["workload"]["search"]["recall_floors"]:
        own = [name for name in summary.method_names(result) if summary.is_own(name)]
        others = [name for name in summary.method_names(result) if not summary.is_own(name)]
        yield f"Queries a second at recall {floor:.2f}, vdb's plans, row set known", speeds(result, own, floor, "core")
        yield f"Queries a second at recall {floor:.2f}, peers, row set known", speeds(result, others, floor, "core")
        if floor == FLOOR and result["workload"]["search"]["from_text"]:
            words = f"Queries a second at recall {floor:.2f}, from the text of the predicate on"
            yield words, speeds(result, [AUTO, *others], floor, "text")
    yield "What vdb chose by itself at its defaults", choices(result)


def text(result: dict[str, Any]) -> str:
    """Whether a method is the best everywhere, and every table, with the machine, what was skipped and why."""
    lines = [*heading(result), "", *summary.verdict(result)]
    for title, table in sections(result):
        lines += ["", title, "", *markdown(table)]
    return "\n".join([*lines, "", *skipped(result)])


def heading(result: dict[str, Any]) -> list[str]:
    """What was measured, where and how often."""
    plan, machine = result["workload"], result["machine"]
    data, search = plan["data"], plan["search"]
    index = ", ".join(f"{key}={value}" for key, value in plan["index"].items())
    size = f"{data['rows']} rows, {data['queries']} queries a cell, one at a time, k={search['k']}"
    threads = f"search on one thread, build on {plan['build_threads']}"
    where = f"on {machine['processor']}, {machine['cores']} cores"
    return [
        f"{plan['name']}: {data['name']}, {size}, {index}",
        f"{where}; {threads}; median of {search['repetitions']} repetitions",
    ]


def skipped(result: dict[str, Any]) -> list[str]:
    """Peers and methods without figures, and why."""
    lines = [f"skipped {reason}" for reason in result["skipped"].values()]
    reasons: dict[tuple[str, str], list[str]] = {}
    for cell in summary.cells(result):
        for peer in result["cells"][cell]["peers"].values():
            for name, kept in peer.items():
                if kept["skipped"]:
                    reasons.setdefault((name, kept["skipped"]), []).append(cell)
    return lines + [f"{name} in {', '.join(cells)}: {reason}" for (name, reason), cells in reasons.items()]


def overview(result: dict[str, Any]) -> Table:
    """Each peer at its best setting, of vdb the planner's: in each cell with the row set known / from the text."""
    shown = summary.cells(result)
    rows = [["peer", "build s", "own MB", *shown]]
    for name, peer in result["builds"].items():
        row = [name, f"{peer['build_s']:.1f}", f"{peer['memory_bytes'] / 1e6:.0f}"]
        for cell in shown:
            kept = result["cells"][cell]["peers"].get(name, {})
            found = {
                method: each["points"] for method, each in kept.items() if method == AUTO or not summary.is_own(method)
            }
            row.append(" / ".join(_qps(summary.best(found, list(found), FLOOR, part)) for part in ("core", "text")))
        rows.append(row)
    return rows


def builds(result: dict[str, Any]) -> Table:
    """Build time and memory of every peer."""
    rows = [["peer", "version", "build s", "own MB", "resident MB"]]
    for name, peer in result["builds"].items():
        megabytes = [f"{peer[key] / 1e6:.0f}" for key in ("memory_bytes", "resident_bytes")]
        rows.append([name, peer["version"], f"{peer['build_s']:.1f}", *megabytes])
    return rows


def index_parts(result: dict[str, Any]) -> Table:
    """What each index of vdb's table took."""
    rows = [["index", "build s", "bytes a row"]]
    for peer in result["builds"].values():
        for name, part in peer["parts"].items():
            size = part["bytes"] / result["workload"]["data"]["rows"]
            rows.append([name, f"{part['seconds']:.1f}", f"{size:.0f}"])
    return rows


def ratios(result: dict[str, Any]) -> Table:
    """What vdb chose against the best of the others; a comparison that falls short is marked."""
    rows = [["cell", "passing", "vdb, row set known", "best forced", "x", "best peer, row set known", "x"]]
    rows[0] += ["vdb, from the text", "best peer, from the text", "x"]
    compared = summary.comparisons(result)
    for c in compared:
        row = [title(c.cell), f"{c.share:.4f}", _qps(c.auto)]
        row += [_named(c.forced), _ratio(c.forced_ratio, summary.FORCED_RATIO)]
        row += [_named(c.peer), _ratio(c.peer_ratio, summary.PEER_RATIO)]
        row += [_qps(c.auto_text), _named(c.peer_text), _ratio(c.peer_text_ratio, summary.PEER_RATIO)]
        rows.append(row)
    means = [
        summary.geometric_mean(getattr(c, name) for c in compared)
        for name in ("forced_ratio", "peer_ratio", "peer_text_ratio")
    ]
    forced, peer, from_text = (f"{mean:.2f}" if mean else "-" for mean in means)
    rows.append(["geometric mean", "", "", "", forced, "", peer, "", "", from_text])
    return rows


def times(result: dict[str, Any]) -> Table:
    """Usual and worst times of vdb's own choice, what the text adds, and whether the worst is bounded."""
    rows = [["cell", "setting", "recall", "median", "p95", "worst", "scan's worst", "bounded"]]
    rows[0] += ["from the text: median", "x", "above", "p95", "worst"]
    for each in summary.latencies(result):
        core, whole = each.point["core"], each.point["text"]
        scan = f"{each.scan_max_us:.0f}" if each.scan_max_us is not None else "-"
        kept = each.text_ratio <= summary.TEXT_RATIO and each.text_over_us <= summary.TEXT_OVER_US
        row = [title(each.cell), setting(each.point), f"{each.point['recall']:.4f}"]
        row += [f"{core[key]:.0f}" for key in ("median_us", "p95_us", "max_us")]
        row += [scan, "yes" if each.is_bounded else "no", f"{whole['median_us']:.0f}"]
        row += [f"{each.text_ratio:.2f}{'' if kept else ' !'}", f"{each.text_over_us:.0f}"]
        row += [f"{whole[key]:.0f}" for key in ("p95_us", "max_us")]
        rows.append(row)
    return rows


def stages(result: dict[str, Any]) -> Table:
    """What each stage of a search takes; `plan` and `search` are its core."""
    names = ("parse", "predicate", "plan", "search")
    rows = [["cell", "plans", *names]]
    for each in summary.latencies(result):
        took = (each.point["stages_us"].get(name) for name in names)
        rows.append([title(each.cell), plans(each.point), *("-" if us is None else f"{us:.0f}" for us in took)])
    return rows


def speeds(result: dict[str, Any], names: Sequence[str], floor: float, part: Part) -> Table:
    """The best setting of each method in each cell; in brackets the best recall where the floor is not reached."""
    shown = [name for name in names if any(_measured(result, cell, name, part) for cell in summary.cells(result))]
    rows = [["cell", "passing", *shown]]
    for cell in summary.cells(result):
        row = [title(cell), f"{result['cells'][cell]['share']:.4f}"]
        for name in shown:
            points = _measured(result, cell, name, part)
            point = summary.fastest(points, floor, part)
            most = f"({max(p['recall'] for p in points):.2f})" if points else "-"
            cut = "*" if point and point["asked"] < result["workload"]["data"]["queries"] else ""
            row.append(f"{summary.speed(point, part):.0f}{cut}" if point else most)
        rows.append(row)
    return rows


def choices(result: dict[str, Any]) -> Table:
    """What the planner did without any setting, whether an answer was short or not allowed, in any method of vdb."""
    rows = [["cell", "recall", "plans", "short answers", "rows not allowed"]]
    for cell in summary.cells(result):
        found = summary.methods(result, cell)
        own = [point for name, points in found.items() if summary.is_own(name) for point in points]
        default = next((point for point in found.get(AUTO, []) if not point["effort"]), None)
        if default is not None:
            wrong = [str(sum(point[key] for point in own)) for key in ("short", "outside")]
            rows.append([title(cell), f"{default['recall']:.4f}", plans(default), *wrong])
    return rows


def plans(point: dict[str, Any]) -> str:
    """How the questions were answered, and how many each way."""
    return ", ".join(f"{plan} {count}" for plan, count in sorted(point["done"].items()))


def title(cell: str) -> str:
    """A cell in words."""
    return CELLS[cell].title if cell in CELLS else cell


def share(result: dict[str, Any], cell: str) -> str:
    """How many of the rows pass in a cell, in per cent."""
    return f"{100 * result['cells'][cell]['share']:.3g} %"


def setting(point: dict[str, Any]) -> str:
    """An effort in words."""
    return ", ".join(f"{name}={value}" for name, value in point["effort"].items()) or "defaults"


def _measured(result: dict[str, Any], cell: str, name: str, part: Part) -> list[dict[str, Any]]:
    return [point for point in summary.methods(result, cell).get(name, []) if point[part]]


def _qps(best: Best | None) -> str:
    return f"{best.qps:.0f}" if best else "-"


def _named(best: Best | None) -> str:
    return f"{best.qps:.0f} {best.method.removeprefix('vdb ')}" if best else "-"


def _ratio(value: float | None, wanted: float) -> str:
    return "-" if value is None else f"{value:.2f}{'' if value >= wanted else ' !'}"
