"""The border to the compiled core where it is more than the core itself: the interpreter lock."""

from __future__ import annotations

import subprocess
import sys

BUILD_AND_LOOK = """
import threading
import numpy as np
from vdb import _core

rows = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)
graph = _core.Hnsw(8, "l2", M=8, ef_construction=40)
started, done = threading.Event(), threading.Event()

def build():
    graph.extend(_core.VectorView(rows, "l2"), progress=lambda so_far, total: started.set())
    done.set()

thread = threading.Thread(target=build)
thread.start()
started.wait()
while not done.is_set():
    graph.neighbors(0)
thread.join()
print(graph.covered)
"""


def test_looking_at_a_graph_beside_its_build_does_not_deadlock() -> None:
    # A deadlock keeps the interpreter lock for good, so only another process can report it.
    child = subprocess.run(
        [sys.executable, "-c", BUILD_AND_LOOK], capture_output=True, text=True, timeout=60, check=False
    )
    assert child.stdout.strip() == "3000", child.stderr
