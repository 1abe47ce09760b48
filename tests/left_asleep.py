"""Says that it runs, and ends when its standard input does; for tests/test_left_running.py."""

from __future__ import annotations

import sys


def main() -> None:
    print("running", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
