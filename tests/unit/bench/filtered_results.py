"""A made result of a filtered workload that the tests of tables and pages share."""

from __future__ import annotations

from bench import run, workload


def timed(median: float, worst: float) -> dict:
    return {"qps": [1e6 / median], "median_us": median, "p95_us": worst, "max_us": worst}


def point(recall: float, core: float | None, text: float | None = None, **more: object) -> dict:
    return {
        "effort": {},
        "recall": recall,
        "asked": 20,
        "refused": 0,
        "short": 0,
        "outside": 0,
        "done": {"graph": 20},
        "stages_us": {"plan": 7.0},
        "core": core and timed(core, 3 * core),
        "text": text and timed(text, 3 * text),
    } | more


def made_result(**methods: list[dict]) -> dict:
    plan = run.asdict(workload.read(workload.find("filtered_smoke")))
    peers: dict[str, dict] = {"vdb": {}, "others": {}}
    for name, points in methods.items():
        name = name.replace("vdb_", "vdb ")
        peers["vdb" if name.startswith("vdb") else "others"][name] = {"points": points, "skipped": ""}
    build = {"version": "1", "build_s": 2.0, "memory_bytes": 1e6, "resident_bytes": 1e6, "parts": {}}
    return {
        "workload": {"kind": "filtered"} | plan,
        "machine": {"processor": "p", "cores": 2},
        "builds": {"vdb": build | {"parts": {"hnsw": {"seconds": 1.0, "bytes": 200_000}}}, "others": build},
        "cells": {"em": {"share": 0.25, "least_matching": 3, "example": "", "peers": peers}},
        "skipped": {"lancedb": "lancedb: not here"},
    }


RESULT = made_result(
    vdb_auto=[point(0.96, 100, 120), point(0.99, 200, 240, effort={"ef_search": 64})],
    vdb_graph=[point(0.94, 50), point(0.97, 95)],
    vdb_scan=[point(1.0, 400)],
    vdb_label=[point(1.0, 10, refused=3)],
    flat=[point(1.0, 300, 900)],
    slow=[point(0.95, None, 500)],
)
