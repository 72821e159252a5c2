"""`python -m vdb`."""

from vdb.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
