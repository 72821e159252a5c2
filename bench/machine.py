"""What every result file says about where it was measured."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from vdb import _core

_PROC = Path("/proc")


LIBRARIES = (  # whose versions decide on what is measured
    "duckdb",
    "numpy",
    "pyarrow",
    "faiss-cpu",
    "hnswlib",
    "usearch",
    "rabitqlib",
    "scann",
    "scalable-vs",
    "ngt",
    "zvec",
    "lancedb",
    "chromadb",
)


def describe() -> dict[str, Any]:
    """Processor, cores, memory, system and interpreter of this machine, and the libraries that are installed."""
    return {
        "processor": _field(_PROC / "cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory": _field(_PROC / "meminfo", "MemTotal") or "unknown",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "isa": _core.isa(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def resident_bytes() -> int:
    """Memory of this process that is resident now, after freed memory went back; 0 where it cannot be read."""
    gc.collect()
    with suppress(AttributeError, OSError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
    status = _field(_PROC / "self" / "status", "VmRSS")
    return int(status.split()[0]) * 1024 if status else 0


def _field(path: Path, name: str) -> str | None:
    if not path.exists():
        return None
    lines = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), None)
