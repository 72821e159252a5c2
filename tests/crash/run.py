"""Run a part of the crash programme: `python tests/crash/run.py kill --count 1000 --seed 1`; README.md has them all.

It compiles the recorder of file calls and starts itself again with it, in a folder of its own. Printed is one line of
JSON: what was done, and `failures`, which must be empty; then the exit code is 0.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from shim import build, environment

ALL = 1_000_000
PARTS = {
    "kill": 10_000,
    "power": 20_000,
    "fault": ALL,
    "damage": ALL,
    "mutate": ALL,
    "state": 5_000,
    "readers": ALL,
    "soak": ALL,
}
MEMORY = Path("/dev/shm")  # the shim decides what is lost, so where the files are does not matter


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/crash/run.py", description=__doc__.partition(":")[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--count", type=int, help="how many; by default what the part is to reach")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this long, having done fewer")
    parser.add_argument("--reopen", type=int, default=1, help="open one in so many states twice; 1: all")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is not None:
        logging.disable()  # what is mended and rebuilt is not news here
        importlib.import_module("warm").warm(options.folder)
        importlib.import_module("kill").Ground.reopened = options.reopen
        part = importlib.import_module(options.part)
        result = part.main(options.folder, options.count or PARTS[options.part], options.seed, options.seconds)
        print(json.dumps(result))
        return 1 if result["failures"] else 0
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    try:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", *sys.argv, "--folder", str(folder)]
        return subprocess.run(command, env=environment(build(folder)), check=False).returncode
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
