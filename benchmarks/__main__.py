"""Every benchmark that ``docs/performance.md`` is made of, one after another: ``python -m benchmarks``.

    python -m benchmarks [PROGRAM …] [--repeats 3] [--out artifacts/benchmarks.jsonl]

The file is begun anew. ``--out benchmarks/results/latest.jsonl --page`` then makes the page from it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.report import page

PROGRAMS = (
    "drain", "backlog", "enqueue", "latency", "lateness", "idle", "coroutines", "mixed", "held", "fairness", "api",
    "web", "profile",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="*", default=list(PROGRAMS), metavar="PROGRAM", help=", ".join(PROGRAMS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks.jsonl"))
    parser.add_argument("--page", action="store_true", help="write docs/performance.md from it")
    given = parser.parse_args()
    given.out.unlink(missing_ok=True)
    for name in given.programs:
        began = time.monotonic()
        argv = [sys.executable, "-m", f"benchmarks.{name}", "--repeats", str(given.repeats), "--out", str(given.out)]
        subprocess.run(argv, check=True)
        print(f"{name}: {time.monotonic() - began:.0f} s\n", flush=True)
    if given.page:
        page.write(given.out)


if __name__ == "__main__":
    main()
