"""Add up what the inventory has found so far: ``python report.py``."""

from __future__ import annotations

import sys

import jobs


def main(ids: list[str]) -> None:
    """Print each of the runs and what it found."""
    for run_id in ids or sys.stdin.read().split():
        run = jobs.find(run_id)
        found = run.result or {}
        print(f"{run.state:10} {found.get('size', '-'):>10} {found.get('lines', '-'):>8}  {run.arguments['path']}")


if __name__ == "__main__":
    main(sys.argv[1:])
