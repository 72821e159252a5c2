"""Run a fuzzer of Python code: `python tests/fuzz/run.py predicates --count 1000000 --seed 1`; README.md has them all.

Printed is one line of JSON: what was done, and `failures`, which must be empty; then the exit code is 0.
"""

from __future__ import annotations

import argparse
import json
import sys

from guided import run
from predicates import Predicates
from records import Records

TARGETS = {"predicates": Predicates, "records": Records}


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/fuzz/run.py", description=__doc__.partition(":")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this long, having done fewer")
    options = parser.parse_args()
    found = run(TARGETS[options.target](), options.count, options.seed, options.seconds)
    print(json.dumps(vars(found)))
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
